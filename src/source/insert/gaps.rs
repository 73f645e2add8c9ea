//! Ids that were not there when their neighbours settled: rolled back, or of a transaction that nobody saw. They are
//! looked for again now and then for a day.

use std::collections::VecDeque;

use chrono::{NaiveDateTime, TimeDelta};

/// Gaps remembered at most; the oldest are let go.
const MOST: usize = 200;

/// Ids that are missing in a row at most: a longer gap was never filled with rows.
const LONGEST: i128 = 1000;

/// How long a gap is looked at.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Pause between two looks at all of them.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// Distances between ids that are remembered, to tell how far apart ids lie where few settle at a time.
const RECENT: usize = 32;

/// Fewer distances than these say nothing; then ids are taken for dense, which costs little.
const FEW: usize = 4;

/// Gaps, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    gaps: Vec<Gap>,
    looked: Option<NaiveDateTime>,
    /// Distances of the ids that settled last; not stored.
    recent: VecDeque<i128>,
}

/// Ids from `first` to `last`, missing since then (Unix seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    first: i128,
    more: u16,
    since: i64,
}

impl Gap {
    fn last(&self) -> i128 {
        self.first + i128::from(self.more)
    }
}

impl Gaps {
    /// Remembers what is missing between `ids` (ascending), which have settled now, and behind `before`. Ids that
    /// lie evenly apart (`auto_increment_increment`) have no gaps there, and ids that lie just anywhere have none.
    pub(super) fn note(&mut self, before: Option<i128>, ids: &[i128], now: NaiveDateTime) {
        let all: Vec<i128> = before.into_iter().chain(ids.iter().copied()).collect();
        let own = all.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        let known: Vec<i128> = self.recent.iter().copied().chain(own.clone()).collect();
        self.recent = known[known.len().saturating_sub(RECENT)..].iter().copied().collect();
        let step = if known.len() < FEW { 1 } else { known.iter().copied().min().unwrap_or(1).max(1) };
        let even = |distance: i128| distance > step && distance - step < LONGEST && distance % step == 0;
        let wide = known.iter().filter(|distance| **distance > step).count();
        // Few of many: these ids are dense. A handful tells nothing, but costs nothing either.
        if wide * 4 > known.len().max(16) {
            return;
        }
        for pair in all.windows(2).filter(|pair| even(pair[1].saturating_sub(pair[0]))) {
            let more = u16::try_from(pair[1] - pair[0] - 2).unwrap_or(0);
            self.gaps.push(Gap { first: pair[0] + 1, more, since: now.and_utc().timestamp() });
        }
        let surplus = self.gaps.len().saturating_sub(MOST);
        self.gaps.drain(..surplus);
    }

    /// The ranges to look at now, if it is time.
    pub(super) fn due(&mut self, now: NaiveDateTime) -> Vec<(i128, i128)> {
        let old = (now - KEPT).and_utc().timestamp();
        self.gaps.retain(|gap| gap.since > old);
        if self.gaps.is_empty() || self.looked.is_some_and(|at| now - at < PAUSE && at <= now) {
            return Vec::new();
        }
        self.looked = Some(now);
        self.gaps.iter().map(|gap| (gap.first, gap.last())).collect()
    }

    /// These have been found.
    pub(super) fn filled(&mut self, ids: &[i128]) {
        for id in ids {
            let Some(at) = self.gaps.iter().position(|gap| gap.first <= *id && *id <= gap.last()) else {
                continue;
            };
            let gap = self.gaps[at];
            let part = |first: i128, last: i128| {
                let more = u16::try_from(last - first).ok()?;
                Some(Gap { first, more, since: gap.since })
            };
            let rest = [part(gap.first, id - 1), part(id + 1, gap.last())];
            self.gaps.splice(at..=at, rest.into_iter().flatten());
        }
    }

    /// What both know of.
    pub(super) fn both(&self, other: &Self) -> Self {
        let mut gaps = self.gaps.clone();
        gaps.extend(other.gaps.iter().filter(|gap| !self.gaps.contains(gap)));
        gaps.sort_by_key(|gap| gap.since);
        gaps.drain(..gaps.len().saturating_sub(MOST));
        Self { gaps, looked: None, recent: self.recent.clone() }
    }

    /// As they are stored: `first+more@since`.
    pub(super) fn encode(&self) -> Vec<String> {
        self.gaps.iter().map(|gap| format!("{}+{}@{}", gap.first, gap.more, gap.since)).collect()
    }

    /// The inverse of [`Gaps::encode`]; `None` for text that is none.
    pub(super) fn decode(text: &[String]) -> Option<Self> {
        let gap = |text: &String| {
            let (first, rest) = text.split_once('+')?;
            let (more, since) = rest.split_once('@')?;
            Some(Gap { first: first.parse().ok()?, more: more.parse().ok()?, since: since.parse().ok()? })
        };
        Some(Self { gaps: text.iter().map(gap).collect::<Option<Vec<_>>>()?, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form;

    fn at(seconds: i64) -> NaiveDateTime {
        form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::seconds(seconds)
    }

    fn noted(before: Option<i128>, ids: &[i128]) -> Vec<(i128, i128)> {
        let mut gaps = Gaps::default();
        gaps.note(before, ids, at(0));
        gaps.due(at(0))
    }

    #[test]
    fn only_dense_ids_have_gaps() {
        assert_eq!(noted(Some(4), &[5, 6, 9, 10]), [(7, 8)]);
        assert_eq!(noted(None, &[5, 6, 9, 10]), [(7, 8)]);
        assert_eq!(noted(Some(1), &[11, 21, 31, 51]), [(32, 50)]);
        assert_eq!(noted(Some(-5), &[-4, -2, -1]), [(-3, -3)]);
        assert_eq!(noted(Some(0), &[1, 2, 5000, 5001]), []);
        let sparse: Vec<i128> = (0..100).map(|n| n * n * 7).collect();
        assert_eq!(noted(None, &sparse), []);
        assert_eq!(noted(None, &[]), []);
    }

    #[test]
    fn where_ids_settle_one_by_one_gaps_are_seen_as_well() {
        let one_by_one = |ids: &[i128]| {
            let mut gaps = Gaps::default();
            for pair in ids.windows(2) {
                gaps.note(Some(pair[0]), &[pair[1]], at(0));
            }
            gaps.due(at(0))
        };
        assert_eq!(one_by_one(&[1000, 1002, 1003, 1004]), [(1001, 1001)]);
        let mut ids: Vec<i128> = (1..=100).collect();
        ids.extend([124, 125, 127]);
        assert_eq!(one_by_one(&ids), [(101, 123), (126, 126)]);
        // Ids ten apart, and ids anywhere: a few at the beginning, when nothing is known.
        let tens: Vec<i128> = (0..100).map(|n| n * 10).collect();
        assert!(one_by_one(&tens).len() < FEW);
        let sparse: Vec<i128> = (0..30).map(|n| n * n * 7).collect();
        assert!(one_by_one(&sparse).len() <= 2 * FEW, "{:?}", one_by_one(&sparse));
    }

    #[test]
    fn they_are_looked_at_each_minute_for_a_day() {
        let mut gaps = Gaps::default();
        gaps.note(Some(0), &[1, 2, 4, 5], at(0));
        assert_eq!(gaps.due(at(1)), [(3, 3)]);
        assert_eq!(gaps.due(at(2)), []);
        assert_eq!(gaps.due(at(61)), [(3, 3)]);
        assert_eq!(gaps.due(at(86_401)), []);
        assert_eq!(gaps.encode().len(), 0);
    }

    #[test]
    fn what_was_found_is_not_looked_for() {
        let mut gaps = Gaps::default();
        gaps.note(Some(0), &[1, 2, 10, 11], at(0));
        gaps.filled(&[5, 3, 77]);
        assert_eq!(gaps.due(at(0)), [(4, 4), (6, 9)]);
        assert_eq!(Gaps::decode(&gaps.encode()).unwrap().gaps, gaps.gaps);
        assert!(Gaps::decode(&["x".to_owned()]).is_none());
    }

    #[test]
    fn their_number_is_bounded() {
        let mut gaps = Gaps::default();
        for start in (0..100_000).step_by(100) {
            let ids: Vec<i128> = (start..start + 100).filter(|n| n % 50 != 7).collect();
            gaps.note(None, &ids, at(0));
        }
        assert_eq!(gaps.gaps.len(), MOST);
    }
}
