//! Rows from all over a table, to look at before the start.

use super::keys::{after_param, limit_param};
use super::shape::Shape;
use crate::model::{RowId, SourceRow};
use crate::sql::catalog::Table;
use crate::sql::select::{self, Bound};
use crate::sql::statement::Statement;
use crate::sql::{BUDGET, Database, PlaceError};

/// Places of the table that a sample is taken from.
const SAMPLES: usize = 10;

/// The statements of a sample.
pub(super) struct Sampler {
    from: Statement,
    smallest: Statement,
    largest: Statement,
}

impl Sampler {
    pub(super) fn new(table: &Table, shape: &Shape) -> Self {
        Self {
            from: select::page(table, &shape.selected, &[Bound::From(shape.id)], &[shape.id]),
            smallest: select::extreme(table, shape.id, false),
            largest: select::extreme(table, shape.id, true),
        }
    }

    /// Rows from places spread evenly over the ids, as many from each as its share of the budget holds.
    pub(super) async fn sample(
        &self,
        database: &Database,
        shape: &Shape,
        limit: usize,
    ) -> Result<Vec<SourceRow>, PlaceError> {
        let smallest = extreme(database, &self.smallest).await?;
        let largest = extreme(database, &self.largest).await?;
        let (Some(low), Some(high)) = (smallest, largest) else { return Ok(Vec::new()) };
        let mut rows: Vec<SourceRow> = Vec::new();
        for part in 0..SAMPLES {
            let ahead = (high - low) / SAMPLES as i128 * part as i128;
            let from = rows.last().map_or(low, |row| row.id.0 + 1).max(low + ahead);
            let wanted = (limit * (part + 1) / SAMPLES).saturating_sub(rows.len());
            if let (Some(from), true) = (after_param(database.engine(), RowId(from)), wanted > 0) {
                let params = [from, limit_param(wanted)];
                let page = database.fetch_within(BUDGET / SAMPLES, &self.from, &params).await?;
                rows.extend(shape.rows(page.rows));
            }
        }
        Ok(rows)
    }
}

async fn extreme(database: &Database, statement: &Statement) -> Result<Option<i128>, PlaceError> {
    let rows = database.fetch(statement, &[]).await?;
    Ok(rows.first().and_then(|row| row[0].as_int()))
}
