//! What the log is told of the deliveries of one (task, destination): each cause once, then counts ([`Said`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::said::{Line, Said};
use super::status::StatusBoard;
use crate::base::clock::UnixMs;
use crate::model::{AttemptOutcome, Delivery, DeliveryId, DestinationName, RunId, State, TaskName};
use crate::outbox::NOT_FIXED;
use crate::store::Settlement;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Voice {
    task: TaskName,
    destination: DestinationName,
    /// Where calls go, for people.
    receiver: String,
    status: StatusBoard,
    calls: Mutex<Said<Failure>>,
    notes: Mutex<Said<DeliveryId>>,
}

/// The last failure of a kind.
#[derive(Clone, Debug)]
struct Failure {
    detail: String,
    delivery: DeliveryId,
    /// Until its next try; a dead one has none.
    next_s: Option<f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In whole milliseconds.
fn seconds(lasted: Duration) -> f64 {
    Duration::from_millis(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

impl Voice {
    pub(super) fn new(
        task: TaskName,
        destination: DestinationName,
        receiver: String,
        status: StatusBoard,
    ) -> Self {
        let (calls, notes) = (Mutex::default(), Mutex::default());
        Self { task, destination, receiver, status, calls, notes }
    }

    /// An attempt has ended.
    pub(super) fn called(
        &self,
        d: &Delivery,
        attempt: u32,
        outcome: &AttemptOutcome,
        took: Duration,
        to: State,
        next_s: f64,
    ) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (task, destination, delivery, run) = (&self.task, &self.destination, d.id, d.run);
        let state = to.as_str();
        match outcome {
            AttemptOutcome::Accepted { status, .. } => {
                self.status.called(task, destination, None);
                info!(%task, %destination, %delivery, kind = d.kind.as_str(), attempt, status, took_ms, state,
                    %run, "callback accepted");
                let lines = lock(&self.calls).works(|_| true, Instant::now());
                self.calls(lines);
            }
            AttemptOutcome::Failed { class, status, detail, .. } => {
                self.status.called(task, destination, Some((*class, *status)));
                let next_s = (to != State::Dead).then_some(next_s);
                // That quick tries are used up is news of its own.
                let status = status.map_or_else(String::new, |status| format!(" {status}"));
                let kind = format!("{}{status}, then {state}", class.as_str());
                let failure = Failure { detail: detail.clone(), delivery, next_s };
                let (receiver, group) = (&self.receiver, class.group().as_str());
                if lock(&self.calls).happened(&kind, failure, Instant::now()) {
                    warn!(%task, %destination, %delivery, kind = d.kind.as_str(), attempt, receiver,
                        class = class.as_str(), group, error = detail, took_ms, state, next_s, %run,
                        "callback failed");
                } else {
                    debug!(%task, %destination, %delivery, kind = d.kind.as_str(), attempt, receiver,
                        class = class.as_str(), group, error = detail, took_ms, state, next_s, %run,
                        "callback failed");
                }
            }
            AttemptOutcome::Unknown => {
                info!(%task, %destination, %delivery, attempt, %run, "callback cut off by the stop, it comes again");
            }
        }
    }

    /// Deliveries have been settled without a call.
    pub(super) fn settled(&self, settled: &[Settlement], before: &HashMap<DeliveryId, Before>) {
        let (task, destination) = (&self.task, &self.destination);
        for s in settled {
            let (delivery, state, note) = (s.id, s.to.state, s.note.as_deref());
            let run = before.get(&s.id).map(|b| tracing::field::display(b.run));
            if state == State::Healed {
                self.status.healed();
                let before = before.get(&s.id);
                let after_s = before.map(|b| seconds_between(b.found_at, s.now));
                info!(%task, %destination, %delivery, after_s, note, run, "healed");
                if before.is_some_and(|b| b.acknowledged) {
                    let lines = lock(&self.notes).works(|kind| kind == NOT_FIXED, Instant::now());
                    self.notes(lines);
                }
            } else if let Some(note) = note {
                let state = state.as_str();
                if lock(&self.notes).happened(note, delivery, Instant::now()) {
                    warn!(%task, %destination, %delivery, state, note, run, "a delivery did not end as it should");
                } else {
                    debug!(%task, %destination, %delivery, state, note, run, "a delivery did not end as it should");
                }
            }
        }
    }

    /// Says what is due to be said; at the end, all that has not been.
    pub(super) fn speak(&self, at_the_end: bool) {
        let now = Instant::now();
        let calls = {
            let mut calls = lock(&self.calls);
            if at_the_end { calls.rest(now) } else { calls.due(now) }
        };
        self.calls(calls);
        let notes = {
            let mut notes = lock(&self.notes);
            if at_the_end { notes.rest(now) } else { notes.due(now) }
        };
        self.notes(notes);
    }

    fn calls(&self, lines: Vec<Line<Failure>>) {
        let (task, destination, receiver) = (&self.task, &self.destination, &self.receiver);
        for line in lines {
            match line {
                Line::Still { kind, count, total, lasted, detail } => {
                    let Failure { detail, delivery, next_s } = detail;
                    let lasted_s = seconds(lasted);
                    warn!(%task, %destination, receiver, class = kind, count, total, lasted_s,
                        last = %delivery, error = detail, next_s, "callbacks fail");
                }
                Line::Over { kind, total, lasted } => {
                    let lasted_s = seconds(lasted);
                    info!(%task, %destination, receiver, class = kind, total, lasted_s, "callbacks work again");
                }
            }
        }
    }

    fn notes(&self, lines: Vec<Line<DeliveryId>>) {
        let (task, destination) = (&self.task, &self.destination);
        for line in lines {
            match line {
                Line::Still { kind, count, total, lasted, detail } => {
                    let lasted_s = seconds(lasted);
                    warn!(%task, %destination, note = kind, count, total, lasted_s, last = %detail,
                        "deliveries did not end as they should");
                }
                Line::Over { kind, total, lasted } => {
                    let lasted_s = seconds(lasted);
                    info!(%task, %destination, note = kind, total, lasted_s, "deliveries end as they should again");
                }
            }
        }
    }
}

/// What was known of a delivery before it was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    found_at: UnixMs,
    acknowledged: bool,
    run: RunId,
}

impl Before {
    /// Of all of these.
    pub(super) fn of(claimed: &[Delivery]) -> HashMap<DeliveryId, Self> {
        let one =
            |d: &Delivery| Self { found_at: d.found_at, acknowledged: d.acked_at.is_some(), run: d.run };
        claimed.iter().map(|d| (d.id, one(d))).collect()
    }
}

fn seconds_between(from: UnixMs, to: UnixMs) -> f64 {
    to.saturating_sub(from).max(0) as f64 / 1000.0
}
