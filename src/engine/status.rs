//! What the engine is doing, as typed values: what `cupid status`, the control socket and health are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::{error, info, warn};

use super::calls::{Calls, LastFailure, RecentCalls};
use super::runs::reason;
use crate::base::chain::chain;
use crate::base::clock::{Clock, UnixMs};
use crate::model::{DestinationName, ErrorClass, ErrorGroup, Feed, RunId, TaskName};
use crate::notify::NO_DESTINATION;
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::StoreError;

/// Longest pause between two tries at a place that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What is in trouble when a receiver fails as a whole.
pub(super) const SENDING: &str = "sending";
/// Class of what waits because too much waits for its receiver.
pub(super) const BACKLOG: &str = "backlog";
/// How often the same trouble is said again.
const REMIND: Duration = Duration::from_secs(300);

/// Everything at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Process id of the daemon.
    pub pid: u32,
    /// When it started, Unix ms.
    pub started: UnixMs,
    /// Calls accepted by receivers since the start.
    pub accepted: u64,
    /// Calls that failed since the start.
    pub failed: u64,
    /// Deliveries whose copy was seen to agree since the start.
    pub healed: u64,
    /// Why the state cannot be written; `None`: it can.
    pub state_trouble: Option<String>,
    /// By task.
    pub tasks: BTreeMap<String, TaskStatus>,
}

/// One task.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskStatus {
    /// How long a difference must stand at a destination before it is believed, in milliseconds.
    pub waits_ms: BTreeMap<String, u64>,
    /// Places that cannot be used now: what happens there, since when and why.
    pub trouble: BTreeMap<String, Trouble>,
    /// By destination, then by feed: when it was last read.
    pub reads: BTreeMap<String, BTreeMap<String, LastRead>>,
    /// What became of the calls of late, by destination.
    pub calls: BTreeMap<String, RecentCalls>,
}

/// The last read of a feed that worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LastRead {
    /// When it ended, Unix ms.
    pub at: UnixMs,
    /// Whether it reached the end of what there was.
    pub caught_up: bool,
}

/// Why something waits.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// Since when, Unix ms.
    pub since: UnixMs,
    /// The class of the error.
    pub class: &'static str,
    /// The group that it is counted in.
    pub group: &'static str,
    /// One line for people.
    pub reason: String,
    /// Whether it waits for a person rather than for time.
    pub blocked: bool,
}

#[derive(Debug, Default)]
struct Inner {
    status: Status,
    /// By task and destination.
    calls: BTreeMap<(TaskName, DestinationName), Calls>,
    failures: BTreeMap<(String, String), u32>,
    /// By task and reason.
    said: BTreeMap<(String, String), Instant>,
    /// By task and work: the reasons of a block that the log knows of.
    blocked: BTreeMap<(String, String), BTreeSet<String>>,
    state_said: Option<Instant>,
    /// When the manager last went round.
    round: Option<Instant>,
}

/// Shared by all tasks of the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct StatusBoard {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

impl StatusBoard {
    /// An empty board.
    pub fn new(clock: Clock) -> Self {
        let status = Status { pid: std::process::id(), started: clock.now(), ..Status::default() };
        Self { inner: Arc::new(Mutex::new(Inner { status, ..Inner::default() })), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while counting leaves counts, not broken promises.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything now.
    pub fn snapshot(&self) -> Status {
        let inner = self.lock();
        let mut status = inner.status.clone();
        for ((task, destination), calls) in &inner.calls {
            let task = status.tasks.entry(task.to_string()).or_default();
            task.calls.insert(destination.to_string(), calls.recent(self.clock.elapsed()));
        }
        status
    }

    /// A place failed while doing `what` for a destination. Says so unless it has just been said, and returns how
    /// long to wait before the next try.
    pub(super) fn place_failed(
        &self,
        task: &TaskName,
        what: &str,
        destination: &DestinationName,
        error: &PlaceError,
    ) -> Duration {
        self.failed(task, what, destination, error, None)
    }

    /// The same in a run, if it was in one.
    pub(super) fn failed(
        &self,
        task: &TaskName,
        what: &str,
        destination: &DestinationName,
        error: &PlaceError,
        run: Option<RunId>,
    ) -> Duration {
        let reason = reason(task, error);
        let (class, group, run) =
            (error.class.as_str(), error.class.group().as_str(), run.map(tracing::field::display));
        let now = self.clock.now();
        let mut inner = self.lock();
        let key = (task.to_string(), format!("{what} → {destination}"));
        let failures = inner.failures.entry(key.clone()).or_default();
        *failures += 1;
        let pause = Duration::from_millis(500).saturating_mul(1 << (*failures).min(6)).min(LONGEST_PAUSE);
        let troubles = &mut inner.status.tasks.entry(key.0.clone()).or_default().trouble;
        let since = troubles.get(&key.1).map_or(now, |t| t.since);
        let blocked = !error.kind.is_passing();
        let trouble = Trouble { since, class, group, reason: reason.clone(), blocked };
        troubles.insert(key.1.clone(), trouble);
        if inner.said.len() > 1000 {
            inner.said.clear();
        }
        // Each that is blocked is found in the log, the reason once.
        let told = blocked && !inner.blocked.entry(key.clone()).or_default().insert(reason.clone());
        let said = inner.said.entry((key.0, reason.clone())).or_insert_with(|| {
            // The first time is always said.
            Instant::now().checked_sub(REMIND).unwrap_or_else(Instant::now)
        });
        if said.elapsed() >= REMIND || error.kind == PlaceErrorKind::Transient {
            *said = Instant::now();
            let next_s = pause.as_secs_f64();
            if blocked {
                error!(%task, %destination, work = what, class, group, error = reason, run,
                    "blocked, it resumes by itself when the cause is gone");
            } else {
                warn!(%task, %destination, work = what, class, group, error = reason, next_s, run,
                    "a database cannot be used now, trying again");
            }
        } else if blocked && !told {
            error!(%task, %destination, work = what, class, group, run,
                "blocked too, for the reason that was said of this task before");
        }
        pause
    }

    /// The place works for `what` at a destination.
    pub(super) fn place_works(&self, task: &TaskName, what: &str, destination: &DestinationName) {
        self.works(task, what, destination, None);
    }

    pub(super) fn works(
        &self,
        task: &TaskName,
        what: &str,
        destination: &DestinationName,
        run: Option<RunId>,
    ) {
        let mut inner = self.lock();
        let key = (task.to_string(), format!("{what} → {destination}"));
        if inner.failures.remove(&key).is_none() {
            return;
        }
        let was_blocked = inner.blocked.remove(&key).is_some();
        let troubles = &mut inner.status.tasks.entry(key.0.clone()).or_default().trouble;
        let trouble = troubles.remove(&key.1);
        let others = troubles.values().any(|t| trouble.as_ref().is_some_and(|gone| gone.reason == t.reason));
        if let Some(trouble) = trouble {
            let waited_s = self.clock.now().saturating_sub(trouble.since) / 1000;
            let said = !others && inner.said.remove(&(key.0, trouble.reason)).is_some();
            if said || (trouble.blocked && was_blocked) {
                let run = run.map(tracing::field::display);
                info!(%task, %destination, work = what, waited_s, run, "works again");
            }
        }
    }

    /// The manager went round.
    pub(super) fn round(&self) {
        self.lock().round = Some(Instant::now());
    }

    /// How long ago that was; `None`: never.
    pub(super) fn since_round(&self) -> Option<Duration> {
        self.lock().round.map(|at| at.elapsed())
    }

    /// The state cannot be written: work stops until it can.
    pub(super) fn store_failed(&self, e: &StoreError) {
        let reason = chain(e).to_string();
        let mut inner = self.lock();
        if inner.state_said.is_none_or(|at| at.elapsed() >= REMIND) {
            inner.state_said = Some(Instant::now());
            let (class, group) = (e.kind.as_str(), ErrorGroup::System.as_str());
            error!(class, group, error = reason, "the state cannot be written, nothing moves until it can");
        }
        inner.status.state_trouble = Some(reason);
    }

    /// The state was written.
    pub(super) fn store_works(&self) {
        let mut inner = self.lock();
        if inner.status.state_trouble.take().is_some() {
            inner.state_said = None;
            info!("the state can be written again");
        }
    }

    /// A feed was read for a destination, and what was found is durable.
    pub(super) fn read(&self, task: &TaskName, destination: &DestinationName, feed: Feed, caught_up: bool) {
        let read = LastRead { at: self.clock.now(), caught_up };
        let mut inner = self.lock();
        let reads = &mut inner.status.tasks.entry(task.to_string()).or_default().reads;
        reads.entry(destination.to_string()).or_default().insert(feed.to_string(), read);
    }

    /// The current confirm time of a destination.
    pub(super) fn waits(&self, task: &TaskName, destination: &DestinationName, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let mut inner = self.lock();
        let task = inner.status.tasks.entry(task.to_string()).or_default();
        task.waits_ms.insert(destination.to_string(), wait);
    }

    /// Nothing is sent to a receiver because of the state of the copy; `None`: again it is.
    pub(super) fn paused(&self, task: &TaskName, destination: &DestinationName, why: Option<&str>) {
        self.held(task, destination, ("callbacks", "paused"), why);
    }

    /// Nothing is sent to a receiver that said that it is gone; `None`: again it is.
    pub(super) fn parked(&self, task: &TaskName, destination: &DestinationName, why: Option<&str>) {
        self.held(task, destination, ("receiver", "gone"), why);
    }

    /// Calls to a receiver that fails as a whole are stopped: the class of the last failure and the reason; `None`: no
    /// longer.
    pub(super) fn receiver(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        shut: Option<(ErrorClass, &str)>,
    ) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let troubles = &mut inner.status.tasks.entry(task.to_string()).or_default().trouble;
        let key = format!("{SENDING} → {destination}");
        match shut {
            None => drop(troubles.remove(&key)),
            Some((class, why)) => {
                let since = troubles.get(&key).map_or(now, |t| t.since);
                let (class, group) = (class.as_str(), class.group().as_str());
                let trouble = Trouble { since, class, group, reason: why.to_owned(), blocked: false };
                troubles.insert(key, trouble);
            }
        }
    }

    /// Deliveries are kept for a destination that nobody knows, and why; `None`: none any more.
    pub(super) fn waits_for_nobody(&self, task: &TaskName, destination: &DestinationName, why: Option<&str>) {
        let (class, group) = (NO_DESTINATION, ErrorGroup::Business.as_str());
        let now = self.clock.now();
        let mut inner = self.lock();
        let troubles = &mut inner.status.tasks.entry(task.to_string()).or_default().trouble;
        let key = format!("deliveries → {destination}");
        let Some(why) = why else {
            troubles.remove(&key);
            return;
        };
        let since = troubles.get(&key).map_or(now, |t| t.since);
        let trouble = Trouble { since, class, group, reason: why.to_owned(), blocked: true };
        troubles.insert(key, trouble);
    }

    fn held(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        (what, class): (&str, &'static str),
        why: Option<&str>,
    ) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let troubles = &mut inner.status.tasks.entry(task.to_string()).or_default().trouble;
        let key = format!("{what} → {destination}");
        let Some(why) = why else {
            if troubles.remove(&key).is_some() {
                info!(%task, %destination, "callbacks go on");
            }
            return;
        };
        if !troubles.contains_key(&key) {
            error!(%task, %destination, why, "paused, nothing is sent");
        }
        let since = troubles.get(&key).map_or(now, |t| t.since);
        let group = ErrorGroup::Business.as_str();
        let trouble = Trouble { since, class, group, reason: why.to_owned(), blocked: true };
        troubles.insert(key, trouble);
    }

    /// Nothing is read for an event destination because too much waits for its receiver; `None`: again it is.
    pub(super) fn backlog(&self, task: &TaskName, destination: &DestinationName, why: Option<&str>) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let troubles = &mut inner.status.tasks.entry(task.to_string()).or_default().trouble;
        let key = format!("scan → {destination}");
        let Some(why) = why else {
            if let Some(trouble) = troubles.remove(&key) {
                let waited_s = now.saturating_sub(trouble.since) / 1000;
                info!(%task, %destination, waited_s, "the receiver has taken some, scanning goes on");
            }
            return;
        };
        if !troubles.contains_key(&key) {
            warn!(%task, %destination, why, "scanning waits for the receiver");
        }
        let since = troubles.get(&key).map_or(now, |t| t.since);
        let group = ErrorGroup::System.as_str();
        let trouble = Trouble { since, class: BACKLOG, group, reason: why.to_owned(), blocked: false };
        troubles.insert(key, trouble);
    }

    /// A call has ended; `failure` says why it was in vain: its class and what was answered.
    pub(super) fn called(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        failure: Option<(ErrorClass, Option<u16>)>,
    ) {
        let at = self.clock.now();
        let failure = failure.map(|(class, status)| LastFailure { at, class: class.as_str(), status });
        let mut inner = self.lock();
        if failure.is_none() {
            inner.status.accepted += 1;
        } else {
            inner.status.failed += 1;
        }
        let calls = inner.calls.entry((task.clone(), destination.clone())).or_default();
        calls.ended(self.clock.elapsed(), failure);
    }

    pub(super) fn healed(&self) {
        self.lock().status.healed += 1;
    }
}
