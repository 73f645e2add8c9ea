//! Time as a dependency, so that tests can hold it still.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

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

/// Tells when somebody set the machine's clock, by a second or more.
#[derive(Debug)]
pub struct ClockSteps {
    at: (Duration, UnixMs),
    last: UnixMs,
}

impl ClockSteps {
    const LEAST: i64 = 1000;

    /// From now on.
    pub fn new(clock: &Clock) -> Self {
        Self { at: (clock.elapsed(), clock.now()), last: UnixMs::MIN }
    }

    /// The first time read after the clock was set last; the least time if it was not set since [`ClockSteps::new`].
    pub fn last(&mut self, clock: &Clock) -> UnixMs {
        let (elapsed, now) = (clock.elapsed(), clock.now());
        let (began, then) = self.at;
        if (now - then - ms(elapsed.saturating_sub(began))).abs() >= Self::LEAST {
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
