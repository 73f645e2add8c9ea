//! The integer key of a source: which column it is, and how it is asked for.

use crate::config::Engine;
use crate::model::{Class, Row, RowId, Value};
use crate::sql::catalog::Table;
use crate::sql::select;
use crate::sql::statement::{Param, Statement};
use crate::sql::{Database, PlaceError, bind};

/// The integer key: the one named, else the integer primary key.
pub(super) fn id_column(table: &Table, named: Option<&str>) -> Result<usize, String> {
    let full_name = table.full_name();
    let Some(name) = named else {
        return table.integer_primary_key().ok_or_else(|| {
            let found = match table.primary_key.as_slice() {
                _ if table.view => "is a view".to_owned(),
                [] => "has no primary key".to_owned(),
                [one] => format!(
                    "has the primary key {:?}, which is {}",
                    table.columns[*one].name, table.columns[*one].declared
                ),
                _ => "has a primary key of several columns".to_owned(),
            };
            format!("table {full_name:?} {found}; name a unique integer column with \"id\"")
        });
    };
    let column = table.require(name)?;
    if !table.is_integer(column) {
        let declared = &table.columns[column].declared;
        return Err(format!(
            "\"id\" names column {name:?} of table {full_name:?}, which is {declared}; it must be an integer"
        ));
    }
    if !table.view && !table.is_unique(column) {
        return Err(format!(
            "\"id\" names column {name:?} of table {full_name:?}, which is not unique; rows that share a value would be \
             lost at the edge of a page, so give it a unique index or name another"
        ));
    }
    Ok(column)
}

/// A number of rows as a parameter.
pub(super) fn limit_param(limit: usize) -> Param {
    Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// The key as a value of its column; `None` if the column cannot hold it.
pub(super) fn id_value(database: &Database, id: RowId) -> Option<Value> {
    match (i64::try_from(id.0), u64::try_from(id.0)) {
        (Ok(n), _) => Some(Value::Int(n)),
        (_, Ok(n)) if database.engine() == Engine::MySql => Some(Value::UInt(n)),
        _ => None,
    }
}

/// The key as a lower bound; `None` if no key can lie behind it.
pub(super) fn id_param(database: &Database, id: RowId) -> Option<Param> {
    match id_value(database, id) {
        Some(value) => Some(bind::param(&value)),
        None if id.0 < 0 => Some(Param::Int(i64::MIN)),
        None => None,
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
    let keys: Vec<Value> = ids.iter().filter_map(|id| id_value(database, *id)).collect();
    let mut found = Vec::with_capacity(keys.len());
    for list in keys.chunks(select::LIST) {
        let refs: Vec<&Value> = list.iter().collect();
        let size = select::size_for(list.len());
        let params = bind::params(database.engine(), Class::Int, &refs, select::SIZES[size]);
        found.extend(database.fetch(&statements[size], &params).await?);
    }
    Ok(found)
}
