//! One endpoint, shared by all lanes that call it: how many calls are open, how fast they come, whose turn it is, and
//! whether it is worth calling at all. Lanes ask; whoever is let in holds a [`Pass`] until the call has ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::guard::Guard;
use crate::base::clock::Clock;
use crate::config::{BreakerConfig, CallbackConfig};
use crate::model::{AttemptOutcome, DeliveryId, DestinationName, TaskName};
use crate::outbox::{Breaker, Change, Ended, Probe, Slots, Turns, asks, verdict};

mod news;
mod registry;

pub(super) use registry::Receivers;

/// Longest time without asking again: whoever does not ask is taken for one who wants nothing.
const ASK: Duration = Duration::from_secs(2);
/// What is taken on is to be sent within this time.
const SOON: Duration = Duration::from_secs(1);

/// A lane that calls here.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) task: TaskName,
    pub(super) destination: DestinationName,
    /// Something may have become possible.
    pub(super) wake: Arc<Notify>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Receiver {
    /// For people.
    pub(super) place: String,
    clock: Clock,
    members: Vec<Member>,
    /// Whether anything may be sent to it, of each member.
    guards: OnceLock<Vec<Arc<Guard>>>,
    inner: Mutex<Inner>,
    /// Held by whoever says what has become of it.
    telling: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    slots: Slots,
    turns: Turns,
    /// Calls that are open.
    open: usize,
    /// The call that is to tell whether it works again is open.
    probing: bool,
    /// Lanes that have something to send and wait to be let in.
    queue: VecDeque<usize>,
}

/// How much a lane may take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many are let in soon.
    For(usize),
    /// The same, and what has failed before only if there is nothing else: it may fail for a reason of its own.
    Few(usize),
    /// One, to see whether the receiver works again; one that has not failed before, if there is one.
    Probe,
    /// The same, but none that has failed before until this time has passed.
    Fresh(Duration),
    /// None before this time has passed, or somebody wakes the lane.
    None(Duration),
}

/// The answer to a lane that wants to make a call.
#[derive(Debug)]
pub(super) enum Admitted {
    /// Now.
    Now(Pass),
    /// When this time has passed, or somebody wakes the lane.
    Later(Duration),
    /// The receiver fails: what was taken on is to be given back.
    Shut,
}

/// Held while a call is open.
#[derive(Debug)]
pub(super) struct Pass {
    receiver: Arc<Receiver>,
    lane: usize,
    epoch: u64,
    probes: bool,
    used: bool,
}

/// The least of what is said of the same endpoint.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    concurrency: usize,
    period: Duration,
    breaker: Option<BreakerConfig>,
}

impl Limits {
    pub(super) fn of(receiver: &CallbackConfig, breaker: Option<BreakerConfig>) -> Self {
        Self { concurrency: receiver.concurrency.max(1), period: receiver.period, breaker }
    }

    /// The first breaker that is one counts.
    pub(super) fn least(&mut self, other: &Self) {
        self.concurrency = self.concurrency.min(other.concurrency);
        self.period = self.period.max(other.period);
        self.breaker = self.breaker.or(other.breaker);
    }
}

impl Receiver {
    pub(super) fn new(place: String, limits: &Limits, members: Vec<Member>, clock: Clock) -> Self {
        let inner = Inner {
            breaker: Breaker::new(limits.breaker, limits.concurrency),
            slots: Slots::new(limits.period),
            turns: Turns::default(),
            open: 0,
            probing: false,
            queue: VecDeque::new(),
        };
        let (inner, telling, guards) = (Mutex::new(inner), tokio::sync::Mutex::default(), OnceLock::new());
        Self { place, clock, members, guards, inner, telling }
    }

    /// Takes in the guards of its members, in their order; once.
    pub(super) fn guarded_by(&self, guards: Vec<Arc<Guard>>) {
        let _ = self.guards.set(guards);
    }

    /// The guards of all who call it.
    pub(super) fn guards(&self) -> &[Arc<Guard>] {
        self.guards.get().map_or(&[], Vec::as_slice)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whatever panicked has counted, or not: counts are put right when passes end.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much `lane` may take on of the `wish` it has.
    pub(super) fn room(&self, lane: usize, wish: usize) -> Room {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        if inner.breaker.is_open() {
            if inner.probing {
                // Its end wakes everybody.
                return Room::None(ASK);
            }
            return match inner.breaker.probe(lane, now) {
                Probe::Now => Room::Probe,
                Probe::Fresh(until) => Room::Fresh(until.saturating_sub(now)),
                Probe::At(at) => Room::None(at.saturating_sub(now)),
                Probe::Taken => Room::None(ASK),
            };
        }
        // While few are let in, few are read.
        let few = !inner.breaker.is_closed();
        let wish = if few { wish.min(inner.breaker.capacity() * 8) } else { wish };
        let room = if few { Room::Few } else { Room::For };
        let soon = inner.slots.within(SOON, now);
        let wait = inner.slots.wait(now);
        match inner.turns.share(lane, soon.unwrap_or(usize::MAX), now) {
            // The next one may be a long way off: it is read shortly before.
            0 => Room::None(wait.saturating_sub(SOON / 2).clamp(Duration::from_millis(20), ASK)),
            // Without a limit everybody takes as much as it can send.
            _ if soon.is_none() => room(wish.div_ceil(inner.turns.lanes()).max(1)),
            share => room(share.min(wish)),
        }
    }

    /// The lane has nothing to call, or cannot; nothing more, if it is the one whose call asks whether the receiver works.
    pub(super) fn rest(&self, lane: usize) {
        let mut inner = self.lock();
        if !inner.probing {
            inner.breaker.unprobe(lane);
        }
        inner.turns.rest(lane);
        inner.queue.retain(|other| *other != lane);
        self.wake_next(&inner);
    }

    /// Lets one call of `lane` in, if it is its turn.
    pub(super) fn admit(self: &Arc<Self>, lane: usize) -> Admitted {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        let probes = inner.breaker.is_open();
        if probes {
            if inner.breaker.prober() != Some(lane) || inner.probing {
                inner.queue.retain(|other| *other != lane);
                return Admitted::Shut;
            }
            inner.probing = true;
        } else {
            let wait = inner.slots.wait(now);
            let first = inner.queue.front().is_none_or(|first| *first == lane);
            if !first || !wait.is_zero() || inner.open >= inner.breaker.capacity() {
                if !inner.queue.contains(&lane) {
                    inner.queue.push_back(lane);
                }
                return Admitted::Later(if wait.is_zero() { ASK } else { wait.min(ASK) });
            }
            inner.queue.pop_front();
        }
        inner.slots.take(now);
        inner.turns.served(lane);
        inner.open += 1;
        let epoch = inner.breaker.epoch();
        self.wake_next(&inner);
        Admitted::Now(Pass { receiver: self.clone(), lane, epoch, probes, used: false })
    }

    fn wake_next(&self, inner: &Inner) {
        if inner.open < inner.breaker.capacity()
            && let Some(first) = inner.queue.front()
            && let Some(member) = self.members.get(*first)
        {
            member.wake.notify_one();
        }
    }

    fn wake_all(&self) {
        self.members.iter().for_each(|member| member.wake.notify_one());
    }
}

impl Pass {
    /// Whether the call is to tell whether the receiver works again.
    pub(super) fn probes(&self) -> bool {
        self.probes
    }

    /// The call has ended. `fresh`: one of its deliveries had not failed before. Returns what that makes of the receiver, if
    /// it is something else than before, and the epoch that begins with that.
    pub(super) fn ended(
        mut self,
        of: &[DeliveryId],
        fresh: bool,
        outcome: &AttemptOutcome,
    ) -> Option<(Change, u64)> {
        self.used = true;
        let call = Ended { of, fresh, verdict: verdict(outcome)?, asked: asks(outcome) };
        let now = self.receiver.clock.elapsed();
        let mut inner = self.receiver.lock();
        let change = inner.breaker.record(self.epoch, &call, now)?;
        let epoch = inner.breaker.epoch();
        inner.queue.clear();
        drop(inner);
        self.receiver.wake_all();
        Some((change, epoch))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inner = self.receiver.lock();
        inner.open = inner.open.saturating_sub(1);
        if self.probes {
            inner.probing = false;
            if self.epoch == inner.breaker.epoch() {
                // It has told nothing: somebody else may try.
                inner.breaker.unprobe(self.lane);
            }
        }
        if !self.used {
            inner.slots.give_back();
        }
        self.receiver.wake_next(&inner);
    }
}

#[cfg(test)]
mod tests;
