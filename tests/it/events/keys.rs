//! Keys that are NULL, shared, or change.

use cupid::config::Engine;
use serde_json::json;

use super::journal::Journal;
use super::{Site, events, nothing_waits};
use crate::support::config::{legacy, updated_source, with};
use crate::support::db::{Db, ENGINES};
use crate::support::pair::now;
use crate::support::receiver::Receiver;
use crate::support::wait::LIMIT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_a_key_is_counted_and_rows_that_share_one_are_told_once_each() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let time = match engine {
            Engine::MySql => "DATETIME DEFAULT CURRENT_TIMESTAMP",
            Engine::Postgres => "TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP",
            Engine::Sqlite => "TEXT DEFAULT CURRENT_TIMESTAMP",
        };
        db.run(format!(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, number VARCHAR(40), name VARCHAR(60), at {time});
             CREATE INDEX t_number ON t (number); CREATE INDEX t_at ON t (at);
             INSERT INTO t (id, number, name) VALUES (1, 'a', 'one'), (2, NULL, 'none'), (3, 'a', 'other'), (4, 'b', 'x')"
        ))
        .await;
        let receiver = Receiver::answering(200).await;
        let config = legacy(
            with(updated_source(&db, "t", "number", "at"), json!({ "updateScanSecond": 60 })),
            vec![events(&receiver)],
        );
        let site = Site::new(&config);
        let mut daemon = site.start();
        daemon.until("all with a key are told", LIMIT, || receiver.answered() >= 3).await;
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(said.contains("1 row without a key (NULL), not told"), "{engine}: {said}");
        // Both rows of the key are read again at each look: neither is a new version of the other.
        db.run(format!("UPDATE t SET name = 'y', at = {} WHERE id = 4", now(&db))).await;
        daemon.until("the change is told", LIMIT, || receiver.answered() >= 4).await;
        db.run(format!("UPDATE t SET number = 'c', at = {} WHERE id = 2", now(&db))).await;
        daemon.until("the key that came is told", LIMIT, || receiver.answered() >= 5).await;
        nothing_waits(&site).await;
        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        assert_eq!(
            (journal.kinds("a"), journal.all("a", "name")),
            (vec![1, 2], vec!["one".into(), "other".into()])
        );
        assert_eq!(journal.all("b", "name"), ["x", "y"], "{engine}");
        assert_eq!(receiver.count(), 5, "{engine}");
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(!said.contains("without a key"), "{engine}: {said}");
    }
}

/// What goes back to what it was within one stamp is told again: what a receiver holds is what was told last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_goes_back_is_told_again() {
    let db = Db::sqlite().await;
    db.run(
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, name TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
         CREATE INDEX t_at ON t (at); INSERT INTO t (id, name) VALUES (1, 'x')",
    )
    .await;
    let receiver = Receiver::answering(200).await;
    let source = with(updated_source(&db, "t", "id", "at"), json!({ "updateScanSecond": 3600 }));
    let site = Site::new(&legacy(source, vec![events(&receiver)]));
    let mut daemon = site.start();
    for (count, name) in [(1, "y"), (2, "x"), (3, "z")] {
        daemon.until("it is told", LIMIT, || receiver.answered() >= count).await;
        // The update time stays as it is.
        db.run(format!("UPDATE t SET name = '{name}'")).await;
    }
    daemon.until("the last one is told", LIMIT, || receiver.answered() >= 4).await;
    let names: Vec<_> = receiver.calls().iter().map(|call| call.src("name").unwrap()).collect();
    assert_eq!(names, ["x", "y", "x", "z"]);
}
