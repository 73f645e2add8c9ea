//! Looks at what must not be called yet: suspects until they are believed, acknowledged deliveries until the copy
//! agrees. Beside the lane that calls, so that a slow receiver does not delay what is seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::warn;

use super::Stop;
use super::feeder;
use super::guard::Guard;
use super::hot;
use super::look::{Watched, watch};
use super::people;
use super::places::TaskPlaces;
use super::status::StatusBoard;
use super::voice::{Before, Voice};
use crate::base::clock::{Clock, ClockSteps, Origin, UnixMs, ms};
use crate::model::{Delivery, Event, State};
use crate::notify::{Alert, Alerts, Cause, What};
use crate::outbox::{Hot, Learner, Policy};
use crate::sql::PlaceError;
use crate::store::{ClaimRequest, Settlement, Store, StoreError, Work};

/// A claim outlives its look.
const LEASE: Duration = Duration::from_secs(120);
/// Longest wait without asking the store again.
const IDLE: Duration = Duration::from_secs(60);
/// How often rows that agreed are asked for while nothing may be sent.
const ASK: Duration = Duration::from_secs(10);
/// The pause after rows that agreed could not be asked for.
const UNASKED: Duration = Duration::from_secs(1);
/// Nothing is believed unless both sides were seen within this time to be as they were opened.
const FRESH: Duration = Duration::from_secs(1);
/// The same while nothing happens, so that people hear of it.
const IDLE_CHECK: Duration = Duration::from_secs(30);
/// How often what was learned is kept.
const KEEP: Duration = Duration::from_secs(5);
/// Name of the note that keeps the wait, in milliseconds.
const WAIT: &str = "wait";
/// Name of the note that keeps where the clock stood.
const CLOCK: &str = "clock";
/// A clock that has gone astray by so many milliseconds is kept anew.
const ASTRAY: i64 = 200;
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
    pub(super) guard: Arc<Guard>,
    pub(super) alerts: Alerts,
    /// Whether it was said that copies no longer follow; `None`: not in this process.
    pub(super) stopped: Arc<Mutex<Option<bool>>>,
    /// Rows that never stand still.
    pub(super) hot: Arc<Mutex<Hot>>,
    /// Something is to be looked at.
    pub(super) wake: Arc<Notify>,
    /// Something is to be called.
    pub(super) calls: Arc<Notify>,
    pub(super) status: StatusBoard,
    pub(super) voice: Arc<Voice>,
}

/// What is known to be durable.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    wait: Duration,
    clock: Option<Origin>,
    /// Times before this cannot be compared with now.
    pub(super) since: UnixMs,
}

impl Watcher {
    /// Works until the stop.
    pub(super) async fn run(self, stop: Stop) {
        tokio::select! {
            () = stop.intake.cancelled() => {}
            () = self.watch() => {}
        }
        self.voice.speak(true);
    }

    async fn watch(&self) {
        let mut steps = ClockSteps::new(&self.clock);
        let mut kept = self.recall().await;
        let mut hot_kept = self.recall_hot().await;
        let mut kept_at = Instant::now();
        let mut since = kept.since;
        loop {
            since = steps.last(&self.clock).max(since);
            if self.guard.is_emptied() {
                // Nobody looks meanwhile: what is found then must stand anew.
                since = self.clock.now();
            }
            let pause = match self.step(since).await {
                Ok(pause) => pause,
                Err(e) => {
                    self.status.store_failed(&e);
                    Duration::from_secs(1)
                }
            };
            if kept_at.elapsed() >= KEEP {
                self.keep(&mut kept).await;
                self.keep_hot(&mut hot_kept).await;
                kept_at = Instant::now();
            }
            self.voice.speak(false);
            let pause = pause.min(KEEP);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at what is due; returns how long nothing else will be.
    pub(super) async fn step(&self, since: UnixMs) -> Result<Duration, StoreError> {
        if self.guard.is_emptied() && self.storms().await? {
            return Ok(ASK);
        }
        let (task, destination) = (&self.places.config, &self.places.config.destinations[self.destination]);
        let request = ClaimRequest {
            task: task.name.clone(),
            destination: destination.name.clone(),
            work: Work::Look,
            limit: MOST,
            turn: 0,
            now: self.clock.now(),
            lease: LEASE,
        };
        let mut steps = ClockSteps::new(&self.clock);
        let claimed = self.store.claim(request).await?;
        self.status.store_works();
        if claimed.is_empty() {
            let due = self.store.next_due(&task.name, &destination.name, Work::Look).await?;
            return Ok(due.map_or(IDLE, |due| {
                Duration::from_millis(due.saturating_sub(self.clock.now()).clamp(1, 60_000).unsigned_abs())
            }));
        }
        let claims: Vec<_> = claimed.iter().map(|d| (d.id, d.claim)).collect();
        let found = hot::found(&claimed);
        match self.look(&claimed, since).await {
            // Set while they were looked at, the clock tells nothing about how long they have stood.
            Ok(_) if steps.last(&self.clock) != UnixMs::MIN => {
                self.store.release(claims, UnixMs::MIN, None).await?;
                Ok(Duration::ZERO)
            }
            Ok(Watched { settled, lessons, left }) => {
                let confirmed = settled.iter().filter(|s| s.to.state == State::Main).count();
                let now = self.clock.now();
                let stormy = if self.guard.asks(confirmed, now) { self.storms().await } else { Ok(false) };
                if !matches!(stormy, Ok(false)) {
                    // Nothing is let through unasked: where asking failed, the look is made again as well.
                    self.store.release(claims, UnixMs::MIN, None).await?;
                    return stormy.map(|_| if self.guard.is_emptied() { ASK } else { UNASKED });
                }
                self.guard.count(confirmed, now);
                if let Err(e) = self.store.settle(settled.clone()).await {
                    self.store.release(claims, self.clock.now().saturating_add(1000), None).await?;
                    return Err(e);
                }
                self.waits.lock().unwrap_or_else(PoisonError::into_inner).learn(&lessons);
                self.voice.settled(&settled, &Before::of(&claimed));
                self.see_hot(&found, &settled);
                self.alert(&settled);
                self.calls.notify_one();
                if !left.is_empty() {
                    self.store.release(left, UnixMs::MIN, None).await?;
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

    async fn look(&self, claimed: &[Delivery], since: UnixMs) -> Result<Watched, (String, Duration)> {
        let config = &self.places.config;
        let destination = &config.destinations[self.destination].name;
        if self.places.is_event(self.destination) {
            return Ok(feeder::unlooked(claimed, self.clock.now()));
        }
        let looked = async {
            let pair = self.places.pair(self.destination).await?;
            let watched =
                watch(&pair, claimed, &self.policy, &self.waits, since, || self.clock.now()).await?;
            if watched.settled.iter().any(|s| s.to.state == State::Main) {
                self.places.recheck(self.destination, FRESH).await?;
            }
            if watched.settled.iter().any(|s| matches!(s.to.state, State::Main | State::Healed)) {
                // Of a source whose ids have begun anew, no row is gone and none is another.
                self.places.stands().await?;
            }
            Ok(watched)
        };
        match looked.await {
            Ok(looked) => {
                self.status.place_works(&config.name, "suspects", destination);
                Ok(looked)
            }
            Err(e) => Err(self.places.failed(&self.status, "suspects", self.destination, &e)),
        }
    }

    /// Asks for rows that agreed before. Returns whether nothing may be let through now: until a person or the copy says
    /// more, or until it can be asked.
    async fn storms(&self) -> Result<bool, StoreError> {
        let asked = async {
            let asked = self.places.pair(self.destination).await?.ask(&self.guard.agreed()).await?;
            self.places.stands().await?;
            Ok::<_, PlaceError>(asked)
        };
        let asked = match asked.await {
            Ok((asked, gone)) => {
                self.guard.lose(&gone);
                asked
            }
            Err(e) => {
                let config = &self.places.config;
                let destination = &config.destinations[self.destination].name;
                self.status.place_failed(&config.name, "suspects", destination, &e);
                return Ok(true);
            }
        };
        let was_paused = self.guard.is_emptied();
        let why = self.guard.asked(asked).await?;
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        if let (Some(_), false) = (&why, was_paused) {
            self.tell_people(What::Emptied { looked: asked.looked, missing: asked.missing }, 1);
        }
        if why.is_some() || was_paused {
            self.status.paused(task, destination, why.as_deref());
        }
        Ok(why.is_some())
    }

    /// What people should know of what was just looked at.
    fn alert(&self, settled: &[Settlement]) {
        for (what, count) in people::of_looks(settled) {
            self.tell_people(what, count);
        }
    }

    pub(super) fn tell_people(&self, what: What, count: u64) {
        let (task, destination) = (self.guard.task.clone(), self.guard.destination.clone());
        self.alerts.raise(&Alert { task, destination, count, what });
    }

    /// Goes on with what an earlier run has learned.
    pub(super) async fn recall(&self) -> Kept {
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        let recalled = async || {
            let (paused, parked) = self.guard.recall().await?;
            self.status.paused(task, destination, paused.as_deref());
            self.status.parked(task, destination, parked.as_deref());
            let clock = self.store.recall(task, destination, CLOCK).await?;
            Ok((self.store.recall(task, destination, WAIT).await?, clock))
        };
        let (learned, clock) = loop {
            match recalled().await {
                Ok(recalled) => break recalled,
                Err(e) => self.status.store_failed(&e),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let learned = learned.and_then(|wait| wait.parse().ok()).map(Duration::from_millis);
        let now = self.clock.now();
        let clock = clock.and_then(|text| serde_json::from_str::<Origin>(&text).ok());
        let stood = clock.as_ref().is_some_and(|clock| clock.agrees(&self.clock.origin()));
        // Times of a clock that was set since they were written cannot be compared with now.
        let since = if stood { UnixMs::MIN } else { now };
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        *waits = Learner::new(self.policy.confirm, learned, now);
        Kept { wait: waits.usual(now), clock, since }
    }

    /// Whether that is news.
    fn says_stopped(&self, stopped: bool) -> bool {
        let mut said = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        said.replace(stopped) != Some(stopped)
    }

    /// Keeps what was learned if it has changed by a quarter, and where the clock stands.
    pub(super) async fn keep(&self, kept: &mut Kept) {
        let now = self.clock.now();
        let (wait, stopped, follows) = {
            let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            (waits.usual(now), waits.stopped(), waits.follows())
        };
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        self.status.waits(task, destination, wait);
        if let Some((since, count)) = stopped {
            if self.says_stopped(true) {
                let since_s = now.saturating_sub(since) / 1000;
                warn!(%task, %destination, in_vain = count, since_s,
                    "the copy has stopped following, what it lacks is called back as it is found");
                self.tell_people(What::StoppedFollowing { since }, u64::from(count));
            }
        } else if follows && self.says_stopped(false) {
            // Also after a restart: people may know it from an earlier process.
            self.alerts.clear(Cause::at(Event::StoppedFollowing, task, destination));
        }
        // A place that fails says so when it is used.
        let _ = self.places.recheck(self.destination, IDLE_CHECK).await;
        let kept_now = async {
            if wait.abs_diff(kept.wait) * 4 > kept.wait {
                let text = wait.as_millis().to_string();
                self.store.remember(task, destination, WAIT, Some(text)).await?;
                kept.wait = wait;
            }
            let clock = self.clock.origin();
            if !kept.clock.as_ref().is_some_and(|kept| kept.agrees(&clock) && kept.apart(&clock) < ASTRAY) {
                let text = serde_json::to_string(&clock).expect("a word and a number always serialise");
                self.store.remember(task, destination, CLOCK, Some(text)).await?;
                kept.clock = Some(clock);
            }
            self.guard.keep().await
        };
        if let Err(e) = kept_now.await {
            self.status.store_failed(&e);
        }
    }
}
