//! Rows that only the copy has: its keys are walked and looked up at the source.

use std::collections::{HashMap, HashSet};

use super::{Compared, Pair};
use crate::base::clock::UnixMs;
use crate::engine::ticket::Counts;
use crate::model::{DeliveryKind, DestinationName, Finding, Key, Position, RowId, TaskName, Value, Verdict};
use crate::outbox::Watch;
use crate::sql::{PlaceError, PlaceErrorKind};

/// Fewest keys of one page, so that one page tells what share of them the source does not know.
const LEAST: usize = 1000;

impl Pair {
    /// Looks at the next keys of the destination behind `from`. Returns where to go on, whether there is more, and what
    /// was found.
    pub(in crate::engine) async fn walk(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        from: Option<&Position>,
        limit: usize,
        now: impl Fn() -> UnixMs,
    ) -> Result<(Position, bool, Compared), PlaceError> {
        if let Some(why) = self.unwalkable() {
            let place = self.destination.identity();
            return Err(PlaceError::new(PlaceErrorKind::Missing, place, why));
        }
        let page = self.destination.walk(from, limit.max(LEAST)).await?;
        let mut keys: HashMap<Key, Value> =
            page.keys.into_iter().filter_map(|value| Some((self.key_form.key(&value)?, value))).collect();
        let mut counts = Counts { rows: keys.len() as u64, ..Counts::default() };
        let asked: Vec<Value> = keys.values().cloned().collect();
        let mut ids: HashMap<Key, RowId> = HashMap::new();
        for row in self.source.lookup(&asked).await? {
            let Some(key) = self.key_form.key(&row.values[self.read.key]) else { continue };
            // Nor is a row extra of which nobody can say whether it is deleted.
            if self.is_there(&self.read, &row.values) != Some(false) {
                keys.remove(&key);
            }
            ids.insert(key, row.id);
        }
        counts.same = counts.rows - keys.len() as u64;
        if !keys.is_empty() && self.source.is_empty().await? {
            let message = "the source has no row at all and the copy has: nothing is called back for them; fill the \
                           source again, correct `src`, or empty the copy";
            return Err(PlaceError::new(PlaceErrorKind::Other, self.source.identity(), message));
        }
        let mut findings = Vec::new();
        // Only now are whole rows read: most keys are known to the source.
        let copies = self.look_up(keys.values()).await?;
        let unknown: HashSet<Key> = keys.into_keys().collect();
        for (key, found) in copies.iter().filter(|(key, _)| unknown.contains(*key)) {
            let (verdict, fingerprint) = Self::judge(&self.read, None, Some(found), &[]);
            let kind = match verdict {
                Verdict::Extra => DeliveryKind::Extra,
                Verdict::Ambiguous(_) => DeliveryKind::Ambiguous,
                other => {
                    counts.count(&other);
                    continue;
                }
            };
            counts.count(&verdict);
            let witness = Self::witness(&self.read, None, Some(found), &verdict);
            findings.push(Finding {
                task: task.clone(),
                destination: destination.clone(),
                row: ids.get(key).copied().unwrap_or(RowId::NONE),
                key: key.clone(),
                kind,
                fingerprint,
                watch: Watch::begin(&witness, now()).bytes(),
            });
        }
        Ok((page.next, page.more, Compared { findings, counts, agreed: Vec::new() }))
    }

    /// Why rows that only the copy has cannot be looked for; `None`: they can.
    fn unwalkable(&self) -> Option<String> {
        if !self.key_form.goes_back() {
            let what = "the `byColumn`s of source and destination are of types that may write one key in several ways: \
                        a row of the copy cannot be looked up at the source for certain, so rows that only the copy has \
                        are not looked for; use columns of one type, or set \"delete\" to false";
            return Some(what.to_owned());
        }
        self.destination.unwalkable().map(str::to_owned).or_else(|| self.source.unfindable())
    }
}
