//! What the feeds stand on: the few questions they ask of a table, whatever answers them.

mod sql;

use std::time::Duration;

use async_trait::async_trait;

use crate::model::{RowId, SourceRow, Value};
use crate::sql::PlaceError;
use crate::sql::horizon::Horizon;
use crate::sql::next_id::NextId;

pub(super) use sql::{SqlGround, Statements, may_be_no_time};

/// A page of something, and whether it was full: then there may be more behind it.
#[derive(Clone, Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) full: bool,
}

/// Rows that were asked for by their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Vec<SourceRow>,
    /// Ids that were not looked for to the end.
    pub(super) rest: Vec<RowId>,
}

/// A stretch of the table in the order of (update time, id).
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Lowest time; `None`: from the beginning. A place in [`Stretch::after`] wins.
    pub(super) low: Option<Value>,
    /// Highest time.
    pub(super) high: Value,
    /// Begins behind this row.
    pub(super) after: Option<(Value, RowId)>,
}

/// NULL times are counted up to this.
pub(super) const NULLS: u64 = 10_000;

/// What is no time sorts before or behind all times, most of it: so many texts are looked at there.
pub(super) const EDGE: usize = 1000;

/// What the update feed cannot see.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// Rows whose update time is NULL, counted up to [`NULLS`] and one.
    pub(super) nulls: u64,
    /// The latest update time.
    pub(super) latest: Option<Value>,
    /// Where update times may be no times: the largest and the smallest, at most [`EDGE`] each.
    pub(super) edges: Vec<(Value, RowId)>,
}

/// The table of a source. Every answer is what was committed at the moment of asking.
#[async_trait]
pub(super) trait Ground: Send + Sync {
    /// The database's clock and oldest transaction; the wall is the one that the update column's times are on.
    async fn horizon(&self) -> Result<Horizon, PlaceError>;

    /// Time that only goes forward, for measuring.
    fn elapsed(&self) -> Duration;

    /// The largest id.
    async fn largest(&self) -> Result<Option<RowId>, PlaceError>;

    /// The id that is given out next.
    async fn next_id(&self) -> Result<NextId, PlaceError>;

    /// Rows behind `after`, up to and with `upto`, in the order of their ids.
    async fn page(
        &self,
        after: Option<RowId>,
        upto: Option<RowId>,
        limit: usize,
    ) -> Result<Page<SourceRow>, PlaceError>;

    /// The ids alone, as [`Ground::page`].
    async fn ids(&self, after: Option<RowId>, upto: RowId, limit: usize) -> Result<Page<RowId>, PlaceError>;

    /// Ids within any of the ranges (both ends belong to them), at most `limit`.
    async fn ids_within(&self, ranges: &[(RowId, RowId)], limit: usize) -> Result<Vec<RowId>, PlaceError>;

    /// Rows by their ids, in any order, as many as memory is meant to hold; those that are gone are left out.
    async fn rows(&self, ids: &[RowId]) -> Result<Found, PlaceError>;

    /// Rows of a stretch, in its order.
    async fn changed(&self, stretch: &Stretch, limit: usize) -> Result<Page<SourceRow>, PlaceError>;

    /// Times and ids alone of a stretch, in its order.
    async fn pairs(&self, stretch: &Stretch, limit: usize) -> Result<Page<(Value, RowId)>, PlaceError>;

    /// Counts what the update feed cannot see. Asked rarely.
    async fn survey(&self) -> Result<Survey, PlaceError>;

    /// The error for what should not be in the table.
    fn broken(&self, message: &str) -> PlaceError;
}
