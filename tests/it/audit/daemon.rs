//! Audits that a running daemon makes at certain times: `audit`.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::proxy::Proxy;
use crate::support::receiver::Receiver;
use crate::support::state;
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
    let more = json!({ "sweep": false, "settle": "1s", "audit": { "schedule": "every 10s" },
        "notify": { "ops": { "webhook": { "url": people.url() } } } });
    let config = with(pair.both_feeds(&receiver.url()), more);
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    let first = ends_after(&site, &mut daemon, 0).await;
    assert_eq!((&first["rows"], &first["same"]), (&json!(3000), &json!(3000)), "{first}");
    assert_eq!(receiver.count(), 0, "nothing to find yet");

    // Behind the feeds: copies only, and a source row whose time stays. All of it between two audits.
    wait_for("the insert feed reads nothing of it again", LIMIT, async || {
        let sql =
            "SELECT CAST(json_extract(position, '$.after') AS INTEGER) FROM cursor WHERE feed = 'insert'";
        state::try_number(&site, sql).await.filter(|at| *at == 3000)
    })
    .await;
    daemon.stop().await;
    pair.lose(&[1, 1500, 3000]).await;
    pair.spoil(&[7]).await;
    pair.src.run(format!("UPDATE {} SET name = 'quietly' WHERE id = 9", pair.src.quote(TABLE))).await;
    pair.fill_copy(5000).await;
    let mut daemon = site.start_ready().await;
    let wanted = [("rows", 3000), ("same", 2995), ("missing", 3), ("differs", 2), ("extra", 1)];
    wait_for("the operation log has it", LIMIT, async || {
        let list = site.run(&["runs", "list", "-c", "{c}", "--json"]);
        let list: Value = serde_json::from_str(&list.stdout).unwrap_or_else(|e| panic!("{e}: {list:?}"));
        let is_it = |run: &&Value| {
            let counts = &run["counts"];
            // One that comes before all are mended sees the same, and opens nothing.
            run["feed"] == "audit"
                && run["opened"] == 5
                && wanted.iter().all(|(what, count)| counts[what] == *count)
        };
        list.as_array().unwrap().iter().any(|run| is_it(&run)).then_some(())
    })
    .await;
    daemon.until("all are called back", LIMIT, || receiver.count() >= 5).await;
    wait_for("status says so", LIMIT, async || {
        let status = site.run(&["status", "-c", "{c}"]).stdout;
        (status.contains("3 000 rows, ") && status.contains("1 only at the copy")).then_some(())
    })
    .await;
    assert_eq!(ids_of(&receiver.calls()), [1, 7, 9, 1500, 3000], "each once, none else");
    daemon
        .until("people are told", LIMIT, || {
            people.calls().iter().any(|call| String::from_utf8_lossy(&call.body).contains("audit"))
        })
        .await;
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

/// A copy that does not answer while it is audited is told of, and is audited when it is back. Rows below `-s` are nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_that_does_not_come_to_its_end_is_told_and_comes_again() {
    let Some(pair) = Pair::new(Engine::Postgres).await else { return };
    pair.fill(1..=200).await;
    pair.lose(&[3, 4]).await;
    let old = "UPDATE {t} SET update_time = '2020-01-01 00:00:00'";
    pair.src.run(old.replace("{t}", &pair.src.quote(TABLE))).await;
    let (receiver, people) = (pair.repairer().await, Receiver::answering(200).await);
    let door = Proxy::before(pair.des.server.as_ref().expect("PostgreSQL is a server"));
    let more = json!({ "sweep": false, "settle": "1s", "audit": { "schedule": "every 10s" },
        "notify": { "ops": { "webhook": { "url": people.url() } } } });
    let mut config = with(pair.inserts(&receiver.url()), more);
    config["des"][0]["dsn"] = door.url(&pair.des.url()).into();
    let mut site = Site::new(&config);
    site.args(&["-s", "101"]);
    let mut daemon = site.start_ready().await;
    let first = ends_after(&site, &mut daemon, 0).await;
    assert_eq!((&first["rows"], &first["missing"]), (&json!(200), &json!(2)), "they are counted: {first}");

    door.shut();
    let failed = ends_after(&site, &mut daemon, first["began"].as_i64().unwrap()).await;
    assert!(failed["error"].is_string(), "{failed}");
    let status = site.run(&["status", "-c", "{c}"]).stdout;
    assert!(
        status.contains("main audit") && status.contains("the last audit ended with an error"),
        "{status}"
    );
    let told =
        |words: &str| people.calls().iter().any(|call| String::from_utf8_lossy(&call.body).contains(words));
    daemon.until("people are told that it is away", LIMIT * 2, || told("unreachable")).await;

    door.open();
    wait_for("it comes again", LIMIT, async || {
        let audit = audit(&site);
        (audit["error"].is_null() && audit["missing"] == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 0, "what lies below `-s` is counted and not called back");
    daemon.kill();
    let status = site.run(&["status", "-c", "{c}"]).stdout;
    assert!(!status.contains("audit under way"), "nobody goes on with it: {status}");
}
