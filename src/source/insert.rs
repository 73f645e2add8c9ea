//! The insert feed: rows in the order of their integer key.
//!
//! A key is given out when a row is inserted and seen when its transaction commits, so a smaller key may appear after
//! a larger one was read. Behind the newest keys the feed therefore looks again: it remembers which keys it has seen
//! there ([`LookBack`]), reads the keys alone at each look, and fetches the rows of those it has not. The durable
//! cursor stays below all of that.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::keys::{by_ids, id_param, limit_param, list_statements};
use crate::model::{Position, Row, RowId};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Database, PlaceError};

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
}

/// What one look brought.
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    pub(super) next: Position,
    pub(super) more: bool,
}

impl InsertFeed {
    pub(super) fn new(table: &Table, selected: &[usize], id: usize) -> Self {
        Self {
            first: select::page(table, selected, &[Bound::From(id)], &[id]),
            after: select::page(table, selected, &[Bound::After(id)], &[id]),
            keys: select::page(table, &[id], &[Bound::After(id), Bound::UpTo(id)], &[id]),
            by_keys: list_statements(table, selected, id),
        }
    }

    /// New rows behind the newest key seen; and if there are no more than `limit` of those, rows that have appeared
    /// in the look-back.
    pub(super) async fn read(
        &self,
        database: &Database,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Read, PlaceError> {
        let memory = &cursor.memory;
        let mut rows = match memory.newest() {
            Some(id) => match id_param(database, id) {
                Some(id) => database.fetch(&self.after, &[id, limit_param(limit)]).await?,
                None => Vec::new(),
            },
            None => database.fetch(&self.first, &[Param::Int(i64::MIN), limit_param(limit)]).await?,
        };
        let more = rows.len() >= limit;
        let mut keys: Vec<RowId> = rows.iter().filter_map(key_of).collect();
        if !more {
            let Some(late) = self.late(database, memory).await? else {
                // Too many to be late commits: rows were brought in with old keys. All of that is read anew.
                return Ok(Read { rows, next: Cursor::after(memory.settled()).position(), more: true });
            };
            if !late.is_empty() {
                let appeared = by_ids(database, &self.by_keys, &late).await?;
                // Only what was really read counts as seen.
                keys.extend(appeared.iter().filter_map(key_of));
                rows.extend(appeared);
            }
        }
        let memory = memory.seen(&keys, Instant::now());
        Ok(Read { rows, next: Cursor { memory: Arc::new(memory) }.position(), more })
    }

    /// Keys in the look-back that have not been seen; `None` if there are more than it holds.
    async fn late(&self, database: &Database, memory: &LookBack) -> Result<Option<Vec<RowId>>, PlaceError> {
        let Some((after, newest)) = memory.range() else { return Ok(Some(Vec::new())) };
        let after = after.and_then(|id| id_param(database, id)).unwrap_or(Param::Int(i64::MIN));
        let Some(newest) = id_param(database, newest) else { return Ok(Some(Vec::new())) };
        let most = LookBack::MOST * 2;
        let keys = database.fetch(&self.keys, &[after, newest, limit_param(most)]).await?;
        if keys.len() >= most {
            return Ok(None);
        }
        Ok(Some(keys.iter().filter_map(key_of).filter(|id| !memory.has(*id)).collect()))
    }
}

/// The key stands first in every statement of the feed.
fn key_of(row: &Row) -> Option<RowId> {
    row.first()?.as_int().map(RowId)
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
