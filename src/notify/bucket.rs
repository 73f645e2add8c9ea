//! A rate limit.

use crate::base::clock::UnixMs;

/// So many at once, then one in each period.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: i64,
    period: i64,
    /// When it would be full again.
    full: UnixMs,
}

impl Bucket {
    /// A full one; `period` in milliseconds.
    pub(super) fn new(burst: u32, period: i64) -> Self {
        Self { burst: i64::from(burst.max(1)), period: period.max(1), full: 0 }
    }

    /// When one can be taken.
    pub(super) fn next(&self) -> UnixMs {
        self.full - (self.burst - 1) * self.period
    }

    /// Takes one if there is one.
    pub(super) fn take(&mut self, now: UnixMs) -> bool {
        let there = now >= self.next();
        if there {
            self.full = self.full.max(now) + self.period;
        }
        there
    }
}
