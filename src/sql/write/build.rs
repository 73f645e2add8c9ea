//! The statements of a repair: with values bound, as they are run, and with values written out, as people read them.

use std::fmt::Write as _;

use super::super::bind;
use super::super::catalog::Table;
use super::super::dialect::Placeholders;
use super::super::select::{from, head, name, reads, scalar, span};
use super::super::statement::{Param, Read, Statement};
use super::facts::{Facts, Referrer};
use super::held::as_stored;
use super::literal::literal;
use crate::config::Engine;
use crate::model::{Class, Value};

/// Columns with values.
pub(crate) type Values = [(usize, Value)];

/// Where values go.
enum Into<'a> {
    Text,
    Params(&'a mut Vec<Param>, Placeholders),
}

/// A statement with its parameters; without `bound` the values stand in it.
struct Sql<'a> {
    table: &'a Table,
    text: String,
    into: Into<'a>,
}

impl<'a> Sql<'a> {
    fn new(table: &'a Table, bound: Option<&'a mut Vec<Param>>) -> Self {
        let into = bound.map_or(Into::Text, |all| Into::Params(all, Placeholders::new(table.engine)));
        Self { table, text: String::new(), into }
    }

    fn name(&mut self, column: usize) {
        self.text.push_str(&name(self.table, column));
    }

    /// A value to be stored. `None`: it cannot be bound.
    fn value(&mut self, column: usize, value: &Value) -> Option<()> {
        let (engine, described) = (self.table.engine, &self.table.columns[column]);
        match &mut self.into {
            _ if value.is_null() => self.text.push_str("NULL"),
            Into::Text => self.text.push_str(&literal(engine, described, value)),
            Into::Params(all, places) => {
                all.push(as_stored(engine, described, value)?);
                match engine {
                    Engine::Postgres => scalar(self.table, column, places, &mut self.text),
                    Engine::MySql | Engine::Sqlite => places.next(&mut self.text),
                }
            }
        }
        Some(())
    }

    /// ` WHERE a = … AND …`; the row is known by its key.
    fn of_row(&mut self, row: &Values) -> Option<()> {
        for (at, (column, value)) in row.iter().enumerate() {
            self.text.push_str(if at == 0 { " WHERE " } else { " AND " });
            self.name(*column);
            if value.is_null() {
                self.text.push_str(" IS NULL");
                continue;
            }
            self.text.push_str(" = ");
            match &mut self.into {
                Into::Text => self.value(*column, value)?,
                Into::Params(all, places) => {
                    let engine = self.table.engine;
                    let own = bind::own(engine, &self.table.columns[*column], value)?;
                    all.push(bind::param(&own));
                    scalar(self.table, *column, places, &mut self.text);
                }
            }
        }
        Some(())
    }

    /// ` AND a IS …`, byte for byte, for people to run.
    fn while_it_is(&mut self, old: &Values) {
        for (column, value) in old {
            let (name, described) = (name(self.table, *column), &self.table.columns[*column]);
            let text = matches!(described.class, Class::Text | Class::Json);
            // Some types have no equality, and some call equal what is not.
            let as_text = self.table.details[*column].as_text && (text || described.class == Class::Other);
            let what = literal(self.table.engine, described, value);
            let same = match self.table.engine {
                _ if value.is_null() => format!("{name} IS NULL"),
                Engine::MySql if text => format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY) <=> {what}"),
                Engine::MySql => format!("{name} <=> {what}"),
                // Of an address the mask is left out that its text has.
                Engine::Postgres if as_text && self.table.details[*column].read != Read::Host => {
                    format!("{name}::text IS NOT DISTINCT FROM {what}")
                }
                Engine::Postgres if text => format!("{name} COLLATE \"C\" IS NOT DISTINCT FROM {what}"),
                Engine::Postgres => format!("{name} IS NOT DISTINCT FROM {what}"),
                Engine::Sqlite if matches!(value, Value::Text(_)) => {
                    format!("{name} COLLATE BINARY IS {what}")
                }
                Engine::Sqlite => format!("{name} IS {what}"),
            };
            let _ = write!(self.text, " AND {same}");
        }
    }
}

/// A table of SQLite may say that a row which collides takes the place of the other one: that would be gone unseen.
fn or_abort(engine: Engine) -> &'static str {
    if engine == Engine::Sqlite { "OR ABORT " } else { "" }
}

/// `INSERT INTO table (…) VALUES (…)`. `None`: a value cannot be bound.
pub(crate) fn insert(
    table: &Table,
    facts: &Facts,
    values: &[&(usize, Value)],
    bound: Option<&mut Vec<Param>>,
) -> Option<String> {
    let mut sql = Sql::new(table, bound);
    let _ = write!(sql.text, "INSERT {}INTO {} (", or_abort(table.engine), from(table));
    for (at, (column, _)) in values.iter().enumerate() {
        sql.text.push_str(if at == 0 { "" } else { ", " });
        sql.name(*column);
    }
    sql.text.push(')');
    if table.engine == Engine::Postgres && values.iter().any(|(column, _)| facts.always[*column]) {
        sql.text.push_str(" OVERRIDING SYSTEM VALUE");
    }
    sql.text.push_str(" VALUES (");
    for (at, (column, value)) in values.iter().enumerate() {
        sql.text.push_str(if at == 0 { "" } else { ", " });
        sql.value(*column, value)?;
    }
    sql.text.push(')');
    Some(sql.text)
}

/// `UPDATE table SET … WHERE row [AND while it is as before]`. Columns that the server would set to its own time keep
/// theirs.
pub(crate) fn change(
    table: &Table,
    facts: &Facts,
    (row, old, new): (&Values, &Values, &Values),
    bound: Option<&mut Vec<Param>>,
) -> Option<String> {
    let mut sql = Sql::new(table, bound);
    let _ = write!(sql.text, "UPDATE {}{} SET ", or_abort(table.engine), from(table));
    for (at, (column, value)) in new.iter().enumerate() {
        sql.text.push_str(if at == 0 { "" } else { ", " });
        sql.name(*column);
        sql.text.push_str(" = ");
        sql.value(*column, value)?;
    }
    for column in facts.kept(new) {
        let name = name(table, column);
        let _ = write!(sql.text, ", {name} = {name}");
    }
    sql.of_row(row)?;
    sql.while_it_is(old);
    Some(sql.text)
}

/// `DELETE FROM table WHERE row [AND while it is as before]`.
pub(crate) fn remove(
    table: &Table,
    (row, old): (&Values, &Values),
    bound: Option<&mut Vec<Param>>,
) -> Option<String> {
    let mut sql = Sql::new(table, bound);
    let _ = write!(sql.text, "DELETE FROM {}", from(table));
    sql.of_row(row)?;
    sql.while_it_is(old);
    Some(sql.text)
}

/// All columns of the rows with a key, locked if wished. SQLite adds what each value is stored as, a letter each.
pub(crate) fn whole(table: &Table, key: &[usize], lock: bool) -> Statement {
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let plain = span::keys(table, &all, key, 1, None);
    match table.engine {
        Engine::Sqlite => {
            let (head, from) = (head(table, &all), format!(" FROM {}", from(table)));
            let columns = head.strip_suffix(&*from).unwrap_or(&head);
            let kinds = all.iter().map(|column| format!("substr(typeof({}), 1, 1)", name(table, *column)));
            let kinds = kinds.collect::<Vec<_>>().join(" || ");
            let filter = plain.sql.strip_prefix(&*head).unwrap_or_default();
            let mut all = reads(table, &all);
            all.push(Read::Dynamic);
            Statement::new(format!("{columns}, {kinds}{from}{filter}"), all)
        }
        _ if lock => Statement::new(format!("{} FOR UPDATE", plain.sql), plain.reads),
        _ => plain,
    }
}

/// How many rows there are, counted up to `most`.
pub(crate) fn count(table: &Table, most: u64) -> Statement {
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {} LIMIT {most}) AS t", from(table));
    Statement::new(sql, [if table.engine == Engine::Sqlite { Read::Dynamic } else { Read::Int }])
}

/// Whether a foreign key leads to a row with these values. `None`: it refers to NULL, so none does.
pub(crate) fn referring(table: &Table, key: &Referrer, row: &[Value]) -> Option<(Statement, Vec<Param>)> {
    let mut params = Vec::with_capacity(key.columns.len());
    let mut sql = format!("SELECT 1 FROM {}", key.table.1);
    let mut places = Placeholders::new(table.engine);
    for (at, (own, to)) in key.columns.iter().enumerate() {
        let value = bind::own(table.engine, &table.columns[*to], row.get(*to)?)?;
        sql.push_str(if at == 0 { " WHERE " } else { " AND " });
        sql.push_str(own);
        sql.push_str(" = ");
        scalar(table, *to, &mut places, &mut sql);
        params.push(bind::param(&value));
    }
    // A plain read of MySQL sees what was there when the transaction first read.
    sql.push_str(if table.engine == Engine::MySql { " LIMIT 1 LOCK IN SHARE MODE" } else { " LIMIT 1" });
    let read = if table.engine == Engine::Sqlite { Read::Dynamic } else { Read::Int };
    Some((Statement::new(sql, [read]), params))
}
