//! What people are told is so, once, and nobody is left out: not by a stop, not by a crash, not by what has no call.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use super::{quick, told};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE, id_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// Told but not whether it is counted rightly.
fn events(hook: &Receiver) -> Vec<(String, bool)> {
    told(hook).into_iter().map(|(event, over, _)| (event, over)).collect()
}

fn event(name: &str, over: bool) -> (String, bool) {
    (name.to_owned(), over)
}

fn hook_of(hook: &Receiver) -> Value {
    json!({ "notify": { "hook": { "webhook": hook.url() } } })
}

/// Slow for so long that nothing is called again.
fn rarely(then: &str) -> Value {
    json!({ "verify": false, "confirm": "100ms", "retry": { "delay": "100ms", "tries": 1, "then": then } })
}

/// Refuses the rows up to a number that the test sets.
async fn refusing(status: u16, first: i64) -> (Receiver, Arc<AtomicI64>) {
    let refused = Arc::new(AtomicI64::new(first));
    let answer = refused.clone();
    let receiver = Receiver::with(move |call| {
        let status = if id_of(&call) <= answer.load(Relaxed) { status } else { 204 };
        async move { Answer::Status(status) }
    })
    .await;
    (receiver, refused)
}

/// A suspect that ends by itself, with a note, is nobody's failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_gone_before_any_call_is_nothing_to_tell() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let more = json!({ "confirm": "2s", "log": { "level": "debug" } });
    let site = Site::new(&with(with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)), more));
    let mut daemon = site.start_ready().await;
    wait_for("it is suspected", LIMIT, async || {
        state::try_number(&site, "SELECT count(*) FROM delivery").await.filter(|n| *n == 1)
    })
    .await;
    pair.src.run(format!("DELETE FROM {}", pair.src.quote(TABLE))).await;
    daemon.wait_output("gone at the source").await;
    // What is told after it shows that it was not.
    pair.fill_source(2..=2).await;
    daemon.until("people are told of another", LIMIT, || hook.count() >= 1).await;
    daemon.stop().await;
    assert_eq!(events(&hook), [event("failing", false)]);
}

/// A key of several rows is one thing, whoever finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ambiguous_key_is_told_once() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let t = pair.des.quote(TABLE);
    pair.des.run("DROP INDEX user_number").await;
    pair.fill_source(1..=1).await;
    pair.des.run(format!("INSERT INTO {t} (id, number) VALUES (1, 'n1'), (2, 'n1')")).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    pair.fill_source(2..=2).await;
    daemon
        .until("people are told of another", LIMIT, || events(&hook).contains(&event("failing", false)))
        .await;
    daemon.stop().await;
    assert_eq!(events(&hook), [event("ambiguous", false), event("failing", false)]);
    // A restart says nothing again, and does not take it for one that waits for a person by its own fault.
    let mut daemon = site.start_ready().await;
    let before = receiver.count();
    daemon.until("calls go on", LIMIT, || receiver.count() >= before + 13).await;
    daemon.stop().await;
    assert_eq!(events(&hook).len(), 2, "{:?}", events(&hook));
}

/// What an earlier process had no time to tell, or nobody to tell it to, is told by the next, though nothing is called
/// meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_was_told_of_is_told_after_a_restart() {
    for (then, name) in [("every 1h", "failing"), ("dead", "dead")] {
        let pair = Pair::new(Engine::Sqlite).await.unwrap();
        pair.fill_source(1..=7).await;
        let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
        let config = with(pair.inserts(&receiver.url()), rarely(then));
        let site = Site::new(&config);
        let mut daemon = site.start_ready().await;
        wait_for("the quick tries are used up", LIMIT, async || {
            let sql = "SELECT count(*) FROM delivery WHERE state IN ('slow', 'dead')";
            state::try_number(&site, sql).await.filter(|n| *n == 7)
        })
        .await;
        daemon.kill();
        state::change(&site, "UPDATE delivery SET found_at = 1700000000000 WHERE row_id = '3'").await;
        let before = receiver.count();
        site.write(&with(config, hook_of(&hook)));
        let mut daemon = site.start_ready().await;
        daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
        daemon.stop().await;
        assert_eq!(told(&hook), [(name.to_owned(), false, 7)]);
        assert_eq!(hook.calls()[0].json()["since"], "2023-11-14T22:13:20Z", "as long as the oldest waits");
        assert_eq!(receiver.count(), before);
    }
}

/// Calls that end while the daemon does are known to the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_during_the_stop_is_kept() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let receiver = Receiver::with(|_| async { Answer::After(Duration::from_millis(700), 404) }).await;
    let hook = Receiver::answering(200).await;
    let retry = json!({ "retry": { "tries": 0, "then": "dead" }, "stop": "10s" });
    let site = Site::new(&with(with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)), retry));
    let mut daemon = site.start_ready().await;
    daemon.until("it is called", LIMIT, || receiver.open() == 1).await;
    daemon.stop().await;
    assert_eq!(state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'dead'").await, 1);
    let kept = r#"SELECT count(*) FROM note WHERE name LIKE 'alerts %' AND value LIKE '%"dead"%'"#;
    assert_eq!(state::number(&site, kept).await, 1);
}

/// 410: an alert of its own with the command that ends it, whatever else is wrong with that receiver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_told_until_a_person_says_otherwise() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let status = Arc::new(AtomicI64::new(503));
    let answer = status.clone();
    let receiver = Receiver::with(move |_| {
        let status = u16::try_from(answer.load(Relaxed)).unwrap();
        async move { Answer::Status(status) }
    })
    .await;
    let hook = Receiver::answering(200).await;
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("it fails", LIMIT, || hook.count() >= 1).await;
    status.store(410, Relaxed);
    daemon.until("it is gone", LIMIT, || hook.count() >= 2).await;
    let text = hook.calls()[1].json();
    let command = text["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("cupid resume -c ") && command.contains(" --task main"), "{text}");
    // After a restart it is still so, and is not said again.
    daemon.stop().await;
    let mut daemon = site.start_ready().await;
    daemon.wait_output("paused, nothing is sent").await;
    status.store(503, Relaxed);
    let ran = tokio::task::block_in_place(|| site.run(&["resume", "-c", "{c}"]));
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    daemon.until("its end is told", Duration::from_secs(120), || hook.count() >= 3).await;
    assert_eq!(events(&hook), [event("failing", false), event("gone", false), event("gone", true)]);
    status.store(204, Relaxed);
    daemon.until("all is well", LIMIT * 2, || hook.count() >= 4).await;
    daemon.stop().await;
    assert_eq!(events(&hook)[3], event("failing", true));
}

/// What waits because a copy was not fixed says nothing about whether calls are accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_accepted_again_whatever_was_not_fixed() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=2).await;
    let (receiver, refused) = refusing(503, 2).await;
    let hook = Receiver::answering(200).await;
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    wait_for("both are slow", LIMIT, async || {
        state::try_number(&site, "SELECT count(*) FROM delivery WHERE state = 'slow'")
            .await
            .filter(|n| *n == 2)
    })
    .await;
    daemon.stop().await;
    // As after a third 2xx that did not heal.
    state::change(
        &site,
        "UPDATE delivery SET tries = 0, unhealed = 3, due = due + 600000, state = 'slow' WHERE row_id = '1'",
    )
    .await;
    refused.store(0, Relaxed);
    let mut daemon = site.start_ready().await;
    daemon.until("it is over", LIMIT * 2, || hook.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(events(&hook)[1], event("failing", true));
    assert_eq!(state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'slow'").await, 1);
}

/// Copies that were mended by others leave nobody to accept a call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_over_when_nothing_is_left_to_call() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=2).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    for id in 1..=2 {
        pair.fill_copy(id).await;
    }
    daemon.until("it is over", LIMIT * 2, || hook.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(events(&hook)[1], event("failing", true));
}

/// What cannot even be read waits for a person, and people hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_cannot_be_read_is_told() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let config = with(pair.inserts(&receiver.url()), rarely("every 1h"));
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    wait_for("it is slow", LIMIT, async || {
        state::try_number(&site, "SELECT count(*) FROM delivery WHERE state = 'slow'")
            .await
            .filter(|n| *n == 1)
    })
    .await;
    daemon.stop().await;
    state::change(&site, "UPDATE delivery SET kind = 77, due = 0").await;
    site.write(&with(config, hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT * 2, || events(&hook).contains(&event("dead", false))).await;
    daemon.wait_output("cannot be read").await;
    daemon.stop().await;
}

/// What is no longer configured is not repeated for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_configured_is_told_to_be_left() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let mut config = with(with(pair.inserts(&receiver.url()), rarely("every 1h")), hook_of(&hook));
    config["des"][0]["name"] = json!("old");
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    daemon.stop().await;
    let fine = Receiver::answering(200).await;
    config["des"][0]["name"] = json!("new");
    config["des"][0]["callbackNotification"]["url"] = json!(fine.url());
    site.write(&config);
    let mut daemon = site.start_ready().await;
    daemon.until("its end is told", LIMIT, || hook.count() >= 2).await;
    daemon.stop().await;
    let body = hook.calls()[1].json();
    assert_eq!(
        (&body["event"], &body["destination"], &body["recovered"]),
        (&json!("failing"), &json!("old"), &json!(true))
    );
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("no longer in the configuration") && !text.contains("accepted again"), "{text}");
    assert!(!body["title"].as_str().unwrap().contains("recovered"), "{body}");
}

/// What an earlier process knew of how the copy follows, this one sees end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_follows_again_after_a_restart_is_told() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let config = with(with(pair.inserts(&receiver.url()), quick()), json!({ "confirm": "20s" }));
    let site = Site::new(&with(config, hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    daemon.stop().await;
    let known =
        r#"[[["stopped following","main","data.user"],[1,1,9000000000000,null,null],[25,1,25,0],null,null]]"#;
    state::change(&site, &format!("INSERT OR REPLACE INTO note VALUES ('', '', 'alerts hook', '{known}')"))
        .await;
    let mut daemon = site.start_ready().await;
    pair.fill_source(1..=1).await;
    wait_for("it is suspected", LIMIT, async || {
        state::try_number(&site, "SELECT count(*) FROM delivery").await.filter(|n| *n == 1)
    })
    .await;
    pair.fill_copy(1).await;
    daemon.until("its end is told", LIMIT * 2, || hook.count() >= 1).await;
    daemon.stop().await;
    assert_eq!(events(&hook), [event("stopped following", true)]);
}

/// A message that could not be told is told again as the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_tried_again_is_the_same_message() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    let hook = Receiver::scripted(vec![Answer::Status(500), Answer::Status(200)]).await;
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), rarely("every 1h")), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("it is tried again", LIMIT, || hook.count() >= 2).await;
    daemon.stop().await;
    let calls = hook.calls();
    assert!(calls[0].id().starts_with("alert_") && calls[0].id() == calls[1].id(), "{}", calls[0].id());
}

/// Ten thousand failures are one message, and one more when all of them are through, with the right count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_failures_are_a_handful_of_messages() {
    const ROWS: i64 = 10_000;
    let long = LIMIT * 10;
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=ROWS).await;
    let (receiver, refused) = refusing(503, ROWS).await;
    let hook = Receiver::answering(200).await;
    let settings = json!({
        "verify": false, "confirm": "100ms", "retry": { "tries": 0, "then": "every 1h" }, "log": { "level": "info" },
        "breaker": false,
    });
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), settings), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    let slow = "SELECT count(*) FROM delivery WHERE state = 'slow' AND ended_at IS NULL";
    wait_for("all have failed", long, async || state::try_number(&site, slow).await.filter(|n| *n == ROWS))
        .await;
    daemon.stop().await;
    let during = told(&hook);
    assert_eq!(during.len(), 1, "{during:?}");
    refused.store(0, Relaxed);
    state::change(&site, "UPDATE delivery SET due = 0").await;
    let mut daemon = site.start_ready().await;
    daemon.until("the recovery is told", long, || hook.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(told(&hook)[1], ("failing".to_owned(), true, ROWS as u64), "each was counted once");
    assert_eq!(hook.count(), 2);
    assert_eq!(state::number(&site, slow).await, 0);
}
