//! Several rows for one key, and keys that only a collation takes for one.

use cupid::model::{Key, RowId, Verdict};
use serde_json::json;

use super::bench::{both_ways, judged, places, task};
use super::{databases, pairs};
use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};
use cupid::config::Engine;

/// A text column that the database compares without case, where it can.
fn folding(db: &Db) -> &'static str {
    match db.engine {
        Engine::MySql => "VARCHAR(20) COLLATE utf8mb4_general_ci",
        Engine::Postgres => "VARCHAR(20) COLLATE folds",
        Engine::Sqlite => "VARCHAR(20) COLLATE NOCASE",
    }
}

async fn table(db: &Db, rows: impl Iterator<Item = (usize, String, &str)>) {
    db.run(format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k {}, v VARCHAR(9))", folding(db)))
        .await;
    db.run("CREATE INDEX t_k ON t (k)").await;
    let rows: Vec<String> = rows.map(|(id, k, v)| format!("({id}, '{k}', '{v}')")).collect();
    db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
}

async fn pair_of(src: &Db, des: &Db) -> std::sync::Arc<cupid::engine::Pair> {
    let columns = [("v".to_owned(), json!("v"))].into_iter().collect();
    let tasks = [("t".to_owned(), task(src, des, "t", "k", columns))].into_iter().collect();
    places(tasks).tasks[0].pair(0).await.unwrap()
}

/// `abc` stands in the first list that the destination is asked for, `ABC` in the second; each answer holds both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_differ_in_case_only_are_told_apart_across_lists() {
    // One statement for each list: only there does an answer hold more than was asked for.
    const HALF: usize = 1000;
    for pair in pairs() {
        let Some((src, des)) = databases(pair).await else { continue };
        let both = || {
            let lower = (0..HALF).map(|n| (n + 1, format!("key{n}")));
            lower.chain((0..HALF).map(|n| (HALF + n + 1, format!("KEY{n}"))))
        };
        table(&src, both().map(|(id, k)| (id, k, "v"))).await;
        // Of every third key the copy has one spelling only, and of another third the upper one differs.
        let kept = both().filter(|(id, _)| id % 3 != 1 || *id > HALF);
        table(&des, kept.map(|(id, k)| (id, k, if id % 3 == 2 && id > HALF { "other" } else { "v" }))).await;
        let found = pair_of(&src, &des).await;
        let (first, again) = both_ways(&found).await;
        assert_eq!((first.len(), again.len()), (2 * HALF, 2 * HALF));
        for (id, _) in both() {
            let wanted = match id % 3 {
                1 if id <= HALF => Verdict::Missing,
                2 if id > HALF => Verdict::Differs(vec![0]),
                _ => Verdict::Same,
            };
            let row = RowId(id as i128);
            assert_eq!((&first[&row], &again[&row]), (&wanted, &wanted), "{pair:?} {id}");
        }
    }
}

/// UUIDs that the copy spells in capitals are found by its collation, however many are asked for at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_copy_spells_otherwise_are_found_in_long_lists() {
    const ROWS: usize = 3000;
    let Some((src, des)) = databases((Engine::Postgres, Engine::MySql)).await else { return };
    src.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k UUID, v VARCHAR(9))").await;
    src.run(format!(
        "INSERT INTO t SELECT n, md5(n::text)::uuid, 'v' FROM generate_series(1, {ROWS}) AS s(n)"
    ))
    .await;
    des.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k CHAR(36) COLLATE utf8mb4_general_ci, v VARCHAR(9))")
        .await;
    let keys = src.texts("SELECT id, upper(k::text) FROM t ORDER BY id").await;
    let rows: Vec<String> = keys
        .iter()
        .map(|row| format!("({}, '{}', 'v')", row[0].as_deref().unwrap(), row[1].as_deref().unwrap()))
        .collect();
    des.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
    des.run("CREATE INDEX t_k ON t (k)").await;
    let judged = judged(&pair_of(&src, &des).await).await;
    let wrong: Vec<_> = judged.iter().filter(|j| j.verdict != Verdict::Same).take(5).collect();
    assert_eq!((judged.len(), wrong), (ROWS, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_rows_of_one_key_at_the_source_are_ambiguous() {
    for pair in pairs() {
        let Some((src, des)) = databases(pair).await else { continue };
        let rows =
            [(1, "one", "v"), (2, "two", "v"), (3, "two", "other"), (4, "Two", "v"), (5, "three", "v")];
        table(&src, rows.iter().map(|(id, k, v)| (*id, (*k).to_owned(), *v))).await;
        let copies =
            [(1, "one", "v"), (2, "two", "v"), (4, "Two", "v"), (5, "three", "v"), (6, "three", "v")];
        table(&des, copies.iter().map(|(id, k, v)| (*id, (*k).to_owned(), *v))).await;
        let found = pair_of(&src, &des).await;
        let (first, again) = both_ways(&found).await;
        let wanted = [
            Verdict::Same,
            Verdict::Ambiguous(2),
            Verdict::Ambiguous(2),
            Verdict::Same,
            Verdict::Ambiguous(2),
        ];
        for (id, wanted) in (1..).zip(&wanted) {
            assert_eq!((&first[&RowId(id)], &again[&RowId(id)]), (wanted, wanted), "{pair:?} {id}");
        }
        // Seen alone, as before an attempt, it is found out by looking its key up.
        let two: Vec<(RowId, Key)> = judged(&found)
            .await
            .into_iter()
            .filter(|j| j.row == RowId(2))
            .map(|j| (j.row, j.key.unwrap()))
            .collect();
        let looked = found.look(&[(two[0].0, &two[0].1)]).await.unwrap();
        assert_eq!(looked[0].as_ref().unwrap().verdict, Some(Verdict::Ambiguous(2)), "{pair:?}");
    }
}

/// Nobody is called about a key that several rows carry, in whichever read they were seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ambiguous_key_of_the_source_is_never_called_back() {
    for engine in crate::support::db::ENGINES {
        let Some((src, des)) = databases((engine, engine)).await else { continue };
        table(&src, [(1, "two".to_owned(), "a")].into_iter()).await;
        table(&des, [(1, "two".to_owned(), "a")].into_iter()).await;
        let receiver = Receiver::answering(200).await;
        let config =
            legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("v", "v")], &receiver.url())]);
        let site = Site::new(&with(config, json!({ "verify": false })));
        let mut daemon = site.start();
        // The first is read and agrees; the second comes later, alone, and would differ.
        src.run("INSERT INTO t VALUES (2, 'first', 'v')").await;
        daemon.until("the first reads are done", LIMIT, || receiver.count() == 1).await;
        src.run("INSERT INTO t VALUES (3, 'two', 'b'), (4, 'last', 'v')").await;
        daemon.until("what is missing is called back", LIMIT, || receiver.count() >= 2).await;
        let put_aside = "SELECT count(*) FROM delivery WHERE state = 'dead'";
        wait_for("the key is put aside", LIMIT, async || {
            (state::try_number(&site, put_aside).await == Some(1)).then_some(())
        })
        .await;
        daemon.stop().await;
        let keys: Vec<_> = receiver.calls().iter().map(|call| call.src("k")).collect();
        assert_eq!(keys, [Some("first".to_owned()), Some("last".to_owned())], "{engine}");
    }
}

/// A copy that takes `ann` for `Ann` and has the one already will never take the other: whoever asks why is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_way_of_another_is_named() {
    for pair in pairs() {
        let Some((src, des)) = databases(pair).await else { continue };
        let rows = [(1, "ann", "v"), (2, "Ann", "v"), (3, "bob", "v")];
        table(&src, rows.iter().map(|(id, k, v)| (*id, (*k).to_owned(), *v))).await;
        table(&des, rows[1..2].iter().map(|(id, k, v)| (*id, (*k).to_owned(), *v))).await;
        let receiver = Receiver::answering(200).await;
        let config =
            legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("v", "v")], &receiver.url())]);
        let site = Site::new(&with(config, json!({ "confirm": "0s", "settle": "1s" })));
        let mut daemon = site.start();
        daemon.until("both are called back", LIMIT, || receiver.count() >= 2).await;
        let shown = |key: &str| {
            let list = site.run(&["deliveries", "list", "-c", "{c}", "--key", key, "--json"]);
            let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
            let number = &list["deliveries"][0]["number"];
            site.run(&["deliveries", "show", "-c", "{c}", &number.to_string()]).all()
        };
        let ann = shown("ann");
        assert!(ann.contains("its collation takes for this one") && ann.contains("Ann"), "{pair:?} {ann}");
        let bob = shown("bob");
        assert!(!bob.contains("collation"), "{pair:?} {bob}");
        daemon.stop().await;
    }
}
