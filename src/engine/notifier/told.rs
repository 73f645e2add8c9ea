//! Keys that several rows carry: each of them is told once, so how many were told is kept beside the state. After a
//! crash the state has more of them than people heard of.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use super::Notifier;
use crate::model::Event;
use crate::notify::{Cause, Facts};
use crate::store::Plight;

/// Name of the note, of each destination.
const NOTE: &str = "ambiguous told";

/// How many were told of.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Now, and as it is kept.
    counts: BTreeMap<Cause, (u64, u64)>,
}

impl Notifier {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It happened so often, and people are being told.
    pub(super) fn note_raised(&self, cause: &Cause, count: u64) {
        if let Some((told, _)) = self.told().counts.get_mut(cause) {
            *told += count;
        }
    }

    fn is_heard(&self, cause: &Cause) -> bool {
        self.lines.iter().any(|line| self.hears(line, cause) && line.config.wants(cause.event))
    }

    /// Tells what an earlier process did not come to tell.
    pub(super) async fn recall_told(&self) {
        for (task, destination) in self.destinations() {
            let cause = Cause::at(Event::Ambiguous, &task, &destination);
            if !self.is_heard(&cause) {
                continue;
            }
            // What cannot be read now is asked again at the next start.
            let Ok(count) = self.count_of(&cause, Plight::Ambiguous, u64::MAX).await else { continue };
            let Ok(note) = self.store.recall(&task, &destination, NOTE).await else { continue };
            let known = note.as_deref().and_then(|note| note.parse::<u64>().ok());
            let more = count.saturating_sub(known.unwrap_or(0));
            if more > 0 {
                let facts = Facts { since: self.oldest(&cause).await, ..Facts::default() };
                match known {
                    Some(_) => self.raise(&cause, more, &facts),
                    // Written by a version that kept no count: who knows of them is not told again.
                    None => self.raise_lacking(&cause, more, &facts),
                }
            }
            self.told().counts.insert(cause, (count, known.unwrap_or(0)));
        }
    }

    /// Some may have ended.
    pub(super) async fn recount_told(&self) {
        let counts: Vec<(Cause, u64)> =
            self.told().counts.iter().map(|(cause, (count, _))| (cause.clone(), *count)).collect();
        for (cause, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            if let Ok(left) = self.count_of(&cause, Plight::Ambiguous, count).await
                && let Some((told, _)) = self.told().counts.get_mut(&cause)
            {
                *told -= count - left.min(count);
            }
        }
    }

    /// Keeps it. Only after what people are told of was kept: what is said twice is better than what is never said.
    pub(super) async fn keep_told(&self) {
        let news: Vec<(Cause, u64)> = {
            let told = self.told();
            let changed = told.counts.iter().filter(|(_, (count, kept))| count != kept);
            changed.map(|(cause, (count, _))| (cause.clone(), *count)).collect()
        };
        for (cause, count) in news {
            let (Some(task), Some(destination)) = (&cause.task, &cause.destination) else { continue };
            let kept = self.store.remember(task, destination, NOTE, Some(count.to_string())).await;
            if let (Ok(()), Some((_, noted))) = (kept, self.told().counts.get_mut(&cause)) {
                *noted = count;
            }
        }
    }
}
