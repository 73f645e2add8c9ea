//! A source whose feeds are the real ones, over the simulated database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::json;

use super::insert::{self, Bounds};
use super::sim::{Sim, TIME};
use super::update::{self, Terms};
use super::{Batch, Coverage, Fetched, Found, Source};
use crate::model::{Class, Column, Feed, Position, RowId, SourceRow, Value};
use crate::sql::{PlaceError, PlaceErrorKind};

/// The table `id, a, b, time`, with `id` as its key.
pub(crate) struct SimSource {
    pub(crate) sim: Arc<Sim>,
    pub(crate) overlap: TimeDelta,
    pub(crate) settle: Duration,
    /// Bytes of ids, and of pairs, that are remembered.
    pub(crate) memory: usize,
    /// Told of every row that is read to be sent.
    pub(crate) read: Box<dyn Fn(&SourceRow) + Send + Sync>,
    columns: [Column; 4],
}

impl SimSource {
    pub(crate) fn new(sim: Arc<Sim>, settle: Duration, memory: usize) -> Self {
        let column = |name: &str, class| Column {
            name: name.into(),
            class,
            declared: "bigint".into(),
            nullable: false,
        };
        let columns = [
            column("id", Class::Int),
            column("a", Class::Int),
            column("b", Class::Int),
            column("time", Class::Text),
        ];
        Self { sim, overlap: TimeDelta::seconds(5), settle, memory, read: Box::new(|_| {}), columns }
    }

    fn terms(&self) -> Terms<'_> {
        let (settle, memory, time) = (self.settle, self.memory, &self.sim.kind.time);
        Terms { overlap: self.overlap, settle, memory, time, column: TIME }
    }

    /// The sweep goes by statements of its own; this one goes the same way.
    async fn sweep(&self, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let text: serde_json::Value = serde_json::from_str(from.as_str()).unwrap();
        let id = |name: &str| text[name].as_str().map(|id| id.parse::<i128>().unwrap());
        let (after, up_to) = (id("after").unwrap_or(i128::MIN), id("upTo"));
        let state = self.sim.asked().await?;
        let within = state.rows.iter().filter(|(id, _)| **id > after && Some(**id) <= up_to);
        let rows: Vec<SourceRow> = within.take(limit).map(|(id, row)| Sim::source_row(*id, row)).collect();
        let more = rows.len() >= limit;
        let after = rows.last().map_or(after, |row| row.id.0).to_string();
        let next = Position::new(json!({ "after": after, "upTo": text["upTo"] }).to_string());
        Ok(Batch { rows, next, more, coverage: Coverage::default() })
    }
}

#[async_trait]
impl Source for SimSource {
    fn identity(&self) -> &str {
        "sim"
    }

    fn incarnation(&self) -> Arc<str> {
        "first".into()
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn find(&self, written: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == written)
    }

    fn read_columns(&self) -> &[usize] {
        &[0, 1, 2, 3]
    }

    async fn start(&self, feed: Feed, start_id: Option<RowId>) -> Result<Position, PlaceError> {
        match feed {
            Feed::Insert => Ok(insert::Cursor::starting_at(start_id).position()),
            Feed::Update => Ok(Position::new(r#"{"end":null,"zone":0}"#)),
            Feed::Sweep | Feed::Extra | Feed::Audit => {
                let largest = self.sim.asked().await?.rows.keys().next_back().map(ToString::to_string);
                Ok(Position::new(json!({ "upTo": largest }).to_string()))
            }
        }
    }

    async fn read(&self, feed: Feed, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let batch = match feed {
            Feed::Insert => {
                let bounds = Bounds { memory: self.memory, settle: self.settle };
                insert::read(&*self.sim, bounds, from, limit).await?
            }
            Feed::Update => update::read(&*self.sim, self.terms(), from, limit).await?,
            Feed::Sweep | Feed::Extra | Feed::Audit => Some(self.sweep(from, limit).await?),
        };
        Ok(batch.expect("its own position"))
    }

    fn earlier(&self, feed: Feed, a: &Position, b: &Position) -> Position {
        match feed {
            Feed::Update => update::earlier_place(a, b, self.overlap, &self.sim.kind.time),
            _ => insert::earlier(a, b),
        }
    }

    async fn fetch_some(&self, ids: &[RowId]) -> Result<Fetched, PlaceError> {
        let state = self.sim.asked().await?;
        let found = ids.iter().filter_map(|id| Some(Sim::source_row(id.0, state.rows.get(&id.0)?)));
        let rows: Vec<SourceRow> = found.collect();
        rows.iter().for_each(|row| (self.read)(row));
        Ok(Fetched { rows, rest: Vec::new() })
    }

    fn divide(&self, _: Feed, _: usize) {}

    async fn stands(&self, _: &[Position]) -> Result<(), PlaceError> {
        Ok(())
    }

    fn shares_keys(&self) -> bool {
        false
    }

    async fn holders(&self, _: &[Value]) -> Result<Found<(RowId, Value)>, PlaceError> {
        Ok(Found { rows: Vec::new(), rest: Vec::new() })
    }

    async fn lookup(&self, keys: &[Value]) -> Result<Found<SourceRow>, PlaceError> {
        let ids: Vec<RowId> = keys.iter().filter_map(|key| key.as_int().map(RowId)).collect();
        Ok(Found { rows: self.fetch_some(&ids).await?.rows, rest: Vec::new() })
    }

    fn unfindable(&self) -> Option<String> {
        None
    }

    async fn is_empty(&self) -> Result<bool, PlaceError> {
        Ok(self.sim.asked().await?.rows.is_empty())
    }

    async fn sample(&self, _: usize) -> Result<Vec<SourceRow>, PlaceError> {
        Err(PlaceError::new(PlaceErrorKind::Other, "sim", "nobody takes samples of it"))
    }

    async fn recheck(&self) -> Result<(), PlaceError> {
        Ok(())
    }

    fn interval(&self, _: Feed) -> Option<Duration> {
        None
    }
}
