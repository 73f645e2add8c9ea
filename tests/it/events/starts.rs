//! Where an event destination begins, and what happens when it is made of something else.

use cupid::config::Engine;
use serde_json::json;

use super::journal::Journal;
use super::{Site, config, events, nothing_waits, told};
use crate::support::config::with;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_where_s_says_and_again_where_restart_says() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let mut site = Site::new(&config(&pair, vec![events(&receiver)]));
    pair.fill_source(1..=10).await;
    // Changed long ago: the update feed has nothing to do with them.
    pair.src.run("UPDATE user SET update_time = '2020-01-01 00:00:00'").await;
    site.args(&["-s", "6"]);
    let mut daemon = site.start();
    daemon.until("five are told", LIMIT, || receiver.answered() >= 5).await;
    pair.update(&[2], "old and changed").await;
    daemon.until("a change below is told", LIMIT, || receiver.answered() >= 6).await;
    assert_eq!(Journal::of(&receiver.calls()).kinds("n2"), [2], "it was there before");
    daemon.stop().await;
    // The same again, as a supervisor does.
    let mut daemon = site.start_ready().await;
    pair.fill_source(11..=11).await;
    daemon.until("the new one is told", LIMIT, || receiver.answered() >= 7).await;
    daemon.stop().await;
    assert_eq!(receiver.count(), 7);
    // Who asks for everything gets everything.
    site.set_args(&["--restart", "main"]);
    let mut daemon = site.start();
    daemon.until("all are told", LIMIT, || receiver.answered() >= 18).await;
    nothing_waits(&site).await;
    daemon.stop().await;
    assert_eq!(receiver.count(), 18);
    let journal = Journal::of(&receiver.calls());
    assert_eq!(journal.kinds("n7"), [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_one_beside_others_is_told_everything() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let (first, second) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let site = Site::new(&config(&pair, vec![events(&first)]));
    pair.fill_source(1..=5).await;
    let mut daemon = site.start();
    told(&mut daemon, &pair, &first).await;
    daemon.stop().await;
    let search = with(events(&second), json!({ "name": "search" }));
    site.write(&config(&pair, vec![events(&first), search]));
    let mut daemon = site.start();
    told(&mut daemon, &pair, &second).await;
    pair.update(&[4], "changed").await;
    told(&mut daemon, &pair, &first).await;
    told(&mut daemon, &pair, &second).await;
    assert_eq!((first.count(), second.count()), (6, 6));
}

/// A name may pass from a copy to an event destination, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_becomes_an_event_destination() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    receiver.down();
    let copy = with(pair.copy(&receiver.url()), json!({ "name": "cache" }));
    let site = Site::new(&config(&pair, vec![copy.clone()]));
    pair.fill_source(1..=3).await;
    let mut daemon = site.start();
    wait_for("attempts have failed", LIMIT, async || {
        (state::try_number(&site, "SELECT count(DISTINCT delivery) FROM attempt").await? == 3).then_some(())
    })
    .await;
    daemon.stop().await;
    site.write(&config(&pair, vec![events(&receiver)]));
    receiver.up();
    let mut daemon = site.start();
    told(&mut daemon, &pair, &receiver).await;
    nothing_waits(&site).await;
    assert!(daemon.output().contains("the destination no longer compares, what was open there is closed"));
    assert_eq!(receiver.count(), 3, "as versions, and what was open as differences is not sent");
    daemon.stop().await;
    site.write(&config(&pair, vec![copy]));
    let mut daemon = site.start();
    daemon.until("it compares again", LIMIT, || receiver.count() >= 6).await;
}

/// What has ended goes after `keep`, but not while a feed may read it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_is_kept_as_long_as_the_destination_says() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let entry = with(events(&receiver), json!({ "keep": "1h" }));
    let site = Site::new(&with(config(&pair, vec![entry]), json!({ "settle": "1s" })));
    pair.fill_source(1..=3).await;
    pair.src.run(format!("UPDATE {} SET update_time = '2020-01-01 00:00:00'", pair.src.quote(TABLE))).await;
    let mut daemon = site.start();
    told(&mut daemon, &pair, &receiver).await;
    nothing_waits(&site).await;
    // What is made old below is old: no feed would read it again.
    wait_for("all has settled", LIMIT, async || {
        let sql =
            "SELECT CAST(json_extract(position, '$.after') AS INTEGER) FROM cursor WHERE feed = 'insert'";
        state::try_number(&site, sql).await.filter(|at| *at == 3)
    })
    .await;
    daemon.stop().await;
    let age = |hours: i64, id: i64| {
        let ago = hours * 3_600_000;
        format!(
            "UPDATE delivery SET found_at = found_at - {ago}, ended_at = ended_at - {ago} WHERE row_id = '{id}'"
        )
    };
    // Two hours: older than `keep`, and a wall clock that is set back could show it again.
    state::change(&site, &age(2, 1)).await;
    state::change(&site, &age(8, 2)).await;
    let mut daemon = site.start();
    // The janitor comes every 30 s, and a feed that stands still says every minute what has settled.
    wait_for("the oldest is gone", LIMIT * 5, async || {
        let gone = state::number(&site, "SELECT count(*) FROM delivery WHERE row_id = '2'").await == 0;
        gone.then_some(())
    })
    .await;
    assert_eq!(state::number(&site, "SELECT count(*) FROM delivery").await, 2);
    daemon.stop().await;
    assert_eq!(receiver.count(), 3);
}
