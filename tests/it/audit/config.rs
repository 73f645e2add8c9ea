//! The copies of a configuration: `cupid audit`.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Ran, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};

/// Rows, and the counts of each copy by destination.
fn told(ran: &Ran) -> (Vec<Value>, Vec<Value>) {
    let lines = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {ran:?}")));
    let (stats, rows): (Vec<Value>, Vec<Value>) = lines.partition(|line| line.get("stats").is_some());
    (rows, stats.into_iter().map(|line| line["stats"].clone()).collect())
}

/// Kind and key of the rows of a destination.
fn of(rows: &[Value], destination: &str) -> Vec<String> {
    let of = rows.iter().filter(|row| row["destination"] == destination);
    let mut all: Vec<String> = of
        .map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["key"]["number"].as_str().unwrap()))
        .collect();
    all.sort();
    all
}

/// A source on MariaDB with a copy on each engine, each disagreeing in its own way; one of them counts soft deletes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_copies_of_a_configuration_are_compared() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::MySql).await) else { return };
    let pair = Pair::of(src.clone(), des).await;
    pair.fill(1..=500).await;
    let Some(server) = Db::new(Engine::Postgres).await else { return };
    let postgres = Pair { src: src.clone(), ..Pair::of(Db::sqlite().await, server).await };
    let sqlite = Pair { src, ..Pair::of(Db::sqlite().await, Db::sqlite().await).await };
    for other in [&postgres, &sqlite] {
        for id in 1..=500 {
            other.fill_copy(id).await;
        }
    }
    let url = "http://127.0.0.1:1/";
    let named = |pair: &Pair, name: &str| with(pair.copy(url), json!({ "name": name }));
    let mut config = pair.inserts(url);
    config["des"] = json!([named(&pair, "maria"), named(&postgres, "crm"), named(&sqlite, "cache")]);
    let site = Site::new(&config);
    let agreed = site.run(&["audit", "-c", "{c}"]);
    assert_eq!(agreed.code, Some(0), "{agreed:?}");
    assert!(agreed.stdout.contains("3 of 3 copies agree, 0 differ"), "{agreed:?}");
    assert_eq!(agreed.stdout.matches("500 agree, no difference").count(), 3, "{agreed:?}");

    pair.lose(&[7]).await;
    postgres.spoil(&[8, 9]).await;
    sqlite.fill_copy(900).await;
    let ran = site.run(&["audit", "-c", "{c}", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (rows, stats) = told(&ran);
    assert_eq!(of(&rows, "maria"), ["missing n7"]);
    assert_eq!(of(&rows, "crm"), ["differs n8", "differs n9"]);
    assert_eq!(of(&rows, "cache"), ["extra n900"]);
    assert!(rows.iter().all(|row| row["task"] == "main"), "{rows:?}");
    assert_eq!(stats.len(), 3, "{stats:?}");
    let one = site.run(&["audit", "-c", "{c}", "--destination", "crm", "--rows"]);
    assert_eq!(
        (one.code, one.stdout.lines().filter(|line| line.starts_with('~')).count()),
        (Some(1), 2),
        "{one:?}"
    );
    for words in [["--destination", "nobody"], ["--task", "nobody"]] {
        let ran = site.run(&[&["audit", "-c", "{c}"], &words[..]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("main → crm"), "{ran:?}");
    }

    // A copy that is not there outweighs those that differ, and stops none of them.
    postgres.des.run(format!("DROP TABLE {}", postgres.des.quote(TABLE))).await;
    let ran = site.run(&["audit", "-c", "{c}"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("main → crm") && ran.stderr.contains("there is no table"), "{ran:?}");
    assert!(ran.stdout.contains("0 of 3 copies agree, 2 differ, 1 not wholly compared"), "{ran:?}");
}

/// Rows that are deleted softly: with `delete` a copy must not have them, without it nothing is said of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_count_as_deleted_are_not_missing() {
    for (engine, other) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::Sqlite)] {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(other).await) else { continue };
        let pair = Pair::of(src, des).await;
        pair.fill(1..=100).await;
        let t = pair.src.quote(TABLE);
        pair.src.run(format!("UPDATE {t} SET phone = 'gone' WHERE id IN (10, 20)")).await;
        pair.src.run(format!("UPDATE {t} SET phone = NULL, name = 'x' WHERE id = 30")).await;
        // One of them is gone from the copy as well.
        pair.lose(&[10]).await;
        let tolerant =
            Pair { src: pair.src.clone(), ..Pair::of(Db::sqlite().await, Db::sqlite().await).await };
        for id in (1..=100).filter(|id| *id != 10) {
            tolerant.fill_copy(id).await;
        }
        let url = "http://127.0.0.1:1/";
        let named = |pair: &Pair, name: &str, delete: bool| {
            with(pair.copy(url), json!({ "name": name, "delete": delete }))
        };
        let mut config = pair.inserts(url);
        config["src"]["deletedWhen"] = "phone == \"gone\"".into();
        config["des"] = json!([named(&pair, "strict", true), named(&tolerant, "tolerant", false)]);
        let ran = Site::new(&config).run(&["audit", "-c", "{c}", "--json"]);
        let (rows, stats) = told(&ran);
        assert_eq!(of(&rows, "strict"), ["differs n30", "extra n20"], "{engine}: {ran:?}");
        assert_eq!(of(&rows, "tolerant"), ["differs n30"], "{engine}: {ran:?}");
        assert!(stats.iter().all(|stats| stats["undecided"] == 0), "{ran:?}");
    }
}
