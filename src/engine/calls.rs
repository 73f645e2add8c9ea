//! What became of the calls of the last minutes: how many were taken, and how fast.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::base::clock::UnixMs;

/// What is counted together.
const SLOT: Duration = Duration::from_secs(15);
/// How many slots are kept: a quarter of an hour.
const SLOTS: u64 = 60;
/// So many of them, and the one that is being filled, tell how fast calls are taken now.
const LATELY: u64 = 4;

/// Calls for one destination, counted as they end.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    slots: VecDeque<Slot>,
    first: Option<Duration>,
    last_failure: Option<LastFailure>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    accepted: u64,
    failed: u64,
}

/// The last call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastFailure {
    /// When it ended, Unix ms.
    pub at: UnixMs,
    /// The class of its error.
    pub class: &'static str,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
}

/// Calls of the last quarter of an hour, or since the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RecentCalls {
    /// How far back they go, in seconds.
    pub seconds: u64,
    /// Accepted by the receiver.
    pub accepted: u64,
    /// Failed.
    pub failed: u64,
    /// Accepted per second in the last minute.
    pub per_second: f64,
    /// The last one that failed, however long ago.
    pub last_failure: Option<LastFailure>,
}

impl Calls {
    /// A call has ended at `now`, as [`Clock::elapsed`](crate::base::clock::Clock::elapsed) has it.
    pub(super) fn ended(&mut self, now: Duration, failure: Option<LastFailure>) {
        self.first.get_or_insert(now);
        let number = slot(now);
        if self.slots.back().is_none_or(|last| last.number != number) {
            self.slots.push_back(Slot { number, accepted: 0, failed: 0 });
            while self.slots.front().is_some_and(|first| first.number + SLOTS <= number) {
                self.slots.pop_front();
            }
        }
        let Some(slot) = self.slots.back_mut() else { return };
        match failure {
            None => slot.accepted += 1,
            Some(_) => {
                slot.failed += 1;
                self.last_failure = failure;
            }
        }
    }

    pub(super) fn recent(&self, now: Duration) -> RecentCalls {
        let (number, first) = (slot(now), self.first.unwrap_or(now));
        let since = |slots: u64| {
            let begin = SLOT.saturating_mul(u32::try_from(number.saturating_sub(slots)).unwrap_or(u32::MAX));
            now.saturating_sub(begin.max(first))
        };
        let within = |slots: u64| self.slots.iter().filter(move |slot| slot.number + slots >= number);
        let lately: u64 = within(LATELY).map(|slot| slot.accepted).sum();
        RecentCalls {
            seconds: since(SLOTS - 1).as_secs(),
            accepted: within(SLOTS - 1).map(|slot| slot.accepted).sum(),
            failed: within(SLOTS - 1).map(|slot| slot.failed).sum(),
            per_second: lately as f64 / since(LATELY).as_secs_f64().max(1.0),
            last_failure: self.last_failure,
        }
    }
}

fn slot(at: Duration) -> u64 {
    at.as_secs() / SLOT.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_quarter_of_an_hour_old_counts_no_more() {
        let at = Duration::from_secs;
        let failure = LastFailure { at: 7, class: "http_5xx", status: Some(500) };
        let mut calls = Calls::default();
        assert_eq!(calls.recent(at(5)), RecentCalls::default());
        (0..30).for_each(|_| calls.ended(at(1000), None));
        calls.ended(at(1000), Some(failure));
        let now = calls.recent(at(1010));
        assert_eq!((now.seconds, now.accepted, now.failed), (10, 30, 1));
        assert!((now.per_second - 3.0).abs() < 1e-9, "{now:?}");
        for second in 1001..1900 {
            calls.ended(at(second), None);
        }
        let now = calls.recent(at(1900));
        assert_eq!((now.seconds, now.accepted, now.failed), (895, 895, 0));
        assert_eq!(now.last_failure, Some(failure));
        assert!((now.per_second - 1.0).abs() < 0.05, "{now:?}");
        let now = calls.recent(at(3000));
        assert_eq!((now.accepted, now.per_second.to_bits()), (0, 0));
        assert_eq!(now.last_failure, Some(failure));
    }
}
