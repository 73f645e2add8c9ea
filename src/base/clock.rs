//! Time as a dependency, so that tests can hold it still.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
pub type UnixMs = i64;

/// Where "now" comes from. Cheap to clone.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Held>>);

/// A clock in the hands of a test: what its wall shows, and what has passed, in milliseconds.
#[derive(Default)]
struct Held {
    wall: AtomicI64,
    passed: AtomicI64,
}

/// Where the machine's passing time is measured from.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Names this start of the machine.
static BOOT: LazyLock<Box<str>> = LazyLock::new(|| {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().into()
});

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that only moves when told; for tests.
    pub fn manual(now: UnixMs) -> Self {
        Self(Some(Arc::new(Held { wall: AtomicI64::new(now), passed: AtomicI64::new(0) })))
    }

    /// Now, in Unix milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's time is read")]
    pub fn now(&self) -> UnixMs {
        match &self.0 {
            None => chrono::Utc::now().timestamp_millis(),
            Some(held) => held.wall.load(Ordering::Relaxed),
        }
    }

    /// Time since some moment of the past, for measuring: it goes on whoever sets the clock.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            None => BEGUN.elapsed(),
            Some(held) => Duration::from_millis(held.passed.load(Ordering::Relaxed).unsigned_abs()),
        }
    }

    /// What this clock showed when the machine's own time began: unless somebody sets the clock, that stays as it is.
    pub fn origin(&self) -> Origin {
        match &self.0 {
            None => {
                let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let passed = passed.tv_sec.saturating_mul(1000).saturating_add(passed.tv_nsec / 1_000_000);
                Origin { boot: BOOT.clone(), shown: self.now().saturating_sub(passed) }
            }
            Some(held) => {
                let passed = held.passed.load(Ordering::Relaxed);
                Origin { boot: "manual".into(), shown: self.now().saturating_sub(passed) }
            }
        }
    }

    /// Lets time pass on a manual clock; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Some(held) = &self.0 {
            held.wall.fetch_add(ms(by), Ordering::Relaxed);
            held.passed.fetch_add(ms(by), Ordering::Relaxed);
        }
    }

    /// Sets a manual clock, as people and time servers do; no time passes by that.
    pub fn set(&self, now: UnixMs) {
        if let Some(held) = &self.0 {
            held.wall.store(now, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Where a clock stands beside the machine's own time, which nobody sets and which goes on while a process is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Which start of the machine.
    boot: Box<str>,
    /// What the clock showed then.
    shown: UnixMs,
}

impl Origin {
    /// Whether the clock was not set, by a second or more, between the two.
    pub fn agrees(&self, later: &Self) -> bool {
        self.boot == later.boot && self.apart(later) < SET
    }

    /// How far the clock has gone astray between the two, in milliseconds: time servers move clocks by little all the time.
    pub fn apart(&self, later: &Self) -> i64 {
        later.shown.saturating_sub(self.shown).saturating_abs()
    }
}

/// A clock that is moved by so many milliseconds was set.
const SET: i64 = 1000;

/// Tells when somebody set the machine's clock, by a second or more.
#[derive(Debug)]
pub struct ClockSteps {
    at: (Duration, UnixMs),
    last: UnixMs,
}

impl ClockSteps {
    /// From now on.
    pub fn new(clock: &Clock) -> Self {
        Self { at: (clock.elapsed(), clock.now()), last: UnixMs::MIN }
    }

    /// The first time read after the clock was set last; the least time if it was not set since [`ClockSteps::new`].
    pub fn last(&mut self, clock: &Clock) -> UnixMs {
        let (elapsed, now) = (clock.elapsed(), clock.now());
        let (began, then) = self.at;
        if (now - then - ms(elapsed.saturating_sub(began))).abs() >= SET {
            self.last = now;
        }
        self.at = (elapsed, now);
        self.last
    }
}

/// A duration in whole milliseconds; what is too long for that is as long as can be.
pub fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
