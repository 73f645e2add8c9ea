//! A statement as the pool runs it: its text, how its columns are read, and what is bound to it.

use std::sync::Arc;

/// Text of a statement and how each column of its result is read. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The SQL text, the same bytes each time, so that the driver finds its prepared statement again.
    pub(crate) sql: Arc<str>,
    /// One entry per column of the result.
    pub(crate) reads: Arc<[Read]>,
}

impl Statement {
    /// A statement whose result is read as told.
    pub(crate) fn new(sql: impl Into<Arc<str>>, reads: impl Into<Arc<[Read]>>) -> Self {
        Self { sql: sql.into(), reads: reads.into() }
    }
}

/// How the raw bytes of one result column become a [`Value`](crate::model::Value). Decided by the catalogue,
/// never by what the driver believes the type to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// PostgreSQL `bool`.
    Bool,
    /// Signed integer of any width.
    Int,
    /// Unsigned integer of any width.
    UInt,
    /// Single precision float.
    F32,
    /// Double precision float.
    F64,
    /// Text, and all that arrives as text.
    Text,
    /// PostgreSQL `character(n)`: text whose trailing blanks are padding.
    Padded,
    /// PostgreSQL `inet`: text without the mask that means one host only.
    Host,
    /// Bytes.
    Bytes,
    /// 16 bytes of a UUID, made its text.
    Uuid,
    /// MySQL `DATE`.
    Date,
    /// MySQL `DATETIME` and `TIMESTAMP` with this many digits of fraction.
    DateTime(u8),
    /// MySQL `TIME` with this many digits of fraction.
    Time(u8),
    /// SQLite: by the type of each value.
    Dynamic,
}

/// A bound value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    /// Signed integer.
    Int(i64),
    /// Integer above `i64::MAX`; only where the engine has such integers.
    UInt(u64),
    /// Float.
    F64(f64),
    /// Boolean.
    Bool(bool),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// PostgreSQL `int8[]`.
    Ints(Vec<i64>),
    /// PostgreSQL `float8[]`.
    Floats(Vec<f64>),
    /// PostgreSQL `bool[]`.
    Bools(Vec<bool>),
    /// PostgreSQL `text[]`.
    Texts(Vec<Box<str>>),
    /// PostgreSQL `bytea[]`.
    Blobs(Vec<Box<[u8]>>),
}

impl Param {
    /// Text from anything string-like.
    pub(crate) fn text(s: impl Into<Box<str>>) -> Self {
        Self::Text(s.into())
    }
}
