//! Asking a source for rows by their integer key.

use std::collections::HashSet;

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

/// What was found by some keys, as far as was read.
pub(super) struct Found {
    /// In any order. At least one, if there is any.
    pub(super) rows: Vec<Row>,
    /// Keys that were not looked for to the end: whether they are there is not known.
    pub(super) rest: Vec<RowId>,
}

/// Rows by their key, which each holds at place `id`, until they take `budget` bytes. Keys that are neither in the rows
/// nor in the rest are gone.
pub(super) async fn by_ids(
    database: &Database,
    statements: &[Statement],
    id: usize,
    ids: &[RowId],
    budget: usize,
) -> Result<Found, PlaceError> {
    let mut ids: Vec<RowId> = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let keys: Vec<(RowId, Value)> =
        ids.into_iter().filter_map(|id| Some((id, id_value(database.engine(), id)?))).collect();
    let mut found = Found { rows: Vec::new(), rest: Vec::new() };
    let mut left = budget;
    for list in keys.chunks(select::LIST) {
        if left == 0 && !found.rows.is_empty() {
            found.rest.extend(list.iter().map(|(id, _)| *id));
            continue;
        }
        let refs: Vec<&Value> = list.iter().map(|(_, value)| value).collect();
        let size = select::size_for(list.len());
        let params = bind::params(database.engine(), Class::Int, &refs, select::SIZES[size]);
        let answer = database.fetch_within(left, &statements[size], &params).await?;
        left = left.saturating_sub(answer.size());
        if answer.cut {
            let read: HashSet<i128> = answer.rows.iter().filter_map(|row| row[id].as_int()).collect();
            found.rest.extend(list.iter().map(|(id, _)| *id).filter(|id| !read.contains(&id.0)));
            left = 0;
        }
        found.rows.extend(answer.rows);
    }
    Ok(found)
}
