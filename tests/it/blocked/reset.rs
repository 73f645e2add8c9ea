//! Sources whose ids begin anew: emptied, restored from an older backup, or with no more than their newest rows deleted.

use cupid::config::Engine;
use serde_json::json;

use super::status_says;
use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::db::ENGINES;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

const ROWS: i64 = 20;

/// A source whose ids come from a counter, and a copy, both with [`ROWS`] rows.
async fn counted(engine: Engine) -> Option<Pair> {
    let pair = Pair::new(engine).await?;
    let t = pair.src.quote(TABLE);
    match engine {
        Engine::MySql => pair.src.run(format!("ALTER TABLE {t} MODIFY id INTEGER NOT NULL AUTO_INCREMENT")).await,
        Engine::Postgres => {
            pair.src
                .run(format!(
                    "CREATE SEQUENCE ids OWNED BY {t}.id; ALTER TABLE {t} ALTER id SET DEFAULT nextval('ids')"
                ))
                .await
        }
        Engine::Sqlite => {
            pair.src
                .run(format!(
                    "DROP TABLE {t}; CREATE TABLE {t} (id INTEGER PRIMARY KEY AUTOINCREMENT, number VARCHAR(40) NOT NULL, \
                     name VARCHAR(60), phone VARCHAR(30), update_time TEXT DEFAULT CURRENT_TIMESTAMP)"
                ))
                .await
        }
    }
    pair.fill(1..=ROWS).await;
    counts_on(&pair).await;
    Some(pair)
}

/// Ids that were written by hand are counted by all but PostgreSQL.
async fn counts_on(pair: &Pair) {
    if pair.src.engine == Engine::Postgres {
        pair.src.texts(format!("SELECT setval('ids', {ROWS})")).await;
    }
}

/// Takes all rows away, and the counter begins anew.
async fn empty(pair: &Pair) {
    let t = pair.src.quote(TABLE);
    pair.src
        .run(match pair.src.engine {
            Engine::MySql => format!("TRUNCATE TABLE {t}"),
            Engine::Postgres => format!("TRUNCATE TABLE {t} RESTART IDENTITY"),
            Engine::Sqlite => format!("DELETE FROM {t}; DELETE FROM sqlite_sequence"),
        })
        .await;
}

/// Rows that get their ids from the table.
async fn insert(pair: &Pair, names: &[&str]) {
    let t = pair.src.quote(TABLE);
    for name in names {
        pair.src.run(format!("INSERT INTO {t} (number, name) VALUES ('new {name}', '{name}')")).await;
    }
}

async fn settled(site: &Site) -> Option<i64> {
    let sql = "SELECT CAST(json_extract(position, '$.after') AS INTEGER) FROM cursor WHERE feed = 'insert'";
    state::try_number(site, sql).await
}

async fn settles_at(site: &Site, daemon: &mut Daemon, id: i64) {
    wait_for(&format!("id {id} has settled"), LIMIT, async || {
        assert!(daemon.running(), "{}", daemon.output());
        settled(site).await.filter(|at| *at == id)
    })
    .await;
}

/// Emptied while the daemon runs and while it does not; in the end the rows are back, not quite as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_emptied_blocks_its_task_until_the_rows_are_back() {
    for engine in ENGINES {
        for down in [false, true] {
            let Some(pair) = counted(engine).await else { continue };
            pair.lose(&[5]).await;
            let receiver = Receiver::answering(500).await;
            let site = Site::new(&with(
                pair.both_feeds(&receiver.url()),
                json!({ "settle": "1s", "confirm": "100ms", "sweep": "1d" }),
            ));
            let mut daemon = site.start_ready().await;
            settles_at(&site, &mut daemon, ROWS).await;
            daemon.until("the lost row is called back", LIMIT, || receiver.count() >= 2).await;
            if down {
                daemon.stop().await;
            }
            empty(&pair).await;
            if down {
                daemon = site.start_ready().await;
            }
            status_says(&mut daemon, &site, "the ids of the source have begun anew").await;
            let said = site.run(&["status", "-c", "{c}"]).all();
            for words in [
                "settled up to 20",
                "the table is empty",
                "the next one will be 1",
                "--restart main",
                "blocked",
            ] {
                assert!(said.contains(words), "{engine}: {words:?} in {said}");
            }
            // Other rows under known ids, whose time is now.
            let calls = receiver.count();
            insert(&pair, &["one", "two"]).await;
            for feed in ["insert", "update"] {
                status_says(&mut daemon, &site, &format!("{feed} → ")).await;
            }
            status_says(&mut daemon, &site, "deliveries → ").await;
            assert_eq!(receiver.count(), calls, "{engine}: nothing is fired");
            let ended = "SELECT count(*) FROM delivery WHERE ended_at IS NOT NULL";
            assert_eq!(state::number(&site, ended).await, 0, "{engine}: nothing has ended as gone");

            empty(&pair).await;
            pair.fill_source(1..=ROWS).await;
            counts_on(&pair).await;
            let t = pair.src.quote(TABLE);
            pair.src
                .run(format!(
                    "UPDATE {t} SET name = 'quietly', update_time = '2020-01-01 00:00:00' WHERE id = 7"
                ))
                .await;
            let of = |id: i64| ids_of(&receiver.calls()).contains(&id);
            daemon.until("what happened meanwhile is found", LIMIT, || of(7)).await;
            daemon.until("the open one goes on", LIMIT, || receiver.count() > calls + 1).await;
            let mut ids = ids_of(&receiver.calls());
            ids.dedup();
            assert_eq!(ids, [5, 7], "{engine}");
            assert_eq!(state::deliveries(&site).await, 2, "{engine}: the open one is the same as before");
            insert(&pair, &["three"]).await;
            daemon.until("new rows are found", LIMIT, || of(ROWS + 1)).await;
        }
    }
}

/// Rows that were there are gone and others will get their ids; nobody can say which, so a person does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_source_goes_on_after_a_restart_by_hand() {
    for engine in ENGINES {
        let Some(pair) = counted(engine).await else { continue };
        let receiver = Receiver::answering(200).await;
        let mut site =
            Site::new(&with(pair.inserts(&receiver.url()), json!({ "settle": "1s", "verify": false })));
        let mut daemon = site.start_ready().await;
        settles_at(&site, &mut daemon, ROWS).await;
        empty(&pair).await;
        pair.fill_source(1..=15).await;
        if engine == Engine::Postgres {
            pair.src.texts("SELECT setval('ids', 15)").await;
        }
        insert(&pair, &["sixteen"]).await;
        status_says(&mut daemon, &site, "the greatest id is 16 and the next one will be 17").await;
        assert_eq!(receiver.count(), 0);
        daemon.stop().await;
        let strict = site.run(&["-c", "{c}", "--strict"]);
        assert!(strict.code == Some(2) && strict.all().contains("have begun anew"), "{}", strict.all());

        site.set_args(&["--restart", "main"]);
        let mut daemon = site.start_ready().await;
        daemon.until("the other row is told", LIMIT, || receiver.count() == 1).await;
        assert_eq!(ids_of(&receiver.calls()), [16], "{engine}");
        settles_at(&site, &mut daemon, 16).await;
        daemon.stop().await;
        // As is another -s.
        empty(&pair).await;
        insert(&pair, &["first"]).await;
        site.set_args(&["-s", "1"]);
        let mut daemon = site.start_ready().await;
        daemon.until("the first row is told", LIMIT, || receiver.count() == 2).await;
        assert_eq!(ids_of(&receiver.calls()), [1, 16], "{engine}");
    }
}

/// Applications delete their newest rows all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_newest_rows_stop_nothing() {
    for engine in ENGINES {
        let Some(pair) = counted(engine).await else { continue };
        let receiver = Receiver::answering(200).await;
        let site =
            Site::new(&with(pair.inserts(&receiver.url()), json!({ "settle": "1s", "verify": false })));
        let mut daemon = site.start_ready().await;
        settles_at(&site, &mut daemon, ROWS).await;
        let t = pair.src.quote(TABLE);
        pair.src.run(format!("DELETE FROM {t} WHERE id > 15")).await;
        daemon.stop().await;
        let mut daemon = site.start_ready().await;
        daemon.wait_output("caught up").await;
        pair.src.run(format!("DELETE FROM {t}")).await;
        insert(&pair, &["next"]).await;
        daemon.until("the next row is told", LIMIT, || receiver.count() == 1).await;
        assert_eq!(ids_of(&receiver.calls()), [ROWS + 1], "{engine}");
        assert!(!daemon.output().contains("blocked"), "{engine}: {}", daemon.output());
    }
}

/// Whoever has no counter gives ids out again, or chooses them: the feed steps back, and misses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_are_given_out_again_are_read_again() {
    for engine in ENGINES {
        for distance in [1, 50_000_000] {
            let Some(pair) = Pair::new(engine).await else { continue };
            let t = pair.src.quote(TABLE);
            pair.fill(1..=ROWS).await;
            for db in [&pair.src, &pair.des] {
                // No two rows may have one id on the way.
                db.run(format!(
                    "UPDATE {t} SET id = -id; UPDATE {t} SET id = -id * {distance}",
                    t = db.quote(TABLE)
                ))
                .await;
            }
            let receiver = Receiver::answering(200).await;
            let site =
                Site::new(&with(pair.inserts(&receiver.url()), json!({ "settle": "1s", "verify": false })));
            let mut daemon = site.start_ready().await;
            let newest = ROWS * distance;
            settles_at(&site, &mut daemon, newest).await;
            pair.src.run(format!("DELETE FROM {t} WHERE id > {newest} - 3 * {distance}")).await;
            settles_at(&site, &mut daemon, newest - 3 * distance).await;
            pair.src
                .run(format!("INSERT INTO {t} (id, number) VALUES ({newest} - {distance}, 'again')"))
                .await;
            daemon.until("the row is told", LIMIT, || receiver.count() == 1).await;
            assert_eq!(ids_of(&receiver.calls()), [newest - distance], "{engine}");
            assert!(!daemon.output().contains("blocked"), "{engine}: {}", daemon.output());
        }
    }
}
