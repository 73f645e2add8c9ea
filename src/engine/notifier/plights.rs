//! What waits at a destination, asked of the state: what ends when nothing waits any more, and what nobody was told of,
//! because the process that knew of it ended first, or because there was nobody to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Notifier;
use super::line::Line;
use super::seen::Seen;
use crate::base::clock::UnixMs;
use crate::model::{DeliveryKind, DestinationName, Event, State, TaskName};
use crate::notify::{Cause, Facts};
use crate::store::{Plight, Stands, StoreError};

/// Who is about to tell of something does so within this time, and tells it once.
const UNHEARD: Duration = Duration::from_secs(1);
/// How often those are counted that wait for a person.
const RECOUNT: Duration = Duration::from_secs(60);

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Plights {
    /// Failures of receivers that have accepted something since.
    accepted: BTreeSet<Cause>,
    /// What waits though nobody was told, since when that is known.
    unheard: BTreeMap<Cause, Instant>,
    /// How many waited for a person, and when that was counted.
    dead: BTreeMap<Cause, u64>,
    counted: Option<Instant>,
}

impl Plights {
    /// It happens (again).
    pub(super) fn raised(&mut self, cause: &Cause) {
        self.accepted.remove(cause);
    }

    /// One call was accepted.
    pub(super) fn accepted(&mut self, cause: Cause) {
        self.accepted.insert(cause);
    }
}

fn plight(event: Event) -> Plight {
    if event == Event::Dead { Plight::Dead } else { Plight::Failing }
}

/// Whether these wait because of an event.
pub(super) fn is_meant(event: Event, stands: &Stands) -> bool {
    match (event, stands.state, stands.kind) {
        (Event::Dead, State::Dead, kind) => kind != DeliveryKind::Ambiguous,
        (Event::Ambiguous, State::Dead, kind) => kind == DeliveryKind::Ambiguous,
        (Event::Dead | Event::Ambiguous, ..) => false,
        (Event::Failing | Event::NotFixed, state, _) => {
            matches!(state, State::Main | State::Retry | State::Slow)
        }
        (_, state, _) => state.is_open() && state != State::Dead,
    }
}

impl Notifier {
    pub(super) fn destinations(&self) -> impl Iterator<Item = (TaskName, DestinationName)> {
        let of = |task: &crate::config::TaskConfig| {
            let name = task.name.clone();
            task.destinations.iter().map(move |d| (name.clone(), d.name.clone())).collect::<Vec<_>>()
        };
        self.config.tasks.iter().flat_map(of)
    }

    fn lacks(&self, line: &Line, cause: &Cause) -> bool {
        self.hears(line, cause) && line.config.wants(cause.event) && !line.desk().holds(cause)
    }

    /// Tells those who do not know of it.
    pub(super) fn raise_lacking(&self, cause: &Cause, count: u64, facts: &Facts) {
        let now = self.now();
        for line in self.lines.iter().filter(|line| self.lacks(line, cause)) {
            line.desk().raise(cause, count, facts, now);
            line.wake.notify_one();
        }
    }

    /// Ends what ends when nothing waits any more, and finds what nobody was told of.
    pub(super) async fn settle(&self, plights: &mut Plights, seen: &Seen) {
        for (task, destination) in self.destinations() {
            for event in [Event::Dead, Event::Failing] {
                let cause = Cause::at(event, &task, &destination);
                // What is seen to go on is not over. What cannot be read now is asked again.
                if !seen.holds(&cause) {
                    let _ = self.settle_one(cause, plights).await;
                }
            }
            self.stay(&Cause::at(Event::NotFixed, &task, &destination)).await;
        }
        if plights.counted.is_none_or(|at| at.elapsed() >= RECOUNT) {
            plights.counted = Some(Instant::now());
            for (task, destination) in self.destinations() {
                self.recount(Cause::at(Event::Dead, &task, &destination), plights).await;
            }
        }
    }

    async fn settle_one(&self, cause: Cause, plights: &mut Plights) -> Result<(), StoreError> {
        let is_known = self.lines.iter().any(|line| line.desk().holds(&cause));
        let is_lacking = self.lines.iter().any(|line| self.lacks(line, &cause));
        let waits = (is_known || is_lacking) && self.count_of(&cause, plight(cause.event), 1).await? > 0;
        if waits && is_lacking {
            plights.unheard.entry(cause).or_insert_with(Instant::now);
            return Ok(());
        }
        plights.unheard.remove(&cause);
        let is_over = is_known
            && !waits
            // Of a receiver that accepts nothing, nothing may be left that it refused.
            && (cause.event == Event::Dead
                || plights.accepted.contains(&cause)
                || self.count_of(&cause, Plight::Refused, 1).await? == 0);
        if is_over {
            self.clear(&cause);
        }
        if is_over || !is_known {
            plights.accepted.remove(&cause);
        }
        Ok(())
    }

    /// What was acknowledged and not fixed is not over because nobody called for a while: a receiver may be paused.
    async fn stay(&self, cause: &Cause) {
        let now = self.now();
        let ends = self.lines.iter().any(|line| line.desk().ends_soon(cause, now));
        if ends && self.count_of(cause, Plight::Unhealed, 1).await.is_ok_and(|count| count > 0) {
            for line in self.lines.iter() {
                let mut desk = line.desk();
                if desk.ends_soon(cause, now) {
                    desk.raise(cause, 0, &Facts::default(), now);
                }
            }
        }
    }

    /// Some die, or are imported, without a word. Who is about to be told of has been by the next time.
    async fn recount(&self, cause: Cause, plights: &mut Plights) {
        if !self.lines.iter().any(|line| line.desk().count(&cause).is_some()) {
            plights.dead.remove(&cause);
            return;
        }
        let Ok(count) = self.count_of(&cause, Plight::Dead, u64::MAX).await else { return };
        let before = plights.dead.insert(cause.clone(), count).unwrap_or(0);
        let now = self.now();
        for line in self.lines.iter() {
            let mut desk = line.desk();
            let more = desk.count(&cause).map_or(0, |told| before.min(count).saturating_sub(told));
            if more > 0 {
                desk.raise(&cause, more, &Facts::default(), now);
                drop(desk);
                line.wake.notify_one();
            }
        }
    }

    /// Tells those who were not told.
    pub(super) async fn tell_unheard(&self, plights: &mut Plights) {
        let due: Vec<Cause> =
            plights.unheard.extract_if(.., |_, at| at.elapsed() >= UNHEARD).map(|(c, _)| c).collect();
        for cause in due {
            let Ok(count) = self.count_of(&cause, plight(cause.event), u64::MAX).await else { continue };
            if count > 0 {
                let facts = Facts { since: self.oldest(&cause).await, ..Facts::default() };
                self.raise_lacking(&cause, count, &facts);
            }
        }
    }

    /// When the oldest that waits because of it was found.
    pub(super) async fn oldest(&self, cause: &Cause) -> Option<UnixMs> {
        let (task, destination) = (cause.task.as_ref()?, cause.destination.as_ref()?);
        let standing = self.store.standing(task, destination, None).await.ok()?;
        let is_slow = |s: &&Stands| cause.event != Event::Failing || s.state == State::Slow;
        let meant = standing.deliveries.iter().filter(|stands| is_meant(cause.event, stands));
        meant.filter(is_slow).map(|stands| stands.oldest).min()
    }

    pub(super) async fn count_of(&self, cause: &Cause, plight: Plight, most: u64) -> Result<u64, StoreError> {
        let (Some(task), Some(destination)) = (&cause.task, &cause.destination) else { return Ok(0) };
        self.store.in_plight(task, destination, plight, most).await
    }
}
