//! Virtual time: what waits for it, what is down, and when the process dies.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::source::dice::Dice;
use crate::sql::{PlaceError, PlaceErrorKind};

pub(super) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The most milliseconds that a question takes.
pub(super) const SLOWEST: u64 = 1250;

/// Time that passes only when it is let pass.
pub(super) struct Clockwork {
    /// The daemon's clock: right about how much time passes, and about nothing else.
    pub(super) clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    dice: Dice,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
    /// By place: until when it cannot be reached.
    down: BTreeMap<usize, Duration>,
    /// So many durable steps are left until the crash.
    steps_left: Option<u64>,
    crashed: bool,
}

impl Clockwork {
    pub(super) fn new(seed: u64, clock: Clock) -> Self {
        let inner = Inner {
            dice: Dice(seed ^ 0x5eed),
            sleepers: BTreeMap::new(),
            slept: 0,
            down: BTreeMap::new(),
            steps_left: None,
            crashed: false,
        };
        Self { clock, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What has passed since the beginning: the time of the ledger.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Lets time pass until `to`.
    pub(super) fn pass(&self, to: Duration) {
        self.clock.advance(to.saturating_sub(self.now()));
        let mut inner = self.inner();
        while let Some(first) = inner.sleepers.first_entry().filter(|first| first.key().0 <= to) {
            first.remove().wake();
        }
    }

    /// When somebody wakes up.
    pub(super) fn next(&self) -> Option<Duration> {
        self.inner().sleepers.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + '_ {
        let until = self.now() + time;
        let mut waits = false;
        poll_fn(move |cx| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut waits, true) {
                let mut inner = self.inner();
                inner.slept += 1;
                let number = inner.slept;
                inner.sleepers.insert((until, number), cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// A question to a place: takes its time, and is not answered while the place is down.
    pub(super) async fn ask(&self, place: usize) -> Result<(), PlaceError> {
        let took = {
            let mut inner = self.inner();
            let most = inner.dice.one(&[1, 1, 2, 4, 4, 30]);
            let rare = if inner.dice.chance(1) { inner.dice.below(SLOWEST - 50) } else { 0 };
            inner.dice.below(most) + rare
        };
        self.sleep(millis(took)).await;
        let is_down = self.inner().down.get(&place).is_some_and(|until| *until > self.now());
        if is_down {
            return Err(PlaceError::new(PlaceErrorKind::Unreachable, "played", "it is down"));
        }
        Ok(())
    }

    pub(super) fn is_down(&self, place: usize) -> bool {
        self.inner().down.get(&place).is_some_and(|until| *until > self.now())
    }

    pub(super) fn take_down(&self, place: usize, time: Duration) {
        let until = self.now() + time;
        self.inner().down.insert(place, until);
    }

    /// The process will die at one of its next steps.
    pub(super) fn crash_in(&self, steps: u64) {
        self.inner().steps_left = Some(steps);
    }

    /// Stands before and behind each durable step. Never returns if the process dies here.
    pub(super) async fn may_crash(&self) {
        let took = self.inner().dice.one(&[0, 0, 0, 0, 1, 5]);
        self.sleep(millis(took)).await;
        if self.dies() {
            std::future::pending().await
        }
    }

    fn dies(&self) -> bool {
        let mut inner = self.inner();
        match inner.steps_left {
            Some(0) => inner.crashed = true,
            Some(left) => inner.steps_left = Some(left - 1),
            None => {}
        }
        inner.crashed
    }

    /// Whether it died since this was last asked.
    pub(super) fn take_crash(&self) -> bool {
        let mut inner = self.inner();
        if inner.crashed {
            (inner.steps_left, inner.crashed) = (None, false);
            inner.sleepers.clear();
            return true;
        }
        false
    }

    pub(super) fn calm(&self) {
        let mut inner = self.inner();
        inner.steps_left = None;
        inner.down.clear();
    }
}
