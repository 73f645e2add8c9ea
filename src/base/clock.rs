//! Time as a dependency, so that tests can hold it still.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since the Unix epoch.
pub type UnixMs = i64;

/// Where "now" comes from. Cheap to clone.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that only moves when told; for tests.
    pub fn manual(now: UnixMs) -> Self {
        Self(Some(Arc::new(AtomicI64::new(now))))
    }

    /// Now, in Unix milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's time is read")]
    pub fn now(&self) -> UnixMs {
        match &self.0 {
            None => chrono::Utc::now().timestamp_millis(),
            Some(held) => held.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock forward; does nothing to the machine's.
    pub fn advance(&self, by: std::time::Duration) {
        if let Some(held) = &self.0 {
            held.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
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
    at: (std::time::Instant, UnixMs),
    last: UnixMs,
}

impl ClockSteps {
    const LEAST: i64 = 1000;

    /// From now on.
    pub fn new(clock: &Clock) -> Self {
        Self { at: (std::time::Instant::now(), clock.now()), last: UnixMs::MIN }
    }

    /// The first time read after the clock was set last; the least time if it was not set since [`ClockSteps::new`].
    pub fn last(&mut self, clock: &Clock) -> UnixMs {
        let now = clock.now();
        let (began, then) = self.at;
        if (now - then - ms(began.elapsed())).abs() >= Self::LEAST {
            self.last = now;
        }
        self.at = (std::time::Instant::now(), now);
        self.last
    }
}

/// A duration in whole milliseconds; what is too long for that is as long as can be.
pub fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
