//! Asking a source for rows by their integer key.

use crate::config::Engine;
use crate::model::{Class, Row, RowId, Value};
use crate::sql::catalog::Table;
use crate::sql::select;
use crate::sql::statement::{Param, Statement};
use crate::sql::{Database, PlaceError, bind};

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

/// Statements that select `columns` by lists of the key, one for each of [`select::SIZES`].
pub(super) fn list_statements(table: &Table, columns: &[usize], id: usize) -> Vec<Statement> {
    select::SIZES.iter().map(|size| select::by_key(table, columns, id, *size)).collect()
}

/// Rows by their key, in any order; those that are gone are left out.
pub(super) async fn by_ids(
    database: &Database,
    statements: &[Statement],
    ids: &[RowId],
) -> Result<Vec<Row>, PlaceError> {
    let mut ids: Vec<RowId> = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let keys: Vec<Value> = ids.iter().filter_map(|id| id_value(database.engine(), *id)).collect();
    let mut found = Vec::with_capacity(keys.len());
    for list in keys.chunks(select::LIST) {
        let refs: Vec<&Value> = list.iter().collect();
        let size = select::size_for(list.len());
        let params = bind::params(database.engine(), Class::Int, &refs, select::SIZES[size]);
        found.extend(database.fetch(&statements[size], &params).await?);
    }
    Ok(found)
}
