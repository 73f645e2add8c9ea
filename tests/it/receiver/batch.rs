//! Several rows in one call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cupid::config::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{many, until_delivered, until_healed};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, repair_row};
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

const SECRET: &str = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw==";

fn config(pair: &Pair, url: &str, batch: usize, more: Value) -> Value {
    let mut config = with(pair.inserts(url), more);
    let callback = &mut config["des"][0]["callbackNotification"];
    *callback = with(callback.clone(), json!({ "batch": batch, "secret": SECRET }));
    config
}

/// What holds of every batch: its id is the digest of the ids in it, each row is in it once, and one id is one text.
fn check(calls: &[Call]) {
    let mut texts = HashMap::new();
    for call in calls {
        let items = call.items();
        let mut all = Sha256::new();
        items.iter().for_each(|(id, _)| all.update(format!("{id}\n")));
        let digest: String = all.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(call.id(), digest);
        assert_eq!(call.header("cupid-batch"), items.len().to_string());
        let rows: HashSet<i64> = items.iter().map(|(_, data)| row_of(data)).collect();
        assert_eq!(rows.len(), items.len(), "each key once");
        assert_eq!(texts.entry(digest).or_insert_with(|| call.body.clone()), &call.body);
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, call.header(name).parse().unwrap());
        }
        standardwebhooks::Webhook::new(SECRET).unwrap().verify(&call.body, &headers).unwrap();
    }
}

fn row_of(data: &Value) -> i64 {
    data["srcColumn"]["id"].as_str().unwrap().parse().unwrap()
}

fn rows(call: &Call) -> Vec<i64> {
    call.items().iter().map(|(_, data)| row_of(data)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_out_as_lists_and_each_of_them_is_healed() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 57).await;
    let des = pair.des.clone();
    let receiver = Receiver::with(move |call| {
        let des = des.clone();
        async move {
            for (_, data) in call.items() {
                repair_row(&des, &data["srcColumn"]).await;
            }
            Answer::Status(200)
        }
    })
    .await;
    let site = Site::new(&config(&pair, &receiver.url(), 10, json!({ "confirm": "0s" })));
    let _daemon = site.start();
    until_healed(&site, 57).await;
    let calls = receiver.calls();
    check(&calls);
    let mut told: Vec<i64> = calls.iter().flat_map(rows).collect();
    told.sort_unstable();
    assert_eq!(told, (1..=57).collect::<Vec<_>>(), "each once");
    assert!(calls.iter().all(|call| (1..=10).contains(&rows(call).len())));
    assert!(calls.len() <= 12, "{} calls", calls.len());
    for call in &calls {
        for (_, data) in call.items() {
            assert_eq!(data, pair.body(row_of(&data), 1).await, "as a single call has it");
        }
        assert!(call.json().as_array().unwrap().iter().all(|item| item["attempt"] == 1));
    }
    assert!(pair.differences().await.is_empty());
}

/// Nobody knows what became of it: it comes again as it was, whatever is there beside it by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_cut_off_comes_again_as_it_was() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 12).await;
    let answers = Arc::new(AtomicBool::new(false));
    let now = answers.clone();
    let receiver = Receiver::with(move |_| {
        let answer = if now.load(Ordering::SeqCst) { Answer::Status(200) } else { Answer::Hang };
        async move { answer }
    })
    .await;
    let more = json!({ "confirm": "0s", "verify": false });
    let mut config = config(&pair, &receiver.url(), 5, more);
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon
        .until("all of them are under way", LIMIT, || receiver.calls().iter().flat_map(rows).count() >= 12)
        .await;
    let before = receiver.calls();
    daemon.kill();
    // Others are there when it comes back, and batches are larger by then.
    pair.fill_source(13..=20).await;
    config["des"][0]["callbackNotification"]["batch"] = 8.into();
    site.write(&config);
    answers.store(true, Ordering::SeqCst);
    let mut daemon = site.start();
    until_delivered(&site, 20).await;
    daemon.stop().await;
    let after = receiver.calls().split_off(before.len());
    for cut in &before {
        let again: Vec<&Call> = after.iter().filter(|call| call.id() == cut.id()).collect();
        assert_eq!(again.len(), 1, "{} rows {:?}", cut.id(), rows(cut));
        assert_eq!(again[0].body, cut.body);
        assert_eq!(again[0].attempt(), 2);
    }
    check(&receiver.calls());
}

/// The answer names those that were not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_answer_names_as_failed_comes_again_without_the_others() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 10).await;
    let receiver = Receiver::with(|call| async move {
        let failed = |(id, data): &(String, Value)| match row_of(data) {
            3 => Some(json!({ "id": id, "ok": false, "error": "locked" })),
            7 => Some(json!({ "id": id, "status": 409 })),
            _ => None,
        };
        let results: Vec<Value> =
            if call.order == 0 { call.items().iter().filter_map(failed).collect() } else { Vec::new() };
        let body = json!({ "code": 0, "results": results }).to_string();
        Answer::Full(200, ("content-type", "application/json".to_owned()), body)
    })
    .await;
    let more = json!({ "confirm": "0s", "verify": false, "retry": { "delay": "1s" } });
    let mut config = config(&pair, &receiver.url(), 100, more);
    config["des"][0]["callbackNotification"]["success"] = "code == 0".into();
    let site = Site::new(&config);
    let _daemon = site.start();
    until_delivered(&site, 10).await;
    let calls = receiver.calls();
    check(&calls);
    assert_eq!(calls.len(), 2);
    assert_eq!(rows(&calls[0]).len(), 10);
    assert_eq!(rows(&calls[1]), [3, 7]);
    let classes = "SELECT count(*) FROM attempt WHERE (outcome = 'body_rule' AND answer LIKE '%locked%')
                   OR (outcome = 'http_4xx' AND status = 409)";
    assert_eq!(state::number(&site, classes).await, 2, "each with its own reason");
    assert_eq!(state::number(&site, "SELECT count(*) FROM attempt WHERE outcome = 'accepted'").await, 10);
}

/// One row spoils every batch that it is in: after the third failure each goes alone, and only that one fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_spoils_its_batch_is_found_out() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 6).await;
    let receiver =
        Receiver::with(
            |call| async move { Answer::Status(if rows(&call).contains(&4) { 500 } else { 200 }) },
        )
        .await;
    let more = json!({ "confirm": "0s", "verify": false, "retry": { "delay": "300ms", "tries": 3, "then": "dead" } });
    let site = Site::new(&config(&pair, &receiver.url(), 10, more));
    let mut daemon = site.start();
    until_delivered(&site, 5).await;
    wait_for("the bad one waits for a person", LIMIT, async || {
        let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
        (state::try_number(&site, dead).await? == 1).then_some(())
    })
    .await;
    daemon.stop().await;
    let calls = receiver.calls();
    check(&calls);
    // What was confirmed at the same time goes together; those with the bad one fail three times and are then parted.
    let with_it: Vec<&Call> = calls.iter().filter(|call| rows(call).contains(&4)).collect();
    let ids: HashSet<&str> = with_it[..3].iter().map(|call| call.id()).collect();
    assert_eq!((with_it.len(), ids.len()), (4, 1), "the same batch three times, then alone");
    assert_eq!(with_it[..3].iter().map(|call| call.attempt()).collect::<Vec<_>>(), [1, 2, 3]);
    let members = rows(with_it[0]);
    assert!(members.len() > 1, "{members:?}");
    for row in members {
        let alone = calls.iter().filter(|call| rows(call) == [row]).count();
        assert_eq!(alone, 1, "{row} goes alone at last");
    }
}

/// One malformed row gives 400 for every list that it is in, and 400 is not tried again here: each goes alone at once, and
/// only that one waits for a person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_spoils_its_batch_takes_nobody_along_where_nothing_is_tried_again() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 30).await;
    let receiver =
        Receiver::with(
            |call| async move { Answer::Status(if rows(&call).contains(&4) { 400 } else { 200 }) },
        )
        .await;
    let on = json!(["dns", "connect", "timeout", "reset", "http_429", "http_5xx"]);
    let more = json!({ "confirm": "0s", "verify": false, "retry": { "delay": "100ms", "on": on } });
    let site = Site::new(&config(&pair, &receiver.url(), 100, more));
    let _daemon = site.start();
    until_delivered(&site, 29).await;
    wait_for("the bad one waits for a person", LIMIT, async || {
        let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
        (state::try_number(&site, dead).await? == 1).then_some(())
    })
    .await;
    let calls = receiver.calls();
    check(&calls);
    assert_eq!(calls.iter().filter(|call| rows(call).contains(&4)).count(), 2, "with others, and alone");
}

/// That one item is gone says nothing about the receiver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_is_gone_parks_nothing() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 10).await;
    let receiver = Receiver::with(|call| async move {
        let items = call.items();
        let gone: Vec<Value> = items
            .iter()
            .filter(|(_, data)| row_of(data) == 3 && call.attempt() == 1)
            .map(|(id, _)| json!({ "id": id, "status": 410 }))
            .collect();
        let body = json!({ "results": gone }).to_string();
        Answer::Full(200, ("content-type", "application/json".to_owned()), body)
    })
    .await;
    let more = json!({ "confirm": "0s", "verify": false, "retry": { "delay": "100ms", "tries": 0, "then": "dead" } });
    let site = Site::new(&config(&pair, &receiver.url(), 100, more));
    let _daemon = site.start();
    until_delivered(&site, 9).await;
    pair.fill_source(11..=12).await;
    until_delivered(&site, 11).await;
}
