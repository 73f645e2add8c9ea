//! Which columns of a MariaDB table hold JSON.
//!
//! MariaDB's `JSON` is a LONGTEXT with the check `json_valid(column)`. `information_schema` shows checks only to those
//! who may do more than read, `SHOW CREATE TABLE` to all who may read the whole table.

use crate::config::Engine;
use crate::model::Row;
use crate::sql::statement::{Read, Statement};
use crate::sql::{Database, PlaceError, PlaceErrorKind, dialect};

/// The JSON columns among the columns of a table; `None`: this user is not told.
pub(super) async fn columns(
    database: &Database,
    schema: &str,
    name: &str,
    candidates: &[&str],
) -> Result<Option<Vec<String>>, PlaceError> {
    let none = Ok(Some(Vec::new()));
    if candidates.is_empty() {
        return none;
    }
    let version = database.fetch(&Statement::new("SELECT VERSION()", [Read::Text]), &[]).await?;
    // MySQL's JSON is a type of its own.
    if !version.first().is_some_and(|row| super::text(&row[0]).contains("MariaDB")) {
        return none;
    }
    let table = [schema, name].map(|name| dialect::quote(Engine::MySql, name)).join(".");
    let show = Statement::new(format!("SHOW CREATE TABLE {table}"), [Read::Text; 2]);
    let rows: Vec<Row> = match database.fetch(&show, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.kind == PlaceErrorKind::Denied => return Ok(None),
        Err(error) => return Err(error),
    };
    let definition = without_texts(rows.first().map_or("", |row| super::text(&row[1])));
    let is_json = |column: &&&str| {
        definition.contains(&format!("CHECK (json_valid({}))", dialect::quote(Engine::MySql, column)))
    };
    Ok(Some(candidates.iter().filter(is_json).map(|column| (*column).to_owned()).collect()))
}

/// The statement with what stands between quotation marks (comments, defaults) left out.
fn without_texts(definition: &str) -> String {
    let mut out = String::with_capacity(definition.len());
    let (mut in_name, mut in_text) = (false, false);
    let mut chars = definition.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' if !in_name => in_text = !in_text,
            '\\' if in_text => drop(chars.next()),
            _ if in_text => {}
            _ => {
                in_name ^= c == '`';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_left_out_and_names_are_not() {
        for (definition, left) in [
            ("`a` int", "`a` int"),
            ("`a'b` text COMMENT 'it''s (`x`) \\' y', `c'` int", "`a'b` text COMMENT , `c'` int"),
            (
                "`a``'` text DEFAULT '\\\\' CHECK (json_valid(`a``'`))",
                "`a``'` text DEFAULT  CHECK (json_valid(`a``'`))",
            ),
            ("DEFAULT '", "DEFAULT "),
        ] {
            assert_eq!(without_texts(definition), left);
        }
    }
}
