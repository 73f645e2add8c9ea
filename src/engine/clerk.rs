//! Works off what people ask to be done with deliveries: any number of them, in pieces, beside everything else.
//!
//! One request is one [`Job`]. Asking for the same again while it runs is the same job, so a second click costs nothing.
//! A job walks over what is meant once, in the order of finding, and comes back to what was just being worked on. It
//! lives as long as the process: what it has done is done, and what it has not is asked for again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::info;

use super::{StatusBoard, Stop};
use crate::base::clock::{Clock, UnixMs};
use crate::store::{
    Act, Acted, Doing, History, Order, Place, Record, Refusal, Select, StoreError, StoreErrorKind, TakenIn,
    Verb,
};

/// Deliveries in one transaction.
const PIECE: usize = 500;
/// How long is waited for what somebody works on: longer than a call takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at that.
const PAUSE: Duration = Duration::from_millis(100);
/// Most deliveries that are come back to.
const BUSY: usize = 10_000;
/// Jobs that wait, and as many that are remembered.
const JOBS: usize = 100;

/// One request and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number since the start of the daemon.
    pub number: u64,
    /// What is done.
    pub verb: Verb,
    /// With which deliveries.
    pub select: Select,
    /// Who asked.
    pub author: String,
    /// Why.
    pub note: Option<String>,
    /// When it began, Unix ms.
    pub began: UnixMs,
    /// When it ended, Unix ms.
    pub ended: Option<UnixMs>,
    /// Deliveries with which it was done.
    pub done: u64,
    /// Deliveries that were already so.
    pub already: u64,
    /// Deliveries that somebody worked on all the while.
    pub busy: u64,
    /// Deliveries with which it cannot be done.
    pub refused: BTreeMap<Refusal, u64>,
}

impl Job {
    /// One that has not begun.
    pub fn new(verb: Verb, select: Select) -> Self {
        Self {
            number: 0,
            verb,
            select,
            author: String::new(),
            note: None,
            began: 0,
            ended: None,
            done: 0,
            already: 0,
            busy: 0,
            refused: BTreeMap::new(),
        }
    }

    /// Counts what became of one delivery.
    pub fn count(&mut self, acted: Acted) {
        match acted {
            Acted::Done => self.done += 1,
            Acted::Already => self.already += 1,
            Acted::Busy => self.busy += 1,
            Acted::Refused(why) => *self.refused.entry(why).or_default() += 1,
        }
    }
}

/// A job in hand.
struct Task {
    job: Job,
    after: Option<Place>,
    /// Everything was gone over once, then ([`Clock::elapsed`]).
    walked: Option<Duration>,
    /// To come back to.
    busy: Vec<i64>,
}

#[derive(Default)]
struct Tray {
    next: u64,
    tasks: VecDeque<Task>,
    ended: VecDeque<Job>,
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Clerk {
    history: Arc<dyn History>,
    clock: Clock,
    /// Who may have something to do afterwards.
    bells: Arc<Vec<Arc<Notify>>>,
    tray: Arc<Mutex<Tray>>,
    wake: Arc<Notify>,
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").finish_non_exhaustive()
    }
}

impl Clerk {
    /// A clerk that rings these bells when there may be something to call or to look at.
    pub fn new(history: Arc<dyn History>, clock: Clock, bells: Vec<Arc<Notify>>) -> Self {
        Self { history, clock, bells: Arc::new(bells), tray: Arc::default(), wake: Arc::default() }
    }

    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request; if the same one is in hand, it is that. `verb` is not [`Verb::Edit`].
    ///
    /// # Errors
    /// If very many requests wait.
    pub fn begin(
        &self,
        verb: Verb,
        select: Select,
        author: String,
        note: Option<String>,
    ) -> Result<Job, StoreError> {
        let mut tray = self.tray();
        let same = |task: &&Task| task.job.verb == verb && task.job.select == select;
        if let Some(task) = tray.tasks.iter().find(same) {
            return Ok(task.job.clone());
        }
        if tray.tasks.len() >= JOBS {
            let message = format!("{JOBS} requests wait already; ask again when some are done");
            return Err(StoreError::new(StoreErrorKind::Other, message));
        }
        tray.next += 1;
        let job = Job { number: tray.next, author, note, began: self.clock.now(), ..Job::new(verb, select) };
        tray.tasks.push_back(Task { job: job.clone(), after: None, walked: None, busy: Vec::new() });
        drop(tray);
        self.wake.notify_one();
        Ok(job)
    }

    /// How far a job is; `None`: it is not known any more.
    pub fn job(&self, number: u64) -> Option<Job> {
        let tray = self.tray();
        let in_hand = tray.tasks.iter().map(|task| &task.job);
        in_hand.chain(&tray.ended).find(|job| job.number == number).cloned()
    }

    /// Lets a body written by a person be sent next.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn edit(
        &self,
        number: i64,
        body: Box<[u8]>,
        author: String,
        note: Option<String>,
    ) -> Result<Acted, StoreError> {
        let now = self.clock.now();
        let act = Act { doing: Doing::Edit(body), author, note, numbers: vec![number], named: true, now };
        let acted = self.history.act(act).await?;
        self.ring();
        Ok(acted.first().map_or(Acted::Refused(Refusal::Unknown), |(_, acted)| *acted))
    }

    /// Takes in deliveries of another state.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn take_in(&self, records: Vec<Record>) -> Result<TakenIn, StoreError> {
        let taken = self.history.take_in(records).await?;
        self.ring();
        Ok(taken)
    }

    fn ring(&self) {
        self.bells.iter().for_each(|bell| bell.notify_one());
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop, status: StatusBoard) {
        loop {
            let pause = match self.step().await {
                Ok(pause) => pause,
                Err(e) => {
                    status.store_failed(&e);
                    Some(Duration::from_secs(1))
                }
            };
            let rest = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.wake.notified().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.intake.cancelled() => return,
                () = rest => {}
            }
        }
    }

    /// One piece of the job that has waited longest; returns when to go on, `None`: there is nothing to do.
    ///
    /// # Errors
    /// If the state cannot be read or written; the piece is tried again.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (job, after, walked, busy) = match self.tray().tasks.front() {
            None => return Ok(None),
            Some(task) => (task.job.clone(), task.after, task.walked, task.busy.clone()),
        };
        let (numbers, next): (Vec<i64>, _) = if walked.is_none() {
            let found = self.history.find(&job.select, Order::Oldest, after, PIECE).await?;
            (found.places.iter().map(|place| place.number).collect(), found.next)
        } else {
            (busy.into_iter().take(PIECE).collect(), None)
        };
        let mut acted = Vec::new();
        if !numbers.is_empty() {
            let doing = if job.verb == Verb::Close { Doing::Close } else { Doing::Replay };
            let (author, note, named) = (job.author, job.note, job.select.named);
            let act = Act { doing, author, note, numbers, named, now: self.clock.now() };
            acted = self.history.act(act).await?;
        }
        if job.verb != Verb::Close && acted.iter().any(|(_, acted)| *acted == Acted::Done) {
            self.ring();
        }
        Ok(Some(self.note(acted, walked.is_none(), next)))
    }

    /// Writes down what came of a piece; returns when to go on.
    fn note(&self, acted: Vec<(i64, Acted)>, walking: bool, next: Option<Place>) -> Duration {
        let elapsed = self.clock.elapsed();
        let mut tray = self.tray();
        let Some(task) = tray.tasks.front_mut() else { return Duration::ZERO };
        if !walking {
            task.busy.drain(..acted.len().min(task.busy.len()));
        }
        for (number, acted) in acted {
            if acted == Acted::Busy && task.busy.len() < BUSY {
                task.busy.push(number);
            } else {
                task.job.count(acted);
            }
        }
        if walking {
            task.after = next;
            task.walked = next.is_none().then_some(elapsed);
        }
        let patient = task.walked.is_none_or(|at| elapsed.saturating_sub(at) < PATIENCE);
        if task.walked.is_none() {
            return Duration::ZERO;
        }
        if patient && !task.busy.is_empty() {
            return PAUSE;
        }
        task.job.busy += task.busy.len() as u64;
        task.job.ended = Some(self.clock.now());
        if let Some(Task { job, .. }) = tray.tasks.pop_front() {
            info!(
                verb = job.verb.as_str(),
                author = job.author,
                done = job.done,
                already = job.already,
                busy = job.busy,
                refused = job.refused.values().sum::<u64>(),
                "a person acted on deliveries"
            );
            tray.ended.push_back(job);
        }
        if tray.ended.len() > JOBS {
            tray.ended.pop_front();
        }
        Duration::ZERO
    }
}

#[cfg(test)]
#[path = "clerk/tests.rs"]
mod tests;
