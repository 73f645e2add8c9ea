//! What is wrong now, as far as that can be seen: from what the engine does and from what the machine has left. Pure; who
//! is told of it, and when, is the notifier's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Status;
use super::status::{BACKLOG, SENDING};
use crate::base::clock::{UnixMs, ms};
use crate::base::resources::{Left, Resources};
use crate::config::TaskConfig;
use crate::model::{DestinationName, ErrorClass, Event, Feed, TaskName};
use crate::notify::{Cause, What};

/// A database that is away for less is nobody's business: it is waited for.
const UNREACHABLE: i64 = 20_000;
/// What needs a person may still pass by itself, as when a table is replaced.
const BLOCKED: i64 = 5_000;
/// A feed that has been behind for so long is late, and so is a task that was not looked at.
const LATE: i64 = 300_000;
/// A task is overdue after so many of its intervals, if that is longer.
const INTERVALS: u32 = 3;
/// The manager goes round every few seconds.
const ROUND: Duration = Duration::from_secs(60);
/// Disk that is always enough, in MiB.
const DISK: u64 = 256;

/// A feed at a destination that is to be looked at again and again.
#[derive(Debug)]
struct Watched {
    task: TaskName,
    destination: DestinationName,
    feed: Feed,
    interval: Duration,
    /// Whether it was ever at the end of what there is.
    caught_up: bool,
    behind: Option<UnixMs>,
    /// Until then nobody was to read it.
    excused: UnixMs,
}

/// What is remembered between two looks.
#[derive(Debug)]
pub(super) struct Conditions {
    watched: Vec<Watched>,
    state: Option<UnixMs>,
}

impl Conditions {
    pub(super) fn new(tasks: &[TaskConfig]) -> Self {
        let mut watched = Vec::new();
        for task in tasks {
            let update = task.source.update.as_ref().map(|update| update.interval);
            for (feed, interval) in [(Feed::Insert, task.source.insert), (Feed::Update, update)] {
                let Some(interval) = interval else { continue };
                watched.extend(task.destinations.iter().map(|destination| Watched {
                    task: task.name.clone(),
                    destination: destination.name.clone(),
                    feed,
                    interval,
                    caught_up: false,
                    behind: None,
                    excused: UnixMs::MIN,
                }));
            }
        }
        Self { watched, state: None }
    }

    /// Everything that is wrong with the work.
    pub(super) fn look(&mut self, status: &Status, now: UnixMs) -> BTreeMap<Cause, What> {
        let mut found = BTreeMap::new();
        self.state = status.state_trouble.is_some().then(|| self.state.unwrap_or(now));
        if self.state.is_some_and(|since| now - since >= BLOCKED) {
            found.insert(Cause::process(Event::State), What::State);
        }
        for (task, of_task) in &status.tasks {
            for (place, trouble) in &of_task.trouble {
                let Some((work, destination)) = place.split_once(" → ") else { continue };
                let lasted = now - trouble.since;
                let what = match (trouble.class, trouble.blocked) {
                    (class, _) if work == SENDING => What::Failing {
                        class: ErrorClass::parse(class).unwrap_or(ErrorClass::Protocol),
                        status: None,
                    },
                    ("paused", _) => What::Emptied { looked: 0, missing: 0 },
                    ("gone", _) => What::Gone,
                    // That its receiver fails is said of the receiver.
                    (BACKLOG, _) => continue,
                    (class, true) if lasted >= BLOCKED => What::Blocked { class },
                    (class, false) if lasted >= UNREACHABLE => What::Unreachable { class },
                    _ => continue,
                };
                let (task, destination) = (TaskName::new(task.as_str()), DestinationName::new(destination));
                found.insert(Cause::at(what.event(), &task, &destination), what);
            }
        }
        for feed in &mut self.watched {
            if feed.is_late(status, now) {
                let cause = |event| Cause::at(event, &feed.task, &feed.destination);
                // Who knows why it is late needs no second message.
                if ![Event::Blocked, Event::Unreachable].iter().any(|e| found.contains_key(&cause(*e))) {
                    found.insert(cause(Event::Lag), What::Lag);
                }
            }
        }
        found
    }

    /// Whether every feed of a destination was seen at the end of what there is: before that nobody can say that it is
    /// in time.
    pub(super) fn is_in_time(&self, cause: &Cause) -> bool {
        let is_meant = |feed: &&Watched| {
            cause.task.as_ref() == Some(&feed.task) && cause.destination.as_ref() == Some(&feed.destination)
        };
        self.watched.iter().filter(is_meant).all(|feed| feed.caught_up)
    }

    /// Whether all is well: the state can be written, the manager goes round, no task is overdue.
    pub(super) fn is_healthy(&mut self, status: &Status, since_round: Option<Duration>, now: UnixMs) -> bool {
        self.watched.iter_mut().for_each(|feed| feed.excuse(status, now));
        status.state_trouble.is_none()
            && since_round.is_some_and(|since| since < ROUND)
            && !self.watched.iter().any(|feed| feed.is_overdue(status, now))
    }
}

impl Watched {
    fn last_read(&self, status: &Status) -> Option<(UnixMs, bool)> {
        let reads = status.tasks.get(self.task.as_str())?.reads.get(self.destination.as_str())?;
        reads.get(self.feed.as_str()).map(|read| (read.at, read.caught_up))
    }

    /// Nothing is read for a receiver for which too much waits: that is a matter of the receiver.
    fn waits_for_receiver(&self, status: &Status) -> bool {
        let troubles = status.tasks.get(self.task.as_str()).map(|of_task| &of_task.trouble);
        let trouble = troubles.and_then(|all| all.get(&format!("scan → {}", self.destination)));
        trouble.is_some_and(|trouble| trouble.class == BACKLOG)
    }

    fn excuse(&mut self, status: &Status, now: UnixMs) {
        if self.waits_for_receiver(status) {
            self.excused = now;
        }
    }

    fn is_overdue(&self, status: &Status, now: UnixMs) -> bool {
        let last = self.last_read(status).map_or(status.started, |(at, _)| at).max(self.excused);
        now.saturating_sub(last) > LATE.max(ms(self.interval.saturating_mul(INTERVALS)))
    }

    fn is_late(&mut self, status: &Status, now: UnixMs) -> bool {
        self.excuse(status, now);
        let caught_up = self.last_read(status).is_some_and(|(_, caught_up)| caught_up);
        self.caught_up |= caught_up;
        // The first way through a table may take its time.
        let is_behind = self.caught_up && !caught_up && !self.waits_for_receiver(status);
        self.behind = is_behind.then(|| self.behind.unwrap_or(now));
        self.is_overdue(status, now) || self.behind.is_some_and(|since| now - since > LATE)
    }
}

/// What the machine has too little of. What was too little before must be a quarter more to be enough.
pub(super) fn scarce(left: &Resources, before: &BTreeSet<Cause>) -> BTreeMap<Cause, What> {
    let mut found = BTreeMap::new();
    let mut judge = |event: Event, left: Option<Left>, least: fn(u64) -> u64, what: fn(u64, u64) -> What| {
        let Some(Left { free, of }) = left else { return };
        let cause = Cause::process(event);
        let least = least(of);
        let least = if before.contains(&cause) { least + least / 4 } else { least };
        if free < least {
            found.insert(cause, what(free, of));
        }
    };
    judge(Event::Disk, left.disk, |of| DISK.min(of / 10), |free, of| What::Disk { free, of });
    judge(Event::Memory, left.memory, |of| of / 20, |free, of| What::Memory { free, of });
    judge(Event::Descriptors, left.descriptors, |of| of / 5, |free, of| What::Descriptors { free, of });
    found
}

#[cfg(test)]
mod tests;
