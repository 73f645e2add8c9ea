//! Builds the few SELECTs there are. Pure: names come from the catalogue and are quoted, values are always bound.

pub(crate) mod span;

use super::catalog::Table;
use super::dialect::{Placeholders, quote};
use super::statement::{Read, Statement};
use crate::config::Engine;

/// Sizes of key lists. A few fixed ones, filled up with the last key, so that each stays a prepared statement.
pub(crate) const SIZES: [usize; 4] = [1, 10, 100, 1000];

/// The largest of [`SIZES`]: so many keys are looked up at once.
pub(crate) const LIST: usize = SIZES[SIZES.len() - 1];

/// Place in [`SIZES`] of the list that holds so many keys.
pub(crate) fn size_for(keys: usize) -> usize {
    SIZES.iter().position(|size| *size >= keys).unwrap_or(SIZES.len() - 1)
}

/// What a keyset page starts behind and ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `column > ?`
    After(usize),
    /// `column >= ?`
    From(usize),
    /// `column <= ?`
    UpTo(usize),
    /// `column = ?`
    Equal(usize),
    /// `column IS NOT NULL`; binds nothing
    NotNull(usize),
}

/// `SELECT columns FROM table WHERE bounds ORDER BY order LIMIT ?`; the bounds' values are bound in their order, the
/// limit last. `form` writes a placeholder for a column's own type.
pub(crate) fn page(table: &Table, columns: &[usize], bounds: &[Bound], order: &[usize]) -> Statement {
    let mut sql = head(table, columns);
    let mut places = Placeholders::new(table.engine);
    for (at, bound) in bounds.iter().enumerate() {
        sql.push_str(if at == 0 { " WHERE " } else { " AND " });
        let (column, operator) = match *bound {
            Bound::After(column) => (column, " > "),
            Bound::From(column) => (column, " >= "),
            Bound::UpTo(column) => (column, " <= "),
            Bound::Equal(column) => (column, " = "),
            Bound::NotNull(column) => {
                sql.push_str(&name(table, column));
                sql.push_str(" IS NOT NULL");
                continue;
            }
        };
        sql.push_str(&name(table, column));
        sql.push_str(operator);
        scalar(table, column, &mut places, &mut sql);
    }
    for (at, column) in order.iter().enumerate() {
        sql.push_str(if at == 0 { " ORDER BY " } else { ", " });
        sql.push_str(&by(table, *column));
    }
    sql.push_str(" LIMIT ");
    places.next(&mut sql);
    Statement::new(sql, reads(table, columns))
}

/// `SELECT columns FROM table WHERE key IN (…)` with `size` places; PostgreSQL takes one array instead.
pub(crate) fn by_key(table: &Table, columns: &[usize], key: usize, size: usize) -> Statement {
    let mut sql = head(table, columns);
    sql.push_str(" WHERE ");
    sql.push_str(&name(table, key));
    let mut places = Placeholders::new(table.engine);
    let form = &table.details[key].key;
    if table.engine == Engine::Postgres {
        sql.push_str(" = ANY(");
        fill(form, &mut places, &mut sql);
        sql.push(')');
    } else {
        sql.push_str(" IN (");
        for at in 0..size {
            sql.push_str(if at == 0 { "" } else { ", " });
            fill(form, &mut places, &mut sql);
        }
        sql.push(')');
    }
    Statement::new(sql, reads(table, columns))
}

/// `SELECT column FROM table WHERE column BETWEEN ? AND ? OR … ORDER BY column LIMIT ?` with `size` ranges.
pub(crate) fn within(table: &Table, column: usize, size: usize) -> Statement {
    let mut sql = head(table, &[column]);
    let mut places = Placeholders::new(table.engine);
    for at in 0..size {
        sql.push_str(if at == 0 { " WHERE " } else { " OR " });
        sql.push_str(&name(table, column));
        sql.push_str(" BETWEEN ");
        scalar(table, column, &mut places, &mut sql);
        sql.push_str(" AND ");
        scalar(table, column, &mut places, &mut sql);
    }
    sql.push_str(" ORDER BY ");
    sql.push_str(&by(table, column));
    sql.push_str(" LIMIT ");
    places.next(&mut sql);
    Statement::new(sql, reads(table, &[column]))
}

/// How many rows have NULL in a column, counted up to `most`.
pub(crate) fn nulls(table: &Table, column: usize, most: u64) -> Statement {
    let head = head(table, &[column]);
    let name = name(table, column);
    let sql = format!("SELECT COUNT(*) FROM ({head} WHERE {name} IS NULL LIMIT {most}) AS t");
    let read = if table.engine == Engine::Sqlite { Read::Dynamic } else { Read::Int };
    Statement::new(sql, [read])
}

/// The largest or smallest value of a column: `SELECT column … WHERE column IS NOT NULL ORDER BY column LIMIT 1`.
pub(crate) fn extreme(table: &Table, column: usize, largest: bool) -> Statement {
    let mut sql = head(table, &[column]);
    sql.push_str(" WHERE ");
    sql.push_str(&name(table, column));
    sql.push_str(" IS NOT NULL ORDER BY ");
    sql.push_str(&by(table, column));
    sql.push_str(if largest { " DESC LIMIT 1" } else { " LIMIT 1" });
    Statement::new(sql, reads(table, &[column]))
}

/// `SELECT columns FROM table WHERE time IS NOT NULL ORDER BY time, id LIMIT ?`, from the largest time down if `largest`.
pub(crate) fn edge(table: &Table, columns: &[usize], (time, id): (usize, usize), largest: bool) -> Statement {
    let (head, what, first, last) = (head(table, columns), name(table, time), by(table, time), by(table, id));
    let down = if largest { " DESC" } else { "" };
    let mut sql = format!("{head} WHERE {what} IS NOT NULL ORDER BY {first}{down}, {last}{down} LIMIT ");
    Placeholders::new(table.engine).next(&mut sql);
    Statement::new(sql, reads(table, columns))
}

pub(super) fn head(table: &Table, columns: &[usize]) -> String {
    let mut sql = "SELECT ".to_owned();
    for (at, column) in columns.iter().enumerate() {
        sql.push_str(if at == 0 { "" } else { ", " });
        sql.push_str(&name(table, *column));
        if table.details[*column].as_text {
            sql.push_str("::text");
        }
    }
    sql.push_str(" FROM ");
    sql.push_str(&from(table));
    sql
}

/// The table's name with its schema, quoted.
pub(crate) fn from(table: &Table) -> String {
    let name = quote(table.engine, &table.name);
    match &table.schema {
        Some(schema) => format!("{}.{name}", quote(table.engine, schema)),
        None => name,
    }
}

/// One placeholder for a value of the column's own type. PostgreSQL is told the type of what arrives as text.
pub(super) fn scalar(table: &Table, column: usize, places: &mut Placeholders, sql: &mut String) {
    let form = &table.details[column].key;
    if table.engine == Engine::Postgres {
        fill(&form.replace("[]", ""), places, sql);
    } else {
        fill(form, places, sql);
    }
}

/// Writes `form` with its `?` as the next placeholder.
fn fill(form: &str, places: &mut Placeholders, sql: &mut String) {
    let (before, behind) = form.split_once('?').unwrap_or(("", ""));
    sql.push_str(before);
    places.next(sql);
    sql.push_str(behind);
}

/// A column's name, quoted.
pub(super) fn name(table: &Table, column: usize) -> String {
    quote(table.engine, &table.columns[column].name)
}

/// A column to be ordered by. PostgreSQL takes a bare name for that of the result, which may be text by a cast: no index
/// has that order, and it is another one.
fn by(table: &Table, column: usize) -> String {
    if table.details[column].as_text {
        return format!("{}.{}", quote(table.engine, &table.name), name(table, column));
    }
    name(table, column)
}

pub(super) fn reads(table: &Table, columns: &[usize]) -> Vec<Read> {
    columns.iter().map(|column| table.details[*column].read).collect()
}

#[cfg(test)]
#[path = "select/tests.rs"]
mod tests;
