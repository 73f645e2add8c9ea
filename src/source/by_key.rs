//! Who else carries a key: a row is called back only if its key means one row at the source too.

use super::shape::Shape;
use crate::model::{Column, RowId, Value};
use crate::sql::catalog::Table;
use crate::sql::statement::Statement;
use crate::sql::{Database, PlaceError, bind, select};

/// Looks a source's own keys up.
#[derive(Debug)]
pub(super) struct ByKey {
    column: Column,
    /// The id and the key by lists of keys, one for each of [`select::SIZES`].
    statements: Vec<Statement>,
}

impl ByKey {
    /// `None` where no two rows can share a key, and where no index would find them.
    pub(super) fn new(table: &Table, shape: &Shape) -> Option<Self> {
        if shape.by == shape.id || table.is_unique(shape.by) || !table.has_index(&[shape.by]) {
            return None;
        }
        let of_size = |size: &usize| select::by_key(table, &[shape.id, shape.by], shape.by, *size);
        Some(Self {
            column: table.columns[shape.by].clone(),
            statements: select::SIZES.iter().map(of_size).collect(),
        })
    }

    /// Ids of the rows that carry one of `keys`, with the key as it stands there.
    pub(super) async fn holders(
        &self,
        database: &Database,
        keys: &[Value],
    ) -> Result<Vec<(RowId, Value)>, PlaceError> {
        let engine = database.engine();
        let forms: Vec<Value> =
            keys.iter().flat_map(|key| bind::key(engine, &self.column, key).0).flatten().collect();
        let mut holders = Vec::with_capacity(keys.len());
        for list in bind::lists(&forms) {
            let refs: Vec<&Value> = list.iter().collect();
            let size = select::size_for(list.len());
            let params = bind::params(engine, self.column.class, &refs, select::SIZES[size]);
            let rows = database.fetch(&self.statements[size], &params).await?;
            holders.extend(rows.into_iter().filter_map(|mut row| {
                let key = row.pop()?;
                Some((RowId(row[0].as_int()?), key))
            }));
        }
        Ok(holders)
    }
}
