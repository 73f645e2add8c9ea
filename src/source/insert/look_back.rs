//! Which keys have been seen behind the newest one.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::RowId;

/// The keys seen last, each looked for again until it is [`LookBack::AGE`] old and a thousand newer ones are known.
///
/// A transaction that stays open for longer than that and has more than that many rows behind it is not found by the
/// insert feed; its rows are found by the update feed, or when they are written again.
#[derive(Clone, Debug, Default)]
pub(super) struct LookBack {
    settled: Option<RowId>,
    /// Ascending, all behind `settled`.
    keys: Vec<RowId>,
    /// When which key was the newest, oldest first.
    marks: Vec<(Instant, RowId)>,
}

impl LookBack {
    /// Keys remembered at most.
    pub(super) const MOST: usize = 10_000;
    /// Keys remembered at least, however old.
    const LEAST: usize = 1000;
    /// A commit is rarely later than this.
    pub(super) const AGE: Duration = Duration::from_secs(60);
    /// Distance of marks.
    const MARK: Duration = Duration::from_secs(2);

    /// Nothing is remembered behind this key.
    pub(super) fn behind(settled: Option<RowId>) -> Self {
        Self { settled, ..Self::default() }
    }

    /// The key up to which nothing is looked for any more: the durable cursor.
    pub(super) fn settled(&self) -> Option<RowId> {
        self.settled
    }

    /// The newest key seen.
    pub(super) fn newest(&self) -> Option<RowId> {
        self.keys.last().copied().or(self.settled)
    }

    /// Whether this key has been seen.
    pub(super) fn has(&self, id: RowId) -> bool {
        self.keys.binary_search(&id).is_ok()
    }

    /// The range that is looked at again: behind the first, up to the second.
    pub(super) fn range(&self) -> Option<(Option<RowId>, RowId)> {
        self.keys.last().map(|newest| (self.settled, *newest))
    }

    /// After these keys were seen too, in any order; what has grown old is let go.
    pub(super) fn seen(&self, more: &[RowId], now: Instant) -> Self {
        let mut next = self.clone();
        next.keys.extend_from_slice(more);
        next.keys.sort_unstable();
        next.keys.dedup();
        if let Some(newest) = next.keys.last().copied()
            && next.marks.last().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= Self::MARK)
        {
            next.marks.push((now, newest));
        }
        next.let_go(now);
        next
    }

    /// What both have seen.
    pub(super) fn both(&self, other: &Self) -> Self {
        let settled = self.settled.min(other.settled);
        let seen = |of: &Self, id: RowId| Some(id) <= of.settled || of.has(id);
        let mut keys: Vec<RowId> = self.keys.iter().chain(&other.keys).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|id| Some(*id) > settled && seen(self, *id) && seen(other, *id));
        Self { settled, keys, marks: Vec::new() }
    }

    /// The keys as text: runs of keys, each as its distance from the one before and its length, in variable-length
    /// integers, base64. Dense keys take a few bytes in all.
    pub(super) fn encode(&self) -> String {
        let mut bytes = Vec::new();
        let mut end = self.settled.map_or(0, |id| id.0);
        let mut keys = self.keys.iter().map(|id| id.0).peekable();
        while let Some(first) = keys.next() {
            let mut last = first;
            while keys.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            // Only the first distance can be negative: negative keys with nothing settled.
            let distance = first - end;
            write_number(&mut bytes, (distance.unsigned_abs() << 1) | u128::from(distance < 0));
            write_number(&mut bytes, (last - first).unsigned_abs());
            end = last;
        }
        STANDARD_NO_PAD.encode(bytes)
    }

    /// The inverse of [`LookBack::encode`]; `None` for text that is none.
    pub(super) fn decode(settled: Option<RowId>, text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let mut bytes = bytes.as_slice();
        let mut end = settled.map_or(0, |id| id.0);
        let mut keys = Vec::new();
        while !bytes.is_empty() {
            let distance = read_number(&mut bytes)?;
            let length = i128::try_from(read_number(&mut bytes)?).ok()?;
            let amount = i128::try_from(distance >> 1).ok()?;
            let first = end.checked_add(if distance & 1 == 1 { -amount } else { amount })?;
            if length >= i128::try_from(Self::MOST).ok()? || keys.len() > Self::MOST {
                return None;
            }
            end = first.checked_add(length)?;
            keys.extend((first..=end).map(RowId));
        }
        Some(Self { settled, keys, marks: Vec::new() })
    }

    fn let_go(&mut self, now: Instant) {
        let old = self.marks.partition_point(|(at, _)| now.saturating_duration_since(*at) >= Self::AGE);
        let by_age = match old.checked_sub(1).map(|i| self.marks[i].1) {
            Some(newest_then) => self.keys.partition_point(|id| *id <= newest_then),
            None => 0,
        };
        let by_age = by_age.min(self.keys.len().saturating_sub(Self::LEAST));
        let cut = by_age.max(self.keys.len().saturating_sub(Self::MOST));
        if cut > 0 {
            self.settled = Some(self.keys[cut - 1]);
            self.keys.drain(..cut);
        }
        // The last mark that is old enough says all that those before it said.
        self.marks.drain(..old.saturating_sub(1));
    }
}

fn write_number(bytes: &mut Vec<u8>, mut n: u128) {
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u128> {
    let mut n = 0_u128;
    for shift in (0..126).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u128::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(range: std::ops::RangeInclusive<i128>) -> Vec<RowId> {
        range.map(RowId).collect()
    }

    #[test]
    fn a_key_that_was_not_seen_stays_looked_for() {
        let now = Instant::now();
        let seen = LookBack::behind(Some(RowId(0))).seen(&[RowId(1), RowId(3)], now);
        assert_eq!(seen.range(), Some((Some(RowId(0)), RowId(3))));
        assert!(!seen.has(RowId(2)) && seen.has(RowId(3)));
        let seen = seen.seen(&[RowId(2)], now);
        assert!(seen.has(RowId(2)));
        assert_eq!(seen.newest(), Some(RowId(3)));
    }

    #[test]
    fn few_keys_are_looked_for_however_old() {
        let now = Instant::now();
        let seen = LookBack::behind(None).seen(&ids(1..=500), now).seen(&[], now + LookBack::AGE * 10);
        assert_eq!(seen.settled(), None);
    }

    #[test]
    fn old_keys_settle_when_a_thousand_newer_ones_are_known() {
        let now = Instant::now();
        let seen = LookBack::behind(None).seen(&ids(1..=3000), now);
        assert_eq!(seen.settled(), None, "all of them are young");
        let later = seen.seen(&ids(3001..=3100), now + LookBack::AGE);
        assert_eq!(later.settled(), Some(RowId(2100)));
    }

    #[test]
    fn memory_is_bounded() {
        let seen = LookBack::behind(None).seen(&ids(1..=50_000), Instant::now());
        assert_eq!(seen.keys.len(), LookBack::MOST);
        assert_eq!(seen.settled(), Some(RowId(40_000)));
    }

    proptest! {
        #[test]
        fn what_was_seen_survives_being_written(
            settled in proptest::option::of(-100_i128..100),
            keys in proptest::collection::btree_set(-1_i128 << 63..1_i128 << 64, 0..50),
            run in 0_i128..200,
        ) {
            let settled = settled.map(RowId);
            let near: Vec<RowId> = (101..101 + run).map(RowId).collect();
            let far = keys.into_iter().map(RowId).filter(|id| Some(*id) > settled);
            let keys: Vec<RowId> = far.chain(near).collect();
            let seen = LookBack::behind(settled).seen(&keys, Instant::now());
            let read = LookBack::decode(settled, &seen.encode()).unwrap();
            prop_assert_eq!(read.keys, seen.keys);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9+/]{0,40}") {
            let _ = LookBack::decode(None, &text);
        }

        /// Whatever is seen when: a key is either settled, remembered, or would be found again.
        #[test]
        fn nothing_unseen_is_taken_for_seen(steps in proptest::collection::vec((proptest::collection::vec(0_i128..6000, 0..50), 0_u64..40), 1..30)) {
            let mut now = Instant::now();
            let mut look_back = LookBack::behind(None);
            let mut seen = std::collections::BTreeSet::new();
            for (more, pause) in steps {
                now += Duration::from_secs(pause);
                let settled = look_back.settled().map_or(-1, |id| id.0);
                let more: Vec<RowId> = more.into_iter().filter(|id| *id > settled).map(RowId).collect();
                seen.extend(more.iter().copied());
                look_back = look_back.seen(&more, now);
                let settled = look_back.settled().map_or(-1, |id| id.0);
                for id in (settled + 1)..6000 {
                    prop_assert_eq!(look_back.has(RowId(id)), seen.contains(&RowId(id)));
                }
                prop_assert!(look_back.keys.len() <= LookBack::MOST);
            }
        }
    }
}
