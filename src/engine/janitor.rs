//! Housekeeping: claims whose lease ran out come back; what ended long ago is deleted in small batches.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use super::{StatusBoard, Stop};
use crate::base::clock::Clock;
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(30);
const BATCH: usize = 500;

/// See the module's documentation.
#[derive(Clone)]
pub struct Janitor {
    store: Arc<dyn Store>,
    clock: Clock,
    keep: Duration,
    status: StatusBoard,
}

impl std::fmt::Debug for Janitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Janitor").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Janitor {
    /// A janitor that keeps ended deliveries for `keep`.
    pub fn new(store: Arc<dyn Store>, clock: Clock, keep: Duration, status: StatusBoard) -> Self {
        Self { store, clock, keep, status }
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop) {
        loop {
            if let Err(e) = self.step().await {
                self.status.store_failed(&e);
            }
            tokio::select! {
                () = stop.intake.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One round.
    async fn step(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let expired = self.store.expire_claims(now).await?;
        if expired > 0 {
            info!(expired, "claims had run out, their deliveries come again");
        }
        let before = now.saturating_sub(i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX));
        let pruned = self.store.prune(before, BATCH).await?;
        debug!(pruned, "looked after the state");
        Ok(())
    }
}
