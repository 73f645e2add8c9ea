//! Housekeeping: claims whose lease ran out come back; what ended long ago is deleted in small batches; what is due
//! only because somebody set the clock back is due in time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, info};

use super::{StatusBoard, Stop};
use crate::base::clock::{Clock, ClockSteps, UnixMs, ms};
use crate::config::{DestinationConfig, TaskConfig};
use crate::model::{DestinationName, Feed, TaskName};
use crate::store::{Covered, Cursor, Lane, Prune, Pruned, Store, StoreError, Work};

const EVERY: Duration = Duration::from_secs(30);
const BATCH: usize = 500;
/// Between two batches, for those who have something to write.
const BREATH: Duration = Duration::from_millis(20);
/// How long suspects are kept that healed without a call.
const PASSING: Duration = Duration::from_secs(3600);
/// How far a feed reads back after a wall clock was set back, and a little more.
const SET_BACK: Duration = Duration::from_secs(3 * 3600);
/// Longest pause before a callback that was acknowledged but did not heal is made again.
const UNHEALED: Duration = Duration::from_secs(600);

/// See the module's documentation.
#[derive(Clone)]
pub struct Janitor {
    store: Arc<dyn Store>,
    clock: Clock,
    keep: Duration,
    keeps: Vec<Keep>,
    /// So many are kept at most, whatever their age.
    most: Option<u64>,
    /// By destination: what ended before this is gone.
    gone: Arc<Mutex<HashMap<(TaskName, DestinationName), UnixMs>>>,
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

/// How long one destination keeps what has ended.
#[derive(Clone, Debug)]
pub struct Keep {
    task: TaskName,
    destination: DestinationName,
    keep: Duration,
    /// Of an event destination: its feeds, and how far they may read back behind what has settled.
    events: Option<(Vec<Feed>, Duration)>,
}

impl Keep {
    /// Of all destinations.
    pub fn of(tasks: &[TaskConfig]) -> Vec<Self> {
        let of_task = |task: &TaskConfig| {
            let update = task.source.update.as_ref();
            let feeds = [task.source.insert.map(|_| Feed::Insert), update.map(|_| Feed::Update)];
            let feeds: Vec<Feed> = feeds.into_iter().flatten().collect();
            let reach = update.map_or(Duration::ZERO, |update| update.window).saturating_add(SET_BACK);
            let one = |d: &DestinationConfig| Self {
                task: task.name.clone(),
                destination: d.name.clone(),
                keep: d.keep,
                events: d.is_event().then(|| (feeds.clone(), reach)),
            };
            task.destinations.iter().map(one).collect::<Vec<_>>()
        };
        tasks.iter().flat_map(of_task).collect()
    }

    /// What ended before this may go: of an event destination only what its feeds will not read again, so that nothing
    /// is told twice.
    fn before(&self, coverage: &[Covered], beyond: UnixMs, now: UnixMs) -> UnixMs {
        let before = now.saturating_sub(ms(self.keep)).max(beyond);
        let Some((feeds, reach)) = &self.events else { return before };
        let settled = |feed: &Feed| {
            let mut of = coverage.iter().filter(|c| c.task == self.task && c.destination == self.destination);
            of.find(|c| c.feed == *feed).and_then(|c| c.facts.settled_at).unwrap_or(UnixMs::MIN)
        };
        feeds.iter().map(|feed| settled(feed).saturating_sub(ms(*reach))).fold(before, UnixMs::min)
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
        Self { store, clock, keep, keeps: Vec::new(), most: None, gone: Arc::default(), longest, status }
    }

    /// The same, with what destinations say for themselves.
    #[must_use]
    pub fn keeping(self, keeps: Vec<Keep>, most: Option<u64>) -> Self {
        Self { keeps, most, ..self }
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
            let latest = now.saturating_add(ms(longest));
            loop {
                let some = self.store.bring_forward(work, latest).await?;
                moved += some;
                if some == 0 {
                    break;
                }
                tokio::time::sleep(BREATH).await;
            }
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
        let mut pruned = 0;
        // What keeps longest goes with everything, the others before.
        let longest = self.keeps.iter().map(|keep| keep.keep).fold(self.keep, Duration::max);
        for lane in self.lanes(longest, now).await? {
            let of = (lane.task.clone(), lane.destination.clone());
            pruned += self.prune(|| self.store.prune_lane(lane.clone(), BATCH)).await?;
            self.gone().insert(of, lane.before);
        }
        let before = now.saturating_sub(ms(longest));
        let passing = before.max(now.saturating_sub(ms(PASSING)));
        let prune = Prune { ended: before, beyond: self.beyond(None).await?, passing, limit: BATCH };
        pruned += self.prune(|| self.store.prune(prune)).await?;
        debug!(pruned, "looked after the state");
        Ok(())
    }

    /// What ended before this is more than is kept.
    async fn beyond(&self, of: Option<&Lane>) -> Result<UnixMs, StoreError> {
        let Some(most) = self.most else { return Ok(UnixMs::MIN) };
        Ok(self.store.kept_from(of, most).await?.unwrap_or(UnixMs::MIN))
    }

    async fn prune<F>(&self, some: impl Fn() -> F) -> Result<u64, StoreError>
    where
        F: Future<Output = Result<Pruned, StoreError>>,
    {
        let mut pruned = 0;
        loop {
            let some = some().await?;
            pruned += some.deliveries;
            if !some.more {
                return Ok(pruned);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    fn gone(&self) -> MutexGuard<'_, HashMap<(TaskName, DestinationName), UnixMs>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Event destinations, and those that keep less than the longest.
    async fn lanes(&self, longest: Duration, now: UnixMs) -> Result<Vec<Lane>, StoreError> {
        let shorter = |keep: &&Keep| keep.events.is_some() || keep.keep < longest;
        let coverage = if self.keeps.iter().any(|keep| keep.events.is_some()) {
            self.store.coverage().await?
        } else {
            Vec::new()
        };
        let mut lanes = Vec::new();
        for keep in self.keeps.iter().filter(shorter) {
            let (task, destination) = (keep.task.clone(), keep.destination.clone());
            let from = self.gone().get(&(task.clone(), destination.clone())).copied();
            let events = keep.events.is_some();
            let mut lane = Lane { task, destination, events, from: from.unwrap_or(UnixMs::MIN), before: now };
            let beyond = if events { self.beyond(Some(&lane)).await? } else { UnixMs::MIN };
            lane.before = keep.before(&coverage, beyond, now);
            lanes.push(lane);
        }
        // What the configuration no longer names is told nothing any more.
        let named = |c: &Cursor| {
            self.keeps.iter().any(|keep| keep.task == c.task && keep.destination == c.destination)
        };
        for cursor in self.store.cursors().await?.into_iter().filter(|cursor| !named(cursor)) {
            let (task, destination) = (cursor.task, cursor.destination);
            let before = now.saturating_sub(ms(self.keep));
            lanes.push(Lane { task, destination, events: true, from: UnixMs::MIN, before });
        }
        Ok(lanes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counts;
    use crate::store::Facts;

    #[test]
    fn what_a_feed_may_read_again_is_kept() {
        const HOUR: i64 = 3_600_000;
        let (task, destination) = (TaskName::new("t"), DestinationName::new("d"));
        let covered = |feed, settled_at| Covered {
            task: task.clone(),
            destination: destination.clone(),
            feed,
            looks: Counts::default(),
            looked_at: 0,
            facts: Facts { settled_at, ..Facts::default() },
        };
        let keep = |events| Keep {
            task: task.clone(),
            destination: destination.clone(),
            keep: Duration::from_secs(3600),
            events,
        };
        let now = 100 * HOUR;
        assert_eq!(keep(None).before(&[], 0, now), 99 * HOUR);
        let feeds = vec![Feed::Insert, Feed::Update];
        let events = keep(Some((feeds, Duration::from_secs(2 * 3600))));
        assert_eq!(
            events.before(&[covered(Feed::Insert, Some(now))], 0, now),
            UnixMs::MIN,
            "of one nothing is known"
        );
        let held = [covered(Feed::Insert, Some(now)), covered(Feed::Update, Some(50 * HOUR))];
        assert_eq!(events.before(&held, 0, now), 48 * HOUR, "a transaction holds it");
        let settled = [covered(Feed::Insert, Some(now)), covered(Feed::Update, Some(now))];
        assert_eq!(events.before(&settled, 0, now), 98 * HOUR);
        let beyond = 99 * HOUR + 1;
        assert_eq!(keep(None).before(&[], beyond, now), beyond, "there are too many");
        assert_eq!(events.before(&settled, beyond, now), 98 * HOUR, "however many there are");
    }
}
