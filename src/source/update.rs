//! The update feed: rows in the order of (update time, id), in windows that overlap.
//!
//! A row gets its time when it is written and is seen when its transaction commits. The durable end is therefore
//! *settled*: no transaction that is still open can have written before it. Each look reads whole what was written
//! since the last one, less the configured overlap, up to the database's own now. Behind that, as far as the settled
//! end, it reads times and ids alone and fetches the rows of those it has not seen there. When a stretch settles its
//! rows are read once more, for what was written to them within one stamp, and forgotten. So that stamps of clocks
//! that are a little slow are found as well, everything reaches back by the overlap behind the settled end.
//!
//! Rows whose time is NULL, or a text that is no time, are never read, but counted; rows whose time lies in the future are read when that time has come.
//!
//! All of this happens on the *column's clock*: UTC for instants and Unix times, the wall of the column's zone for
//! everything else. A position remembers how far that wall was ahead of UTC, so that a window over the hour that
//! comes twice (or never) reaches far enough.

use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::ground::{Ground, NULLS};
use super::{Batch, Coverage};
use crate::model::{Position, Value, form};
use crate::sql::clock::Now;
use crate::sql::{Database, PlaceError, PlaceErrorKind};

mod feed;
mod live;
mod look;
mod pairs;
mod plan;
mod strays;
mod time_form;

pub(super) use feed::UpdateFeed;
use live::Live;
use look::Look;
pub(super) use look::Terms;
pub(super) use strays::Strays;
pub(super) use time_form::TimeForm;

/// A position as it is carried on: what is stored, and what is lost at a restart.
#[derive(Clone, Debug, Default)]
struct Place {
    cursor: Cursor,
    live: Live,
}

impl Place {
    /// Reads a position; `None` if it is not one of ours.
    fn read(position: &Position) -> Option<Arc<Self>> {
        if let Some(held) = position.memory() {
            return Some(held);
        }
        Some(Arc::new(Self { cursor: Cursor::read(position)?, live: Live::default() }))
    }

    fn position(self) -> Position {
        Position::with_memory(self.cursor.text(), Arc::new(self))
    }

    /// How long ago the settled end was now.
    fn age(&self, elapsed: Duration) -> Option<Duration> {
        let (now, began) = self.live.now?;
        Some((now - self.cursor.end_utc()?).to_std().ok()? + elapsed.saturating_sub(began))
    }
}

/// Where the update feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Up to where everything has settled, on the column's clock; null: before everything.
    end: Option<String>,
    /// Seconds by which that clock was ahead of UTC at the last finished look.
    zone: i64,
    /// What it was before, while rows of then may still appear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Was>,
    /// The window being read, if a page of it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<Page>,
}

/// Offsets of a wall clock that has been set since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Was {
    /// The least, in seconds.
    low: i64,
    /// The greatest.
    high: i64,
    /// When it was found set, in UTC.
    until: String,
}

/// A place inside a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    /// End of the window on the column's clock: the highest time that is read.
    high: String,
    /// What becomes of [`Cursor::end`] when the window is finished: what had settled when it was begun.
    now: String,
    /// Seconds by which the column's clock was ahead of UTC when the window was begun.
    zone: i64,
    /// Time of the last row read, as its column holds it.
    time: Stored,
    /// Key of the last row read.
    id: String,
}

/// A value of the update column in a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Int(String),
    Real(String),
    Text(String),
}

impl Stored {
    /// Keeps a value; `None` for what no update column holds.
    fn keep(value: &Value) -> Option<Self> {
        let text = value.to_text()?.into_owned();
        match value {
            Value::Int(_) | Value::UInt(_) => Some(Self::Int(text)),
            Value::F32(_) | Value::F64(_) => Some(Self::Real(text)),
            Value::Text(_) => Some(Self::Text(text)),
            Value::Null | Value::Bool(_) | Value::Bytes(_) | Value::TooLarge(_) => None,
        }
    }

    /// The value again.
    fn value(&self) -> Option<Value> {
        Some(match self {
            Self::Int(text) => Value::Int(text.parse().ok()?),
            Self::Real(text) => Value::F64(text.parse().ok()?),
            Self::Text(text) => Value::text(text.as_str()),
        })
    }
}

/// After an outage of this length the clock may have been set forth and back in between.
const LONG: TimeDelta = TimeDelta::hours(6);

/// The most a wall clock is set back at once.
const STEP: TimeDelta = TimeDelta::hours(2);

impl Cursor {
    /// Nothing is read yet, everything will be.
    fn beginning() -> Self {
        Self::default()
    }

    /// Everything up to `settled` (UTC) is done; the column's clock is ahead by this.
    fn done(settled: NaiveDateTime, offset: TimeDelta) -> Self {
        Self { end: Some(form::moment_text(settled + offset)), zone: offset.num_seconds(), ..Self::default() }
    }

    /// The next window begins at `time`, given the overlap it will be widened by.
    fn at(time: NaiveDateTime, overlap: TimeDelta, now: &Now) -> Self {
        Self { end: Some(form::moment_text(time + overlap)), ..Self::done(now.utc, now.offset()) }
    }

    /// How far it has come, for people.
    fn shown(&self) -> Option<String> {
        let page = self.page.as_ref().and_then(|page| Some(page.time.value()?.to_text()?.into_owned()));
        page.or_else(|| self.end.clone())
    }

    /// The settled end in UTC.
    fn end_utc(&self) -> Option<NaiveDateTime> {
        Some(form::parse_moment(self.end.as_deref()?)? - TimeDelta::seconds(self.zone))
    }

    /// Where the end will be when the window being read is finished.
    fn settles(&self) -> Option<&String> {
        self.page.as_ref().map(|page| &page.now).or(self.end.as_ref())
    }

    /// This one, for another in the same zone as well: inside a window that may have passed what the other owes, or the
    /// other way round, so that no more counts as settled afterwards than for either.
    fn settling_with(&self, other: &Self) -> Self {
        let mut cursor = self.clone();
        let time = |text: &String| form::parse_moment(text);
        let lower = other.settles().filter(|theirs| {
            (self.page.is_some() || other.page.is_some()) && self.settles().and_then(time) > time(theirs)
        });
        if let Some(lower) = lower {
            match &mut cursor.page {
                Some(page) => page.now.clone_from(lower),
                None => cursor.end = Some(lower.clone()),
            }
        }
        cursor
    }

    /// Reads a position's text; `None` if it is not one of ours.
    fn read(position: &Position) -> Option<Self> {
        let cursor: Self = serde_json::from_str(position.as_str()).ok()?;
        if let Some(end) = &cursor.end {
            form::parse_moment(end)?;
        }
        if let Some(was) = &cursor.was {
            form::parse_moment(&was.until)?;
        }
        if let Some(page) = &cursor.page {
            form::parse_moment(&page.high)?;
            form::parse_moment(&page.now)?;
            page.id.parse::<i128>().ok()?;
            page.time.value()?;
        }
        Some(cursor)
    }

    /// As it is stored.
    fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

/// The rows behind a position; `None`: it is none of this feed.
pub(super) async fn read(
    ground: &dyn Ground,
    terms: Terms<'_>,
    from: &Position,
    limit: usize,
) -> Result<Option<Batch>, PlaceError> {
    let Some(at) = Place::read(from) else { return Ok(None) };
    let (rows, next, more) = Look::step(ground, terms, &at, limit).await?;
    let coverage = Coverage {
        from: at.cursor.shown(),
        to: next.cursor.shown(),
        settled: next.cursor.end.clone(),
        told: next.live.told,
        forgets: next.live.forgotten.is_some(),
        behind: next.age(ground.elapsed()),
        counted: None,
        unsettled: 0,
        uncovered: next.live.nulls.map(|nulls| nulls + next.live.strays.rows),
        uncovered_more: next.live.nulls.is_some_and(|nulls| nulls > NULLS) || next.live.strays.more,
        unreadable: next.live.strays.named.clone(),
        ahead: next.live.ahead.and_then(|ahead| u64::try_from(ahead).ok()).map(Duration::from_secs),
    };
    Ok(Some(Batch { rows, next: next.position(), more, coverage }))
}

/// The place from which both cursors lose nothing.
///
/// Where the two can be told apart for certain it is one of them; over a change of the wall clock it may be the
/// beginning of the earlier window.
fn earlier(a: &Cursor, b: &Cursor, overlap: TimeDelta, time: &TimeForm) -> Cursor {
    if a == b {
        return a.clone();
    }
    let front = |cursor: &Cursor| match (&cursor.page, &cursor.end) {
        (Some(page), _) => {
            let at = page.time.value().and_then(|value| time.parse(&value))?;
            Some((at, page.id.parse().unwrap_or(i128::MIN)))
        }
        (None, Some(end)) => form::parse_moment(end).map(|end| (end - overlap, i128::MIN)),
        (None, None) => Some((NaiveDateTime::MIN, i128::MIN)),
    };
    let zones = |cursor: &Cursor| {
        let own = cursor.end.is_some().then_some(cursor.zone);
        own.into_iter().chain(cursor.page.as_ref().map(|page| page.zone)).collect::<Vec<_>>()
    };
    let zones = [zones(a), zones(b)].concat();
    let one_zone = zones.windows(2).all(|pair| pair[0] == pair[1]);
    if let (Some(x), Some(y), true) = (front(a), front(b), one_zone) {
        let (first, other) = if x <= y { (a, b) } else { (b, a) };
        return first.settling_with(other);
    }
    let end = |cursor: &Cursor| {
        let end = cursor.end.as_deref().and_then(form::parse_moment);
        end.map_or(NaiveDateTime::MIN, |end| end - TimeDelta::seconds(cursor.zone))
    };
    let first = if end(a) <= end(b) { a } else { b };
    Cursor { page: None, ..first.clone() }
}

/// A position from which neither of the two loses anything: of what has not settled, only what both have read counts as
/// read. Nothing does if one of them has just been read from its text, or is in the middle of a look, or if the wall
/// was set between them.
pub(super) fn earlier_place(a: &Position, b: &Position, overlap: TimeDelta, time: &TimeForm) -> Position {
    if a == b {
        return a.clone();
    }
    // One that cannot be read is refused when it is read from.
    let Some(x) = Place::read(a) else { return a.clone() };
    let Some(y) = Place::read(b) else { return b.clone() };
    let cursor = earlier(&x.cursor, &y.cursor, overlap, time);
    let whole = |place: &Place| place.cursor.page.is_none() && place.cursor.was.is_none();
    let (first, other) = if cursor == x.cursor { (&x, &y) } else { (&y, &x) };
    let comparable = whole(first) && whole(other) && first.cursor.zone == other.cursor.zone;
    let live = if comparable { first.live.both(&other.live) } else { None };
    Place { cursor, live: live.unwrap_or_default() }.position()
}

/// The error for a position that another feed, or another program, has written.
pub(super) fn foreign(database: &Database, position: &Position) -> PlaceError {
    let message = format!(
        "the saved position {:?} is none of this feed; start the task once with `--restart TASK`",
        position.as_str()
    );
    PlaceError::new(PlaceErrorKind::Other, database.place(), message)
}

#[cfg(test)]
#[path = "update/tests.rs"]
mod tests;
