//! Event destinations take turns with themselves, and wait while too much waits for their receiver.
//!
//! What a copy lacks is bounded by its rows; versions are not. So an event destination is not read for while more than a
//! bound of them is not delivered: then scanning waits for the receiver, and what changes meanwhile is read when there is
//! room, in its newest version.

use std::collections::{BTreeMap, BTreeSet};

use super::Manager;
use crate::engine::Places;
use crate::model::{DestinationName, TaskName};
use crate::store::{Backlog, Plight};

/// Versions of one destination that may wait.
const VERSIONS: u64 = 100_000;
/// Bytes of messages of one destination that may wait.
const BYTES: u64 = 256 << 20;
/// How often is asked whether there is room again, in milliseconds.
const ASK: i64 = 1000;

/// A destination by the index of its task and its own.
type At = (usize, usize);

/// Which event destinations have room.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// To be asked about.
    unknown: BTreeSet<At>,
    /// Not read for before this tick, when it is asked again.
    full: BTreeMap<At, i64>,
}

impl Room {
    /// More waits at this destination than before.
    pub(super) fn ask(&mut self, at: At) {
        self.unknown.insert(at);
    }

    /// Nothing is known of any.
    pub(super) fn ask_all(&mut self, places: &Places) {
        for (task, places) in places.tasks.iter().enumerate() {
            let events = (0..places.config.destinations.len()).filter(|at| places.is_event(*at));
            self.unknown.extend(events.map(|at| (task, at)));
        }
    }

    /// When it is to be asked again.
    pub(super) fn next(&self, ticks: i64) -> i64 {
        self.full.values().copied().min().map_or(i64::MAX, |at| at.max(ticks.saturating_add(1)))
    }

    fn has(&self, at: At) -> bool {
        !self.full.contains_key(&at) && !self.unknown.contains(&at)
    }
}

/// Whether there is room: what is full has room again when a tenth of it is free.
fn has_room(backlog: Backlog, was_full: bool) -> bool {
    let part = |most: u64| if was_full { most - most / 10 } else { most };
    backlog.versions < part(VERSIONS) && backlog.bytes < part(BYTES)
}

/// Why nothing is read, and what to do about it: dead versions wait for a person, whatever the receiver does.
fn full(backlog: Backlog, dead: u64, task: &TaskName, destination: &DestinationName) -> String {
    let Backlog { versions, bytes, .. } = backlog;
    let mut why = format!(
        "{versions} versions ({} MiB) wait for the receiver; no more are read until it has taken some, then the newest of \
         each row",
        bytes >> 20
    );
    if dead > 0 {
        why = format!(
            "{why}; {dead} of them are dead and wait for you: `cupid deliveries replay` or `close` with --task '{task}' \
             --destination '{destination}' --state dead"
        );
    }
    why
}

impl Manager {
    /// Asks where it is not known, or time, whether there is room.
    pub(super) async fn make_room(&mut self) {
        let ticks = self.ticks();
        let due = self.room.full.iter().filter(|(_, at)| **at <= ticks).map(|(at, _)| *at);
        let asked: BTreeSet<At> = due.chain(self.room.unknown.iter().copied()).collect();
        for at in asked {
            let places = self.places.tasks[at.0].clone();
            let (task, destination) = (&places.config.name, &places.config.destinations[at.1].name);
            let was_full = self.room.full.contains_key(&at);
            let backlog = match self.store.backlog(task, destination).await {
                Ok(backlog) => backlog.unwrap_or_default(),
                Err(e) => {
                    self.status.store_failed(&e);
                    self.room.full.insert(at, ticks.saturating_add(ASK));
                    continue;
                }
            };
            self.room.unknown.remove(&at);
            if has_room(backlog, was_full) {
                self.room.full.remove(&at);
                self.status.backlog(task, destination, None);
                continue;
            }
            self.room.full.insert(at, ticks.saturating_add(ASK));
            let dead = self.store.in_plight(task, destination, Plight::Dead, VERSIONS).await.unwrap_or(0);
            let why = full(backlog, dead, task, destination);
            self.status.backlog(task, destination, Some(&why));
        }
    }

    /// Lanes of a feed that must wait: those whose destination has no room, or is being read for by another feed. What
    /// is read of an event destination becomes durable in the order in which it was read.
    pub(super) fn held(&self, feed: usize) -> Vec<usize> {
        let task = self.feeds[feed].task;
        let others = || self.feeds.iter().enumerate().filter(|(at, other)| *at != feed && other.task == task);
        let lanes = self.feeds[feed].lanes.iter().enumerate().filter(|(_, lane)| lane.plan.alone);
        lanes
            .map(|(at, _)| at)
            .filter(|at| !self.room.has((task, *at)) || others().any(|(_, f)| f.lanes[*at].plan.busy))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_versions_are_named_with_what_to_type() {
        let backlog = Backlog { versions: VERSIONS, bytes: 5 << 20, delivered: 0 };
        let (task, destination) = (TaskName::new("t"), DestinationName::new("cache"));
        let of = |dead| full(backlog, dead, &task, &destination);
        assert!(of(0).ends_with("then the newest of each row"), "{}", of(0));
        assert!(of(0).starts_with("100000 versions (5 MiB) wait for the receiver"), "{}", of(0));
        assert!(
            of(99_990)
                .contains("99990 of them are dead and wait for you: `cupid deliveries replay` or `close`"),
            "{}",
            of(99_990)
        );
    }

    #[test]
    fn what_is_full_has_room_again_when_a_tenth_is_free() {
        let backlog = |versions, bytes| Backlog { versions, bytes, delivered: 0 };
        assert!(has_room(backlog(VERSIONS - 1, 0), false) && !has_room(backlog(VERSIONS, 0), false));
        assert!(
            !has_room(backlog(VERSIONS - 1, 0), true) && has_room(backlog(VERSIONS / 10 * 9 - 1, 0), true)
        );
        assert!(!has_room(backlog(1, BYTES), false) && !has_room(backlog(1, BYTES - 1), true));
    }
}
