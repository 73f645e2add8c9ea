//! SQLite: pragmas that are tables, and the text of the triggers.

use super::super::super::dialect::quote;
use super::super::super::statement::{Param, Read, Statement};
use super::{Act, Facts};
use crate::config::Engine;
use crate::model::Value;
use crate::sql::catalog::Table;
use crate::sql::{Database, PlaceError};

pub(super) async fn facts(database: &Database, table: &Table) -> Result<Facts, PlaceError> {
    let mut facts = Facts::of(table);
    let named = [Param::text(&*table.name)];
    let list = Statement::new(
        "SELECT name, hidden, dflt_value IS NOT NULL FROM pragma_table_xinfo(?)",
        [Read::Dynamic; 3],
    );
    for row in database.fetch(&list, &named).await? {
        let Some(at) = table.columns.iter().position(|column| &*column.name == text(&row[0])) else {
            continue;
        };
        facts.generated[at] = matches!(row[1].as_int(), Some(2 | 3));
        // An INTEGER PRIMARY KEY is given by the engine.
        facts.optional[at] |= facts.generated[at]
            || row[2].as_int() == Some(1)
            || (table.primary_key == [at] && table.columns[at].declared.eq_ignore_ascii_case("integer"));
    }
    let list = Statement::new(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE",
        [Read::Dynamic; 2],
    );
    for row in database.fetch(&list, &named).await? {
        // Whatever cannot be understood may be set off by anything.
        let acts = event(text(&row[1])).map_or_else(|| Act::ALL.to_vec(), |act| vec![act]);
        facts.triggers.extend(acts.into_iter().map(|act| (act, text(&row[0]).to_owned())));
    }
    let list = Statement::new(
        "SELECT m.name, f.id, f.\"from\", f.\"to\", f.on_delete, f.on_update FROM sqlite_schema AS m \
         JOIN pragma_foreign_key_list(m.name) AS f \
         WHERE m.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY m.name, f.id, f.seq",
        [Read::Dynamic; 6],
    );
    let mut part = (String::new(), 0);
    for row in database.fetch(&list, &named).await? {
        let child = text(&row[0]).to_owned();
        let name = format!("{child} #{}", row[1].as_int().unwrap_or_default());
        part = if part.0 == name { (name.clone(), part.1 + 1) } else { (name.clone(), 0) };
        // Without a name it refers to the primary key.
        let to = match &row[3] {
            Value::Text(to) => table.find(to),
            _ => table.primary_key.get(part.1).copied(),
        };
        let quoted = quote(Engine::Sqlite, &child);
        let own = quote(Engine::Sqlite, text(&row[2]));
        facts.refer(name, (child, quoted), (own, to), [text(&row[4]), text(&row[5])]);
    }
    Ok(facts)
}

/// What sets a trigger off: `CREATE [TEMP] TRIGGER [IF NOT EXISTS] [schema.]name [BEFORE | AFTER | INSTEAD OF] event …`.
fn event(sql: &str) -> Option<Act> {
    let mut words = words(sql).into_iter().peekable();
    let mut skip = |wanted: &[&str]| {
        words
            .next_if(|(quoted, word)| !quoted && wanted.iter().any(|w| word.eq_ignore_ascii_case(w)))
            .is_some()
    };
    if !skip(&["create"]) {
        return None;
    }
    skip(&["temp", "temporary"]);
    if !skip(&["trigger"]) {
        return None;
    }
    if skip(&["if"]) && !(skip(&["not"]) && skip(&["exists"])) {
        return None;
    }
    words.next()?;
    if words.next_if(|(_, word)| word == ".").is_some() {
        words.next()?;
    }
    let mut word = words.next()?.1.to_ascii_lowercase();
    if word == "instead" {
        words.next()?;
    }
    if matches!(&*word, "before" | "after" | "instead") {
        word = words.next()?.1.to_ascii_lowercase();
    }
    match &*word {
        "insert" => Some(Act::Insert),
        "update" => Some(Act::Update),
        "delete" => Some(Act::Delete),
        _ => None,
    }
}

/// Words, quoted names and points, and whether each was quoted; comments are left out.
fn words(sql: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if let Some(comment) = rest.strip_prefix("--") {
            2 + comment.find('\n').unwrap_or(comment.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |at| at + 4)
        } else if matches!(first, '"' | '`' | '\'' | '[') {
            let close = if first == '[' { ']' } else { first };
            let end = rest[1..].find(close).map_or(rest.len(), |at| at + 2);
            found.push((true, rest[..end].to_owned()));
            end
        } else if first.is_alphanumeric() || first == '_' {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            found.push((false, rest[..end].to_owned()));
            end
        } else {
            found.push((false, first.to_string()));
            first.len_utf8()
        };
        rest = rest[end..].trim_start();
    }
    found
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_triggers() {
        for (sql, act) in [
            ("CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; END", Some(Act::Insert)),
            ("create temp trigger if not exists main.\"update\" before delete on x", Some(Act::Delete)),
            ("CREATE TRIGGER after_update /* DELETE */ -- x\n UPDATE OF a ON x", Some(Act::Update)),
            ("CREATE TRIGGER [a b] INSTEAD OF UPDATE ON x", Some(Act::Update)),
            ("CREATE TRIGGER t WHENEVER ON x", None),
            ("", None),
        ] {
            assert_eq!(event(sql), act, "{sql}");
        }
    }
}
