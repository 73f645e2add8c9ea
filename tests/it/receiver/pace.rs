//! How fast and how many at a time, whoever shares a receiver.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use super::{check, many, until_delivered};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, id_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait::LIMIT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept_and_evenly() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 40).await;
    let receiver = Receiver::answering(200).await;
    let mut config = with(pair.inserts(&receiver.url()), json!({ "verify": false, "confirm": "0s" }));
    config["des"][0]["callbackNotification"]["rate"] = "20/s".into();
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("all are told", LIMIT, || receiver.count() == 40).await;
    let at: Vec<_> = receiver.calls().iter().map(|call| call.at).collect();
    // One in each 50 ms; arrivals may jitter, nothing is saved up.
    let whole = at[39] - at[0];
    assert!(whole >= Duration::from_millis(1900), "40 calls in {whole:?}");
    for ten in at.windows(11) {
        let took = ten[10] - ten[0];
        assert!(took >= Duration::from_millis(400), "10 calls in {took:?}");
    }
    until_delivered(&site, 40).await;
    check(&receiver.calls());
}

/// Two tasks call the same endpoint: its limits are for both, and they take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_share_a_receiver_share_its_limits_and_take_turns() {
    let (long, short) = (Pair::new(Engine::Sqlite).await.unwrap(), Pair::new(Engine::Sqlite).await.unwrap());
    many(&long, 600).await;
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (open.clone(), most.clone());
    let receiver = Receiver::with(move |_| {
        let now = now.clone();
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Answer::Status(200)
        }
    })
    .await;
    let mut tasks = json!({ "long": long.inserts(&receiver.url()), "short": short.inserts(&receiver.url()) });
    for (task, concurrency) in [("long", 8), ("short", 2)] {
        for key in ["workerNumber", "failureJobRetrySecond"] {
            tasks[task].as_object_mut().unwrap().remove(key);
        }
        tasks[task]["des"][0]["callbackNotification"]["concurrency"] = concurrency.into();
    }
    let site = Site::new(&json!({ "verify": false, "confirm": "0s", "tasks": tasks }));
    let mut daemon = site.start();
    daemon.until("the long one is on its way", LIMIT, || receiver.count() >= 40).await;
    short.fill_source(1..=20).await;
    let of_short = || receiver.calls().iter().filter(|c| c.header("cupid-task") == "short").count();
    daemon.until("the short one is told", LIMIT, || of_short() == 20).await;
    let calls = receiver.calls();
    let first = calls.iter().position(|c| c.header("cupid-task") == "short").unwrap();
    let last = calls.iter().rposition(|c| c.header("cupid-task") == "short").unwrap();
    let between = calls[first..=last].iter().filter(|c| c.header("cupid-task") == "long").count();
    eprintln!("{between} calls of the long task between 20 of the short one, {} in all", calls.len());
    assert!(calls.len() < 600, "the long one was still at it");
    // By turns it is one for one; a claim that ends in between leaves some room.
    assert!(between <= 60, "{between}");
    assert_eq!(most.load(Ordering::SeqCst), 2, "the smaller limit holds for both");
}

/// Everything about one row comes one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_about_one_row_never_overlap() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=8).await;
    let open: Arc<Mutex<HashSet<i64>>> = Arc::default();
    let overlaps = Arc::new(AtomicUsize::new(0));
    let (now, seen) = (open.clone(), overlaps.clone());
    let receiver = Receiver::with(move |call| {
        let (now, id) = (now.clone(), id_of(&call));
        if !now.lock().unwrap().insert(id) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        async move {
            tokio::time::sleep(Duration::from_millis(120)).await;
            now.lock().unwrap().remove(&id);
            Answer::Status(200)
        }
    })
    .await;
    let more = json!({ "confirm": "0s", "verify": "1s" });
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), more));
    let mut daemon = site.start_ready().await;
    let mut round = 0;
    daemon.until("the caught-up daemon is there", LIMIT, || site.path("output").exists()).await;
    while receiver.count() < 40 {
        round += 1;
        pair.update(&[1, 2, 3, 4, 5, 6, 7, 8], &format!("round {round}")).await;
        let before = receiver.count();
        daemon.until("something of that is told", LIMIT, || receiver.count() > before).await;
    }
    assert_eq!(overlaps.load(Ordering::SeqCst), 0);
    check(&receiver.calls());
}
