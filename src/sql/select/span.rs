//! Stretches of a table in the order of a key of one or several columns.

use std::fmt::Write as _;

use super::{by, from, head, name, reads, scalar};
use crate::config::Engine;
use crate::sql::canonical;
use crate::sql::catalog::Table;
use crate::sql::dialect::Placeholders;
use crate::sql::statement::{Read, Statement};

/// A statement over a stretch, and which parts of which end its placeholders stand for.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) statement: Statement,
    /// Places in the key, in the order in which they are bound.
    pub(crate) binds: Vec<(End, usize)>,
}

/// An end of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Only what is greater.
    Low,
    /// Only what is smaller or equal.
    High,
}

/// `SELECT columns FROM table WHERE low < key AND key <= high [AND filter]`, without an order.
pub(crate) fn rows(
    table: &Table,
    columns: &[usize],
    key: &[usize],
    ends: &[End],
    filter: Option<&str>,
) -> Span {
    let mut sql = head(table, columns);
    let binds = bounds(table, key, ends, filter, &mut Placeholders::new(table.engine), &mut sql);
    Span { statement: Statement::new(sql, reads(table, columns)), binds }
}

/// How many rows stand between the ends, how many of them have a digest, and the sums of its halves; `text` is that of a
/// row, as `canonical` writes it.
pub(crate) fn digest(table: &Table, text: &str, key: &[usize], ends: &[End], filter: Option<&str>) -> Span {
    let (sums, reads) = canonical::sums(table.engine);
    let (digest, apart) = canonical::digest(table.engine, text);
    let mut sql = format!("SELECT {} FROM (SELECT {digest} AS h FROM {}", sums.join(", "), from(table));
    let binds = bounds(table, key, ends, filter, &mut Placeholders::new(table.engine), &mut sql);
    let _ = write!(sql, "{apart}) AS d");
    Span { statement: Statement::new(sql, reads), binds }
}

/// The key so many rows behind `low`: `SELECT key … ORDER BY key LIMIT 1 OFFSET ?`; how many to skip is bound last.
pub(crate) fn edge(table: &Table, key: &[usize], ends: &[End], filter: Option<&str>) -> Span {
    let mut sql = head(table, key);
    let mut places = Placeholders::new(table.engine);
    let binds = bounds(table, key, ends, filter, &mut places, &mut sql);
    for (at, column) in key.iter().enumerate() {
        let _ = write!(sql, "{} {}", if at == 0 { " ORDER BY" } else { "," }, by(table, *column));
    }
    sql.push_str(" LIMIT 1 OFFSET ");
    places.next(&mut sql);
    Span { statement: Statement::new(sql, reads(table, key)), binds }
}

/// The last key of all: `SELECT key … ORDER BY key DESC LIMIT 1`.
pub(crate) fn last(table: &Table, key: &[usize], filter: Option<&str>) -> Span {
    let mut sql = head(table, key);
    let binds = bounds(table, key, &[], filter, &mut Placeholders::new(table.engine), &mut sql);
    for (at, column) in key.iter().enumerate() {
        let _ = write!(sql, "{} {} DESC", if at == 0 { " ORDER BY" } else { "," }, by(table, *column));
    }
    sql.push_str(" LIMIT 1");
    Span { statement: Statement::new(sql, reads(table, key)), binds }
}

/// How many rows have NULL in a part of the key; `None`: none can.
pub(crate) fn keyless(table: &Table, key: &[usize], filter: Option<&str>) -> Option<Statement> {
    let parts: Vec<String> = key
        .iter()
        .filter(|column| table.may_be_null(**column))
        .map(|column| format!("{} IS NULL", name(table, *column)))
        .collect();
    let filter = filter.map_or_else(String::new, |filter| format!(" AND ({filter})"));
    let sql = format!("SELECT COUNT(*) FROM {} WHERE ({}){filter}", from(table), parts.join(" OR "));
    let read = if table.engine == Engine::Sqlite { Read::Dynamic } else { Read::Int };
    (!parts.is_empty()).then(|| Statement::new(sql, [read]))
}

/// Rows with one of so many keys: `(a = ? AND b = ?) OR …`; the keys are bound one after the other.
pub(crate) fn keys(
    table: &Table,
    columns: &[usize],
    key: &[usize],
    count: usize,
    filter: Option<&str>,
) -> Statement {
    let mut sql = head(table, columns);
    let mut places = Placeholders::new(table.engine);
    sql.push_str(" WHERE (");
    for at in 0..count {
        sql.push_str(if at == 0 { "" } else { " OR " });
        for (part, column) in key.iter().enumerate() {
            sql.push_str(if part == 0 { "(" } else { " AND " });
            sql.push_str(&name(table, *column));
            sql.push_str(" = ");
            scalar(table, *column, &mut places, &mut sql);
        }
        sql.push(')');
    }
    sql.push(')');
    if let Some(filter) = filter {
        let _ = write!(sql, " AND ({filter})");
    }
    Statement::new(sql, reads(table, columns))
}

fn bounds(
    table: &Table,
    key: &[usize],
    ends: &[End],
    filter: Option<&str>,
    places: &mut Placeholders,
    sql: &mut String,
) -> Vec<(End, usize)> {
    let mut binds = Vec::new();
    let mut glue = " WHERE ";
    for end in ends {
        sql.push_str(glue);
        glue = " AND ";
        compare(table, key, *end, places, sql, &mut binds);
    }
    for column in key.iter().filter(|column| table.may_be_null(**column)) {
        let _ = write!(sql, "{glue}{} IS NOT NULL", name(table, *column));
        glue = " AND ";
    }
    if let Some(filter) = filter {
        let _ = write!(sql, "{glue}({filter})");
    }
    binds
}

fn compare(
    table: &Table,
    key: &[usize],
    end: End,
    places: &mut Placeholders,
    sql: &mut String,
    binds: &mut Vec<(End, usize)>,
) {
    let (strict, last) = if end == End::Low { (" > ", " > ") } else { (" < ", " <= ") };
    let mut term = |part: usize, operator: &str, sql: &mut String| {
        sql.push_str(&name(table, key[part]));
        sql.push_str(operator);
        scalar(table, key[part], places, sql);
        binds.push((end, part));
    };
    if let [_] = key {
        return term(0, last, sql);
    }
    if table.engine != Engine::MySql {
        let names: Vec<String> = key.iter().map(|column| name(table, *column)).collect();
        let _ = write!(sql, "({}){last}(", names.join(", "));
        for (part, column) in key.iter().enumerate() {
            sql.push_str(if part == 0 { "" } else { ", " });
            scalar(table, *column, places, sql);
            binds.push((end, part));
        }
        sql.push(')');
        return;
    }
    // MySQL reads a range of an index for this form only.
    term(0, if end == End::Low { " >= " } else { " <= " }, sql);
    for part in 0..key.len() - 1 {
        sql.push_str(" AND (");
        term(part, strict, sql);
        sql.push_str(" OR (");
        term(part, " = ", sql);
    }
    sql.push_str(" AND ");
    term(key.len() - 1, last, sql);
    sql.push_str(&"))".repeat(key.len() - 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::select::tests::table;

    #[test]
    fn a_stretch_of_a_key_of_two_columns() {
        let both = [End::Low, End::High];
        let my = rows(&table(Engine::MySql), &[0], &[2, 0], &both, Some("v > 1"));
        assert_eq!(
            &*my.statement.sql,
            "SELECT `id` FROM `shop`.`or\"de``r` WHERE `at` >= ? AND (`at` > ? OR (`at` = ? AND `id` > ?)) \
             AND `at` <= ? AND (`at` < ? OR (`at` = ? AND `id` <= ?)) AND `at` IS NOT NULL AND (v > 1)"
        );
        let low = [0, 0, 0, 1].map(|part| (End::Low, part));
        assert_eq!(my.binds, [low, low.map(|(_, part)| (End::High, part))].concat());
        let pg = rows(&table(Engine::Postgres), &[0], &[2, 0], &both, None);
        assert_eq!(
            &*pg.statement.sql,
            "SELECT \"id\" FROM \"shop\".\"or\"\"de`r\" WHERE (\"at\", \"id\") > ($1::text::pg_catalog.timestamptz, $2) \
             AND (\"at\", \"id\") <= ($3::text::pg_catalog.timestamptz, $4) AND \"at\" IS NOT NULL"
        );
        assert_eq!(pg.binds, [(End::Low, 0), (End::Low, 1), (End::High, 0), (End::High, 1)]);
    }

    #[test]
    fn an_edge_and_a_list_of_keys() {
        let sqlite = table(Engine::Sqlite);
        let edge = edge(&sqlite, &[0], &[End::Low], None);
        assert_eq!(
            &*edge.statement.sql,
            "SELECT `id` FROM `or\"de``r` WHERE `id` > ? ORDER BY `id` LIMIT 1 OFFSET ?"
        );
        let keys = keys(&sqlite, &[0], &[0, 1], 2, Some("x"));
        assert_eq!(
            &*keys.sql,
            "SELECT `id` FROM `or\"de``r` WHERE ((`id` = ? AND `name` = ?) OR (`id` = ? AND `name` = ?)) AND (x)"
        );
    }
}
