//! The slow feeds: passes over everything, again and again, within a small share of the time.
//!
//! A [`Walk`] is the durable cursor of such a feed at one destination: where its pass is, when that began, and when
//! the last complete one did. It remembers what it was made for; once that is another thing, it begins anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::UnixMs;
use crate::model::{Counts, Position, RowId};

/// A slow feed works for one part of the time and rests for so many: 10 %.
const REST: i64 = 9;
/// Keys over which the share of those that only the copy has is taken.
const SHARE_OVER: u64 = 1000;

/// How a slow feed stands at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Digest of what is compared and how; another one makes all of this void.
    #[serde(rename = "for")]
    made_for: String,
    /// What stood behind the tables' names when the pass under way began, else the last one; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// The pass under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<Under>,
    /// The last complete one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Passed>,
    /// What that has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Picture>,
}

/// Every row once, as a pass has met it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Rows by verdict.
    pub counts: Counts,
    /// Where the insert feed stood when the pass began; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Rows up to there; what lies behind it is the insert feed's to count.
    #[serde(default)]
    pub below: u64,
}

/// The insert feed's count at one moment; ids as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Counted are the rows behind this id; `None`: all.
    pub after: Option<String>,
    /// Up to this one.
    pub upto: Option<String>,
    /// How many there were.
    pub rows: u64,
}

impl Base {
    /// How many of these rows lie up to its end.
    fn holds(&self, rows: &[RowId]) -> u64 {
        let upto: Option<i128> = self.upto.as_deref().and_then(|id| id.parse().ok());
        rows.iter().filter(|row| upto.is_some_and(|upto| row.0 <= upto)).count() as u64
    }
}

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Under {
    began: UnixMs,
    /// The insert feed's first walk over everything is this pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    insert: bool,
    /// What goes by keys has got there; `None`: nowhere yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// What it has met so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Picture>,
}

/// A complete pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// When it began, Unix ms: what was wrong before and still is has been found.
    pub began: UnixMs,
    /// When it ended, Unix ms.
    pub ended: UnixMs,
    /// It was the insert feed's first walk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    insert: bool,
}

impl Walk {
    /// The walk to go on with: the saved one, unless it was made for something else; then, and where there is none,
    /// a pass is due at once, or, with `insert`, is what the insert feed is about to do.
    pub fn resume(saved: Option<&Position>, made_for: &str, insert: bool, now: UnixMs) -> Self {
        let saved: Option<Self> = saved.and_then(|p| serde_json::from_str(p.as_str()).ok());
        if let Some(saved) = saved.filter(|saved| saved.made_for == made_for) {
            return saved;
        }
        let pass = insert.then_some(Under { began: now, insert: true, at: None, picture: None });
        Self { made_for: made_for.to_owned(), of: None, pass, last: None, picture: None }
    }

    /// The walk when nothing that was passed counts any more: a pass is due at once.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { made_for: self.made_for.clone(), of: None, pass: None, last: None, picture: None }
    }

    /// Whether there is neither a pass under way nor a complete one.
    pub fn is_new(&self) -> bool {
        self.pass.is_none() && self.last.is_none()
    }

    /// As it is stored.
    pub fn position(&self) -> Position {
        Position::new(serde_json::to_string(self).expect("strings and numbers always serialise"))
    }

    /// Whether the pass under way is the insert feed's.
    pub fn is_inserts(&self) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.insert)
    }

    /// Where to read from; `None`: at the start.
    pub fn at(&self) -> Option<Position> {
        self.pass.as_ref()?.at.as_deref().map(Position::new)
    }

    /// The last complete pass.
    pub fn last(&self) -> Option<Passed> {
        self.last
    }

    /// What the last complete pass has counted; `None`: the insert feed has made it, and counts by itself.
    pub fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }

    /// What the pass under way has counted so far.
    pub fn so_far(&self) -> Option<&Picture> {
        self.pass.as_ref()?.picture.as_ref()
    }

    /// When the pass under way began, Unix ms.
    pub fn began(&self) -> Option<UnixMs> {
        Some(self.pass.as_ref()?.began)
    }

    /// Whether other tables stand behind the names than when the last pass began. One that is under way goes on to its
    /// end first, or tables that are made anew all the time would never be passed as a whole.
    pub fn is_of_others(&self, of: Option<&str>) -> bool {
        self.pass.is_none() && self.last.is_some() && of.is_some() && self.of.as_deref() != of
    }

    /// The walk, whose pass has begun when this stood behind the tables' names.
    #[must_use]
    pub fn over(self, of: Option<String>) -> Self {
        Self { of, ..self }
    }

    /// When the next step wants to be made, Unix ms, if `of` stands behind the tables' names; `None`: when the insert
    /// feed is through.
    pub fn due(&self, interval: Duration, of: Option<&str>, now: UnixMs) -> Option<UnixMs> {
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        match (&self.pass, self.last) {
            (Some(pass), _) => (!pass.insert).then_some(now),
            (None, None) => Some(now),
            _ if self.is_of_others(of) => Some(now),
            // The clock was set back: nobody knows how old the last pass is.
            (None, Some(last)) if last.ended > now => Some(now),
            (None, Some(last)) if last.insert => Some(last.ended.saturating_add(interval)),
            (None, Some(last)) => Some(last.began.saturating_add(interval).max(last.ended)),
        }
    }

    /// After a step that was begun at `since` and arrived at `next`; `more`: the pass goes on.
    #[must_use]
    pub fn moved(&self, next: &Position, more: bool, since: UnixMs, now: UnixMs) -> Self {
        let pass = self.under(since);
        let walk = self.clone();
        if more {
            return Self { pass: Some(Under { at: Some(next.as_str().to_owned()), ..pass }), ..walk };
        }
        let last = Passed { began: pass.began, ended: now, insert: pass.insert };
        Self { pass: None, last: Some(last), picture: pass.picture, ..walk }
    }

    fn under(&self, since: UnixMs) -> Under {
        self.pass.clone().unwrap_or(Under { began: since, insert: false, at: None, picture: None })
    }

    /// With rows that a step begun at `since` has met. `base` is where the insert feed stood when the pass began.
    #[must_use]
    pub fn met(&self, counts: Counts, rows: &[RowId], base: Option<&Base>, since: UnixMs) -> Self {
        let mut pass = self.under(since);
        let picture =
            pass.picture.get_or_insert_with(|| Picture { base: base.cloned(), ..Picture::default() });
        picture.counts.add(counts);
        picture.below += picture.base.as_ref().map_or(0, |base| base.holds(rows));
        Self { pass: Some(pass), ..self.clone() }
    }

    /// After the insert feed has walked to the end of what there was.
    #[must_use]
    pub fn inserted(&self, now: UnixMs) -> Self {
        self.moved(&Position::new(""), false, now, now)
    }
}

/// When a slow feed may go on after work that took `took`, in the milliseconds that `now` is in.
pub fn rest_until(now: i64, took: Duration) -> i64 {
    let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
    now.saturating_add(took.saturating_mul(REST) / 1000).saturating_add(1)
}

/// How many of the keys seen of late only the copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    looked: u64,
    extra: u64,
}

impl Share {
    /// Adds a batch; `None`: more than half of a thousand keys or more are unknown to the source, which says more
    /// about the source than about the copy.
    #[must_use]
    pub fn add(self, looked: u64, extra: u64) -> Option<Self> {
        let share = Self { looked: self.looked + looked, extra: self.extra + extra };
        if share.looked < SHARE_OVER {
            return Some(share);
        }
        (share.extra * 2 <= share.looked).then_some(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> Position {
        Position::new(text)
    }

    #[test]
    fn the_first_walk_of_the_insert_feed_is_a_pass() {
        let walk = Walk::resume(None, "a", true, 5);
        assert!(walk.is_inserts());
        assert_eq!(walk.due(HOUR, None, 6), None);
        let walk = Walk::resume(Some(&walk.position()), "a", true, 7);
        let walk = walk.inserted(1000);
        assert_eq!(walk.last().map(|last| (last.began, last.ended)), Some((5, 1000)));
        assert_eq!(walk.due(HOUR, None, 1000), Some(1000 + 3_600_000));
        assert_eq!(walk.due(HOUR, None, 900), Some(900), "the clock was set back");
    }

    #[test]
    fn a_pass_goes_on_after_a_restart_and_comes_again() {
        let walk = Walk::resume(None, "a", false, 5);
        assert_eq!((walk.due(HOUR, None, 5), walk.at()), (Some(5), None));
        let walk = walk.moved(&at("x"), true, 10, 12).moved(&at("y"), true, 19, 20);
        let walk = Walk::resume(Some(&walk.position()), "a", true, 25);
        assert_eq!((walk.due(HOUR, None, 25), walk.at()), (Some(25), Some(at("y"))));
        let walk = walk.moved(&at("z"), false, 29, 30);
        assert_eq!((walk.due(HOUR, None, 30), walk.at()), (Some(10 + 3_600_000), None));
        // A pass that takes longer than its interval is followed by the next one at once.
        assert_eq!(walk.due(Duration::from_millis(1), None, 30), Some(30));
        assert_eq!(walk.moved(&at("a"), true, 40, 40).at(), Some(at("a")));
    }

    #[test]
    fn other_tables_are_passed_at_once_and_once() {
        let (first, other) = (Some("first"), Some("other"));
        let walk =
            Walk::resume(None, "a", false, 5).moved(&at("x"), true, 5, 6).over(first.map(str::to_owned));
        assert!(!walk.is_of_others(other), "the pass under way ends first");
        let walk = walk.moved(&at("y"), false, 7, 8);
        let walk = Walk::resume(Some(&walk.position()), "a", true, 9);
        assert_eq!(walk.due(HOUR, other, 9), Some(9));
        for same in [first, None] {
            assert_eq!(walk.due(HOUR, same, 9), Some(5 + 3_600_000), "{same:?}");
        }
        let walk = walk.moved(&at("x"), false, 10, 11).over(other.map(str::to_owned));
        assert_eq!(walk.due(HOUR, other, 12), Some(10 + 3_600_000));
        // Of what was stored by an earlier version nobody knows.
        let walk = walk.over(None);
        assert_eq!(walk.due(HOUR, other, 12), Some(12));
    }

    #[test]
    fn another_mapping_begins_anew() {
        let walk = Walk::resume(None, "a", false, 5).moved(&at("x"), false, 10, 10);
        let other = Walk::resume(Some(&walk.position()), "b", false, 20);
        assert_eq!((other.due(HOUR, None, 20), other.at(), other.last()), (Some(20), None, None));
        assert_eq!(Walk::resume(Some(&at("{}")), "b", false, 20), other);
    }

    #[test]
    fn a_pass_counts_each_row_once_over_restarts() {
        let base = Base { after: None, upto: Some("20".to_owned()), rows: 15 };
        let met = |rows: u64| Counts { rows, same: rows, ..Counts::default() };
        let ids = |ids: &[i128]| ids.iter().copied().map(RowId).collect::<Vec<_>>();
        let walk = Walk::resume(None, "a", false, 5).met(met(2), &ids(&[1, 20]), Some(&base), 6);
        let walk = walk.moved(&at("x"), true, 6, 7);
        let walk = Walk::resume(Some(&walk.position()), "a", false, 8);
        // Where the insert feed is by then does not matter any more.
        let later = Base { upto: Some("99".to_owned()), ..base.clone() };
        let walk = walk.met(met(1), &ids(&[21]), Some(&later), 8);
        assert_eq!((walk.picture(), walk.so_far().unwrap().counts.rows), (None, 3));
        let walk = walk.moved(&at("y"), false, 8, 9);
        assert_eq!(walk.picture(), Some(&Picture { counts: met(3), base: Some(base), below: 2 }));
        let walk = walk.met(met(1), &ids(&[1]), None, 20).moved(&at("x"), true, 20, 21);
        assert_eq!(walk.picture().unwrap().counts, met(3), "the last complete one");
    }

    #[test]
    fn work_takes_a_tenth_of_the_time() {
        assert_eq!(rest_until(1000, Duration::from_millis(200)), 1000 + 1800 + 1);
        assert_eq!(rest_until(1000, Duration::ZERO), 1001);
    }

    #[test]
    fn more_than_half_of_a_thousand_is_too_much() {
        assert_eq!(Share::default().add(1000, 501), None);
        assert_eq!(Share::default().add(1000, 500), Some(Share::default()));
        assert_eq!(Share::default().add(999, 999), Some(Share { looked: 999, extra: 999 }));
        assert_eq!(Share { looked: 999, extra: 999 }.add(1, 0), None);
    }

    proptest! {
        /// However the keys come in batches, the source cannot vanish unnoticed.
        #[test]
        fn a_source_that_vanishes_is_noticed_soon(before in 0_u64..5000, sizes in proptest::collection::vec(1_u64..1500, 10..20)) {
            let mut share = Share::default().add(before, 0).unwrap_or_default();
            let mut extra = 0;
            for size in sizes {
                match share.add(size, size) {
                    None => return Ok(()),
                    Some(next) => share = next,
                }
                extra += size;
                prop_assert!(extra < 2000, "{extra} unknown keys went through");
            }
        }
    }
}
