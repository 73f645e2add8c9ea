//! The update feed: rows in the order of (update time, key), in windows that overlap.
//!
//! Each window reaches from the last finished end, less the configured overlap, to the database's own now. Within it
//! rows are read in pages by (time, key), so that rows of one time are neither lost nor read twice at a page's edge.
//! Rows whose time is NULL are never read; rows whose time lies in the future are read when that time has come.
//!
//! All of this happens on the *column's clock*: UTC for instants and Unix times, the wall of the column's zone for
//! everything else. A position remembers how far that wall was ahead of UTC, so that a window over the hour that
//! comes twice (or never) reaches far enough.

use chrono::{NaiveDateTime, TimeDelta, Timelike as _};
use serde::{Deserialize, Serialize};

use crate::model::{Position, Value, form};
use crate::sql::clock::Now;
use crate::sql::{Database, PlaceError, PlaceErrorKind};

mod feed;
mod time_form;

pub(super) use feed::UpdateFeed;
use time_form::TimeForm;

/// Where the update feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// End of the last finished window on the column's clock; null: before everything.
    end: Option<String>,
    /// Seconds by which that clock was ahead of UTC then.
    zone: i64,
    /// The window being read, if a page of it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<Page>,
}

/// A place inside a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    /// End of the window on the column's clock: the highest time that is read.
    high: String,
    /// What becomes of [`Cursor::end`] when the window is finished: now, when the window was begun.
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

/// What one window covers, on the column's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// Lowest time read; `None`: from the beginning.
    low: Option<NaiveDateTime>,
    /// Highest time read.
    high: NaiveDateTime,
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

    /// Everything up to `now` on the column's clock is done.
    fn done(now: &Now) -> Self {
        Self { end: Some(form::moment_text(now.wall)), zone: now.offset().num_seconds(), page: None }
    }

    /// The next window begins at `time`, given the overlap it will be widened by.
    fn at(time: NaiveDateTime, overlap: TimeDelta, now: &Now) -> Self {
        Self { end: Some(form::moment_text(time + overlap)), ..Self::done(now) }
    }

    /// Reads a position; `None` if it is not one of ours.
    fn read(position: &Position) -> Option<Self> {
        let cursor: Self = serde_json::from_str(position.as_str()).ok()?;
        if let Some(end) = &cursor.end {
            form::parse_moment(end)?;
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
    fn position(&self) -> Position {
        Position::new(serde_json::to_string(self).expect("strings and numbers always serialise"))
    }

    /// The window to be read next, seen from `now`.
    fn window(&self, overlap: TimeDelta, now: &Now) -> Window {
        let Some(end) = self.end.as_deref().and_then(form::parse_moment) else {
            return Window { low: None, high: now.wall };
        };
        let (then, today) = (TimeDelta::seconds(self.zone), now.offset());
        // Had the wall clock been set since, rows were stamped by either: read as low and as high as both say.
        let low_utc = (end - then).min(now.utc);
        let mut low = low_utc - overlap + then.min(today);
        let high = now.wall + (then - today).max(TimeDelta::zero());
        let on_a_wall = then != TimeDelta::zero() || today != TimeDelta::zero();
        if on_a_wall && now.utc - low_utc > LONG {
            low -= STEP;
        }
        let whole = low.with_nanosecond(0).unwrap_or(low);
        Window { low: Some(whole), high }
    }

    /// The cursor after a page that ended with a row at (`time`, `id`) inside `window`.
    fn paged(&self, window: &Window, now: &Now, time: Stored, id: i128) -> Self {
        let page = Page {
            high: form::moment_text(window.high),
            now: form::moment_text(now.wall),
            zone: now.offset().num_seconds(),
            time,
            id: id.to_string(),
        };
        Self { page: Some(page), ..self.clone() }
    }
}

impl Page {
    /// The cursor after a further page of the same window.
    fn advanced(&self, cursor: &Cursor, time: Stored, id: i128) -> Cursor {
        Cursor { page: Some(Self { time, id: id.to_string(), ..self.clone() }), ..cursor.clone() }
    }

    /// The cursor after the last page of the window.
    fn finished(&self) -> Cursor {
        Cursor { end: Some(self.now.clone()), zone: self.zone, page: None }
    }
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
        return if x <= y { a.clone() } else { b.clone() };
    }
    let end = |cursor: &Cursor| {
        let end = cursor.end.as_deref().and_then(form::parse_moment);
        end.map_or(NaiveDateTime::MIN, |end| end - TimeDelta::seconds(cursor.zone))
    };
    let first = if end(a) <= end(b) { a } else { b };
    Cursor { page: None, ..first.clone() }
}

/// The error for a position that another feed, or another program, has written.
pub(super) fn foreign(database: &Database, position: &Position) -> PlaceError {
    let message = format!(
        "the saved position {:?} is none of this feed; start the task anew (--restart)",
        position.as_str()
    );
    PlaceError::new(PlaceErrorKind::Other, database.place(), message)
}

#[cfg(test)]
#[path = "update/tests.rs"]
mod tests;
