//! Who is told what, how often, and that nobody waits for it.

mod channels;
mod kept;
mod machine;
mod secrets;
mod smtp;
mod truth;

use std::net::TcpListener;
use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use self::smtp::{MailServer, Security};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE, id_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait::{LIMIT, wait_until};

/// What a webhook was told: event, whether it is over, how often.
fn told(hook: &Receiver) -> Vec<(String, bool, u64)> {
    let of = |body: &Value| {
        (
            body["event"].as_str().unwrap().to_owned(),
            body["recovered"] == true,
            body["count"].as_u64().unwrap(),
        )
    };
    hook.calls().iter().map(|call| of(&call.json())).collect()
}

fn quick() -> Value {
    json!({ "confirm": "100ms", "verify": false, "retry": { "delay": "100ms", "tries": 1, "then": "every 1s" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_enters_the_slow_lane_is_told_once() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    // As the service answered.
    let bear = Receiver::with(|_| async {
        Answer::Full(200, ("x", "y".to_owned()), r#"{"code":0,"message":"","data":"1"}"#.to_owned())
    })
    .await;
    let server = MailServer::new(Security::Plain).await;
    let config = with(
        pair.inserts(&receiver.url()),
        json!({
            "pushbearSendKey": "key of the bear", "pushbearUrl": bear.url(),
            "notify": { "ops": {
                "smtp": format!("smtp://127.0.0.1:{}", server.port), "from": "cupid@example.org",
                "to": ["ops@example.org", "dba@example.org"],
            } },
        }),
    );
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the quick tries are used up", LIMIT, || receiver.count() >= 4).await;
    wait_until("mail has come", LIMIT, || !server.mails().is_empty()).await;
    daemon.until("the bear was told", LIMIT, || bear.count() >= 1).await;
    daemon.stop().await;

    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    let text = format!("{} {:?} {}", mails[0].from, mails[0].to, mails[0].text);
    for word in ["ops@example.org", "dba@example.org", "cupid@example.org", "Subject: ", "503"] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
    assert_eq!(bear.count(), 1);
    let path = &bear.calls()[0].path;
    assert!(path.contains("sendkey=key+of+the+bear") || path.contains("sendkey=key%20of"), "{path}");
    assert!(path.contains("text=") && path.contains("desp="), "{path}");
    assert!(!daemon.output().contains("of the bear") && !daemon.output().contains("of+the+bear"));
}

/// A mail server that is away delays nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_away_delays_nothing() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = with(
        pair.inserts(&receiver.url()),
        json!({ "notify": { "ops": { "mail": {
            "smtp": format!("smtp://127.0.0.1:{port}"), "from": "cupid@example.org", "to": ["ops@example.org"],
        } } } }),
    );
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the quick tries are used up", LIMIT, || receiver.count() >= 4).await;
    pair.fill_source(2..=2).await;
    daemon.until("the next row is tried all the same", LIMIT, || receiver.count() >= 5).await;
    let (status, took) = daemon.stop().await;
    assert!(status.success() && took.as_secs() < 2, "{status} after {took:?}");
}

/// Hundreds of failures are one message with the right count; when all is through, one more. A restart repeats nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_failures_are_one_message_and_one_recovery() {
    const ROWS: i64 = 500;
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=ROWS).await;
    let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let answer = fails.clone();
    let receiver = Receiver::with(move |_| {
        let status = if answer.load(std::sync::atomic::Ordering::Relaxed) { 503 } else { 204 };
        async move { Answer::Status(status) }
    })
    .await;
    let hook = Receiver::answering(200).await;
    let beat = Receiver::answering(200).await;
    let notify = json!({
        "heartbeat": beat.url(), "notify": { "hook": { "webhook": hook.url() } }, "breaker": false,
    });
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), notify));
    let mut daemon = site.start();
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    daemon.until("all is tried slowly", LIMIT, || receiver.count() >= 3 * ROWS as usize).await;
    assert_eq!(beat.count(), 1, "it works, whatever the receiver does");
    assert_eq!(beat.calls()[0].method, "GET");
    daemon.stop().await;

    let mut daemon = site.start_ready().await;
    let before = receiver.count();
    daemon.until("calls go on", LIMIT, || receiver.count() > before + 100).await;
    fails.store(false, std::sync::atomic::Ordering::Relaxed);
    daemon.until("the recovery is told", LIMIT * 2, || hook.count() >= 2).await;
    daemon.stop().await;
    let told = told(&hook);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].1, told[1].1), ("failing", false, true));
    assert_eq!(told[1].2, ROWS as u64, "each was counted once: {told:?}");
    let first = hook.calls()[0].json();
    assert_eq!((&first["task"], &first["error"]), (&json!("main"), &json!("http_5xx (503)")));
    assert!(first["waiting"].as_u64().unwrap() > 0 && first["oldest"].is_string(), "{first}");
    // Nothing of a row.
    assert!(!hook.calls().iter().any(|c| String::from_utf8_lossy(&c.body).contains("srcColumn")));
}

/// One row that is refused for ever keeps the failure open, however many others are accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_over_when_nothing_is_refused_any_more() {
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=3).await;
    // Rows up to this one are refused.
    let refused = std::sync::Arc::new(AtomicI64::new(3));
    let answer = refused.clone();
    let receiver = Receiver::with(move |call| {
        let status = if id_of(&call) <= answer.load(Relaxed) { 503 } else { 204 };
        async move { Answer::Status(status) }
    })
    .await;
    let hook = Receiver::answering(200).await;
    let notify = json!({ "notify": { "hook": { "webhook": hook.url() } } });
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), notify));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    refused.store(1, Relaxed);
    // Once a second; what waits is counted every ten.
    let before = receiver.count();
    daemon
        .until("the others are accepted, this one is not", LIMIT * 2, || receiver.count() > before + 22)
        .await;
    assert_eq!(hook.count(), 1, "{:?}", told(&hook));
    refused.store(0, Relaxed);
    daemon.until("it is over", LIMIT * 2, || hook.count() >= 2).await;
    daemon.stop().await;
    assert!(told(&hook)[1].1);
}

/// A task's own channels hear of it and nobody else; what one cannot be told its fallback hears.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_channels_are_told_and_then_their_fallback() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=3).await;
    let receiver = Receiver::answering(503).await;
    let (top, broken, spare, deaf) = (
        Receiver::answering(200).await,
        Receiver::answering(500).await,
        Receiver::answering(200).await,
        Receiver::answering(200).await,
    );
    let task = with(
        pair.inserts(&receiver.url()),
        json!({ "notify": {
            "first": { "webhook": broken.url(), "fallback": "spare" },
            "spare": { "webhook": spare.url(), "on": [] },
            "deaf": { "webhook": deaf.url(), "on": ["dead", "critical"] },
        } }),
    );
    let task = json!({ "src": task["src"], "des": task["des"], "notify": task["notify"] });
    let config = json!({ "tasks": { "users": task }, "notify": { "top": { "webhook": top.url() } } });
    let site = Site::new(&with(config, quick()));
    let mut daemon = site.start_ready().await;
    daemon.until("the fallback is told", LIMIT, || spare.count() >= 1).await;
    daemon.stop().await;
    assert_eq!(told(&spare)[0].0, "failing");
    assert!(broken.count() >= 1 && top.count() == 0 && deaf.count() == 0);
    assert!(daemon.output().contains("people could not be told"));
}

/// A table that goes and comes back: blocked, once, and recovered, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_task_is_told_and_so_is_its_end() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=3).await;
    let receiver = Receiver::answering(200).await;
    let hook = Receiver::answering(200).await;
    let zh = Receiver::with(|_| async {
        Answer::Full(200, ("x", "y".to_owned()), r#"{"errcode":0,"errmsg":"ok"}"#.to_owned())
    })
    .await;
    let notify = json!({ "notify": {
        "hook": { "webhook": hook.url() },
        "zh": { "wecom": { "url": zh.url(), "mention": ["@all"] }, "language": "zh" },
    } });
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), notify));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let table = pair.src.quote(TABLE);
    pair.src.run(format!("ALTER TABLE {table} RENAME TO elsewhere")).await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1 && zh.count() >= 1).await;
    pair.src.run(format!("ALTER TABLE elsewhere RENAME TO {table}")).await;
    // An end is believed a minute after the start at the earliest.
    daemon.until("its end is told", Duration::from_secs(120), || hook.count() >= 2 && zh.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(
        told(&hook).iter().map(|(event, over, _)| (event.as_str(), *over)).collect::<Vec<_>>(),
        [("blocked", false), ("blocked", true)]
    );
    let first = hook.calls()[0].json();
    assert_eq!(first["error"], "db_missing_table", "{first:#}");
    let bodies: Vec<Value> = zh.calls().iter().map(|call| call.json()).collect();
    assert!(bodies[0]["text"]["content"].as_str().unwrap().contains("任务受阻"), "{}", bodies[0]);
    assert!(bodies[0]["text"]["content"].as_str().unwrap().contains("cupid check -c"), "{}", bodies[0]);
    assert!(bodies[1]["text"]["content"].as_str().unwrap().contains("已恢复"), "{}", bodies[1]);
    assert!(bodies[1]["text"].get("mentioned_list").is_none(), "nobody is called for an end");
}

/// What waits for a person is told with its count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_are_told() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=20).await;
    let receiver = Receiver::answering(404).await;
    let hook = Receiver::answering(200).await;
    let more = json!({
        "retry": { "delay": "100ms", "tries": 1, "then": "dead" }, "breaker": false,
        "notify": { "hook": { "webhook": hook.url(), "on": ["dead"] } },
    });
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), more));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    daemon.stop().await;
    let body = hook.calls()[0].json();
    assert_eq!(
        (&body["event"], &body["severity"], &body["error"]),
        (&json!("dead"), &json!("critical"), &json!("http_4xx"))
    );
    assert_eq!(body["waiting"], 20, "{body}");
}

/// Secrets of channels stand in no log and not in the state, whatever the services answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_keeps_the_secrets_of_its_channels() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=3).await;
    let receiver = Receiver::answering(503).await;
    let echo = Receiver::with(|call| async move {
        let body = format!("{} {}", call.path, String::from_utf8_lossy(&call.body));
        Answer::Full(500, ("x", "y".to_owned()), body)
    })
    .await;
    let base = echo.url().trim_end_matches("/callback").to_owned();
    let config = with(
        with(pair.inserts(&receiver.url()), quick()),
        json!({ "log": { "level": "trace" }, "heartbeat": format!("{base}/canary-beat"), "notify": {
            "wecom": { "wecom": format!("{base}/send?key=canary-wecom") },
            "telegram": { "telegram": { "token": "1:canary-telegram", "chat": "1", "url": base } },
            "pushplus": { "pushplus": { "token": "canary-pushplus", "url": format!("{base}/send") } },
            "pagerduty": { "pagerduty": { "key": "canary-pagerduty", "url": format!("{base}/send") } },
            "slack": { "slack": format!("{base}/services/canary-slack") },
            "mail": { "mail": { "smtp": format!("smtp://u:canary-mail@{}", base.trim_start_matches("http://")),
                                "from": "a@b.c", "to": ["a@b.c"] } },
        } }),
    );
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    let failed = |output: &str| output.matches("people could not be told").count();
    let mut output = String::new();
    wait_until("each has failed once", LIMIT * 2, || {
        output = daemon.output();
        failed(&output) >= 6 && output.contains("the heartbeat was not heard")
    })
    .await;
    daemon.stop().await;
    let written = site.everything_written();
    let at = written.find("canary");
    assert!(
        at.is_none(),
        "{}",
        &written[at.unwrap().saturating_sub(200)..(at.unwrap() + 100).min(written.len())]
    );
}
