//! The insert feed: rows in the order of their integer key.
//!
//! A key is given out when a row is inserted and seen when its transaction commits, so a smaller key may appear after
//! a larger one was read. Behind the newest keys the feed therefore looks again: it remembers which keys it has seen
//! there ([`LookBack`]), reads the keys alone at each look, and fetches the rows of those it has not. The durable
//! cursor stays below all of that.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Batch;
use super::keys::{after_param, by_ids, limit_param, list_statements};
use super::shape::Shape;
use crate::model::{Position, Row, RowId, SourceRow};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Answer, BUDGET, Database, PlaceError};

/// Places of the table that a sample is taken from.
const SAMPLES: usize = 10;

mod look_back;

use look_back::LookBack;

/// Where the insert feed is.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    memory: Arc<LookBack>,
}

/// `{"after":"123","seen":"…"}`; null: before everything. `seen` is [`LookBack::encode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    after: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    seen: String,
}

impl Cursor {
    /// In front of this key; `None`: before everything.
    pub(super) fn starting_at(id: Option<RowId>) -> Self {
        Self::after(id.map(|id| RowId(id.0.saturating_sub(1))))
    }

    fn after(id: Option<RowId>) -> Self {
        Self { memory: Arc::new(LookBack::behind(id)) }
    }

    /// Reads a position; `None` if it is not one of ours.
    pub(super) fn read(position: &Position) -> Option<Self> {
        let text: Text = serde_json::from_str(position.as_str()).ok()?;
        let after = match &text.after {
            Some(id) => Some(RowId(id.parse().ok()?)),
            None => None,
        };
        let memory = match position.memory() {
            Some(memory) => memory,
            None => Arc::new(LookBack::decode(after, &text.seen)?),
        };
        Some(Self { memory })
    }

    /// As it is stored and carried on.
    pub(super) fn position(&self) -> Position {
        let after = self.memory.settled().map(|id| id.to_string());
        let text = Text { after, seen: self.memory.encode() };
        let text = serde_json::to_string(&text).expect("strings always serialise");
        Position::with_memory(text, self.memory.clone())
    }
}

/// A position no further ahead than either: only what both have seen counts as seen.
pub(super) fn earlier(a: &Position, b: &Position) -> Position {
    if a.as_str() == b.as_str() {
        return a.clone();
    }
    match (Cursor::read(a), Cursor::read(b)) {
        (Some(x), Some(y)) => Cursor { memory: Arc::new(x.memory.both(&y.memory)) }.position(),
        // One that cannot be read is refused when it is read from.
        (None, _) => a.clone(),
        (_, None) => b.clone(),
    }
}

/// The statements of the feed.
pub(super) struct InsertFeed {
    first: Statement,
    after: Statement,
    keys: Statement,
    by_keys: Vec<Statement>,
    smallest: Statement,
    largest: Statement,
}

impl InsertFeed {
    pub(super) fn new(table: &Table, shape: &Shape) -> Self {
        let id = shape.id;
        let page = |bound| select::page(table, &shape.selected, &[bound], &[id]);
        Self {
            first: page(Bound::From(id)),
            after: page(Bound::After(id)),
            keys: select::page(table, &[id], &[Bound::After(id), Bound::UpTo(id)], &[id]),
            by_keys: list_statements(table, &shape.selected, id),
            smallest: select::extreme(table, id, false),
            largest: select::extreme(table, id, true),
        }
    }

    /// New rows behind the newest key seen; and if there are no more than `limit` of those, rows that have appeared
    /// in the look-back.
    pub(super) async fn read(
        &self,
        database: &Database,
        shape: &Shape,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Batch, PlaceError> {
        let memory = &cursor.memory;
        let page = self.page(database, memory.newest(), limit, BUDGET).await?;
        let mut more = page.is_full(limit);
        let left = BUDGET.saturating_sub(page.size());
        let mut rows = shape.rows(page.rows);
        if !more {
            let Some(late) = self.late(database, memory).await? else {
                // Too many to be late commits: rows were brought in with old keys. All of that is read anew.
                return Ok(Batch { rows, next: Cursor::after(memory.settled()).position(), more: true });
            };
            if !late.is_empty() {
                let late = by_ids(database, &self.by_keys, 0, &late, left).await?;
                more = !late.rest.is_empty();
                rows.extend(shape.rows(late.rows));
            }
        }
        // Only what was really read counts as seen.
        let keys: Vec<RowId> = rows.iter().map(|row| row.id).collect();
        let memory = memory.seen(&keys, Instant::now());
        Ok(Batch {
            more: more && !rows.is_empty(),
            rows,
            next: Cursor { memory: Arc::new(memory) }.position(),
        })
    }

    async fn page(
        &self,
        database: &Database,
        after: Option<RowId>,
        limit: usize,
        budget: usize,
    ) -> Result<Answer, PlaceError> {
        let limit = limit_param(limit);
        match after {
            None => database.fetch_within(budget, &self.first, &[Param::Int(i64::MIN), limit]).await,
            Some(id) => match after_param(database.engine(), id) {
                Some(id) => database.fetch_within(budget, &self.after, &[id, limit]).await,
                None => Ok(Answer::default()),
            },
        }
    }

    /// Keys in the look-back that have not been seen; `None` if there are more than it holds.
    async fn late(&self, database: &Database, memory: &LookBack) -> Result<Option<Vec<RowId>>, PlaceError> {
        let Some((after, newest)) = memory.range() else { return Ok(Some(Vec::new())) };
        let after = after.and_then(|id| after_param(database.engine(), id)).unwrap_or(Param::Int(i64::MIN));
        let Some(newest) = after_param(database.engine(), newest) else { return Ok(Some(Vec::new())) };
        let most = LookBack::MOST * 2;
        let keys = database.fetch(&self.keys, &[after, newest, limit_param(most)]).await?;
        if keys.len() >= most {
            return Ok(None);
        }
        let key = |row: &Row| row[0].as_int().map(RowId);
        Ok(Some(keys.iter().filter_map(key).filter(|id| !memory.has(*id)).collect()))
    }

    /// Rows from places spread evenly over the ids, as many from each as its share of the budget holds.
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
            let after = RowId((low + ahead - 1).max(behind));
            let wanted = (limit * (part + 1) / SAMPLES).saturating_sub(rows.len());
            if wanted > 0 {
                let page = self.page(database, Some(after), wanted, BUDGET / SAMPLES).await?;
                rows.extend(shape.rows(page.rows));
            }
        }
        Ok(rows)
    }

    async fn extreme(&self, database: &Database, statement: &Statement) -> Result<Option<i128>, PlaceError> {
        let rows = database.fetch(statement, &[]).await?;
        Ok(rows.first().and_then(|row| row[0].as_int()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_being_stored() {
        let cursor = Cursor::after(Some(RowId(i128::from(u64::MAX))));
        assert_eq!(cursor.position().as_str(), r#"{"after":"18446744073709551615"}"#);
        let read = Cursor::read(&cursor.position()).unwrap();
        assert_eq!(read.memory.settled(), Some(RowId(i128::from(u64::MAX))));
        assert_eq!(Cursor::starting_at(None).position().as_str(), r#"{"after":null}"#);
        assert_eq!(Cursor::starting_at(Some(RowId(1))).position().as_str(), r#"{"after":"0"}"#);
        for text in ["", "5", r#"{"after":"x"}"#, r#"{"after":"1","seen":"?"}"#] {
            assert!(Cursor::read(&Position::new(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn the_earlier_of_two_positions_forgets_rather_than_skips() {
        let at = |id: i128| Cursor::after(Some(RowId(id))).position();
        assert_eq!(earlier(&at(5), &at(7)).as_str(), at(5).as_str());
        assert_eq!(earlier(&at(7), &at(5)).as_str(), at(5).as_str());
        assert_eq!(earlier(&at(7), &Cursor::starting_at(None).position()).as_str(), r#"{"after":null}"#);
        let seen = |ids: &[i128]| {
            let ids: Vec<RowId> = ids.iter().map(|id| RowId(*id)).collect();
            Cursor { memory: Arc::new(LookBack::behind(Some(RowId(5))).seen(&ids, Instant::now())) }
                .position()
        };
        assert_eq!(earlier(&seen(&[6, 7, 9]), &seen(&[7, 8, 9])).as_str(), seen(&[7, 9]).as_str());
        assert_eq!(earlier(&seen(&[6]), &at(5)).as_str(), at(5).as_str());
        // What was seen survives being stored.
        let stored = Position::new(seen(&[6, 7, 9]).as_str());
        let memory = Cursor::read(&stored).unwrap().memory;
        assert!(memory.has(RowId(9)) && !memory.has(RowId(8)));
    }
}
