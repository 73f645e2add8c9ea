//! The sweep: all rows once more, in the order of their integer key.
//!
//! A pass ends at the largest key there was when it began: what is written later is the business of the other feeds,
//! and a table that grows faster than it is swept does not make a pass endless.

use serde::{Deserialize, Serialize};

use super::keys::{after_param, limit_param};
use super::shape::Shape;
use super::{Batch, Coverage};
use crate::model::{Position, RowId};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Answer, BUDGET, Database, PlaceError};

/// Where a pass is: `{"after":"123","upTo":"456"}`; no `after`: before everything, no `upTo`: there was nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, rename = "upTo", skip_serializing_if = "Option::is_none")]
    up_to: Option<String>,
}

impl Cursor {
    /// Reads a position; `None` if it is not one of ours.
    pub(super) fn read(position: &Position) -> Option<Self> {
        let cursor: Self = serde_json::from_str(position.as_str()).ok()?;
        for id in cursor.after.iter().chain(&cursor.up_to) {
            id.parse::<i128>().ok()?;
        }
        Some(cursor)
    }

    /// As it is stored.
    fn position(&self) -> Position {
        Position::new(serde_json::to_string(self).expect("strings always serialise"))
    }

    fn bounds(&self) -> (Option<RowId>, Option<RowId>) {
        let id = |text: &Option<String>| text.as_ref()?.parse().ok().map(RowId);
        (id(&self.after), id(&self.up_to))
    }
}

/// The statements of the sweep.
pub(super) struct SweepFeed {
    first: Statement,
    after: Statement,
    largest: Statement,
}

impl SweepFeed {
    pub(super) fn new(table: &Table, shape: &Shape) -> Self {
        let id = shape.id;
        let page = |low| select::page(table, &shape.selected, &[low, Bound::UpTo(id)], &[id]);
        Self {
            first: page(Bound::From(id)),
            after: page(Bound::After(id)),
            largest: select::extreme(table, id, true),
        }
    }

    /// A pass over all rows there are now, from `start_id` on.
    pub(super) async fn start(
        &self,
        database: &Database,
        start_id: Option<RowId>,
    ) -> Result<Position, PlaceError> {
        let rows = database.fetch(&self.largest, &[]).await?;
        let up_to = rows.first().and_then(|row| row[0].as_int()).map(|id| id.to_string());
        let after = start_id.map(|id| id.0.saturating_sub(1).to_string());
        Ok(Cursor { after, up_to }.position())
    }

    /// Whether the table has no row.
    pub(super) async fn is_empty(&self, database: &Database) -> Result<bool, PlaceError> {
        Ok(database.fetch(&self.largest, &[]).await?.is_empty())
    }

    /// The next rows of a pass.
    pub(super) async fn read(
        &self,
        database: &Database,
        shape: &Shape,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Batch, PlaceError> {
        let (after, up_to) = cursor.bounds();
        let high = up_to.and_then(|id| after_param(database.engine(), id));
        let low = after.map(|id| after_param(database.engine(), id));
        let rows = match (low, high) {
            (_, None) | (Some(None), _) => Answer::default(),
            (None, Some(high)) => {
                let params = [Param::Int(i64::MIN), high, limit_param(limit)];
                database.fetch_within(BUDGET, &self.first, &params).await?
            }
            (Some(Some(low)), Some(high)) => {
                database.fetch_within(BUDGET, &self.after, &[low, high, limit_param(limit)]).await?
            }
        };
        let more = rows.is_full(limit);
        let rows = shape.rows(rows.rows);
        let last = rows.last().map(|row| row.id.to_string());
        let next = Cursor { after: last.or_else(|| cursor.after.clone()), ..cursor.clone() };
        // A page of nothing but rows without an integer key cannot be walked past (only SQLite has such rows).
        let more = more && !rows.is_empty();
        let shown = |cursor: &Cursor| cursor.after.as_ref().map(|id| format!("id {id}"));
        let coverage = Coverage { from: shown(&cursor), to: shown(&next), ..Coverage::default() };
        Ok(Batch { more, rows, next: next.position(), coverage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_being_stored() {
        let cursor = Cursor { after: None, up_to: Some("18446744073709551615".to_owned()) };
        assert_eq!(cursor.position().as_str(), r#"{"upTo":"18446744073709551615"}"#);
        assert_eq!(Cursor::read(&cursor.position()), Some(cursor.clone()));
        assert_eq!(cursor.bounds(), (None, Some(RowId(i128::from(u64::MAX)))));
        for text in ["", "5", r#"{"after":"x"}"#, r#"{"upTo":5}"#] {
            assert!(Cursor::read(&Position::new(text)).is_none(), "{text}");
        }
    }
}
