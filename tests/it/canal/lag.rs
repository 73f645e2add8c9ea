//! Lag that jumps, and a replicator that ends.

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use super::{LIMIT, alerts, describe, end, start, told};
use crate::support::canal::{Canal, Journal, Load, row_of};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::dice::{Dice, seed};
use crate::support::pair::Pair;
use crate::support::receiver::{Call, Receiver};
use crate::support::wait::wait_for;

const ROWS: i64 = 2000;

/// How long each phase is, how late copies are in the middle one, and `"lag"`.
struct Jump {
    phases: [Duration; 3],
    late: Duration,
    most: &'static str,
}

/// Within so many seconds of a jump false callbacks are forgiven, and so many.
const FORGIVEN: (Duration, usize) = (Duration::from_secs(5), 200);
/// More than the usual lag, less than the wait.
const USUAL: Duration = Duration::from_secs(1);

pub(super) async fn lag_that_jumps_is_waited_out_and_lost_rows_are_told_all_the_same() {
    // By hand as in life, otherwise in less time.
    let jump = match std::env::var("CUPID_TEST_CANAL") {
        Ok(_) => {
            Jump { phases: [20, 60, 30].map(Duration::from_secs), late: Duration::from_secs(20), most: "60s" }
        }
        Err(_) => {
            Jump { phases: [9, 11, 6].map(Duration::from_secs), late: Duration::from_secs(5), most: "11s" }
        }
    };
    for round in 1..=3 {
        let Some(pair) = Pair::new(Engine::MySql).await else { return };
        let (journal, calls, jumped) = jump_of(&pair, &jump).await;
        let wrong = describe("lag jumps", &journal, &calls, Duration::MAX);
        let after = |call: &Call| call.at.saturating_duration_since(jumped);
        eprintln!(
            "{:?} after the jump the first false callback, {:?} after it the last of {}",
            wrong.first().map(after),
            wrong.last().map(after),
            wrong.len(),
        );
        let (lag, behind) = worst(&journal, jumped);
        if lag > USUAL || behind > jump.late + USUAL {
            eprintln!("run {round} is void: the usual lag was {lag:?}, and {behind:?} at most");
            continue;
        }
        assert!(wrong.iter().all(|c| c.at >= jumped), "a false callback before the jump");
        assert!(wrong.len() <= FORGIVEN.1, "{} false callbacks", wrong.len());
        let late = wrong.iter().filter(|c| after(c) > FORGIVEN.0).count();
        assert_eq!(late, 0, "false callbacks later than {:?} after the jump", FORGIVEN.0);
        return;
    }
    panic!("void: in none of three runs was the canal itself as quick as it should be; this shows nothing");
}

async fn jump_of(pair: &Pair, jump: &Jump) -> (Journal, Vec<Call>, Instant) {
    pair.fill(1..=ROWS).await;
    let mut dice = Dice::new(seed());
    let canal = Canal::new(pair, dice.roll(), 300..500, 20);
    let receiver = canal.repairer().await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "lag": jump.most })));
    let mut daemon = start(&site).await;
    let mut tasks = JoinSet::new();
    canal.copy(&mut tasks);
    let load = Load { rate: 100, inserts: 30, keys: 1..ROWS + 1, warm: 50 };
    let lags = async {
        tokio::time::sleep(jump.phases[0]).await;
        let jumped = Instant::now();
        let late = jump.late.as_millis() as u64;
        canal.set_lag(late - 200..late);
        tokio::time::sleep(jump.phases[1]).await;
        canal.set_lag(300..500);
        jumped
    };
    let (jumped, ()) = tokio::join!(lags, canal.write(&load, dice.roll(), jump.phases.iter().sum()));
    // The newest of each row, and what stayed for longer than the longest wait.
    end(&mut daemon, &site, pair, &canal, &receiver, Duration::MAX).await;
    (canal.journal(), receiver.calls(), jumped)
}

/// The greatest lag before the jump, and in all.
fn worst(journal: &Journal, jumped: Instant) -> (Duration, Duration) {
    // What was being committed when it jumped was late already.
    let before = journal.lags(|c| c.committed + Duration::from_millis(100) < jumped);
    let max = |lags: Vec<Duration>| lags.last().copied().unwrap_or_default();
    (max(before), max(journal.lags(|_| true)))
}

pub(super) async fn what_a_replicator_leaves_behind_that_has_ended_is_worked_off() {
    for round in 1..=3 {
        let Some(pair) = Pair::new(Engine::MySql).await else { return };
        let (journal, calls) = end_of(&pair).await;
        let wrong = describe("the replicator ends", &journal, &calls, Duration::MAX);
        let lag = journal.lags(|_| true).last().copied().unwrap_or_default();
        if lag > USUAL {
            eprintln!("run {round} is void: a lag of {lag:?}");
            continue;
        }
        assert_eq!(wrong.len(), 0, "callbacks for rows that were only late");
        return;
    }
    panic!("void: in none of three runs was the canal itself as quick as it should be; this shows nothing");
}

async fn end_of(pair: &Pair) -> (Journal, Vec<Call>) {
    pair.fill(1..=ROWS).await;
    let mut dice = Dice::new(seed());
    let canal = Canal::new(pair, dice.roll(), 100..500, 10);
    let (receiver, people) = (canal.repairer().await, Receiver::answering(200).await);
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), told(json!({ "lag": "6s" }), &people)));
    let mut daemon = start(&site).await;
    let mut tasks = JoinSet::new();
    canal.copy(&mut tasks);
    let load = Load { rate: 300, inserts: 50, keys: 1..ROWS + 1, warm: 50 };
    let ends = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        canal.stop();
        Instant::now()
    };
    let (ended, ()) = tokio::join!(ends, canal.write(&load, dice.roll(), Duration::from_secs(15)));
    let written = Instant::now();
    wait_for("every row that was left behind is called back", LIMIT, async || {
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(!said.contains("pause"), "a replicator that has ended is no reason to pause:\n{said}");
        let journal = canal.journal();
        journal.unreported(&journal.lost(Duration::MAX).1, &receiver.calls()).is_empty().then_some(())
    })
    .await;
    let took = written.elapsed();
    end(&mut daemon, &site, pair, &canal, &receiver, Duration::MAX).await;
    let (journal, calls) = (canal.journal(), receiver.calls());
    let behind = calls.iter().filter(|c| c.at > ended).count();
    let rows: std::collections::HashSet<i64> = calls.iter().map(|c| row_of(c).0).collect();
    let first = calls.iter().find(|c| c.at > ended).map(|c| c.at - ended);
    eprintln!(
        "{behind} callbacks about {} rows, the first {first:?} after the end, the last {took:?} after the last change",
        rows.len()
    );
    assert_eq!(alerts(&people, "stopped following"), 1, "people are told once");
    for wanted in ["Waiting now", "Since"] {
        assert_eq!(alerts(&people, wanted), 1, "how many wait, and since when: {:?}", people.calls());
    }
    assert!(behind > 1000, "so many that something that guards against storms would stir");
    (journal, calls)
}
