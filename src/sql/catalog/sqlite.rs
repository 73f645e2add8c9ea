//! SQLite: `sqlite_schema` and the pragmas that are tables.

use std::path::Path;

use super::{Detail, Index, Table, candidates, collect_indexes, no_table};
use crate::config::Engine;
use crate::model::{Class, Column, Row, Value};
use crate::sql::statement::{Param, Read, Statement};
use crate::sql::{Database, PlaceError};

pub(super) async fn table(database: &Database, written: &str) -> Result<Table, PlaceError> {
    let (name, view) = find(database, written).await?;
    let list = Statement::new(
        "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid",
        [Read::Dynamic; 4],
    );
    let rows = database.fetch(&list, &[Param::text(&*name)]).await?;
    let columns: Vec<Column> = rows.iter().map(column).collect();

    let mut key: Vec<(i128, usize)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(place) = row[3].as_int().filter(|place| *place > 0) {
            key.push((place, at));
        }
    }
    key.sort_unstable();
    let primary_key: Vec<usize> = key.into_iter().map(|(_, at)| at).collect();

    let list = Statement::new(
        "SELECT l.name, l.\"unique\", i.name FROM pragma_index_list(?) AS l \
         JOIN pragma_index_info(l.name) AS i WHERE l.partial = 0 ORDER BY l.name, i.seqno",
        [Read::Dynamic; 3],
    );
    let rows = database.fetch(&list, &[Param::text(&*name)]).await?;
    let mut indexes: Vec<Index> = collect_indexes(rows.iter().map(|row| {
        let at = columns.iter().position(|column| &*column.name == text(&row[2]));
        (text(&row[0]).to_owned(), row[1].as_int() == Some(1), at)
    }))
    .into_iter()
    .map(|(_, index)| index)
    .collect();
    // The rowid is no index of its own in the catalogue.
    if !primary_key.is_empty() && !indexes.iter().any(|index| index.columns == primary_key) {
        indexes.push(Index { columns: primary_key.clone(), unique: true });
    }
    let made = Statement::new(
        "SELECT rootpage || ' ' || length(sql) FROM sqlite_schema WHERE name = ?",
        [Read::Dynamic],
    );
    let made = database.fetch(&made, &[Param::text(&*name)]).await?;
    let file = std::fs::canonicalize(&database.dsn().database)
        .unwrap_or_else(|_| Path::new(&database.dsn().database).to_path_buf());
    let details = columns.iter().map(|_| Detail {
        read: Read::Dynamic,
        as_text: false,
        utf8: true,
        key: "?".to_owned(),
    });
    Ok(Table {
        engine: Engine::Sqlite,
        identity: format!("sqlite {} {name}", file.display()),
        incarnation: made.first().map_or_else(String::new, |row| text(&row[0]).to_owned()),
        schema: None,
        details: details.collect(),
        name,
        view,
        columns,
        primary_key,
        indexes,
        untold: Vec::new(),
    })
}

async fn find(database: &Database, written: &str) -> Result<(String, bool), PlaceError> {
    let find = Statement::new(
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE \
         ORDER BY name = ?1 DESC",
        [Read::Dynamic; 2],
    );
    for (schema, name) in candidates(written) {
        if schema.is_some_and(|schema| !schema.eq_ignore_ascii_case("main")) {
            continue;
        }
        if let Some(row) = database.fetch(&find, &[Param::text(name)]).await?.first() {
            return Ok((text(&row[0]).to_owned(), text(&row[1]) == "view"));
        }
    }
    let list =
        Statement::new("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')", [Read::Dynamic]);
    let known: Vec<String> =
        database.fetch(&list, &[]).await?.iter().map(|row| text(&row[0]).to_owned()).collect();
    Err(no_table(database, written, &known))
}

fn column(row: &Row) -> Column {
    Column {
        name: text(&row[0]).into(),
        class: Class::Dynamic,
        declared: text(&row[1]).into(),
        nullable: row[2].as_int() == Some(0),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
