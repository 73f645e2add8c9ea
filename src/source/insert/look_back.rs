//! Which keys have been seen behind the newest one.

use std::time::{Duration, Instant};

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

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
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
