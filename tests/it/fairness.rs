//! What one part does to the others: a long way to catch up, a server that hangs, a source that is not the one that
//! progress was made on.

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE, id_of, ids_of};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_catch_up_holds_up_neither_the_update_feed_nor_another_task() {
    let (long, short) = (Pair::new(Engine::Sqlite).await.unwrap(), Pair::new(Engine::Sqlite).await.unwrap());
    long.fill(1..=1000).await;
    for db in [&long.src, &long.des] {
        let t = db.quote(TABLE);
        // The rest in one statement; what it says does not matter, as long as both sides say the same.
        db.run(format!(
            "INSERT INTO {t} (id, number, name, phone, update_time)
             WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
             SELECT i, 'n' || i, 'name', 'phone', '2020-01-01 00:00:00' FROM n"
        ))
        .await;
    }
    let receiver = Receiver::answering(200).await;
    let (a, b) = (format!("{}/long", receiver.url()), format!("{}/short", receiver.url()));
    let tasks = json!({ "long": long.both_feeds(&a), "short": short.inserts(&b) });
    let mut config = json!({ "workerNumber": 3, "verify": false, "tasks": tasks });
    for task in ["long", "short"] {
        for key in ["workerNumber", "failureJobRetrySecond"] {
            config["tasks"][task].as_object_mut().unwrap().remove(key);
        }
    }
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    wait_for("the update feed knows where it started", LIMIT, async || {
        let begun = "SELECT count(*) FROM cursor WHERE task = 'long' AND feed = 'update'";
        (state::try_number(&site, begun).await? == 1).then_some(())
    })
    .await;
    long.update(&[1, 2, 3], "changed behind the insert feed").await;
    short.fill_source(1..=1).await;
    daemon.until("both are told", LIMIT, || receiver.count() >= 4).await;
    let of = |path: &str| receiver.calls().into_iter().filter(|c| c.path.ends_with(path)).collect::<Vec<_>>();
    assert_eq!(ids_of(&of("/long")), [1, 2, 3]);
    assert_eq!(ids_of(&of("/short")), [1]);
    let caught_up = |line: &str| line.contains("caught up task=long") && line.contains("feed=insert");
    assert!(!daemon.output().lines().any(caught_up), "the insert feed was still on its way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_says_nothing_holds_up_only_its_own_task() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().port();
    // Connections are taken by the kernel; nobody ever answers them.
    let receiver = Receiver::answering(200).await;
    let dsn = format!("mysql://u:p@127.0.0.1:{silent}/db");
    let mut bad = json!({ "src": {
        "dsn": dsn, "table": "t", "byColumn": "id", "updateColumn": "u",
        "insertIntervalMillisecond": 100, "updateIntervalMillisecond": 100,
    }});
    bad["des"] = json!([copy(&pair.des, TABLE, "number", &[("name", "name")], &receiver.url())]);
    let good = pair.inserts(&receiver.url());
    let tasks = json!({ "bad": bad, "good": { "src": good["src"], "des": good["des"] } });
    let site = Site::new(&json!({ "workerNumber": 3, "verify": false, "confirm": "0s", "tasks": tasks }));
    let mut daemon = site.start_ready().await;
    // Over several rounds of trying again at the silent server.
    let mut worst = Duration::ZERO;
    for id in 1..=40 {
        let began = Instant::now();
        pair.fill_source(id..=id).await;
        daemon.until("the row is told", LIMIT, || receiver.calls().iter().any(|c| id_of(c) == id)).await;

        // Before the first one every place is looked at for up to three seconds.
        worst = worst.max(began.elapsed().saturating_sub(Duration::from_secs(if id == 1 { 3 } else { 0 })));
        tokio::time::sleep(Duration::from_millis(500).saturating_sub(began.elapsed())).await;
    }
    drop(listener);
    assert!(worst < Duration::from_secs(3), "{worst:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_not_settled_by_a_source_that_they_were_not_found_on() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let empty = Pair::of(Db::sqlite().await, Db::sqlite().await).await;
    pair.fill(1..=10).await;
    pair.lose(&[5]).await;
    let receiver = Receiver::answering(500).await;
    let config = pair.inserts(&receiver.url());
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    daemon.until("the receiver refuses", LIMIT, || receiver.count() >= 1).await;
    daemon.stop().await;

    let foreign = legacy(source(&empty.src, TABLE, "number"), vec![pair.copy(&receiver.url())]);
    site.write(&foreign);
    let mut daemon = site.start_ready().await;
    daemon.wait_output("saved progress belongs to another source").await;
    let called = receiver.count();
    daemon
        .until("status names it for the deliveries too", LIMIT, || {
            site.run(&["status", "-c", "{c}"]).all().contains("deliveries → ")
        })
        .await;
    let status = site.run(&["status", "-c", "{c}"]).all();
    assert!(status.contains("blocked") && status.contains("--restart main"), "{status}");
    daemon.stop().await;
    assert_eq!(receiver.count(), called, "nothing is sent about another table");

    site.write(&config);
    let mut daemon = site.start_ready().await;
    daemon.until("it is told again", LIMIT, || receiver.count() > called).await;
    assert_eq!(ids_of(&receiver.calls()).iter().filter(|id| **id == 5).count(), receiver.count());
}

/// What takes longer to read than a row stays fresh is sent right after it was read, alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_takes_longer_to_read_than_it_stays_fresh_is_called_back_all_the_same() {
    let Some(pair) = Pair::new(Engine::Postgres).await else { return };
    pair.fill_source(1..=3).await;
    let t = pair.src.quote("user");
    // Feeds do not read the last column; whoever is about to call reads whole rows.
    pair.src
        .run(format!(
            "CREATE VIEW heavy AS SELECT u.*, CASE WHEN id = 2 THEN pg_sleep(2.5)::text END AS weight FROM {t} u"
        ))
        .await;
    let receiver = pair.repairer().await;
    let mut config = pair.inserts(&receiver.url());
    config["src"]["table"] = "heavy".into();
    config["src"]["id"] = "id".into();
    let site = Site::new(&config);
    let mut daemon = site.start();
    // Whatever asks the view sleeps, since its column must not be left out.
    daemon.until("all are called back", 2 * LIMIT, || ids_of(&receiver.calls()) == [1, 2, 3]).await;
}

/// The copy cannot be read for a while, after its source row was, and that changes meanwhile: what is sent is the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_its_copy_takes_long_to_read_is_sent_as_it_is_then() {
    for pair in Pair::apart(&[Engine::Postgres, Engine::MySql]).await {
        pair.fill(1..=3).await;
        pair.spoil(&[2]).await;
        let receiver = Receiver::answering(500).await;
        let settings = json!({ "retry": { "delay": "1s", "tries": 100 }, "breaker": false });
        let site = Site::new(&with(pair.inserts(&receiver.url()), settings));
        let mut daemon = site.start_ready().await;
        daemon.until("the receiver refuses", LIMIT, || receiver.count() >= 2).await;

        let mut held = Held::session(&pair.des).await;
        let (t, postgres) = (pair.des.quote(TABLE), pair.des.engine == Engine::Postgres);
        let lock =
            if postgres { "BEGIN; LOCK TABLE _ IN ACCESS EXCLUSIVE MODE" } else { "LOCK TABLES _ WRITE" };
        held.run(&lock.replace('_', &t)).await;
        let waiting = if postgres {
            "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE d.datname = current_database() AND NOT l.granted"
        } else {
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE DB = DATABASE() AND STATE = 'Waiting for table metadata lock' AND INFO LIKE 'SELECT%'"
        };
        let blocked = async || (pair.des.number(waiting).await > 0).then_some(());
        wait_for("the copy is asked", LIMIT, blocked).await;
        let (called, since) = (receiver.count(), Instant::now());
        pair.update(&[2], "changed").await;
        wait_until("what was read is old", LIMIT, || since.elapsed() > Duration::from_millis(2500)).await;
        held.end(if postgres { "COMMIT" } else { "UNLOCK TABLES" }).await;
        daemon.until("it is called back", LIMIT, || receiver.count() > called).await;
        let call = &receiver.calls()[called];
        assert_eq!(call.src("name").as_deref(), Some("changed"), "{:?}: {}", pair.des.engine, call.json());
        daemon.stop().await;
    }
}
