//! What a process did not come to tell is told by the next, and what is over is said to be over while it runs.

use cupid::config::Engine;
use serde_json::{Value, json};

use super::{quick, told};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

fn hook_of(hook: &Receiver) -> Value {
    json!({ "notify": { "hook": { "webhook": hook.url() } } })
}

fn last(hook: &Receiver) -> (String, bool, u64) {
    told(hook).pop().unwrap()
}

/// As after a `kill -9` between the settlement and what people would have been told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ambiguous_key_is_told_once_over_a_crash_too() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let t = pair.des.quote(TABLE);
    pair.des.run("DROP INDEX user_number").await;
    pair.fill_source(1..=2).await;
    pair.des
        .run(format!("INSERT INTO {t} (id, number) VALUES (1, 'n1'), (2, 'n1'), (3, 'n2'), (4, 'n2')"))
        .await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    daemon.stop().await;
    assert_eq!(last(&hook), ("ambiguous".to_owned(), false, 2));
    // Nobody came to keep that one of them was told, nor to tell it.
    state::change(&site, "DELETE FROM note WHERE name = 'alerts hook'").await;
    state::change(&site, "UPDATE note SET value = '1' WHERE name = 'ambiguous told'").await;
    let mut daemon = site.start_ready().await;
    daemon.until("the other is told", LIMIT, || hook.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(last(&hook), ("ambiguous".to_owned(), false, 1));
    let noted = "SELECT CAST(value AS INTEGER) FROM note WHERE name = 'ambiguous told'";
    assert_eq!(state::number(&site, noted).await, 2);
    // Nothing is told twice; what is told after it shows that it was not.
    pair.fill_source(3..=3).await;
    let mut daemon = site.start_ready().await;
    daemon.until("people are told of another", LIMIT, || hook.count() >= 3).await;
    daemon.stop().await;
    assert_eq!(last(&hook).0, "failing");
}

/// Exported and closed, or closed only: then nothing waits for the destination that was taken out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_nobody_is_over_when_it_is_closed() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=2).await;
    let (receiver, hook) = (Receiver::answering(503).await, Receiver::answering(200).await);
    let mut config = with(with(pair.inserts(&receiver.url()), quick()), json!({ "breaker": false }));
    config["des"][0]["name"] = json!("old");
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    wait_for("both wait", LIMIT, async || {
        state::try_number(&site, "SELECT count(*) FROM delivery").await.filter(|n| *n == 2)
    })
    .await;
    daemon.stop().await;
    let fine = Receiver::answering(200).await;
    config["des"][0]["name"] = json!("new");
    config["des"][0]["callbackNotification"]["url"] = json!(fine.url());
    site.write(&with(config, hook_of(&hook)));
    let mut daemon = site.start_ready().await;
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    let body = hook.calls()[0].json();
    assert_eq!((&body["event"], &body["destination"]), (&json!("blocked"), &json!("old")));
    assert!(body["command"].as_str().unwrap().starts_with("cupid queue -c"), "{body}");
    // A restart does not say that nobody looks at it any more.
    daemon.stop().await;
    let mut daemon = site.start_ready().await;
    let closed = site.run(&[
        "deliveries",
        "close",
        "-c",
        "{c}",
        "--destination",
        "old",
        "--state",
        "open",
        "--yes",
        "--note",
        "x",
    ]);
    assert_eq!(closed.code, Some(0), "{}", closed.all());
    daemon.until("its end is told", LIMIT * 4, || hook.count() >= 2).await;
    daemon.stop().await;
    let body = hook.calls()[1].json();
    assert_eq!((&body["event"], &body["recovered"]), (&json!("blocked"), &json!(true)));
    let title = body["title"].as_str().unwrap();
    assert!(title.contains("recovered") && !title.contains("no longer looked at"), "{title}");
}

/// A file that was changed and cannot be used would keep the next start from working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_that_is_refused_is_told_and_so_is_that_it_is_good_again() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let config = with(pair.inserts(&receiver.url()), hook_of(&hook));
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    site.write(&with(config.clone(), json!({ "verfy": false })));
    daemon.signal("HUP");
    daemon.until("people are told", LIMIT, || hook.count() >= 1).await;
    site.write(&config);
    daemon.signal("HUP");
    daemon.until("its end is told", LIMIT, || hook.count() >= 2).await;
    daemon.stop().await;
    let told: Vec<_> = told(&hook).into_iter().map(|(event, over, _)| (event, over)).collect();
    assert_eq!(told, [("reload".to_owned(), false), ("reload".to_owned(), true)]);
    assert!(hook.calls()[0].json()["command"].as_str().unwrap().starts_with("cupid check -c"));
}
