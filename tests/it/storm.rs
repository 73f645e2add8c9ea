//! Very many differences at once: an emptied copy is not called back row by row, a copy that merely lacks what is new is.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::wait::LIMIT;

const ROWS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_copy_is_paused_and_goes_on_when_it_is_back_or_meant() {
    for engine in [Engine::MySql, Engine::Sqlite] {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=ROWS).await;
        let receiver = Receiver::answering(200).await;
        let config = with(pair.both_feeds(&receiver.url()), json!({ "confirm": "100ms", "verify": false }));
        let site = Site::new(&config);
        let mut daemon = site.start_ready().await;
        daemon.wait_output("caught up").await;
        // Time to write down what agreed.
        let agreed = "SELECT count(*) FROM note WHERE name = 'agreed'";
        crate::support::wait::wait_for("rows that agree are kept", LIMIT, async || {
            (crate::support::state::try_number(&site, agreed).await? == 1).then_some(())
        })
        .await;
        daemon.stop().await;

        let (s, d) = (pair.src.quote(TABLE), pair.des.quote(TABLE));
        pair.des.run(format!("DELETE FROM {d}")).await;
        // An application touches every row: the update feed reads them all.
        let now = if engine == Engine::MySql { "NOW()" } else { "CURRENT_TIMESTAMP" };
        let mut daemon = site.start_ready().await;
        pair.src.run(format!("UPDATE {s} SET update_time = {now}, phone = 'touched'")).await;
        daemon.wait_output("paused, nothing is sent").await;
        let status = site.run(&["status", "-c", "{c}"]).all();
        assert!(status.contains("rows that agreed before, looked up as a sample, are missing"), "{status}");
        let called = receiver.count();
        assert!(called <= 1000, "{engine:?}: {called} of {ROWS} were called back");

        // Still so after a restart.
        daemon.stop().await;
        let mut daemon = site.start_ready().await;
        daemon.wait_output("paused, nothing is sent").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = receiver.count();
        assert!(before <= 1000);

        if engine == Engine::MySql {
            let out = site.run(&["resume", "-c", "{c}", "--task", "main"]).all();
            assert!(out.contains("callbacks go on: main →"), "{out}");
            daemon.until("it is meant: calls go on", LIMIT * 4, || receiver.count() > 2500).await;
        } else {
            let (from, into) = (&pair.src, &pair.des);
            let rows = from.texts(format!("SELECT id, number, name, phone FROM {s}")).await;
            let values: Vec<String> = rows
                .iter()
                .map(|r| {
                    let v: Vec<String> = r.iter().map(|v| into.literal(v.as_deref())).collect();
                    format!("({})", v.join(", "))
                })
                .collect();
            for chunk in values.chunks(1000) {
                into.run(format!("INSERT INTO {d} (id, number, name, phone) VALUES {}", chunk.join(", ")))
                    .await;
            }
            daemon.wait_output("callbacks go on").await;
            daemon
                .until("all that was found heals", LIMIT, || {
                    site.run(&["status", "-c", "{c}"]).all().contains("nothing waits")
                })
                .await;
            assert_eq!(receiver.count(), before, "what is back is not called back");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_lacks_only_what_is_new_is_worked_off() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=1000).await;
    let receiver = Receiver::answering(200).await;
    let config = with(pair.inserts(&receiver.url()), json!({ "confirm": "100ms", "verify": false }));
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    pair.fill_source(1001..=5000).await;
    daemon.until("every row is told", LIMIT * 4, || receiver.count() >= 4000).await;
    assert!(!daemon.output().contains("paused"));
}

/// However small a copy is, it is not called back row by row when all of it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_copy_that_is_emptied_is_paused_before_one_in_a_hundred_rows_is_called_back() {
    for (engine, rows) in
        [(Engine::Sqlite, 21), (Engine::MySql, 60), (Engine::Postgres, 300), (Engine::Sqlite, 1000)]
    {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=rows).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "sweep": "300ms" })));
        let mut daemon = site.start_ready().await;
        daemon.wait_output("caught up").await;
        let d = pair.des.quote(TABLE);
        pair.des.run(format!("DELETE FROM {d}")).await;
        daemon.wait_output("paused, nothing is sent").await;
        let called = receiver.count();
        assert!(called * 100 < usize::try_from(rows).unwrap(), "{called} of {rows} were called back");
        let status = site.run(&["status", "-c", "{c}"]).all();
        let sample =
            format!("{0} of {0} rows that agreed before, looked up as a sample, are missing", rows.min(200));
        let some = format!("of {} rows that agreed before, looked up as a sample", rows.min(200));
        assert!(status.contains(&sample) || called > 0 && status.contains(&some), "{status}");

        let chunk: Vec<String> =
            (1..=rows).map(|id| format!("({id}, 'n{id}', 'name {id}', '+86 {id}')")).collect();
        pair.des.run(format!("DELETE FROM {d}")).await;
        pair.des.run(format!("INSERT INTO {d} (id, number, name, phone) VALUES {}", chunk.join(", "))).await;
        daemon.wait_output("callbacks go on").await;
        daemon
            .until("all that was found heals", LIMIT, || {
                site.run(&["status", "-c", "{c}"]).all().contains("nothing waits")
            })
            .await;
        assert_eq!(receiver.count(), called, "what is back is not called back");
    }
}

/// Rows that never agreed say nothing about a copy, nor do those that are merely old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_replicator_of_a_small_copy_is_worked_off() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=100).await;
    let receiver = pair.repairer().await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "confirm": "100ms" })));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    pair.fill_source(101..=400).await;
    pair.update(&(1..=60).collect::<Vec<_>>(), "changed").await;
    daemon
        .until("every row is repaired", LIMIT, || {
            site.run(&["status", "-c", "{c}"]).all().contains("nothing waits") && receiver.count() >= 360
        })
        .await;
    assert!(!daemon.output().contains("paused"));
    assert_eq!(pair.differences().await, [0_i64; 0]);
}
