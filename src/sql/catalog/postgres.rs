//! PostgreSQL: `pg_catalog`, which everybody may read; what may be selected is asked for as well.

use super::{Detail, Table, candidates, collect_indexes, no_table};
use crate::config::Engine;
use crate::model::{Class, Column, Row, Value};
use crate::sql::statement::{Param, Read, Statement};
use crate::sql::{Database, PlaceError, PlaceErrorKind, dialect};

pub(super) async fn table(database: &Database, written: &str) -> Result<Table, PlaceError> {
    let found = find(database, written).await?;
    let list = Statement::new(COLUMNS, [Read::Text; 9]);
    let rows = database.fetch(&list, &[Param::Int(found.oid)]).await?;
    let readable: Vec<&Row> = rows.iter().filter(|row| text(&row[7]) == "t").collect();
    if readable.is_empty() && !rows.is_empty() {
        let message = format!("this user may not read table {written:?}; grant SELECT on it");
        return Err(PlaceError::new(PlaceErrorKind::Denied, database.place(), message));
    }
    readable_in_full(database, &found).await?;
    let numbers: Vec<&str> = readable.iter().map(|row| text(&row[0])).collect();
    let (columns, details): (Vec<_>, Vec<_>) = readable.iter().map(|row| column(row)).unzip();

    let list = Statement::new(INDEXES, [Read::Text; 4]);
    let rows = database.fetch(&list, &[Param::Int(found.oid)]).await?;
    let primary = rows.iter().find(|row| text(&row[1]) == "t").map(|row| text(&row[0]).to_owned());
    let indexes = collect_indexes(rows.iter().map(|row| {
        let column = numbers.iter().position(|number| *number == text(&row[3]));
        (text(&row[0]).to_owned(), text(&row[2]) == "t", column)
    }));
    let primary_key = indexes.iter().find(|(name, _)| primary.as_ref() == Some(name));
    let primary_key = primary_key.map(|(_, index)| index.columns.clone()).unwrap_or_default();

    let file = database.fetch(&Statement::new(FILE, [Read::Text]), &[Param::Int(found.oid)]).await?;
    let server = server(database).await?;
    Ok(Table {
        engine: Engine::Postgres,
        identity: format!("{server} {}.{}.{}#{}", found.database, found.schema, found.name, found.oid),
        incarnation: file.first().map_or_else(String::new, |row| text(&row[0]).to_owned()),
        schema: Some(found.schema),
        name: found.name,
        view: found.kind == "v" || found.kind == "m",
        columns,
        details,
        primary_key,
        indexes: indexes.into_iter().map(|(_, index)| index).collect(),
        untold: Vec::new(),
    })
}

/// Fails if a policy hides rows from this user, of the table itself or of one behind a view.
async fn readable_in_full(database: &Database, found: &Found) -> Result<(), PlaceError> {
    let quoted = [&found.schema, &found.name].map(|name| dialect::quote(Engine::Postgres, name)).join(".");
    let nothing = Statement::new(format!("SELECT 1 FROM {quoted} LIMIT 0"), [Read::Int]);
    database.fetch(&nothing, &[]).await.map(drop)
}

struct Found {
    oid: i64,
    schema: String,
    name: String,
    kind: String,
    database: String,
}

const FIND: &str = "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, current_database()::text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = $1 AND ";

/// Columns with their types, domains followed down to the type they are made of.
/// The file of a table: TRUNCATE and whatever writes it anew give it another one. A partitioned table has none.
const FILE: &str = "SELECT relfilenode::int8::text FROM pg_catalog.pg_class WHERE oid = $1::int8::oid";

const COLUMNS: &str = "WITH RECURSIVE base(origin, oid, level) AS ( \
       SELECT DISTINCT atttypid, atttypid, 0 FROM pg_catalog.pg_attribute WHERE attrelid = $1::int8::oid AND attnum > 0 \
       UNION ALL SELECT b.origin, t.typbasetype, b.level + 1 \
       FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd') \
     SELECT a.attnum::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)::text, \
       a.attnotnull::text, t.typname::text, t.typtype::text, \
       (pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname))::text, \
       CASE WHEN pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') THEN 't' ELSE 'f' END, \
       pg_catalog.getdatabaseencoding()::text \
     FROM pg_catalog.pg_attribute a \
     JOIN (SELECT DISTINCT ON (origin) origin, oid FROM base ORDER BY origin, level DESC) b ON b.origin = a.atttypid \
     JOIN pg_catalog.pg_type t ON t.oid = b.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Index columns in order. Partial, invalid and hash-only indexes do not serve a scan.
const INDEXES: &str = "SELECT i.indexrelid::text, CASE WHEN i.indisprimary THEN 't' ELSE 'f' END, \
       CASE WHEN i.indisunique THEN 't' ELSE 'f' END, k.attnum::text \
     FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
     WHERE i.indrelid = $1::int8::oid AND i.indisvalid AND i.indpred IS NULL AND k.place <= i.indnkeyatts \
       AND m.amname = 'btree' ORDER BY i.indexrelid, k.place";

async fn find(database: &Database, written: &str) -> Result<Found, PlaceError> {
    let reads = [Read::Int, Read::Text, Read::Text, Read::Text, Read::Text];
    for (schema, name) in candidates(written) {
        let rows = if let Some(schema) = schema {
            let statement = Statement::new(format!("{FIND} n.nspname = $2"), reads);
            database.fetch(&statement, &[Param::text(name), Param::text(schema)]).await?
        } else {
            let order = "(n.nspname = 'public' OR pg_catalog.pg_table_is_visible(c.oid)) \
                         ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC";
            let statement = Statement::new(format!("{FIND} {order}"), reads);
            database.fetch(&statement, &[Param::text(name)]).await?
        };
        if let Some(row) = rows.first() {
            return Ok(Found {
                oid: row[0].as_int().and_then(|oid| i64::try_from(oid).ok()).unwrap_or_default(),
                schema: text(&row[1]).to_owned(),
                name: text(&row[2]).to_owned(),
                kind: text(&row[3]).to_owned(),
                database: text(&row[4]).to_owned(),
            });
        }
    }
    let list = Statement::new(
        "SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> 'pg_catalog'::regnamespace \
         UNION ALL SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') LIMIT 10000",
        [Read::Text],
    );
    let known: Vec<String> =
        database.fetch(&list, &[]).await?.iter().map(|row| text(&row[0]).to_owned()).collect();
    Err(no_table(database, written, &known))
}

fn column(row: &Row) -> (Column, Detail) {
    let (name, declared, base) = (text(&row[1]), text(&row[2]), text(&row[4]));
    let is_enum = text(&row[5]) == "e";
    let (class, read, as_text) = match base {
        "int2" | "int4" | "int8" => (Class::Int, Read::Int, false),
        "oid" => (Class::Int, Read::UInt, false),
        "bool" => (Class::Bool, Read::Bool, false),
        "float4" => (Class::F32, Read::F32, false),
        "float8" => (Class::F64, Read::F64, false),
        "text" | "varchar" => (Class::Text, Read::Text, false),
        "bpchar" => (Class::Text, Read::Padded, false),
        "bytea" => (Class::Bytes, Read::Bytes, false),
        "uuid" => (Class::Uuid, Read::Uuid, false),
        "numeric" => (Class::Decimal, Read::Text, true),
        "name" | "citext" | "char" => (Class::Text, Read::Text, true),
        "bit" | "varbit" => (Class::Bit, Read::Text, true),
        "date" => (Class::Date, Read::Text, true),
        "time" => (Class::Time, Read::Text, true),
        "timestamp" => (Class::DateTime, Read::Text, true),
        "timestamptz" => (Class::Instant, Read::Text, true),
        "json" | "jsonb" => (Class::Json, Read::Text, true),
        "inet" => (Class::Other, Read::Host, true),
        _ if is_enum => (Class::Text, Read::Text, true),
        _ => (Class::Other, Read::Text, true),
    };
    let key = match base {
        "int2" | "int4" | "int8" | "oid" | "float4" | "float8" | "bool" | "bytea" | "text" | "varchar" => {
            "?".to_owned()
        }
        // Without its length `bit` would mean `bit(1)`.
        "bit" => format!("?::text[]::{declared}[]"),
        _ => format!("?::text[]::{}[]", text(&row[6])),
    };
    let column =
        Column { name: name.into(), class, declared: declared.into(), nullable: text(&row[3]) != "true" };
    (column, Detail { read, as_text, utf8: text(&row[8]) == "UTF8", key })
}

/// The cluster itself, whatever address it was reached by.
async fn server(database: &Database) -> Result<String, PlaceError> {
    let statement =
        Statement::new("SELECT system_identifier::text FROM pg_catalog.pg_control_system()", [Read::Text]);
    match database.fetch(&statement, &[]).await {
        Ok(rows) => Ok(format!("postgres {}", text(&rows[0][0]))),
        Err(error) if error.kind.is_passing() => Err(error),
        Err(_) => Ok(format!("postgres {}:{}", database.dsn().host, database.dsn().port)),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
