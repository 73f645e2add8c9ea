//! How a plan is written: comments and statements that people read and a database's own client can run, and between them
//! the lines that are carried out.

use std::fmt::Write as _;

use super::entry::Entry;
use super::header::Header;
use crate::config::Engine;
use crate::sql::catalog::Table;
use crate::sql::write::{Act, Facts, change, insert, remove};

/// In front of the head, of an entry, and of the end.
pub(super) const HEAD: &str = "-- cupid-plan: ";
pub(super) const ENTRY: &str = "-- cupid: ";
pub(super) const END: &str = "-- cupid-end: ";

/// Bytes of values up to which an entry is written as statements as well.
const SHOWN: usize = 64 << 10;

/// Everything up to the first entry.
pub(super) fn head(header: &Header, engine: Engine) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        // A name may hold anything; nothing but a comment may come of it.
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(text, "-- {words}");
    };
    match &header.undoes {
        None => line("cupid plan: what makes the copy agree with its source"),
        Some(_) => {
            line("cupid undo: what takes a repair back; written while that went on, carried out from its end")
        }
    }
    line(&format!("made    {} by cupid {}", header.made, env!("CARGO_PKG_VERSION")));
    if let Some(source) = &header.source {
        line(&format!("source  {} at {}", source.table, source.place));
    }
    line(&format!("copy    {} at {}", header.copy.table, header.copy.place));
    line(&format!("key     {}", header.key.join(", ")));
    if !header.compared.is_empty() {
        line(&format!("columns {}", header.compared.join(", ")));
    }
    line("");
    line(
        "cupid repair FILE 'URL of the copy' carries out the lines that begin with \"-- cupid:\", each only while the row still",
    );
    line(
        "is what it says under \"old\". Beneath each stands the same as a statement, for people, and what takes it back. To leave",
    );
    line(
        "a row out, delete all its lines; anything else that is changed is refused. Numbers and bytes are written as",
    );
    line("{\"int\":\"7\"}, {\"float\":\"0.1\"} and {\"base64\":\"AP8=\"}, text and NULL as they are.");
    match engine {
        Engine::MySql => line(
            "To run it by hand: mysql --default-character-set=utf8mb4, with time_zone '+00:00' and a strict sql_mode.",
        ),
        Engine::Postgres => line("To run it by hand: psql, with client_encoding UTF8 and TimeZone UTC."),
        Engine::Sqlite => line("To run it by hand: sqlite3."),
    }
    if header.undoes.is_none() {
        line(
            "Rows that only the copy has are deleted by cupid repair --delete only; by hand by taking the dashes away.",
        );
    }
    let json = serde_json::to_string(header).unwrap_or_default();
    let _ = writeln!(text, "{HEAD}{json}\n");
    text
}

/// The lines of an entry. `None`: a value cannot be written.
pub(super) fn entry(table: &Table, facts: &Facts, entry: &Entry, undo: bool) -> Option<Vec<String>> {
    let mut lines = vec![format!("{ENTRY}{}", entry.encode(table)?)];
    let weight = entry.weight();
    if weight > SHOWN {
        // The digest stands for the statement: a line that was changed shows by it.
        let digest = entry.digest().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        lines.push(format!("-- {weight} bytes of values ({digest}), too many to be written as a statement"));
        return Some(lines);
    }
    lines.extend(statements(table, facts, entry, undo)?);
    if lines.iter().any(|line| line.contains(['\n', '\r'])) {
        // A name of the table has another line.
        lines.truncate(1);
        lines.push("-- its statement cannot be written on one line".to_owned());
    }
    Some(lines)
}

fn statements(table: &Table, facts: &Facts, entry: &Entry, undo: bool) -> Option<Vec<String>> {
    let mut lines = Vec::with_capacity(2);
    let (key, old, new) = (&entry.key, &entry.old, &entry.new);
    let row = |values| key.iter().chain(values).collect::<Vec<_>>();
    match entry.act {
        Act::Insert => {
            lines.push(format!("{};", insert(table, facts, &row(new), None)?));
            lines.push(format!("-- undo: {};", remove(table, (key, new), None)?));
        }
        Act::Update => {
            lines.push(format!("{};", change(table, facts, (key, old, new), None)?));
            let back: Vec<_> =
                old.iter().filter(|(column, _)| new.iter().any(|(at, _)| at == column)).cloned().collect();
            if !back.is_empty() {
                lines.push(format!("-- undo: {};", change(table, facts, (key, new, &back), None)?));
            }
        }
        Act::Delete => {
            // Rows that only the copy has are nobody's to delete by running a file.
            let dashes = if undo { "" } else { "-- with --delete: " };
            lines.push(format!("{dashes}{};", remove(table, (key, old), None)?));
            if !undo {
                lines.push(format!("-- undo: {};", insert(table, facts, &row(old), None)?));
            }
        }
    }
    Some(lines)
}
