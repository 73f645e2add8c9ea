//! Event destinations: every version that a scan reads is told, once, and in order per key.

mod journal;
mod keys;
mod kill;
mod rules;
mod starts;
mod waiting;

use serde_json::{Value, json};

use crate::support::config::{legacy, updated_source};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::ENGINES;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};
use journal::Journal;

/// An entry of `des` with nothing to compare.
fn events(receiver: &Receiver) -> Value {
    json!({ "name": "cache", "callbackNotification": { "url": receiver.url() } })
}

/// Both feeds, and whom they are told.
fn config(pair: &Pair, des: Vec<Value>) -> Value {
    legacy(updated_source(&pair.src, TABLE, "number", "update_time"), des)
}

/// The name of each row as the source has it.
async fn names(pair: &Pair) -> Vec<(String, String)> {
    let rows =
        pair.src.texts(format!("SELECT number, name FROM {} ORDER BY id", pair.src.quote(TABLE))).await;
    rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
}

/// Waits until each row has been told as it is now.
async fn told(daemon: &mut Daemon, pair: &Pair, receiver: &Receiver) {
    let names = names(pair).await;
    let is_told = || {
        let journal = Journal::of(&receiver.calls());
        names.iter().all(|(key, name)| journal.last(key, "name").as_deref() == Some(name))
    };
    daemon.until("every row is told as it is", LIMIT, is_told).await;
}

/// Waits until nothing is open.
async fn nothing_waits(site: &Site) {
    wait_for("nothing waits", LIMIT, async || {
        let open = state::try_number(site, "SELECT count(*) FROM delivery WHERE ended_at IS NULL").await;
        (open == Some(0)).then_some(())
    })
    .await;
}

/// How many versions are known.
async fn versions(site: &Site) -> i64 {
    state::try_number(site, "SELECT count(*) FROM delivery WHERE event > 0").await.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_is_told_once_and_in_order() {
    for pair in Pair::everywhere(&ENGINES).await {
        let engine = pair.src.engine;
        let receiver = Receiver::answering(200).await;
        let site = Site::new(&config(&pair, vec![events(&receiver)]));
        pair.fill_source(1..=30).await;
        let mut daemon = site.start();
        told(&mut daemon, &pair, &receiver).await;
        for round in 0..5 {
            pair.update(&[3, 7, 9], &format!("round {round}")).await;
            // Each of them is read before the next is written.
            told(&mut daemon, &pair, &receiver).await;
        }
        pair.fill_source(31..=40).await;
        told(&mut daemon, &pair, &receiver).await;
        nothing_waits(&site).await;

        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        let rounds: Vec<String> = (0..5).map(|round| format!("round {round}")).collect();
        for key in ["n3", "n7", "n9"] {
            assert_eq!(journal.kinds(key), [1, 2, 2, 2, 2, 2], "{engine} {key}");
            assert_eq!(journal.all(key, "name")[1..], rounds, "{engine} {key}");
        }
        assert_eq!(journal.kinds("n40"), [1], "{engine}");
        assert_eq!(journal.calls, 30 + 15 + 10, "{engine}: each once");
        let call = receiver.calls().into_iter().find(|call| call.src("id").as_deref() == Some("40")).unwrap();
        assert_eq!(call.json(), pair.body(40, 1).await, "{engine}: the whole row, as the source has it");
        assert_eq!(state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'delivered'").await, 55);
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(said.contains("main → cache: 55 events delivered · nothing waits"), "{said}");
        // Everything is read again while it has not settled: it is no news.
        daemon.kill();
        let mut daemon = site.start_ready().await;
        pair.fill_source(41..=41).await;
        told(&mut daemon, &pair, &receiver).await;
        assert_eq!(Journal::of(&receiver.calls()).calls, 56, "{engine}: nothing is told again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_and_an_event_destination_share_a_source() {
    for pair in Pair::everywhere(&ENGINES).await {
        let engine = pair.src.engine;
        let (repairer, receiver) = (pair.repairer().await, Receiver::answering(200).await);
        let site = Site::new(&config(&pair, vec![pair.copy(&repairer.url()), events(&receiver)]));
        pair.fill(1..=20).await;
        let mut daemon = site.start();
        told(&mut daemon, &pair, &receiver).await;
        pair.fill_source(21..=22).await;
        pair.update(&[5], "renamed").await;
        told(&mut daemon, &pair, &receiver).await;
        daemon.until("the copy is told what it lacks", LIMIT, || repairer.answered() >= 3).await;
        nothing_waits(&site).await;
        assert!(pair.differences().await.is_empty(), "{engine}");
        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        assert_eq!(journal.calls, 23, "{engine}: all rows, and the one that changed");
        assert_eq!(repairer.count(), 3, "{engine}: only what differs");
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(said.contains("rows agree") && said.contains("23 events delivered"), "{said}");
    }
}
