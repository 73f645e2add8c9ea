//! The insert feed: rows in the order of their integer key.

use serde::{Deserialize, Serialize};

use super::Batch;
use super::shape::Shape;
use crate::config::Engine;
use crate::model::{Position, Row, RowId, SourceRow, Value};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Database, PlaceError, bind};

/// Places of the table that a sample is taken from.
const SAMPLES: usize = 10;

/// The statements of the feed.
pub(super) struct InsertFeed {
    first: Statement,
    after: Statement,
    smallest: Statement,
    largest: Statement,
}

impl InsertFeed {
    pub(super) fn new(table: &Table, shape: &Shape) -> Self {
        let page = |bound| select::page(table, &shape.selected, &[bound], &[shape.id]);
        Self {
            first: page(Bound::From(shape.id)),
            after: page(Bound::After(shape.id)),
            smallest: select::extreme(table, shape.id, false),
            largest: select::extreme(table, shape.id, true),
        }
    }

    /// The rows behind a cursor.
    pub(super) async fn read(
        &self,
        database: &Database,
        shape: &Shape,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Batch, PlaceError> {
        let rows = self.page(database, &cursor, limit).await?;
        let full = rows.len() >= limit;
        let rows = shape.rows(rows);
        let next = rows.last().map_or(cursor, |row| Cursor::after(row.id));
        Ok(Batch { more: full && !rows.is_empty(), rows, next: next.position() })
    }

    async fn page(&self, database: &Database, cursor: &Cursor, limit: usize) -> Result<Vec<Row>, PlaceError> {
        let limit = limit_param(limit);
        match cursor.id() {
            None => database.fetch(&self.first, &[Param::Int(i64::MIN), limit]).await,
            Some(id) => match after_param(database.engine(), id) {
                Some(id) => database.fetch(&self.after, &[id, limit]).await,
                None => Ok(Vec::new()),
            },
        }
    }

    /// Rows from places spread evenly over the ids.
    pub(super) async fn sample(
        &self,
        database: &Database,
        shape: &Shape,
        limit: usize,
    ) -> Result<Vec<SourceRow>, PlaceError> {
        let smallest = self.extreme(database, &self.smallest).await?;
        let largest = self.extreme(database, &self.largest).await?;
        let (Some(low), Some(high)) = (smallest, largest) else { return Ok(Vec::new()) };
        let mut rows: Vec<SourceRow> = Vec::new();
        for part in 0..SAMPLES {
            let ahead = (high - low) / SAMPLES as i128 * part as i128;
            let behind = rows.last().map_or(i128::MIN, |row| row.id.0);
            let after = Cursor::after(RowId((low + ahead - 1).max(behind)));
            let wanted = (limit * (part + 1) / SAMPLES).saturating_sub(rows.len());
            if wanted > 0 {
                rows.extend(shape.rows(self.page(database, &after, wanted).await?));
            }
        }
        Ok(rows)
    }

    async fn extreme(&self, database: &Database, statement: &Statement) -> Result<Option<i128>, PlaceError> {
        let rows = database.fetch(statement, &[]).await?;
        Ok(rows.first().and_then(|row| row[0].as_int()))
    }
}

/// How many rows a page has at most.
pub(super) fn limit_param(limit: usize) -> Param {
    Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// An id as a value of its column; `None` if the engine has no such integers.
pub(super) fn id_value(engine: Engine, id: RowId) -> Option<Value> {
    match (i64::try_from(id.0), u64::try_from(id.0)) {
        (Ok(n), _) => Some(Value::Int(n)),
        (_, Ok(n)) if engine == Engine::MySql => Some(Value::UInt(n)),
        _ => None,
    }
}

/// An id as a lower bound; `None` if no id can lie behind it.
pub(super) fn after_param(engine: Engine, id: RowId) -> Option<Param> {
    match id_value(engine, id) {
        Some(value) => Some(bind::param(&value)),
        None => (id.0 < 0).then_some(Param::Int(i64::MIN)),
    }
}

/// `{"after":"123"}`; null: before everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    after: Option<String>,
}

impl Cursor {
    /// Behind this key.
    pub(super) fn after(id: RowId) -> Self {
        Self { after: Some(id.to_string()) }
    }

    /// Reads a position; `None` if it is not one of ours.
    pub(super) fn read(position: &Position) -> Option<Self> {
        let cursor: Self = serde_json::from_str(position.as_str()).ok()?;
        let valid = cursor.after.is_none() || cursor.id().is_some();
        valid.then_some(cursor)
    }

    /// The key, if there is one to start behind.
    pub(super) fn id(&self) -> Option<RowId> {
        self.after.as_ref()?.parse().ok().map(RowId)
    }

    /// As it is stored.
    pub(super) fn position(&self) -> Position {
        Position::new(serde_json::to_string(self).expect("strings always serialise"))
    }
}

/// The position that lies further back.
pub(super) fn earlier<'p>(a: &'p Position, b: &'p Position) -> &'p Position {
    match (Cursor::read(a), Cursor::read(b)) {
        (Some(x), Some(y)) if y.id() < x.id() => b,
        // One that cannot be read is refused when it is read from.
        (Some(_), None) => b,
        _ => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_being_stored() {
        let cursor = Cursor::after(RowId(i128::from(u64::MAX)));
        assert_eq!(cursor.position().as_str(), r#"{"after":"18446744073709551615"}"#);
        assert_eq!(Cursor::read(&cursor.position()), Some(cursor));
        assert_eq!(Cursor::default().position().as_str(), r#"{"after":null}"#);
        assert_eq!(Cursor::read(&Cursor::default().position()), Some(Cursor::default()));
        for text in ["", "5", r#"{"after":"x"}"#] {
            assert_eq!(Cursor::read(&Position::new(text)), None, "{text}");
        }
    }
}
