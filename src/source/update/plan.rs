//! What a look of the update feed reads: a pure decision.

use chrono::{NaiveDateTime, TimeDelta, Timelike as _};

use super::{Cursor, LONG, Page, STEP, Stored, TimeForm, Was};
use crate::model::{RowId, form};
use crate::sql::clock::Now;

/// What settles within this is read whole with the rest: one question less.
const NEXT: TimeDelta = TimeDelta::seconds(2);

/// A stretch of time on the column's clock, ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// `None`: from the beginning.
    pub(super) low: Option<NaiveDateTime>,
    pub(super) high: NaiveDateTime,
    /// Whether rows are read, or times and ids alone.
    pub(super) rows: bool,
}

/// What is known when a look begins.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) cursor: &'a Cursor,
    pub(super) now: Now,
    /// Up to where no open transaction reaches, in UTC.
    pub(super) settled: NaiveDateTime,
    pub(super) overlap: TimeDelta,
    /// Now (UTC) of the last look, if what it read is remembered.
    pub(super) looked: Option<NaiveDateTime>,
    /// Before this time nothing is remembered.
    pub(super) forgotten: Option<NaiveDateTime>,
    /// Whether the stretch behind the overlap is due.
    pub(super) whole: bool,
    pub(super) time: &'a TimeForm,
}

/// A planned look.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) segments: Vec<Segment>,
    pub(super) end: Cursor,
    /// What lies before this is settled when the look has ended.
    pub(super) floor: NaiveDateTime,
    /// What lies before this is behind the overlap at the next look.
    pub(super) near: NaiveDateTime,
    /// Whether memory goes on: nothing of it holds over a change of the wall clock.
    pub(super) goes_on: bool,
}

impl Plan {
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        let Facts { cursor, now, overlap, .. } = *facts;
        let (then, today) = (TimeDelta::seconds(cursor.zone), now.offset());
        let begun = cursor.end_utc();
        // A clock that was set back begins again where it is now.
        let begun = begun.map(|begun| begun.min(now.utc));
        let settled = begun.map_or(facts.settled, |begun| facts.settled.max(begun));
        let moved = begun.is_some() && then != today;
        let was = was(cursor, moved.then_some(then), today, now.utc);
        // Had the wall clock been set since, rows were stamped by either: read as low and as high as both say.
        let low = was.as_ref().map_or(today, |was| today.min(TimeDelta::seconds(was.low)));
        let ahead = was.as_ref().map_or(TimeDelta::zero(), |was| TimeDelta::seconds(was.high) - today);
        let floor_of = |utc: NaiveDateTime| facts.time.floor(utc - overlap + low);
        let high = now.wall + ahead.max(TimeDelta::zero());
        let looked = facts
            .looked
            .filter(|looked| !moved && now.utc - *looked < LONG)
            .map(|looked| looked.min(now.utc));
        let from = begun.map(|begun| {
            let on_a_wall = then != TimeDelta::zero() || today != TimeDelta::zero();
            let outage = looked.is_none() && on_a_wall && now.utc - begun > LONG;
            if outage { facts.time.floor(begun - overlap + low - STEP) } else { floor_of(begun) }
        });
        let (floor, near) = (floor_of(settled), floor_of(now.utc));
        let was =
            was.filter(|was| form::parse_moment(&was.until).is_some_and(|until| settled - overlap <= until));
        let end = Cursor { was, ..Cursor::done(settled, today) };
        let segments = match (looked.map(floor_of), from) {
            (Some(near), Some(from)) if floor + NEXT < near => {
                split(facts, from, floor, near, now.wall, high)
            }
            _ => vec![Segment { low: from, high, rows: true }],
        };
        Self { segments, end, floor, near, goes_on: looked.is_some() }
    }
}

/// New rows first, then what settles, then what cannot yet.
fn split(
    facts: &Facts<'_>,
    from: NaiveDateTime,
    floor: NaiveDateTime,
    near: NaiveDateTime,
    wall: NaiveDateTime,
    high: NaiveDateTime,
) -> Vec<Segment> {
    let mut segments = vec![Segment { low: Some(near), high: wall, rows: true }];
    if from < floor {
        segments.push(Segment { low: Some(from), high: floor, rows: true });
    }
    if facts.whole {
        let low = facts.forgotten.map_or(floor, |forgotten| forgotten.max(floor));
        segments.push(Segment { low: Some(low), high: near, rows: false });
        if high > wall {
            segments.push(Segment { low: Some(wall), high, rows: false });
        }
        segments.retain(|segment| segment.low.is_none_or(|low| low <= segment.high));
    }
    segments
}

/// The offsets that rows which may still appear were stamped with, beside today's.
fn was(cursor: &Cursor, then: Option<TimeDelta>, today: TimeDelta, now: NaiveDateTime) -> Option<Was> {
    let Some(then) = then.map(|then| then.num_seconds()) else { return cursor.was.clone() };
    let (low, high) = cursor.was.as_ref().map_or((then, then), |was| (was.low.min(then), was.high.max(then)));
    let today = today.num_seconds();
    Some(Was { low: low.min(today), high: high.max(today), until: form::moment_text(now) })
}

impl TimeForm {
    /// The earliest time that the column shows for a moment of this second.
    pub(super) fn floor(&self, at: NaiveDateTime) -> NaiveDateTime {
        let whole = at.with_nanosecond(0).unwrap_or(at);
        self.parse(&self.write(whole)).unwrap_or(whole)
    }
}

impl Page {
    /// What is left of the window that it lies in, and where.
    pub(super) fn rest(&self) -> Option<(Segment, (Stored, RowId))> {
        let high = form::parse_moment(&self.high)?;
        let id = RowId(self.id.parse().ok()?);
        Some((Segment { low: None, high, rows: true }, (self.time.clone(), id)))
    }

    /// The cursor after the window.
    pub(super) fn finished(&self, was: Option<Was>) -> Cursor {
        Cursor { end: Some(self.now.clone()), zone: self.zone, was, page: None }
    }
}
