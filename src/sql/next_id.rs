//! The id that a table gives out next, as the counter says that its key column takes ids from. Asked rarely: when the
//! newest rows are gone, it tells whether only they are.

use super::catalog::Table;
use super::statement::{Param, Read, Statement};
use super::{Database, PlaceError, dialect};
use crate::config::Engine;
use crate::model::Value;

/// What is known of the next id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextId {
    /// A row that is inserted without an id gets no smaller one.
    Is(i128),
    /// There is a counter that this user may not read; what would let it, for people.
    Untold(String),
    /// Whoever inserts a row chooses its id, or ids are given out again.
    NoCounter,
}

/// How the counter of a key column is asked.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    engine: Engine,
    view: bool,
    schema: String,
    table: String,
    column: String,
    /// SQLite counts for this kind of column only.
    primary: bool,
}

impl Counter {
    /// The counter of a column, if it has one.
    pub(crate) fn new(table: &Table, column: usize) -> Self {
        Self {
            engine: table.engine,
            view: table.view,
            schema: table.schema.clone().unwrap_or_default(),
            table: table.name.clone(),
            column: table.columns[column].name.to_string(),
            primary: table.primary_key == [column],
        }
    }

    /// Asks it.
    ///
    /// # Errors
    /// The database's own trouble; a right that is missing is [`NextId::Untold`].
    pub(crate) async fn read(&self, database: &Database) -> Result<NextId, PlaceError> {
        match self.engine {
            _ if self.view => Ok(NextId::NoCounter),
            Engine::MySql => self.mysql(database).await,
            Engine::Postgres => self.postgres(database).await,
            Engine::Sqlite => self.sqlite(database).await,
        }
    }

    /// Sessions are told to take it from the table and not from statistics (`connect`).
    async fn mysql(&self, database: &Database) -> Result<NextId, PlaceError> {
        let ask = Statement::new(
            "SELECT CAST(t.auto_increment AS CHAR) FROM information_schema.tables AS t \
             JOIN information_schema.columns AS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name \
             WHERE t.table_schema = ? AND t.table_name = ? AND c.column_name = ? AND c.extra LIKE '%auto_increment%'",
            [Read::Text],
        );
        let params = [Param::text(&*self.schema), Param::text(&*self.table), Param::text(&*self.column)];
        let rows = database.fetch(&ask, &params).await?;
        let next = rows.first().and_then(|row| text(&row[0]).parse().ok());
        Ok(next.map_or(NextId::NoCounter, NextId::Is))
    }

    async fn postgres(&self, database: &Database) -> Result<NextId, PlaceError> {
        let ask = Statement::new(SEQUENCE, [Read::Text, Read::Text, Read::Text, Read::Text]);
        let params = [Param::text(&*self.schema), Param::text(&*self.table), Param::text(&*self.column)];
        let rows = database.fetch(&ask, &params).await?;
        let Some(row) = rows.first() else { return Ok(NextId::NoCounter) };
        let (sequence, step, goes_up, readable) =
            (text(&row[0]), text(&row[1]), text(&row[2]) == "t", text(&row[3]) == "t");
        let Some(step) = step.parse::<i128>().ok().filter(|_| goes_up) else { return Ok(NextId::NoCounter) };
        if !readable {
            return Ok(NextId::Untold(format!("GRANT SELECT ON SEQUENCE {sequence}")));
        }
        let ask = Statement::new(
            format!("SELECT last_value::text, CASE WHEN is_called THEN 't' ELSE 'f' END FROM {sequence}"),
            [Read::Text, Read::Text],
        );
        let rows = database.fetch(&ask, &[]).await?;
        let last =
            rows.first().and_then(|row| Some((text(&row[0]).parse::<i128>().ok()?, text(&row[1]) == "t")));
        Ok(match last {
            Some((last, called)) => NextId::Is(if called { last + step } else { last }),
            None => NextId::NoCounter,
        })
    }

    /// Without AUTOINCREMENT the ids of the newest rows are given out again when those are gone.
    async fn sqlite(&self, database: &Database) -> Result<NextId, PlaceError> {
        let ask = Statement::new(
            "SELECT count(*) FROM sqlite_schema WHERE (type = 'table' AND name = ?1 AND sql LIKE '%AUTOINCREMENT%') \
             OR name = 'sqlite_sequence'",
            [Read::Dynamic],
        );
        let rows = database.fetch(&ask, &[Param::text(&*self.table)]).await?;
        if !self.primary || rows.first().and_then(|row| row[0].as_int()) != Some(2) {
            return Ok(NextId::NoCounter);
        }
        let [column, table] = [&self.column, &self.table].map(|name| dialect::quote(Engine::Sqlite, name));
        let ask = Statement::new(
            format!(
                "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = ?1), 0), \
                 coalesce((SELECT max({column}) FROM {table}), 0))"
            ),
            [Read::Dynamic],
        );
        let rows = database.fetch(&ask, &[Param::text(&*self.table)]).await?;
        Ok(rows
            .first()
            .and_then(|row| row[0].as_int())
            .map_or(NextId::NoCounter, |last| NextId::Is(last + 1)))
    }
}

/// The sequence that the column's default asks, else the one that belongs to the column (serial, identity).
const SEQUENCE: &str = "SELECT (pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname))::text, \
       q.seqincrement::text, CASE WHEN q.seqincrement > 0 AND NOT q.seqcycle THEN 't' ELSE 'f' END, \
       CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') \
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 't' ELSE 'f' END \
     FROM (SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class t ON t.oid = a.attrelid JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace \
         WHERE s.nspname = $1 AND t.relname = $2 AND a.attname = $3 AND a.attnum > 0) AS k \
     CROSS JOIN LATERAL (SELECT d.refobjid AS oid, 0 AS place FROM pg_catalog.pg_attrdef v \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = v.oid \
           AND d.refclassid = 'pg_catalog.pg_class'::regclass \
         WHERE v.adrelid = k.attrelid AND v.adnum = k.attnum \
       UNION ALL SELECT d.objid, 1 FROM pg_catalog.pg_depend d \
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass \
           AND d.refobjid = k.attrelid AND d.refobjsubid = k.attnum AND d.deptype IN ('a', 'i')) AS o \
     JOIN pg_catalog.pg_class c ON c.oid = o.oid AND c.relkind = 'S' \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid \
     ORDER BY o.place LIMIT 1";

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
