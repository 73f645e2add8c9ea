//! Audits that a running daemon makes at certain times: `audit`.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::receiver::Receiver;
use crate::support::wait::{LIMIT, wait_for};

/// What `status --json` says of the audit of the only destination.
fn audit(site: &Site) -> Value {
    let status = site.run(&["status", "-c", "{c}", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap_or_else(|e| panic!("{e}: {status:?}"));
    let of_task = status["coverage"]["main"].as_object().cloned().unwrap_or_default();
    of_task.values().next().map(|report| report["audit"].clone()).unwrap_or_default()
}

/// Waits for an audit that began after this time (Unix ms) and has ended.
async fn ends_after(site: &Site, daemon: &mut Daemon, after: i64) -> Value {
    wait_for("an audit ends", LIMIT, async || {
        assert!(daemon.running(), "{}", daemon.output());
        let audit = audit(site);
        (audit["began"].as_i64() > Some(after) && !audit["ended"].is_null()).then_some(audit)
    })
    .await
}

/// What no feed has seen is found at the first start, called back and seen to agree; people hear that it was found, and
/// that the next one found nothing. The log of operations has it, with the delivery that it opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_audit_finds_is_called_back() {
    let mut tasks = Vec::new();
    for (from, to) in [
        (Engine::MySql, Engine::Postgres),
        (Engine::Postgres, Engine::MySql),
        (Engine::Sqlite, Engine::Sqlite),
    ] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        tasks.push(finds_calls_and_tells(Pair::of(src, des).await));
    }
    futures_util::future::join_all(tasks).await;
}

async fn finds_calls_and_tells(pair: Pair) {
    pair.fill(1..=3000).await;
    let old = "UPDATE {t} SET update_time = '2020-01-01 00:00:00'";
    pair.src.run(old.replace("{t}", &pair.src.quote(TABLE))).await;
    let receiver = pair.repairer().await;
    let people = Receiver::answering(200).await;
    let more = json!({ "sweep": false, "audit": { "schedule": "every 10s" },
        "notify": { "ops": { "webhook": { "url": people.url() } } } });
    let config = with(pair.both_feeds(&receiver.url()), more);
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    let first = ends_after(&site, &mut daemon, 0).await;
    assert_eq!((&first["rows"], &first["same"]), (&json!(3000), &json!(3000)), "{first}");
    assert_eq!(receiver.count(), 0, "nothing to find yet");

    // Behind the feeds: copies only, and a source row whose time stays.
    pair.lose(&[1, 1500, 3000]).await;
    pair.spoil(&[7]).await;
    pair.src.run(format!("UPDATE {} SET name = 'quietly' WHERE id = 9", pair.src.quote(TABLE))).await;
    pair.fill_copy(5000).await;
    let second = ends_after(&site, &mut daemon, first["began"].as_i64().unwrap()).await;
    for (what, count) in [("missing", 3), ("differs", 2), ("extra", 1), ("unverified", 0), ("same", 2995)] {
        assert_eq!(second[what], count, "{what}: {second}");
    }
    daemon.until("all are called back", LIMIT, || receiver.count() >= 5).await;
    wait_for("status says so", LIMIT, async || {
        let status = site.run(&["status", "-c", "{c}"]).stdout;
        (status.contains("3 000 rows, ") && status.contains("1 only at the copy")).then_some(())
    })
    .await;
    wait_for("the copy agrees but for the row that nobody asked for", LIMIT, async || {
        (pair.differences().await == [5000]).then_some(())
    })
    .await;
    assert_eq!(ids_of(&receiver.calls()), [1, 7, 9, 1500, 3000], "each once, none else");
    daemon
        .until("people are told", LIMIT, || {
            people.calls().iter().any(|call| String::from_utf8_lossy(&call.body).contains("audit"))
        })
        .await;
    let runs = site.run(&["runs", "list", "-c", "{c}", "--json"]).stdout;
    assert!(runs.contains("\"audit\""), "{runs}");

    pair.des.run(format!("DELETE FROM {} WHERE id = 5000", pair.des.quote(TABLE))).await;
    wait_for("an audit finds nothing", LIMIT, async || {
        let audit = audit(&site);
        (audit["found"] == 0 && audit["same"] == 3000).then_some(())
    })
    .await;
    daemon
        .until("and that it is over", LIMIT, || {
            people.calls().iter().any(|call| String::from_utf8_lossy(&call.body).contains("recovered"))
        })
        .await;
    daemon.stop().await;
}
