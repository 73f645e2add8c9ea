//! A receiver that fails as a whole is left alone, and what waits for it loses nothing by that.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use super::{Moody, check, many, quick, until, until_delivered, until_healed};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, id_of, ids_of};
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_until};

/// Pauses between calls of which each one asked whether the receiver works again.
fn pauses(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|two| two[1].at - two[0].at).collect()
}

/// 500 for hours: few calls, no tries spent, one alert; then everything is worked off, a few at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_is_left_alone_until_it_works_and_nothing_is_lost() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 80).await;
    let moody = Moody::new(&pair.des, Answer::Status(500), Duration::from_millis(40)).await;
    let hook = Receiver::answering(200).await;
    let more = json!({
        "breaker": quick(), "retry": { "delay": "2s", "tries": 1000 }, "confirm": "200ms",
        "notify": { "ops": { "webhook": { "url": hook.url() }, "on": ["failing"] } },
    });
    let site = Site::new(&with(pair.inserts(&moody.receiver.url()), more));
    let mut daemon = site.start();
    daemon.wait_output("the receiver fails, nothing is sent to it").await;
    let opened = moody.receiver.count();
    daemon.until("it was asked three times", LIMIT, || moody.receiver.count() >= opened + 4).await;
    let calls = moody.receiver.calls();
    // Those that were open when it was seen to fail have ended; from then on one call after each pause.
    let probes = &calls[calls.len() - 3..];
    assert!(pauses(probes).iter().all(|pause| *pause >= Duration::from_millis(900)), "{:?}", pauses(probes));
    assert!(opened <= 10 + 4, "{opened} calls");
    let unspent =
        state::number(&site, "SELECT count(*) FROM delivery WHERE tries = 0 AND ended_at IS NULL").await;
    assert!(unspent >= 80 - 14, "{unspent} of 80 have spent no try");
    let most = state::number(&site, "SELECT max(tries) FROM delivery").await;
    assert_eq!(most, 1, "asking spends none");
    let status = site.run(&["status", "-c", "{c}"]);
    assert!(
        status.stdout.contains("is left alone") && status.stdout.contains("http_5xx"),
        "{}",
        status.all()
    );
    daemon.until("people were told", LIMIT, || hook.count() == 1).await;
    assert_eq!(hook.calls()[0].json()["event"], "failing");

    let before = moody.receiver.count();
    moody.recovers();
    until_healed(&site, 80).await;
    assert!(pair.differences().await.is_empty());
    check(&moody.receiver.calls());
    let mut told = ids_of(&moody.receiver.calls());
    told.dedup();
    assert_eq!(told, (1..=80).collect::<Vec<_>>(), "zero loss");
    // One to see whether it works, then one, two and four at a time.
    let open = moody.open.lock().unwrap().clone();
    let ramp = &open[before..];
    for (limit, calls) in [(1, &ramp[..2]), (2, &ramp[2..4]), (4, &ramp[4..])] {
        assert!(calls.iter().all(|n| *n <= limit), "calls at a time: {ramp:?}");
    }
    assert!(ramp.contains(&4), "{ramp:?}");
    daemon.until("people were told that it is over", LIMIT, || hook.count() >= 2).await;
    assert_eq!(hook.calls()[1].json()["recovered"], true);
    daemon.stop().await;
    assert_eq!(hook.count(), 2, "one alert and its end");
    let said = daemon.output();
    for line in ["nothing is sent to it but one call", "the receiver works again"] {
        assert_eq!(said.lines().filter(|l| l.contains(line)).count(), 1, "{line}:\n{said}");
    }
    let status = site.run(&["status", "-c", "{c}"]);
    assert!(!status.stdout.contains("left alone"), "{}", status.all());
}

/// A restart does not begin anew with what failed before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_asks_once_before_it_sends_anything_else() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 60).await;
    let moody = Moody::new(&pair.des, Answer::Status(503), Duration::ZERO).await;
    let more = json!({ "breaker": { "pause": "4s", "max": "4s" }, "retry": { "delay": "1s" } });
    let site = Site::new(&with(pair.inserts(&moody.receiver.url()), more));
    let mut daemon = site.start();
    daemon.wait_output("the receiver fails, nothing is sent to it").await;
    daemon.until("the last call has ended", LIMIT, || moody.receiver.open() == 0).await;
    until(&site, "that is kept", "SELECT count(*) FROM note WHERE name = 'breaker'", 1).await;
    daemon.kill();
    let before = moody.receiver.count();
    let mut daemon = site.start();
    daemon.until("it was asked twice", LIMIT, || moody.receiver.count() >= before + 2).await;
    let calls = moody.receiver.calls();
    let pause = calls[before + 1].at - calls[before].at;
    assert!(pause >= Duration::from_millis(3900), "{pause:?}");
    moody.recovers();
    daemon
        .until("the rest is told", 2 * LIMIT, || {
            let mut told = ids_of(&moody.receiver.calls());
            told.dedup();
            told.len() == 60
        })
        .await;
    until(&site, "nothing is kept", "SELECT count(*) FROM note WHERE name = 'breaker'", 0).await;
    check(&moody.receiver.calls());
}

/// What is refused row by row does not stop what is taken, and neither does a row that always fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_their_own_stop_nobody_else() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 60).await;
    let des = pair.des.clone();
    let receiver = Receiver::with(move |call| {
        let des = des.clone();
        async move {
            match id_of(&call) {
                1 => Answer::Status(500),
                n if n % 3 == 0 => Answer::Status(422),
                _ => {
                    crate::support::pair::repair(&des, &call).await;
                    Answer::Status(200)
                }
            }
        }
    })
    .await;
    let more = json!({ "retry": { "delay": "100ms", "tries": 30 }, "breaker": { "pause": "60s" } });
    let site = Site::new(&with(pair.inserts(&receiver.url()), more));
    let mut daemon = site.start();
    daemon.until("the bad ones are tried again and again", 2 * LIMIT, || receiver.count() > 300).await;
    let good = (1..=60).filter(|n| *n != 1 && n % 3 != 0).count();
    until_healed(&site, i64::try_from(good).unwrap()).await;
    pair.fill_source(1000..=1000).await;
    daemon
        .until("another is told at once", LIMIT, || receiver.calls().iter().any(|c| id_of(c) == 1000))
        .await;
    assert!(!daemon.output().contains("the receiver fails"), "{}", daemon.output());
    check(&receiver.calls());
}

/// Refused throughout, as with a token that was changed: nothing is spent on that either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_everything_is_left_alone_too() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 50).await;
    let moody = Moody::new(&pair.des, Answer::Status(401), Duration::ZERO).await;
    let more = json!({ "retry": { "delay": "1s", "tries": 0, "then": "dead" }, "breaker": quick() });
    let site = Site::new(&with(pair.inserts(&moody.receiver.url()), more));
    let mut daemon = site.start();
    daemon.wait_output("the receiver fails, nothing is sent to it").await;
    let opened = moody.receiver.count();
    daemon.until("it was asked", LIMIT, || moody.receiver.count() >= opened + 2).await;
    moody.recovers();
    let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
    wait_until("the others are told", LIMIT, || ids_of(&moody.receiver.calls()).len() >= 50).await;
    let dead = state::number(&site, dead).await;
    assert!((10..=14).contains(&dead), "{dead} of 50 were given up before it was seen");
    until_healed(&site, 50 - dead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_breaker_everything_is_tried() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 40).await;
    let moody = Moody::new(&pair.des, Answer::Status(500), Duration::ZERO).await;
    let more = json!({ "breaker": false, "retry": { "delay": "200ms", "tries": 1000 } });
    let site = Site::new(&with(pair.inserts(&moody.receiver.url()), more));
    let mut daemon = site.start();
    daemon
        .until("each was tried", LIMIT, || {
            let mut told = ids_of(&moody.receiver.calls());
            told.dedup();
            told.len() == 40 && moody.receiver.count() >= 120
        })
        .await;
    check(&moody.receiver.calls());
}

/// The same in small as a million: what is new does not wait behind what is tried again, and that goes on all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_does_not_wait_behind_a_backlog_nor_the_backlog_behind_it() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 4000).await;
    let receiver = Receiver::with(|_| async { Answer::After(Duration::from_millis(10), 200) }).await;
    receiver.down();
    let more = json!({ "verify": false, "confirm": "200ms", "breaker": { "pause": "1s", "max": "1s" } });
    let site = Site::new(&with(pair.inserts(&receiver.url()), more));
    let mut daemon = site.start_ready().await;
    let open = "SELECT count(*) FROM delivery WHERE state NOT IN ('suspect')";
    until(&site, "all are confirmed", open, 4000).await;
    daemon.stop().await;
    // As if each had been tried before; half of them never was.
    state::change(&site, "UPDATE delivery SET state = 'slow', tries = 4, due = due - 1000 WHERE seq % 2 = 0")
        .await;
    state::change(&site, "UPDATE delivery SET due = due - 1000 WHERE state <> 'slow'").await;
    receiver.up();
    let mut daemon = site.start_ready().await;
    daemon.until("the backlog is worked off", LIMIT, || receiver.count() >= 200).await;
    let mut waits = Vec::new();
    for id in 5001..=5005 {
        let began = std::time::Instant::now();
        pair.fill_source(id..=id).await;
        daemon.until("the new one is told", LIMIT, || receiver.calls().iter().any(|c| id_of(c) == id)).await;
        waits.push(began.elapsed());
    }
    let left = 4005 - receiver.count();
    eprintln!("new rows were told after {waits:?}, {left} were still waiting");
    assert!(left > 0, "there was a backlog all the time");
    // The interval, the confirm time, and less than two seconds.
    assert!(waits.iter().all(|wait| *wait < Duration::from_millis(2300)), "{waits:?}");
    let told = ids_of(&receiver.calls());
    let again = told.iter().filter(|id| **id % 2 == 0).count();
    assert!(again * 10 > told.len() * 2, "{again} of {} were those tried again", told.len());
    until_delivered(&site, 4005).await;
    check(&receiver.calls());
}
