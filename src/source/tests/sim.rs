//! A database of concurrent transactions that can be driven step by step.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta, Timelike as _};
use chrono_tz::Tz;

use crate::model::{RowId, SourceRow, Value};
use crate::source::ground::{Found, Ground, Page, Stretch, Survey};
use crate::source::update::TimeForm;
use crate::sql::clock::Now;
use crate::sql::horizon::Horizon;
use crate::sql::next_id::NextId;
use crate::sql::{PlaceError, PlaceErrorKind};

/// A row: its version and what its update column holds.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) version: u64,
    pub(super) time: Value,
}

/// An open transaction and what it has written; `None`: deleted.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) start: NaiveDateTime,
    pub(super) skew: TimeDelta,
    pub(super) writes: BTreeMap<i128, Write>,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) row: Option<Row>,
    pub(super) inserted: bool,
    /// Whether the update time was written too.
    pub(super) stamped: bool,
}

/// How this database and its application are.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) time: TimeForm,
    pub(super) whole_seconds: bool,
    pub(super) zone: Tz,
    pub(super) told: bool,
    /// Distance of ids, at random up to this; 1: dense.
    pub(super) sparse: u64,
    pub(super) increment: i128,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: NaiveDateTime,
    pub(super) elapsed: Duration,
    pub(super) rows: BTreeMap<i128, Row>,
    pub(super) open: Vec<Transaction>,
    pub(super) next_id: i128,
    /// Whether a counter tells it.
    pub(super) counted: bool,
    pub(super) version: u64,
    pub(super) queries: usize,
    turn: u64,
}

pub(super) struct Sim {
    pub(super) kind: Kind,
    pub(super) state: Mutex<State>,
}

impl Sim {
    pub(super) fn new(kind: Kind, now: NaiveDateTime, next_id: i128) -> Self {
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
        Self { kind, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A question costs a millisecond.
    fn asked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.queries += 1;
        state.pass(TimeDelta::milliseconds(1));
        state
    }

    fn wall(&self, at: NaiveDateTime) -> NaiveDateTime {
        if self.kind.time.is_utc() { at } else { Now { utc: at, wall: at }.on(self.kind.zone).wall }
    }

    /// A time as the column holds it.
    pub(super) fn stamp(&self, at: NaiveDateTime) -> Value {
        let wall = self.wall(at);
        let wall = if self.kind.whole_seconds { wall.with_nanosecond(0).unwrap() } else { wall };
        self.kind.time.write(wall)
    }

    fn source_row(id: i128, row: &Row) -> SourceRow {
        let version = Value::Int(i64::try_from(row.version).unwrap());
        SourceRow { id: RowId(id), values: vec![version, row.time.clone()] }
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
    pub(super) fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.elapsed += time.to_std().unwrap();
    }
}

fn page<T>(all: impl Iterator<Item = T>, limit: usize) -> Page<T> {
    let items: Vec<T> = all.take(limit).collect();
    Page { full: items.len() >= limit, items }
}

#[async_trait]
impl Ground for Sim {
    async fn horizon(&self) -> Result<Horizon, PlaceError> {
        let state = self.asked();
        let now = state.now;
        // To the second, as MariaDB tells it.
        let oldest = state.open.iter().map(|open| open.start.with_nanosecond(0).unwrap()).min();
        Ok(Horizon {
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
        Ok(self.asked().rows.keys().next_back().map(|id| RowId(*id)))
    }

    async fn next_id(&self) -> Result<NextId, PlaceError> {
        let state = self.asked();
        Ok(if state.counted { NextId::Is(state.next_id) } else { NextId::NoCounter })
    }

    async fn page(
        &self,
        after: Option<RowId>,
        upto: Option<RowId>,
        limit: usize,
    ) -> Result<Page<SourceRow>, PlaceError> {
        let state = self.asked();
        let from = after.map_or(i128::MIN, |id| id.0 + 1);
        let upto = upto.map_or(i128::MAX, |id| id.0);
        if from > upto {
            return Ok(Page { items: Vec::new(), full: false });
        }
        Ok(page(state.rows.range(from..=upto).map(|(id, row)| Self::source_row(*id, row)), limit))
    }

    async fn ids(&self, after: Option<RowId>, upto: RowId, limit: usize) -> Result<Page<RowId>, PlaceError> {
        let state = self.asked();
        let from = after.map_or(i128::MIN, |id| id.0 + 1);
        Ok(page(state.rows.range(from..=upto.0).map(|(id, _)| RowId(*id)), limit))
    }

    async fn ids_within(&self, ranges: &[(RowId, RowId)], limit: usize) -> Result<Vec<RowId>, PlaceError> {
        let state = self.asked();
        let within = |id: &&i128| ranges.iter().any(|(first, last)| (first.0..=last.0).contains(*id));
        Ok(state.rows.keys().filter(within).take(limit).map(|id| RowId(*id)).collect())
    }

    async fn rows(&self, ids: &[RowId]) -> Result<Found, PlaceError> {
        let mut state = self.asked();
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
        let state = self.asked();
        let found = self.stretch(&state, stretch);
        Ok(page(found.iter().map(|(_, id, row)| Self::source_row(*id, row)), limit))
    }

    async fn pairs(&self, stretch: &Stretch, limit: usize) -> Result<Page<(Value, RowId)>, PlaceError> {
        let state = self.asked();
        let found = self.stretch(&state, stretch);
        Ok(page(found.into_iter().map(|(_, id, row)| (row.time, RowId(id))), limit))
    }

    async fn survey(&self) -> Result<Survey, PlaceError> {
        drop(self.asked());
        Ok(Survey::default())
    }

    fn broken(&self, message: &str) -> PlaceError {
        PlaceError::new(PlaceErrorKind::Other, "sim", message)
    }
}
