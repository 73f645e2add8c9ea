//! The watcher's part in rows that never stand still.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::notes::{HOT, HotNote};
use super::watcher::Watcher;
use crate::base::clock::{UnixMs, ms};
use crate::model::{Delivery, DeliveryId, Event, State};
use crate::notify::{Cause, What};
use crate::outbox::{Hot, LEAST, Turn, Watch, hot_limit};
use crate::store::Settlement;

/// When each suspect was found.
pub(super) fn found(claimed: &[Delivery]) -> HashMap<DeliveryId, UnixMs> {
    claimed.iter().filter(|d| d.state == State::Suspect).map(|d| (d.id, d.found_at)).collect()
}

/// What is kept of them.
#[derive(Debug)]
pub(super) struct KeptHot {
    note: HotNote,
    /// What was said last, of [`Alerts`](crate::notify::Alerts).
    mark: u64,
}

impl Watcher {
    fn hot(&self) -> MutexGuard<'_, Hot> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what suspects that were found then have become.
    pub(super) fn see_hot(&self, found: &HashMap<DeliveryId, UnixMs>, settled: &[Settlement]) {
        let span = ms(self.policy.confirm.hot);
        let mut hot = self.hot();
        for s in settled {
            let Some(found) = found.get(&s.id) else { continue };
            let watch = s.watch.as_deref().filter(|_| s.to.state == State::Suspect).and_then(Watch::read);
            // It has gone on moving for that long since.
            let moves = watch.is_some_and(|watch| watch.stood().saturating_sub(*found) >= span);
            hot.see(s.id, moves, *found, s.now);
        }
    }

    /// Goes on with what an earlier run has told people.
    pub(super) async fn recall_hot(&self) -> KeptHot {
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        let note = loop {
            match self.store.recall(task, destination, HOT).await {
                Ok(note) => break HotNote::read(note.as_deref()),
                Err(e) => self.status.store_failed(&e),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        *self.hot() = Hot::new(hot_limit(self.policy.confirm.hot, LEAST), note.told);
        KeptHot { note, mark: 0 }
    }

    /// Tells people what they should hear, and keeps the count if it has changed.
    pub(super) async fn keep_hot(&self, kept: &mut KeptHot) {
        let now = self.clock.now();
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        let (turn, count, told) = {
            let mut hot = self.hot();
            let turn = hot.turn(now);
            (turn, hot.count(now), hot.is_told())
        };
        match turn {
            Some(Turn::Over { rows, age }) => {
                warn!(%task, %destination, rows, oldest_s = age.as_secs(),
                    "rows never stand still, nobody can say that they agree");
                self.tell_people(What::Hot, rows);
                kept.mark = self.alerts.mark();
            }
            Some(Turn::Back) => {
                info!(%task, %destination, "no row has been moving for too long any more");
                self.alerts.clear(Cause::at(Event::Hot, task, destination));
                kept.mark = self.alerts.mark();
            }
            None => {}
        }
        // Before what people are told survives a crash, it is not noted that they were.
        let told = if self.alerts.is_kept(kept.mark) { told } else { kept.note.told };
        let (count, oldest) = count.unwrap_or_default();
        let note = HotNote { count, oldest, told };
        if note != kept.note {
            match self.store.remember(task, destination, HOT, note.text()).await {
                Ok(()) => kept.note = note,
                Err(e) => self.status.store_failed(&e),
            }
        }
    }
}
