//! A database of concurrent transactions that can be driven step by step.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta, Timelike as _};
use chrono_tz::Tz;
use futures_util::future::BoxFuture;

use super::dice::Dice;
use crate::model::{RowId, SourceRow, Value};
use crate::source::ground::{Found, Ground, Page, Stretch, Survey};
use crate::source::update::TimeForm;
use crate::sql::clock::Now;
use crate::sql::horizon::Horizon;
use crate::sql::next_id::NextId;
use crate::sql::{PlaceError, PlaceErrorKind};

/// Place of the update time in a row: id, two cells, time.
pub(crate) const TIME: usize = 3;

/// A row: its version, what its update column holds, and what else it says.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) time: Value,
    /// The first tells the version, unless rows flip back to what they said before.
    pub(crate) cells: Cells,
}

pub(crate) type Cells = [i64; 2];

impl Row {
    pub(crate) fn new(version: u64, time: Value) -> Self {
        Self { version, time, cells: [i64::try_from(version).unwrap(), 0] }
    }
}

/// Asked before each question: how long the answer takes, and whether there is one.
pub(crate) type Pause = Box<dyn Fn() -> BoxFuture<'static, Result<(), PlaceError>> + Send + Sync>;

/// An open transaction and what it has written; `None`: deleted.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) start: NaiveDateTime,
    pub(crate) skew: TimeDelta,
    pub(crate) writes: BTreeMap<i128, Write>,
}

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) row: Option<Row>,
    pub(crate) inserted: bool,
    /// Whether the update time was written too.
    pub(crate) stamped: bool,
}

/// How this database and its application are.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(in crate::source) time: TimeForm,
    pub(crate) whole_seconds: bool,
    pub(crate) zone: Tz,
    pub(crate) told: bool,
    /// Distance of ids, at random up to this; 1: dense.
    pub(crate) sparse: u64,
    pub(crate) increment: i128,
    /// Percentage of writes that say what the row said before.
    pub(crate) flips: u64,
    /// Every write to a row stamps it.
    pub(crate) stamps: bool,
    /// Rows are written by the transaction that makes them, and never again.
    pub(crate) inserts_only: bool,
}

/// How update times are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wording {
    /// Text on the wall.
    Wall,
    /// Text in UTC.
    Utc,
    /// Unix time.
    Seconds,
    Millis,
}

impl Kind {
    /// One whose update times are written so.
    pub(crate) fn written(wording: Wording) -> Self {
        let time = match wording {
            Wording::Wall => TimeForm::Text { separator: ' ', utc: false },
            Wording::Utc => TimeForm::Text { separator: 'T', utc: true },
            Wording::Seconds => TimeForm::Unix(1),
            Wording::Millis => TimeForm::Unix(1000),
        };
        Self { time, ..Self::default() }
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            time: TimeForm::Unix(1),
            whole_seconds: true,
            zone: Tz::UTC,
            told: true,
            sparse: 1,
            increment: 1,
            flips: 0,
            stamps: false,
            inserts_only: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now: NaiveDateTime,
    pub(crate) elapsed: Duration,
    pub(crate) rows: BTreeMap<i128, Row>,
    pub(crate) open: Vec<Transaction>,
    pub(crate) next_id: i128,
    /// Whether a counter tells it.
    pub(crate) counted: bool,
    pub(crate) version: u64,
    pub(crate) queries: usize,
    turn: u64,
}

pub(crate) struct Sim {
    pub(crate) kind: Kind,
    pub(crate) state: Mutex<State>,
    /// Without one a question costs a millisecond.
    pub(crate) pause: Option<Pause>,
}

impl Sim {
    pub(crate) fn new(kind: Kind, now: NaiveDateTime, next_id: i128) -> Self {
        let state = State {
            now,
            elapsed: Duration::ZERO,
            rows: BTreeMap::new(),
            open: Vec::new(),
            next_id,
            counted: true,
            version: 0,
            queries: 0,
            turn: 1,
        };
        Self { kind, state: Mutex::new(state), pause: None }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) async fn asked(&self) -> Result<MutexGuard<'_, State>, PlaceError> {
        if let Some(pause) = &self.pause {
            pause().await?;
        }
        let mut state = self.state();
        state.queries += 1;
        if self.pause.is_none() {
            state.pass(TimeDelta::milliseconds(1));
        }
        Ok(state)
    }

    /// A transaction begins.
    pub(crate) fn begin(&self, dice: &mut Dice) {
        // Late by up to the overlap less what a transaction's start may differ from its first stamp, early by little.
        let skew = TimeDelta::milliseconds(dice.one(&[0, 0, 0, -4000, -1500, 700, 2500]));
        let mut state = self.state();
        let start = state.now;
        state.open.push(Transaction { start, skew, writes: BTreeMap::new() });
    }

    /// One of the open transactions writes something. Returns what, for people.
    pub(crate) fn write(&self, dice: &mut Dice) -> Option<String> {
        let mut state = self.state();
        if state.open.is_empty() {
            return None;
        }
        let which = usize::try_from(dice.below(state.open.len() as u64)).unwrap();
        let stamp = self.stamp(state.now + state.open[which].skew);
        state.version += 1;
        let version = state.version;
        let own: Vec<i128> = state.open[which].writes.keys().copied().collect();
        let free = |id: &i128| {
            !self.kind.inserts_only && !state.open.iter().any(|open| open.writes.contains_key(id))
        };
        let known: Vec<i128> = state.rows.keys().copied().filter(free).chain(own).collect();
        let what = dice.below(10);
        let row = Row::new(version, stamp);
        let write = if what < 5 || known.is_empty() {
            let id = state.next_id;
            let step = 1 + i128::from(dice.below(self.kind.sparse));
            state.next_id += step * self.kind.increment;
            (id, Write { row: Some(row), inserted: true, stamped: true })
        } else {
            let id = dice.one(&known);
            let earlier = state.open[which].writes.get(&id).cloned();
            let old =
                earlier.as_ref().map_or_else(|| state.rows.get(&id).cloned(), |write| write.row.clone());
            let old = old?;
            let inserted = earlier.as_ref().is_some_and(|write| write.inserted);
            let before = earlier.is_some_and(|write| write.stamped);
            let flips = self.kind.flips > 0 && dice.chance(self.kind.flips);
            let cells = if flips { [old.cells[0], 1 - old.cells[1]] } else { [row.cells[0], old.cells[1]] };
            let row = Row { cells, ..row };
            match what {
                5..=7 => (id, Write { row: Some(row), inserted, stamped: true }),
                8 if self.kind.stamps => (id, Write { row: Some(row), inserted, stamped: true }),
                8 => (id, Write { row: Some(Row { time: old.time, ..row }), inserted, stamped: before }),
                _ => (id, Write { row: None, inserted, stamped: before }),
            }
        };
        let text = format!("write in {which}: {write:?}");
        state.open[which].writes.insert(write.0, write.1);
        Some(text)
    }

    /// Which transaction ends now, and whether it commits.
    pub(crate) fn whom_to_end(&self, dice: &mut Dice) -> Option<(usize, bool)> {
        let open = self.state().open.len() as u64;
        // The first are the oldest, and are left open more often than not.
        let which = (open > 0).then(|| dice.below(open).max(dice.below(open)))?;
        Some((usize::try_from(which).unwrap(), dice.chance(75)))
    }

    /// A transaction ends. Returns it, with what has become of the rows; nothing, if it is rolled back.
    pub(crate) fn finish(&self, which: usize, commit: bool) -> Transaction {
        let mut state = self.state();
        let mut done = state.open.remove(which);
        if !commit {
            done.writes.clear();
        }
        for (id, write) in &done.writes {
            match &write.row {
                Some(row) => drop(state.rows.insert(*id, row.clone())),
                None => drop(state.rows.remove(id)),
            }
        }
        done
    }

    fn wall(&self, at: NaiveDateTime) -> NaiveDateTime {
        if self.kind.time.is_utc() { at } else { Now { utc: at, wall: at }.on(self.kind.zone).wall }
    }

    /// A time as the column holds it.
    pub(crate) fn stamp(&self, at: NaiveDateTime) -> Value {
        let wall = self.wall(at);
        let wall = if self.kind.whole_seconds { wall.with_nanosecond(0).unwrap() } else { wall };
        self.kind.time.write(wall)
    }

    pub(crate) fn source_row(id: i128, row: &Row) -> SourceRow {
        let [a, b] = row.cells.map(Value::Int);
        SourceRow { id: RowId(id), values: vec![id_value(id), a, b, row.time.clone()] }
    }

    fn stretch(&self, state: &State, stretch: &Stretch) -> Vec<(NaiveDateTime, i128, Row)> {
        let parse = |value: &Value| self.kind.time.parse(value).unwrap();
        let high = parse(&stretch.high);
        let after = stretch.after.as_ref().map(|(time, id)| (parse(time), id.0));
        let low = stretch.low.as_ref().map(parse);
        let mut found: Vec<_> =
            state.rows.iter().map(|(id, row)| (parse(&row.time), *id, row.clone())).collect();
        found.retain(|(time, id, _)| {
            let behind = match (after, low) {
                (Some(after), _) => (*time, *id) > after,
                (None, Some(low)) => *time >= low,
                (None, None) => true,
            };
            behind && *time <= high
        });
        found.sort_by_key(|(time, id, _)| (*time, *id));
        found
    }
}

impl State {
    pub(crate) fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.elapsed += time.to_std().unwrap();
    }
}

fn id_value(id: i128) -> Value {
    i64::try_from(id).map_or_else(|_| Value::UInt(u64::try_from(id).unwrap()), Value::Int)
}

fn page<T>(all: impl Iterator<Item = T>, limit: usize) -> Page<T> {
    let items: Vec<T> = all.take(limit).collect();
    Page { full: items.len() >= limit, items }
}

#[async_trait]
impl Ground for Sim {
    async fn horizon(&self) -> Result<Horizon, PlaceError> {
        let state = self.asked().await?;
        let now = state.now;
        // To the second, as MariaDB tells it.
        let oldest = state.open.iter().map(|open| open.start.with_nanosecond(0).unwrap()).min();
        Ok(Horizon {
            elsewhere: false,
            now: Now { utc: now, wall: self.wall(now) },
            oldest: oldest.filter(|_| self.kind.told),
            told: self.kind.told,
            behind: TimeDelta::zero(),
            one_writer: false,
        })
    }

    fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    async fn largest(&self) -> Result<Option<RowId>, PlaceError> {
        Ok(self.asked().await?.rows.keys().next_back().map(|id| RowId(*id)))
    }

    async fn next_id(&self) -> Result<NextId, PlaceError> {
        let state = self.asked().await?;
        Ok(if state.counted { NextId::Is(state.next_id) } else { NextId::NoCounter })
    }

    async fn page(
        &self,
        after: Option<RowId>,
        upto: Option<RowId>,
        limit: usize,
    ) -> Result<Page<SourceRow>, PlaceError> {
        let state = self.asked().await?;
        let from = after.map_or(i128::MIN, |id| id.0 + 1);
        let upto = upto.map_or(i128::MAX, |id| id.0);
        if from > upto {
            return Ok(Page { items: Vec::new(), full: false });
        }
        Ok(page(state.rows.range(from..=upto).map(|(id, row)| Self::source_row(*id, row)), limit))
    }

    async fn ids(&self, after: Option<RowId>, upto: RowId, limit: usize) -> Result<Page<RowId>, PlaceError> {
        let state = self.asked().await?;
        let from = after.map_or(i128::MIN, |id| id.0 + 1);
        Ok(page(state.rows.range(from..=upto.0).map(|(id, _)| RowId(*id)), limit))
    }

    async fn ids_within(&self, ranges: &[(RowId, RowId)], limit: usize) -> Result<Vec<RowId>, PlaceError> {
        let state = self.asked().await?;
        let within = |id: &&i128| ranges.iter().any(|(first, last)| (first.0..=last.0).contains(*id));
        Ok(state.rows.keys().filter(within).take(limit).map(|id| RowId(*id)).collect())
    }

    async fn rows(&self, ids: &[RowId]) -> Result<Found, PlaceError> {
        let mut state = self.asked().await?;
        // Memory may be short: then some of the largest ids are left for later.
        state.turn = state.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let read = if state.turn >> 62 == 0 { ids.len().div_ceil(2) } else { ids.len() };
        let rest = ids.split_off(read);
        let rows = ids.iter().filter_map(|id| state.rows.get(&id.0).map(|row| Self::source_row(id.0, row)));
        Ok(Found { rows: rows.collect(), rest })
    }

    async fn changed(&self, stretch: &Stretch, limit: usize) -> Result<Page<SourceRow>, PlaceError> {
        let state = self.asked().await?;
        let found = self.stretch(&state, stretch);
        Ok(page(found.iter().map(|(_, id, row)| Self::source_row(*id, row)), limit))
    }

    async fn pairs(&self, stretch: &Stretch, limit: usize) -> Result<Page<(Value, RowId)>, PlaceError> {
        let state = self.asked().await?;
        let found = self.stretch(&state, stretch);
        Ok(page(found.into_iter().map(|(_, id, row)| (row.time, RowId(id))), limit))
    }

    async fn survey(&self) -> Result<Survey, PlaceError> {
        drop(self.asked().await?);
        Ok(Survey::default())
    }

    fn broken(&self, message: &str) -> PlaceError {
        PlaceError::new(PlaceErrorKind::Other, "sim", message)
    }
}
