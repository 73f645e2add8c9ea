//! Looks at what must not be called yet: suspects until they are believed, acknowledged deliveries until the copy
//! agrees. Beside the lane that calls, so that a slow receiver does not delay what is seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};

use super::Stop;
use super::look::watch;
use super::places::TaskPlaces;
use super::status::StatusBoard;
use crate::base::chain::chain;
use crate::base::clock::{Clock, ClockSteps, UnixMs, ms};
use crate::model::{Delivery, State};
use crate::outbox::{Learner, Policy};
use crate::store::{ClaimRequest, Settlement, Store, StoreError, Work};

/// A claim outlives its look.
const LEASE: Duration = Duration::from_secs(120);
/// Longest wait without asking the store again.
const IDLE: Duration = Duration::from_secs(60);
/// Most deliveries looked at in one go.
const MOST: usize = 1000;

/// How long copies of a destination need to follow; shared with whoever opens suspects.
pub(super) type Waits = Arc<Mutex<Learner>>;

/// The watcher of one (task, destination).
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) store: Arc<dyn Store>,
    pub(super) places: Arc<TaskPlaces>,
    pub(super) destination: usize,
    pub(super) policy: Policy,
    pub(super) clock: Clock,
    pub(super) waits: Waits,
    /// Something is to be looked at.
    pub(super) wake: Arc<Notify>,
    /// Something is to be called.
    pub(super) calls: Arc<Notify>,
    pub(super) status: StatusBoard,
}

impl Watcher {
    /// Works until the stop.
    pub(super) async fn run(self, stop: Stop) {
        tokio::select! {
            () = stop.intake.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        let mut kept = self.recall().await;
        let mut steps = ClockSteps::new(&self.clock);
        loop {
            let since = steps.last(&self.clock);
            let pause = match self.step(since).await {
                Ok(pause) => pause,
                Err(e) => {
                    self.status.store_failed(&e);
                    Duration::from_secs(1)
                }
            };
            self.keep(&mut kept).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at what is due; returns how long nothing else will be.
    async fn step(&self, since: UnixMs) -> Result<Duration, StoreError> {
        let (task, destination) = (&self.places.config, &self.places.config.destinations[self.destination]);
        let request = ClaimRequest {
            task: task.name.clone(),
            destination: destination.name.clone(),
            work: Work::Look,
            limit: MOST,
            now: self.clock.now(),
            lease: LEASE,
        };
        let claimed = self.store.claim(request).await?;
        self.status.store_works();
        if claimed.is_empty() {
            let due = self.store.next_due(&task.name, &destination.name, Work::Look).await?;
            return Ok(due.map_or(IDLE, |due| {
                Duration::from_millis(due.saturating_sub(self.clock.now()).clamp(1, 60_000).unsigned_abs())
            }));
        }
        let claims: Vec<_> = claimed.iter().map(|d| (d.id, d.claim)).collect();
        match self.look(claimed, since).await {
            Ok(settled) => {
                let confirmed =
                    settled.iter().any(|s| s.to.state == State::Main || s.to.state == State::Retry);
                if let Err(e) = self.store.settle(settled.clone()).await {
                    self.store.release(claims, self.clock.now().saturating_add(1000), None).await?;
                    return Err(e);
                }
                settled.iter().for_each(|s| self.tell(s));
                if confirmed {
                    self.calls.notify_one();
                }
                Ok(Duration::ZERO)
            }
            Err((error, pause)) => {
                let due = self.clock.now().saturating_add(ms(pause));
                self.store.release(claims, due, Some(error)).await?;
                Ok(pause)
            }
        }
    }

    async fn look(
        &self,
        claimed: Vec<Delivery>,
        since: UnixMs,
    ) -> Result<Vec<Settlement>, (String, Duration)> {
        let config = &self.places.config;
        let destination = &config.destinations[self.destination].name;
        let looked = async {
            let pair = self.places.pair(self.destination).await?;
            watch(&pair, claimed, &self.policy, &self.waits, since, || self.clock.now()).await
        };
        match looked.await {
            Ok(settled) => {
                self.status.place_works(&config.name, "suspects", destination);
                Ok(settled)
            }
            Err(e) => {
                let pause = self.status.place_failed(&config.name, "suspects", destination, &e);
                if !e.kind.is_passing() {
                    self.places.forget_destination(self.destination);
                    self.places.forget_source();
                }
                Err((chain(&e).to_string(), pause))
            }
        }
    }

    fn tell(&self, s: &Settlement) {
        let (task, destination) =
            (&self.places.config.name, &self.places.config.destinations[self.destination].name);
        match (s.to.state, s.note.as_deref()) {
            (State::Healed, note) => {
                self.status.healed();
                info!(%task, %destination, delivery = %s.id, note, "healed");
            }
            (_, Some(note)) => {
                warn!(%task, %destination, delivery = %s.id, state = s.to.state.as_str(), note,
                    "a delivery did not end as it should");
            }
            _ => {}
        }
    }

    fn mark(&self) -> String {
        let config = &self.places.config;
        format!("wait {} {}", config.name, config.destinations[self.destination].name)
    }

    /// Goes on with what an earlier run has learned.
    async fn recall(&self) -> Duration {
        let learned = match self.store.recall(&self.mark()).await {
            Ok(learned) => learned.map(|wait| Duration::from_millis(wait.unsigned_abs())),
            Err(e) => {
                self.status.store_failed(&e);
                None
            }
        };
        let now = self.clock.now();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        *waits = Learner::new(self.policy.confirm, learned, now);
        waits.usual(now)
    }

    /// Keeps what was learned if it has changed by a quarter.
    async fn keep(&self, kept: &mut Duration) {
        let wait = self.waits.lock().unwrap_or_else(PoisonError::into_inner).usual(self.clock.now());
        let config = &self.places.config;
        self.status.waits(&config.name, &config.destinations[self.destination].name, wait);
        if wait.abs_diff(*kept) * 4 > *kept {
            match self.store.remember(&self.mark(), ms(wait)).await {
                Ok(()) => *kept = wait,
                Err(e) => self.status.store_failed(&e),
            }
        }
    }
}
