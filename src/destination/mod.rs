//! A copy that must agree. One trait, one file per kind of destination.

mod open;
mod probe;
mod sql;
mod walk;

use std::sync::Arc;

use async_trait::async_trait;

pub use open::open;
pub use probe::probe;
pub use walk::Keys;

use crate::model::{Column, Position, Row, Value};
pub use crate::sql::Found;
use crate::sql::PlaceError;

/// A destination that can be asked for rows by key.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Server, database and table, for messages.
    fn identity(&self) -> &str;

    /// As [`Source::incarnation`](crate::source::Source::incarnation), of this table.
    fn incarnation(&self) -> Arc<str>;

    /// The key column (`byColumn`).
    fn key_column(&self) -> &Column;

    /// The compared columns, in the order of the configuration's `columns`.
    fn columns(&self) -> &[Column];

    /// Rows whose key column equals one of `keys` under the database's own rules (a case-insensitive collation
    /// may answer with more than was asked; the caller matches exactly), no more than take about 16 MiB. Each row is the
    /// key followed by [`Destination::columns`]. NULL keys are not asked for; a key that the column cannot hold finds
    /// nothing. No row is returned twice.
    async fn lookup(&self, keys: &[Value]) -> Result<Found<Row>, PlaceError>;

    /// Why the keys cannot be walked in the order of an index; `None`: they can.
    fn unwalkable(&self) -> Option<&str>;

    /// The next keys in the order of their index behind `from`; about `limit`. NULL keys are left out.
    async fn walk(&self, from: Option<&Position>, limit: usize) -> Result<Keys, PlaceError>;

    /// Looks at the catalogue again; an error says what is no longer as the task needs it. After an error of kind
    /// `Missing` the destination must be opened anew.
    async fn recheck(&self) -> Result<(), PlaceError>;
}
