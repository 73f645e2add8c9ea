//! MySQL and MariaDB: `information_schema`, which shows each user what that user may see.

pub(in crate::sql) mod incarnation;
mod json;

use super::{Detail, Table, candidates, collect_indexes, no_table};
use crate::config::Engine;
use crate::model::{Class, Column, Row, Value};
use crate::sql::statement::{Param, Read, Statement};
use crate::sql::{Database, PlaceError, PlaceErrorKind, dialect};

pub(super) async fn table(database: &Database, written: &str) -> Result<Table, PlaceError> {
    let (schema, name, view) = find(database, written).await?;
    let (columns, untold) = columns(database, &schema, &name, view).await?;
    let (columns, details): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let found = indexes(database, &schema, &name, &columns).await?;
    let primary_key = found.iter().find(|(n, _)| n == "PRIMARY").map(|(_, i)| i.columns.clone());
    let server = server(database).await?;
    let incarnation = incarnation::of(database, &schema, &name).await?;
    Ok(Table {
        engine: Engine::MySql,
        identity: format!("{server} {schema}.{name}"),
        incarnation,
        schema: Some(schema),
        name,
        view,
        columns,
        details,
        primary_key: primary_key.unwrap_or_default(),
        indexes: found.into_iter().map(|(_, index)| index).collect(),
        untold,
    })
}

/// Schema, name and whether it is a view.
async fn find(database: &Database, written: &str) -> Result<(String, String, bool), PlaceError> {
    let find = Statement::new(
        "SELECT CAST(table_schema AS CHAR), CAST(table_name AS CHAR), CAST(table_type AS CHAR) \
         FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
        [Read::Text; 3],
    );
    let find_here = Statement::new(
        "SELECT CAST(table_schema AS CHAR), CAST(table_name AS CHAR), CAST(table_type AS CHAR) \
         FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
        [Read::Text; 3],
    );
    for (schema, name) in candidates(written) {
        let rows = match schema {
            Some(schema) => database.fetch(&find, &[Param::text(schema), Param::text(name)]).await?,
            None => database.fetch(&find_here, &[Param::text(name)]).await?,
        };
        // The catalogue compares without case; a server that tells `Order` from `order` shows both.
        let exact = rows.iter().find(|row| text(&row[1]) == name);
        let only = rows.first().filter(|_| rows.len() == 1);
        if let Some(row) = exact.or(only) {
            return Ok((text(&row[0]).to_owned(), text(&row[1]).to_owned(), text(&row[2]).contains("VIEW")));
        }
    }
    Err(why_not(database, written).await?)
}

/// Without any right on a table the catalogue hides it: reading it tells a missing right from a missing table.
async fn why_not(database: &Database, written: &str) -> Result<PlaceError, PlaceError> {
    if database.dsn().database.is_empty() && !written.contains('.') {
        let message =
            format!("the dsn names no database; write it there, or the table as \"database.{written}\"");
        return Ok(PlaceError::new(PlaceErrorKind::Missing, database.place(), message));
    }
    for (schema, name) in candidates(written) {
        let mut from = schema.map(|s| dialect::quote(Engine::MySql, s) + ".").unwrap_or_default();
        from.push_str(&dialect::quote(Engine::MySql, name));
        let probe = Statement::new(format!("SELECT 1 FROM {from} LIMIT 0"), [Read::Int]);
        match database.fetch(&probe, &[]).await {
            Err(error) if error.kind == PlaceErrorKind::Denied => {
                let message = format!(
                    "this user may not read table {written:?} (or it is not there); grant SELECT on it"
                );
                return Ok(PlaceError { message, ..error });
            }
            Err(error) if error.kind.is_passing() => return Err(error),
            _ => {}
        }
    }
    let list = Statement::new(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() LIMIT 10000",
        [Read::Text],
    );
    let known: Vec<String> =
        database.fetch(&list, &[]).await?.iter().map(|row| text(&row[0]).to_owned()).collect();
    Ok(no_table(database, written, &known))
}

/// The columns, and what this user is not told about them.
async fn columns(
    database: &Database,
    schema: &str,
    name: &str,
    view: bool,
) -> Result<(Vec<(Column, Detail)>, Vec<String>), PlaceError> {
    let list = Statement::new(
        "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR), CAST(column_type AS CHAR), \
         CAST(is_nullable AS CHAR), CAST(datetime_precision AS CHAR), CAST(character_set_name AS CHAR), \
         CAST(collation_name AS CHAR) FROM information_schema.columns \
         WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
        [Read::Text; 7],
    );
    let rows = database.fetch(&list, &[Param::text(schema), Param::text(name)]).await?;
    let may_be_json = |row: &&Row| !view && text(&row[1]) == "longtext" && text(&row[6]) == "utf8mb4_bin";
    let candidates: Vec<&str> = rows.iter().filter(may_be_json).map(|row| text(&row[0])).collect();
    let json = json::columns(database, schema, name, &candidates).await?;
    let untold = json.is_none().then(|| {
        let names: Vec<String> = candidates.iter().map(|name| format!("{name:?}")).collect();
        format!(
            "whether {} holds JSON is not told to a user who may read single columns only, so it is compared byte for \
             byte; grant SELECT on the whole table if it does",
            names.join(", ")
        )
    });
    let is_json = |row: &Row| json.iter().flatten().any(|column| column == text(&row[0]));
    Ok((rows.iter().map(|row| column(row, is_json(row))).collect(), untold.into_iter().collect()))
}

fn column(row: &Row, is_json: bool) -> (Column, Detail) {
    let (name, kind, declared) = (text(&row[0]), text(&row[1]), text(&row[2]));
    let digits = text(&row[4]).parse().unwrap_or(0);
    let unsigned = declared.contains("unsigned") || declared.contains("zerofill");
    let (class, read) = match kind.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => {
            (Class::Int, if unsigned { Read::UInt } else { Read::Int })
        }
        "year" => (Class::Int, Read::UInt),
        "decimal" | "numeric" => (Class::Decimal, Read::Text),
        "float" => (Class::F32, Read::F32),
        "double" => (Class::F64, Read::F64),
        "date" => (Class::Date, Read::Date),
        "time" => (Class::Time, Read::Time(digits)),
        "datetime" => (Class::DateTime, Read::DateTime(digits)),
        "timestamp" => (Class::Instant, Read::DateTime(digits)),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            (if is_json { Class::Json } else { Class::Text }, Read::Text)
        }
        "json" => (Class::Json, Read::Text),
        "uuid" => (Class::Uuid, Read::Text),
        "inet4" | "inet6" => (Class::Other, Read::Text),
        "bit" => (Class::Bit, Read::Bytes),
        _ => (Class::Bytes, Read::Bytes),
    };
    let key = match class {
        // Compared as text a decimal would be compared as a float.
        Class::Decimal => format!("CAST(? AS {})", declared.split(' ').next().unwrap_or(declared)),
        // A key that the column's character set cannot hold would be an error for the whole statement.
        Class::Text if !matches!(text(&row[5]), "utf8mb4" | "") => {
            format!("CONVERT(? USING {}) COLLATE {}", text(&row[5]), text(&row[6]))
        }
        _ => "?".to_owned(),
    };
    let column =
        Column { name: name.into(), class, declared: declared.into(), nullable: text(&row[3]) == "YES" };
    // What has no character set is no text, or is written in that of the session.
    let utf8 = matches!(text(&row[5]), "" | "utf8mb4" | "utf8mb3" | "utf8" | "ascii");
    (column, Detail { read, as_text: false, utf8, key })
}

async fn indexes(
    database: &Database,
    schema: &str,
    name: &str,
    columns: &[Column],
) -> Result<Vec<(String, super::Index)>, PlaceError> {
    let list = Statement::new(
        "SELECT CAST(index_name AS CHAR), CAST(non_unique AS CHAR), CAST(column_name AS CHAR), \
         CAST(sub_part AS CHAR) FROM information_schema.statistics \
         WHERE table_schema = ? AND table_name = ? AND index_type IN ('BTREE', 'HASH', 'RTREE') \
         AND index_type <> 'RTREE' ORDER BY index_name, seq_in_index",
        [Read::Text; 4],
    );
    let rows = database.fetch(&list, &[Param::text(schema), Param::text(name)]).await?;
    Ok(collect_indexes(rows.iter().map(|row| {
        let whole = row[3].is_null();
        let column = columns.iter().position(|column| &*column.name == text(&row[2])).filter(|_| whole);
        (text(&row[0]).to_owned(), text(&row[1]) == "0", column)
    })))
}

/// The server itself, whatever address it was reached by.
async fn server(database: &Database) -> Result<String, PlaceError> {
    let uuid = Statement::new("SELECT CAST(@@server_uuid AS CHAR)", [Read::Text]);
    match database.fetch(&uuid, &[]).await {
        Ok(rows) => return Ok(format!("mysql {}", text(&rows[0][0]))),
        Err(error) if error.kind.is_passing() => return Err(error),
        // MariaDB has none.
        Err(_) => {}
    }
    let host = Statement::new(
        "SELECT CONCAT(@@hostname, ':', CAST(@@port AS CHAR), '#', CAST(@@server_id AS CHAR))",
        [Read::Text],
    );
    let rows = database.fetch(&host, &[]).await?;
    Ok(format!("mysql {}", text(&rows[0][0])))
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
