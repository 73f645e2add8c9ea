//! One look of the update feed, in steps that return at most a page of rows each.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};

use super::live::Tick;
use super::plan::{Facts, Plan, Segment};
use super::{Page, Place, Stored, Strays, TimeForm};
use crate::model::{RowId, SourceRow, Value, form};
use crate::source::ground::{Ground, Stretch};
use crate::sql::PlaceError;

/// Pairs read at once.
const PAIRS: usize = 10_000;

/// Lists of pairs read in one step.
const LISTS: usize = 5;

/// The stretch behind the overlap is read again after this many times of what that took.
const REST: u32 = 20;

/// Pause between two surveys.
const SURVEY: Duration = Duration::from_secs(600);

/// What the feed is configured to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Terms<'a> {
    pub(in crate::source) overlap: TimeDelta,
    pub(in crate::source) settle: Duration,
    /// Bytes of pairs remembered.
    pub(in crate::source) memory: usize,
    pub(in crate::source) time: &'a TimeForm,
    /// Place of the update time in a row.
    pub(in crate::source) column: usize,
}

/// See the module's documentation.
pub(super) struct Look<'a> {
    ground: &'a dyn Ground,
    terms: Terms<'a>,
    limit: usize,
    at: Place,
}

impl<'a> Look<'a> {
    /// Goes on from `at`; returns rows, the place behind them, and whether more is known to wait.
    pub(super) async fn step(
        ground: &'a dyn Ground,
        terms: Terms<'a>,
        at: &Place,
        limit: usize,
    ) -> Result<(Vec<SourceRow>, Place, bool), PlaceError> {
        let mut look = Self { ground, terms, limit, at: at.clone() };
        if look.at.live.tick.is_none() {
            look.begin().await?;
        }
        let mut rows = Vec::new();
        for _ in 0..LISTS {
            rows = look.go_on().await?;
            if !rows.is_empty() || look.at.live.tick.is_none() {
                break;
            }
        }
        let more = look.at.live.tick.is_some();
        Ok((rows, look.at, more))
    }

    async fn begin(&mut self) -> Result<(), PlaceError> {
        let Place { cursor, live } = &mut self.at;
        if let Some((segment, place)) = cursor.page.as_ref().and_then(Page::rest) {
            // Begun before a restart: the rest of that window is read as it was meant to be.
            let page = cursor.page.as_ref().expect("it was just read");
            live.tick = Some(Tick {
                wall: segment.high,
                segments: [segment].into(),
                place: Some(place),
                since: None,
                end: page.finished(cursor.was.clone()),
                now: None,
                floor: None,
                near: None,
                oldest: None,
                in_order: true,
            });
            return Ok(());
        }
        let horizon = live.clock.straighten(self.ground.horizon().await?);
        let now = self.ground.elapsed();
        live.told = horizon.told;
        live.now = Some((horizon.now.utc, now));
        if live.surveyed.is_none_or(|at| now.saturating_sub(at) >= SURVEY) {
            live.surveyed = Some(now);
            // Only to be shown: what fails here and matters fails again where rows are read.
            if let Ok(survey) = self.ground.survey().await {
                live.nulls = Some(survey.nulls);
                live.strays = Strays::among(&survey.edges, self.terms.time);
                let latest = survey.latest.and_then(|value| self.terms.time.parse(&value));
                let latest = latest.or(live.strays.latest);
                live.ahead = latest.map(|at| (at - self.terms.time.floor(horizon.now.wall)).num_seconds());
            }
        }
        let facts = Facts {
            cursor,
            now: horizon.now,
            settled: horizon.settled(self.terms.settle),
            overlap: self.terms.overlap,
            looked: live.looked,
            forgotten: live.forgotten,
            whole: live.whole.is_none_or(|(at, took, holder)| {
                let rested = now.saturating_sub(at);
                rested >= took * REST || (holder != horizon.oldest && rested >= took)
            }),
            time: self.terms.time,
        };
        let plan = Plan::new(&facts);
        if !plan.goes_on {
            live.pairs = super::pairs::Pairs::default();
            live.forgotten = None;
        }
        live.tick = Some(Tick {
            in_order: plan.segments.len() == 1,
            segments: plan.segments.into(),
            place: None,
            since: None,
            end: plan.end,
            now: Some(horizon.now.utc),
            floor: Some(plan.floor),
            near: Some(plan.near),
            wall: horizon.now.wall,
            oldest: horizon.oldest,
        });
        Ok(())
    }

    async fn go_on(&mut self) -> Result<Vec<SourceRow>, PlaceError> {
        let now = self.ground.elapsed();
        let tick = self.at.live.tick.as_mut().expect("a look was begun");
        let Some(segment) = tick.segments.front().cloned() else {
            self.end();
            return Ok(Vec::new());
        };
        let since = *tick.since.get_or_insert(now);
        let after = match &tick.place {
            Some((time, id)) => time.value().map(|time| (time, *id)),
            None => None,
        };
        let write = |at: NaiveDateTime| self.terms.time.write(at);
        let stretch = Stretch { low: segment.low.map(write), high: write(segment.high), after };
        let (rows, place) =
            if segment.rows { self.rows(&stretch).await? } else { self.pairs(&stretch).await? };
        self.remember(&rows);
        let live = &mut self.at.live;
        let tick = live.tick.as_mut().expect("a look was begun");
        tick.place = place;
        if tick.place.is_none() {
            tick.segments.pop_front();
            tick.since = None;
            if !segment.rows {
                let now = self.ground.elapsed();
                live.whole = Some((now, now.saturating_sub(since), tick.oldest));
            }
        }
        self.keep(&segment);
        if self.at.live.tick.as_ref().is_some_and(|tick| tick.segments.is_empty()) {
            self.end();
        }
        Ok(rows)
    }

    async fn rows(&self, stretch: &Stretch) -> Result<(Vec<SourceRow>, Option<(Stored, RowId)>), PlaceError> {
        let page = self.ground.changed(stretch, self.limit).await?;
        // Rows behind it whose time is unreadable are read again with the next page.
        let place = |row: &SourceRow| Some((Stored::keep(&row.values[self.terms.column])?, row.id));
        let place = page.items.iter().rev().find_map(place);
        match (page.full, place) {
            (false, _) => Ok((page.items, None)),
            // Going on without a place to begin at would skip the rest of the window.
            (true, None) => {
                let rows = page.items.len();
                Err(self
                    .ground
                    .broken(&format!("none of {rows} rows in a page has a time and an integer id")))
            }
            (true, place) => Ok((page.items, place)),
        }
    }

    /// Rows of the pairs that have not been seen.
    async fn pairs(
        &self,
        stretch: &Stretch,
    ) -> Result<(Vec<SourceRow>, Option<(Stored, RowId)>), PlaceError> {
        let page = self.ground.pairs(stretch, PAIRS.max(self.limit)).await?;
        let unseen = |(value, id): &&(Value, RowId)| {
            self.terms.time.parse(value).is_some_and(|time| !self.at.live.pairs.has(time, *id))
        };
        let mut unseen: Vec<&(Value, RowId)> = page.items.iter().filter(unseen).collect();
        let mut last = page.items.iter().rev().find(|(value, _)| Stored::keep(value).is_some());
        let mut full = page.full && last.is_some();
        if unseen.len() > self.limit {
            unseen.truncate(self.limit);
            (last, full) = (unseen.last().copied(), true);
        }
        let place = last.filter(|_| full).and_then(|(value, id)| Some((Stored::keep(value)?, *id)));
        if unseen.is_empty() {
            return Ok((Vec::new(), place));
        }
        let ids: Vec<RowId> = unseen.iter().map(|(_, id)| *id).collect();
        let found = self.ground.rows(&ids).await?;
        let Some(missed) = unseen.iter().position(|(_, id)| found.rest.contains(id)) else {
            return Ok((found.rows, place));
        };
        // On from the last one before it; if there is none, from where this began.
        let before = missed.checked_sub(1).map(|at| unseen[at]);
        let place = match before {
            Some((value, id)) => Stored::keep(value).map(|value| (value, *id)),
            None => self.at.live.tick.as_ref().and_then(|tick| tick.place.clone()).or_else(|| {
                let (value, id) = unseen[missed];
                Some((Stored::keep(value)?, RowId(id.0 - 1)))
            }),
        };
        Ok((found.rows, place))
    }

    /// Remembers what is not read whole at the next look and has not settled.
    fn remember(&mut self, rows: &[SourceRow]) {
        let Terms { time, column, memory, .. } = self.terms;
        let live = &mut self.at.live;
        let tick = live.tick.as_ref().expect("a look was begun");
        let (Some(floor), Some(near), wall) = (tick.floor, tick.near, tick.wall) else { return };
        let last = || rows.last().and_then(|row| time.parse(&row.values[column]));
        // In order, all of what settles now or is read again anyway.
        if tick.in_order && last().is_none_or(|last| last < floor || (floor >= near && last <= wall)) {
            return;
        }
        let pairs = rows.iter().filter_map(|row| Some((time.parse(&row.values[column])?, row.id)));
        let pairs: Vec<_> = pairs.filter(|(at, _)| *at >= floor && (*at < near || *at > wall)).collect();
        live.remember(pairs, memory);
    }

    /// A window that is read in order goes on at its last page after a restart.
    fn keep(&mut self, segment: &Segment) {
        let tick = self.at.live.tick.as_ref().expect("a look was begun");
        let Some((time, id)) = tick.place.as_ref().filter(|_| tick.in_order) else { return };
        let page = Page {
            high: form::moment_text(segment.high),
            now: tick.end.end.clone().unwrap_or_default(),
            zone: tick.end.zone,
            time: time.clone(),
            id: id.0.to_string(),
        };
        self.at.cursor.was.clone_from(&tick.end.was);
        self.at.cursor.page = Some(page);
    }

    fn end(&mut self) {
        let Place { cursor, live } = &mut self.at;
        let tick = live.tick.take().expect("a look was begun");
        *cursor = tick.end;
        (live.looked, live.floor) = (tick.now, tick.floor);
        if let Some(floor) = tick.floor {
            live.pairs.forget(floor);
            live.forgotten = live.forgotten.filter(|forgotten| *forgotten > floor);
        }
    }
}
