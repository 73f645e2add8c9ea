//! What waits at a destination, asked of the state: what ends when nothing waits any more, and what nobody was told of,
//! because the process that knew of it ended first, or because there was nobody to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Notifier;
use super::line::Line;
use super::seen::Seen;
use crate::model::Event;
use crate::notify::{Cause, Facts};
use crate::store::{Plight, StoreError};

/// Who is about to tell of something does so within this time, and tells it once.
const UNHEARD: Duration = Duration::from_secs(1);

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Plights {
    /// Failures of receivers that have accepted something since.
    accepted: BTreeSet<Cause>,
    /// What waits though nobody was told, since when that is known.
    unheard: BTreeMap<Cause, Instant>,
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

impl Notifier {
    fn lacks(&self, line: &Line, cause: &Cause) -> bool {
        self.hears(line, cause) && line.config.wants(cause.event) && !line.desk().holds(cause)
    }

    /// Ends what ends when nothing waits any more, and finds what nobody was told of.
    pub(super) async fn settle(&self, plights: &mut Plights, seen: &Seen) {
        for task in &self.config.tasks {
            for destination in &task.destinations {
                for event in [Event::Dead, Event::Failing] {
                    let cause = Cause::at(event, &task.name, &destination.name);
                    // What is seen to go on is not over.
                    if seen.holds(&cause) {
                        continue;
                    }
                    // What cannot be read now is asked again.
                    let _ = self.settle_one(cause, plights).await;
                }
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

    /// Tells those who were not told.
    pub(super) async fn tell_unheard(&self, plights: &mut Plights) {
        let due: Vec<Cause> =
            plights.unheard.extract_if(.., |_, at| at.elapsed() >= UNHEARD).map(|(c, _)| c).collect();
        for cause in due {
            let Ok(count) = self.count_of(&cause, plight(cause.event), u64::MAX).await else { continue };
            let now = self.now();
            for line in self.lines.iter().filter(|line| count > 0 && self.lacks(line, &cause)) {
                line.desk().raise(&cause, count, &Facts::default(), now);
                line.wake.notify_one();
            }
        }
    }

    async fn count_of(&self, cause: &Cause, plight: Plight, most: u64) -> Result<u64, StoreError> {
        let (Some(task), Some(destination)) = (&cause.task, &cause.destination) else { return Ok(0) };
        self.store.in_plight(task, destination, plight, most).await
    }
}
