//! `kill -9` at any time: nothing that was read is lost, nothing is told twice under two ids, and order holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use super::journal::Journal;
use super::{Site, config, events, nothing_waits, told};
use crate::support::config::with;
use crate::support::dice::Dice;
use crate::support::pair::Pair;
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::LIMIT;

/// Daemons killed per database.
const KILLS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_every_version_read_is_told_in_order() {
    for pair in Pair::everywhere(&[Engine::Sqlite, Engine::MySql, Engine::Postgres]).await {
        let engine = pair.src.engine;
        // Now and then it refuses, now and then its answer is late.
        let dice = Arc::new(std::sync::Mutex::new(Dice::new(7)));
        let receiver = Receiver::with(move |_| {
            let roll = dice.lock().unwrap().below(10);
            async move {
                match roll {
                    0 => Answer::Status(500),
                    1 => Answer::After(Duration::from_millis(50), 200),
                    _ => Answer::Status(200),
                }
            }
        })
        .await;
        // However often it refuses, nobody waits for ten minutes.
        let entry = with(events(&receiver), json!({ "retry": { "delay": "1s", "tries": 1000 } }));
        let site = Site::new(&config(&pair, vec![entry]));
        pair.fill_source(1..=20).await;
        let done = AtomicBool::new(false);
        let kill = async {
            let mut dice = Dice::new(11);
            for _ in 0..KILLS {
                let mut daemon = site.start();
                let more = 1 + dice.below(25);
                let before = receiver.count();
                daemon.until("some calls are made", LIMIT, || receiver.count() >= before + more).await;
                daemon.kill();
            }
            done.store(true, Ordering::Relaxed);
        };
        tokio::join!(write(&pair, &done), kill);
        let mut daemon = site.start();
        told(&mut daemon, &pair, &receiver).await;
        nothing_waits(&site).await;
        daemon.stop().await;
        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        // Every version that was made durable has arrived under its own id.
        let mut ids: Vec<String> = receiver.calls().iter().map(|call| call.id().to_owned()).collect();
        ids.sort();
        ids.dedup();
        let known = state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'delivered'").await;
        assert_eq!(i64::try_from(ids.len()).unwrap(), known, "{engine}");
        assert!(known > 40, "{engine}: {known} versions");
        let lane = "SELECT waiting * 1000000 + bytes FROM event_lane";
        assert_eq!(state::number(&site, lane).await, 0, "{engine}");
    }
}

/// Changes rows, and adds some, until it is done.
async fn write(pair: &Pair, done: &AtomicBool) {
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        let rows: Vec<i64> = (1..=20).filter(|id| (id + round) % 7 == 0).collect();
        pair.update(&rows, &format!("round {round}")).await;
        if round % 5 == 0 {
            pair.fill_source(100 + round..=100 + round).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
