//! Rows and keys.

use super::{RowId, Value};

/// Values of one row, in the order of the columns that were asked for.
pub type Row = Vec<Value>;

/// Bytes that the values of a row take in memory.
pub fn row_size(row: &[Value]) -> usize {
    size_of::<Row>() + row.iter().map(Value::size).sum::<usize>()
}

/// The canonical bytes of a `byColumn` value: equal exactly when two rows are meant to be the same row.
///
/// Made by `diff::KeyForm`, which knows both columns; stored as it is, so its form must never change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Wraps canonical bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A row of a source together with its integer key.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    /// Value of the id column.
    pub id: RowId,
    /// The columns that were asked for.
    pub values: Row,
}
