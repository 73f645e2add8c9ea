//! Which (update time, id) pairs have been read, as digests by time, cheap to copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDateTime;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::RowId;

/// Seconds of a slot.
const SLOT: i64 = 10;

/// What a slot takes beside its digests.
const HEAD: usize = 100;

/// See the module's documentation. Two pairs with one digest are one in some 10¹⁹; even then the second is read when
/// its time settles.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    slots: BTreeMap<i64, Arc<Vec<u64>>>,
    bytes: usize,
}

impl Pairs {
    /// Adds pairs in any order.
    pub(super) fn extend(&mut self, pairs: impl IntoIterator<Item = (NaiveDateTime, RowId)>) {
        let mut new: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for (time, id) in pairs {
            new.entry(slot(time)).or_default().push(digest(time, id));
        }
        for (slot, digests) in new {
            let held = self.slots.entry(slot).or_insert_with(|| {
                self.bytes += HEAD;
                Arc::default()
            });
            let held = Arc::make_mut(held);
            self.bytes -= held.len() * size_of::<u64>();
            held.extend(digests);
            held.sort_unstable();
            held.dedup();
            self.bytes += held.len() * size_of::<u64>();
        }
    }

    /// Whether this pair was added.
    pub(super) fn has(&self, time: NaiveDateTime, id: RowId) -> bool {
        self.slots.get(&slot(time)).is_some_and(|held| held.binary_search(&digest(time, id)).is_ok())
    }

    /// Pairs that the other has as well, and those before a time up to which it needs none.
    pub(super) fn both(&self, other: &Self, upto: NaiveDateTime) -> Self {
        let mut both = Self::default();
        for (at, held) in &self.slots {
            let kept = match other.slots.get(at) {
                _ if *at < slot(upto) => held.clone(),
                Some(theirs) if Arc::ptr_eq(held, theirs) => held.clone(),
                Some(theirs) => {
                    let has = |digest: &&u64| theirs.binary_search(digest).is_ok();
                    Arc::new(held.iter().filter(has).copied().collect())
                }
                None => continue,
            };
            both.bytes += HEAD + kept.len() * size_of::<u64>();
            both.slots.insert(*at, kept);
        }
        both
    }

    /// Forgets the slots that lie before this time.
    pub(super) fn forget(&mut self, before: NaiveDateTime) {
        let kept = self.slots.split_off(&slot(before));
        let gone = std::mem::replace(&mut self.slots, kept);
        self.bytes -= gone.values().map(|held| HEAD + held.len() * size_of::<u64>()).sum::<usize>();
    }

    /// Forgets the earliest slot; returns the time before which nothing is known any more.
    pub(super) fn forget_oldest(&mut self) -> Option<NaiveDateTime> {
        let (slot, held) = self.slots.pop_first()?;
        self.bytes -= HEAD + held.len() * size_of::<u64>();
        chrono::DateTime::from_timestamp((slot + 1) * SLOT, 0).map(|at| at.naive_utc())
    }

    /// Memory used.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn slot(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp().div_euclid(SLOT)
}

fn digest(time: NaiveDateTime, id: RowId) -> u64 {
    let mut bytes = [0; 28];
    bytes[..8].copy_from_slice(&time.and_utc().timestamp().to_le_bytes());
    bytes[8..12].copy_from_slice(&time.and_utc().timestamp_subsec_nanos().to_le_bytes());
    bytes[12..].copy_from_slice(&id.0.to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form;
    use chrono::TimeDelta;

    #[test]
    fn pairs_are_known_until_forgotten() {
        let at =
            |s: i64| form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::milliseconds(s * 500);
        let mut pairs = Pairs::default();
        pairs.extend((0..100).map(|n| (at(n), RowId(i128::from(n)))));
        let copy = pairs.clone();
        pairs.extend([(at(3), RowId(7)), (at(3), RowId(7))]);
        assert!(pairs.has(at(3), RowId(7)) && pairs.has(at(3), RowId(3)) && !pairs.has(at(4), RowId(3)));
        assert!(!copy.has(at(3), RowId(7)));
        assert_eq!(pairs.bytes(), 101 * 8 + 5 * HEAD);
        let mut other = Pairs::default();
        other.extend((40..100).step_by(2).map(|n| (at(n), RowId(i128::from(n)))));
        let both = pairs.both(&other, at(20));
        for (n, has) in [(3, true), (19, true), (20, false), (40, true), (41, false), (98, true), (99, false)]
        {
            assert_eq!(both.has(at(n), RowId(i128::from(n))), has, "{n}");
        }
        assert_eq!(both.bytes(), 21 * 8 + 30 * 8 + 4 * HEAD);
        pairs.forget(at(20));
        assert!(!pairs.has(at(3), RowId(3)) && pairs.has(at(20), RowId(20)));
        assert_eq!(pairs.forget_oldest(), Some(at(40)));
        assert!(!pairs.has(at(39), RowId(39)) && pairs.has(at(40), RowId(40)));
        assert_eq!(pairs.bytes(), 60 * 8 + 3 * HEAD);
        while pairs.forget_oldest().is_some() {}
        assert_eq!(pairs.bytes(), 0);
    }
}
