//! Members of batches that failed as a whole in a way in which none of them is tried again: each goes alone next, and what
//! is answered to that decides. What a restart forgets of it is found out once more.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::look::Ready;
use crate::model::DeliveryId;

/// So many are remembered.
const MOST: usize = 100_000;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(in crate::engine) struct Spoilt(Mutex<HashSet<DeliveryId>>);

impl Spoilt {
    fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Failed with others.
    pub(super) fn add(&self, id: DeliveryId) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id);
    }

    /// Went alone.
    pub(super) fn remove(&self, id: DeliveryId) {
        self.lock().remove(&id);
    }

    /// Those that go alone, and the others.
    pub(super) fn part(&self, ready: Vec<Ready>) -> (Vec<Ready>, Vec<Ready>) {
        let known = self.lock();
        ready.into_iter().partition(|ready| known.contains(&ready.delivery.id))
    }
}
