//! Housekeeping: claims whose lease ran out come back; what ended long ago is deleted in small batches; what is due
//! only because somebody set the clock back is due in time.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use super::{StatusBoard, Stop};
use crate::base::clock::{Clock, ClockSteps, ms};
use crate::config::DestinationConfig;
use crate::store::{Prune, Store, StoreError, Work};

const EVERY: Duration = Duration::from_secs(30);
const BATCH: usize = 500;
/// Between two batches, for those who have something to write.
const BREATH: Duration = Duration::from_millis(20);
/// How long suspects are kept that healed without a call.
const PASSING: Duration = Duration::from_secs(3600);
/// Longest pause before a callback that was acknowledged but did not heal is made again.
const UNHEALED: Duration = Duration::from_secs(600);

/// See the module's documentation.
#[derive(Clone)]
pub struct Janitor {
    store: Arc<dyn Store>,
    clock: Clock,
    keep: Duration,
    longest: Longest,
    status: StatusBoard,
}

/// The longest that any delivery may wait: what is due later is so because somebody set the clock back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Longest {
    /// For a look.
    pub look: Duration,
    /// For a call.
    pub call: Duration,
}

impl Longest {
    /// Of all destinations.
    pub fn of<'a>(destinations: impl Iterator<Item = &'a DestinationConfig> + Clone) -> Self {
        let looks = destinations.clone().map(|d| d.confirm.lag.max(d.verify.unwrap_or_default()));
        let calls = destinations.map(|d| d.retry.longest());
        Self { look: looks.max().unwrap_or_default(), call: calls.max().unwrap_or_default().max(UNHEALED) }
    }
}

impl std::fmt::Debug for Janitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Janitor").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Janitor {
    /// A janitor that keeps ended deliveries for `keep`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        keep: Duration,
        longest: Longest,
        status: StatusBoard,
    ) -> Self {
        Self { store, clock, keep, longest, status }
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop) {
        let mut steps = ClockSteps::new(&self.clock);
        let mut set = None;
        loop {
            // At the start too: it may have been set before.
            let since = steps.last(&self.clock);
            let result = match set.replace(since) {
                before if before != Some(since) => self.catch_up().await,
                _ => Ok(()),
            };
            if let Err(e) = result {
                self.status.store_failed(&e);
                set = None;
            }
            if let Err(e) = self.step().await {
                self.status.store_failed(&e);
            }
            tokio::select! {
                () = stop.intake.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut moved = 0;
        for (work, longest) in [(Work::Look, self.longest.look), (Work::Call, self.longest.call)] {
            moved += self.store.bring_forward(work, now.saturating_add(ms(longest))).await?;
        }
        if moved > 0 {
            info!(moved, "deliveries were due later than any pause lasts, the clock was set back");
        }
        Ok(())
    }

    /// One round.
    pub(super) async fn step(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let expired = self.store.expire_claims(now).await?;
        if expired > 0 {
            info!(expired, "claims had run out, their deliveries come again");
        }
        let before = now.saturating_sub(ms(self.keep));
        let mut pruned = 0;
        let passing = before.max(now.saturating_sub(ms(PASSING)));
        loop {
            let some = self.store.prune(Prune { ended: before, passing, limit: BATCH }).await?;
            pruned += some.deliveries;
            if !some.more {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        debug!(pruned, "looked after the state");
        Ok(())
    }
}
