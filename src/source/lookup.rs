//! Rows of a source by the column that finds them at the destinations.

use std::collections::HashMap;

use super::shape::Shape;
use crate::model::{RowId, SourceRow, Value};
use crate::sql::catalog::Table;
use crate::sql::statement::Statement;
use crate::sql::{Database, PlaceError, bind, is_bad_value, select};

/// The statements, one for each of [`select::SIZES`].
pub(super) struct Lookup(Vec<Statement>);

impl Lookup {
    pub(super) fn new(table: &Table, shape: &Shape) -> Self {
        let by_key = |size: &usize| select::by_key(table, &shape.selected, shape.by, *size);
        Self(select::SIZES.iter().map(by_key).collect())
    }

    /// Rows whose key equals one of `keys` under the database's own rules, each once. A key that the column cannot
    /// hold finds nothing.
    pub(super) async fn lookup(
        &self,
        database: &Database,
        table: &Table,
        shape: &Shape,
        keys: &[Value],
    ) -> Result<Vec<SourceRow>, PlaceError> {
        let (engine, column) = (database.engine(), &table.columns[shape.by]);
        let forms: Vec<Value> = keys.iter().flat_map(|key| bind::all(engine, column, key)).collect();
        let mut lists = bind::lists(&forms);
        // A collation may let two lists find one row.
        let mut found: HashMap<RowId, SourceRow> = HashMap::with_capacity(keys.len());
        while let Some(mut list) = lists.pop() {
            let refs: Vec<&Value> = list.iter().collect();
            let size = select::size_for(list.len());
            let params = bind::params(engine, column.class, &refs, select::SIZES[size]);
            match database.fetch(&self.0[size], &params).await {
                Ok(rows) => found.extend(shape.rows(rows).into_iter().map(|row| (row.id, row))),
                // The key that the database refuses is found by halving; no row has it.
                Err(error) if is_bad_value(&error) => {
                    if list.len() > 1 {
                        let half = list.split_off(list.len() / 2);
                        lists.extend([list, half]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found.into_values().collect())
    }
}
