//! A receiver that says yes has said nothing about the copy: what becomes of its answer is seen at the copy.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use super::{LIMIT, alerts, start, told};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, id_of, repair};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::wait_for;

/// When it comes again: after a minute, five, then ten each time.
pub(super) async fn an_answer_that_fixes_nothing_is_found_out_and_the_call_comes_again_as_a_new_message() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=5).await;
    let (receiver, people) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), told(json!({ "verify": "2s" }), &people)));
    let mut daemon = start(&site).await;
    pair.update(&[3], "lost").await;
    let rounds = [("retry", 60), ("retry", 300), ("slow", 600), ("slow", 600)];
    for (round, (lane, pause)) in (1..).zip(rounds) {
        daemon.until("it is called back", LIMIT, || receiver.answered() >= round).await;
        wait_for("it is found out", LIMIT, async || {
            let found = format!(
                "SELECT count(*) FROM delivery WHERE state = '{lane}' AND unhealed = {round}
                 AND note = 'acknowledged but not fixed'"
            );
            (state::try_number(&site, &found).await? == 1).then_some(())
        })
        .await;
        assert_eq!(receiver.count(), round, "no call before the copy had its time");
        let waits = state::number(&site, "SELECT due - acked_at FROM delivery").await;
        let (least, most) = (pause * 1000 + 2000, pause * 1000 + 2000 + 5000);
        assert!((least..most).contains(&waits), "{waits} ms from the answer to the next call, not {pause} s");
        daemon.wait_output("acknowledged but not fixed").await;
        daemon.until("people are told", LIMIT, || alerts(&people, "acknowledged but not fixed") == 1).await;
        // The pause goes by.
        let (status, _) = daemon.stop().await;
        assert!(status.success(), "{status}");
        state::change(&site, "UPDATE delivery SET due = 0").await;
        daemon = site.start();
    }
    daemon.until("it is called back once more", LIMIT, || receiver.count() > rounds.len()).await;
    let calls = receiver.calls();
    for (before, call) in calls.iter().zip(&calls[1..]) {
        assert_eq!((id_of(call), &call.body), (3, &before.body));
        assert_eq!(call.header("cupid-delivery"), before.header("cupid-delivery"), "the same delivery");
        assert_eq!(
            revision(call),
            revision(before) + 1,
            "a receiver that drops known messages must not drop it"
        );
        assert_ne!(call.id(), before.id());
        assert_eq!(call.attempt(), before.attempt() + 1);
    }
}

pub(super) async fn a_receiver_that_fixes_twenty_seconds_later_is_called_once() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=5).await;
    let receiver = Receiver::answering(202).await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "verify": "30s" })));
    let mut daemon = start(&site).await;
    pair.update(&[3], "lost").await;
    pair.fill_source(6..=6).await;
    daemon.until("both are called back", LIMIT, || receiver.answered() >= 2).await;
    // The receiver takes its time, as its users do.
    tokio::time::sleep(Duration::from_secs(20)).await;
    for call in receiver.calls() {
        repair(&pair.des, &call).await;
    }
    wait_for("both are seen to agree", LIMIT, async || {
        let healed = "SELECT count(*) FROM delivery WHERE state = 'healed' AND unhealed = 0 AND attempts = 1";
        (state::try_number(&site, healed).await? == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 2, "one call for each");
}

fn revision(call: &crate::support::receiver::Call) -> i64 {
    call.header("cupid-revision").parse().unwrap()
}
