//! Where rows are true. One trait, one file per kind of source.

mod ground;
mod insert;
mod keys;
mod open;
mod probe;
mod sample;
mod set_back;
mod shape;
mod sql;
mod sweep;
mod update;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use open::open;
pub use probe::{key_folds, probe};

use crate::model::{Column, Feed, Position, RowId, SourceRow, Value};
pub use crate::sql::Found;
use crate::sql::PlaceError;

/// A source that can be walked by feeds and asked for single rows.
#[async_trait]
pub trait Source: Send + Sync {
    /// What stands behind the name: server, database, table and key columns. A cursor is only good for the source
    /// it was made on.
    fn identity(&self) -> &str;

    /// What stood behind the table's name when the catalogue was looked at last: another one once the table was replaced
    /// or emptied, so that nothing is known of its rows any more. A mere rebuilding looks the same.
    fn incarnation(&self) -> Arc<str>;

    /// Columns of the table in catalogue order; [`Source::fetch`] returns them all.
    fn columns(&self) -> &[Column];

    /// Index into [`Source::columns`] of the column that the configuration means by `written`: exactly that name,
    /// else, where the database does not tell them apart, that name in another case.
    fn find(&self, written: &str) -> Option<usize>;

    /// Indexes into [`Source::columns`] of the values that [`Source::read`] returns, in that order.
    fn read_columns(&self) -> &[usize];

    /// Where a feed starts without saved progress; `start_id` is `-s` and matters to the insert feed and to
    /// the sweep, which goes over what there is now.
    async fn start(&self, feed: Feed, start_id: Option<RowId>) -> Result<Position, PlaceError>;

    /// Reads the next rows of a feed behind `from`: at most `limit`, and no more than take about 16 MiB.
    async fn read(&self, feed: Feed, from: &Position, limit: usize) -> Result<Batch, PlaceError>;

    /// Among how many positions of a feed its memory is divided from now on.
    fn divide(&self, feed: Feed, among: usize);

    /// A position that lies no further ahead than either, so that destinations that are nearly equal share one read.
    fn earlier(&self, feed: Feed, a: &Position, b: &Position) -> Position;

    /// Makes sure that the ids still go on where the insert feed stands at the furthest of these positions.
    ///
    /// # Errors
    /// Of kind `Anew` if they have begun anew: the table was emptied, replaced, or restored from an older backup.
    async fn stands(&self, at: &[Position]) -> Result<(), PlaceError>;

    /// Whole rows by their integer key, no more than take about 16 MiB, but always that of the first id, if there is any.
    async fn fetch_some(&self, ids: &[RowId]) -> Result<Fetched, PlaceError>;

    /// Whether several rows may share a key, and an index finds them.
    fn shares_keys(&self) -> bool;

    /// Ids of the rows that carry one of `keys` (values of `byColumn`), with the key as it stands there: 100 of one key
    /// at most, so that several rows of one key are noticed. A case-insensitive collation may add rows: the caller
    /// matches exactly.
    async fn holders(&self, keys: &[Value]) -> Result<Found<(RowId, Value)>, PlaceError>;

    /// Rows whose `byColumn` equals one of `keys` under the database's own rules, each once, with the values of
    /// [`Source::read_columns`], no more than take about 16 MiB. A key that the column cannot hold finds nothing.
    async fn lookup(&self, keys: &[Value]) -> Result<Found<SourceRow>, PlaceError>;

    /// Why rows cannot be found by `byColumn` without reading the whole table; `None`: they can.
    fn unfindable(&self) -> Option<String>;

    /// Whether there is no row at all.
    async fn is_empty(&self) -> Result<bool, PlaceError>;

    /// At most `limit` rows from ten places all over the table, each with the values of [`Source::read_columns`].
    async fn sample(&self, limit: usize) -> Result<Vec<SourceRow>, PlaceError>;

    /// Looks at the catalogue again; an error says what is no longer as the task needs it. After an error of kind
    /// `Missing` the source must be opened anew: it goes on reading by the catalogue it was opened with.
    async fn recheck(&self) -> Result<(), PlaceError>;

    /// Pause between two looks of a feed that has caught up; `None`: the feed is off.
    fn interval(&self, feed: Feed) -> Option<Duration>;
}

/// Whole rows, as far as they were read.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The rows. Order is free.
    pub rows: Vec<SourceRow>,
    /// Keys still to be asked for: nothing is known about them. Any other key without a row is gone.
    pub rest: Vec<RowId>,
}

/// What one read of a feed returned.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Rows, each with the values of [`Source::read_columns`].
    pub rows: Vec<SourceRow>,
    /// Where the next read continues, once everything found in `rows` is durable.
    pub next: Position,
    /// Whether more is known to wait behind `next` right now.
    pub more: bool,
    /// What the feed knows of its own limits.
    pub coverage: Coverage,
}

/// What a feed has read and settled, and what it cannot see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Where the read began, for people: `id 7`, or a time on the update column's own clock. `None`: before everything.
    pub from: Option<String>,
    /// Where it arrived, likewise.
    pub to: Option<String>,
    /// Up to where no late commit can change anything any more, for people: `id 1204560`, or a time on the update
    /// column's own clock. `None`: nothing yet.
    pub settled: Option<String>,
    /// Whether the database shows all of its open transactions. If not, those open for longer than `settle` are left
    /// to the sweep.
    pub told: bool,
    /// How long before the database's now that was all that was committed; `None`: not known.
    pub behind: Option<Duration>,
    /// Rows up to there, where ids tell them apart: counted once each.
    pub counted: Option<Counted>,
    /// Rows read behind it.
    pub unsettled: u64,
    /// Whether the memory of what was seen is full: its oldest part is read again when it settles, not before.
    pub forgets: bool,
    /// Rows without an update time, or with a text that is none, which the update feed never sees; counted now and then.
    pub uncovered: Option<u64>,
    /// The first of those whose text is no time.
    pub unreadable: Vec<RowId>,
    /// Whether there are more of them than were counted.
    pub uncovered_more: bool,
    /// How far the latest update time lay in the future when last asked: such rows are read when that time has come.
    pub ahead: Option<Duration>,
}

/// How many rows have settled behind an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Counted are the rows behind this id; `None`: all.
    pub after: Option<RowId>,
    /// Up to this one; `None`: nothing has settled.
    pub upto: Option<RowId>,
    /// How many there were.
    pub rows: u64,
}

#[cfg(test)]
#[path = "tests/dice.rs"]
pub(crate) mod dice;
#[cfg(test)]
#[path = "tests/sim.rs"]
pub(crate) mod sim;
#[cfg(test)]
#[path = "tests/sim_source.rs"]
pub(crate) mod sim_source;
#[cfg(test)]
#[path = "tests/histories.rs"]
mod tests;
