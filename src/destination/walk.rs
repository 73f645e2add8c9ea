//! A walk over a destination's keys, in the order of their index.
//!
//! Only the database knows that order: under a collation `a`, `A` and `á` may be one place in it. So a page goes on
//! behind its last key by the database's own comparison, and everything it takes for equal to that key belongs to the
//! page, wherever the page was cut.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::config::Engine;
use crate::diff::digest;
use crate::model::{Class, Position, Row, Value};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{BUDGET, Database, PlaceError, PlaceErrorKind, bind};

/// Most rows that are read for one place of the order beside the page itself.
const EQUAL: i64 = 10_000;

/// Keys of one page.
#[derive(Clone, Debug)]
pub struct Keys {
    /// As the destination spells them; none is NULL, none comes twice.
    pub keys: Vec<Value>,
    /// Where the next page begins.
    pub next: Position,
    /// Whether there may be more.
    pub more: bool,
}

/// The statements of a walk.
#[derive(Debug)]
pub(super) struct KeyWalk {
    key: usize,
    first: Statement,
    after: Statement,
    equal: Statement,
}

impl KeyWalk {
    /// Why the keys of this table cannot be walked, or how.
    pub(super) fn new(table: &Table, key: usize) -> Result<Self, String> {
        let (column, name) = (&table.columns[key], table.full_name());
        if !table.has_index(&[key]) {
            let what = if table.view { "is a view and" } else { "has no index that begins with" };
            let what = if table.view { format!("{what} has no index on") } else { what.to_owned() };
            return Err(format!(
                "{name:?} {what} {:?}: rows that only the copy has cannot be looked for without reading the whole table \
                 each time; add one, or set \"delete\" to false",
                column.name
            ));
        }
        // MySQL sorts labels by their number and compares them as text.
        let labels = table.engine == Engine::MySql
            && (column.declared.starts_with("enum(") || column.declared.starts_with("set("));
        if labels || column.class == Class::Json {
            return Err(format!(
                "{:?} of {name:?} is {}, which has no order that can be followed: rows that only the copy has cannot be \
                 looked for; choose another \"byColumn\", or set \"delete\" to false",
                column.name, column.declared
            ));
        }
        let page = |bound, order: &[usize]| select::page(table, &[key], &[bound], order);
        Ok(Self {
            key,
            first: page(Bound::NotNull(key), &[key]),
            after: page(Bound::After(key), &[key]),
            equal: page(Bound::Equal(key), &[]),
        })
    }

    /// The page behind `from`, of `limit` rows or as many as there is room for, and those equal to the last one.
    pub(super) async fn page(
        &self,
        database: &Database,
        table: &Table,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Keys, PlaceError> {
        let bound = |value: &Value| {
            let column = &table.columns[self.key];
            bind::own(database.engine(), column, value).map(|own| bind::param(&own)).ok_or_else(|| {
                let message = format!("a key of {:?} cannot be asked for again", table.full_name());
                PlaceError::new(PlaceErrorKind::Other, database.place(), message)
            })
        };
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let answer = match from {
            None => database.fetch_within(BUDGET, &self.first, &[Param::Int(rows)]).await?,
            Some(from) => {
                let last = read(from).ok_or_else(|| foreign(database))?;
                database.fetch_within(BUDGET, &self.after, &[bound(&last)?, Param::Int(rows)]).await?
            }
        };
        let more = answer.is_full(limit);
        let mut found = answer.rows;
        let last = found.last().map(|row| row[0].clone());
        if let (true, Some(last)) = (more, &last) {
            let equal =
                database.fetch_within(BUDGET, &self.equal, &[bound(last)?, Param::Int(EQUAL)]).await?;
            found.extend(equal.rows);
        }
        let next = match last.as_ref().map(|last| write(last).ok_or_else(|| foreign(database))) {
            Some(next) => next?,
            None => from.cloned().unwrap_or_else(|| Position::new("")),
        };
        let mut seen: HashSet<[u8; 16]> = HashSet::with_capacity(found.len());
        let mut once = |row: Row| {
            let key = row.into_iter().next().filter(|key| !key.is_null())?;
            seen.insert(digest(&[std::slice::from_ref(&key)])).then_some(key)
        };
        Ok(Keys { keys: found.into_iter().filter_map(&mut once).collect(), next, more })
    }
}

/// A key in a position, exactly.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Bool(bool),
    Int(i64),
    UInt(u64),
    /// Bits of a single precision float.
    F32(u32),
    /// Bits of a double precision float.
    F64(u64),
    Text(String),
    Bytes(Vec<u8>),
}

fn write(value: &Value) -> Option<Position> {
    let stored = match value {
        Value::Null | Value::TooLarge(_) => return None,
        Value::Bool(truth) => Stored::Bool(*truth),
        Value::Int(n) => Stored::Int(*n),
        Value::UInt(n) => Stored::UInt(*n),
        Value::F32(x) => Stored::F32(x.to_bits()),
        Value::F64(x) => Stored::F64(x.to_bits()),
        Value::Text(text) => Stored::Text(text.to_string()),
        Value::Bytes(bytes) => Stored::Bytes(bytes.to_vec()),
    };
    serde_json::to_string(&stored).ok().map(Position::new)
}

fn read(position: &Position) -> Option<Value> {
    Some(match serde_json::from_str(position.as_str()).ok()? {
        Stored::Bool(truth) => Value::Bool(truth),
        Stored::Int(n) => Value::Int(n),
        Stored::UInt(n) => Value::uint(n),
        Stored::F32(bits) => Value::F32(f32::from_bits(bits)),
        Stored::F64(bits) => Value::F64(f64::from_bits(bits)),
        Stored::Text(text) => Value::text(text),
        Stored::Bytes(bytes) => Value::Bytes(bytes.into()),
    })
}

fn foreign(database: &Database) -> PlaceError {
    let message = "the saved position is none of this walk; start the task once with `--restart TASK`";
    PlaceError::new(PlaceErrorKind::Other, database.place(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_being_stored() {
        let keys = [
            Value::Bool(true),
            Value::Int(-1),
            Value::UInt(u64::MAX),
            Value::F32(0.1),
            Value::F64(f64::NEG_INFINITY),
            Value::text("李 '\""),
            Value::Bytes([0, 255].into()),
        ];
        for key in keys {
            assert_eq!(read(&write(&key).unwrap()), Some(key));
        }
        assert!(write(&Value::Null).is_none());
        assert!(read(&Position::new("")).is_none());
    }
}
