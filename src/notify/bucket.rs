//! A rate limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;
use crate::base::clock::{UnixMs, ms};

/// So many at once, then one in each period. Clones share it.
#[derive(Clone, Debug)]
pub struct Bucket {
    burst: i64,
    period: i64,
    /// When it would be full again.
    full: Arc<Mutex<UnixMs>>,
}

impl Bucket {
    /// A full one.
    pub fn new(limits: Limits) -> Self {
        Self { burst: i64::from(limits.burst.max(1)), period: ms(limits.period).max(1), full: Arc::default() }
    }

    fn full(&self) -> MutexGuard<'_, UnixMs> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When one can be taken.
    pub(super) fn next(&self) -> UnixMs {
        *self.full() - (self.burst - 1) * self.period
    }

    /// Takes one if there is one.
    pub(super) fn take(&self, now: UnixMs) -> bool {
        let mut full = self.full();
        let there = now >= *full - (self.burst - 1) * self.period;
        if there {
            *full = (*full).max(now) + self.period;
        }
        there
    }
}
