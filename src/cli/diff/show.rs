//! What `cupid diff` prints: differences and counts on standard output, progress on standard error.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::audit::{Chosen, Difference, Tables, Tally};
use crate::cli::text::{number, plain, short};
use crate::model::DeliveryKind;

/// Characters of a value that are shown.
const LONGEST: usize = 80;
/// Between two lines of progress, on a terminal and elsewhere.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

/// How results are shown.
pub(in crate::cli) struct Show {
    rows: bool,
    json: bool,
    /// Task and destination, where a configuration names them.
    of: Option<[String; 2]>,
}

impl Show {
    pub(in crate::cli) fn new(rows: bool, json: bool) -> Self {
        Self { rows, json, of: None }
    }

    /// For a destination of a task.
    pub(in crate::cli) fn of(self, task: &str, destination: &str) -> Self {
        Self { of: Some([task.to_owned(), destination.to_owned()]), ..self }
    }

    fn name(&self, mut document: Value) -> Value {
        if let Some([task, destination]) = &self.of {
            document["task"] = json!(task);
            document["destination"] = json!(destination);
        }
        document
    }

    pub(super) fn difference(&self, tables: &Tables, found: &Difference) {
        if self.json {
            println!("{}", self.name(document(&tables.tables()[0], found)));
        } else if self.rows {
            println!("{}", line(found));
        }
    }

    pub(super) fn end(&self, tables: &Tables, tally: &Tally, chosen: Option<&Chosen>, took: Duration) {
        let [source, copy] = tables.tables();
        if self.json {
            let mut stats = json!(tally);
            let [at, there] = tables.places();
            stats["source"] = json!({ "place": at, "table": source });
            stats["copy"] = json!({ "place": there, "table": copy });
            if let Some(Chosen { strategy, why }) = chosen {
                stats["strategy"] = json!(strategy);
                stats["strategy_why"] = json!(why);
            }
            stats["took_ms"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
            println!("{}", json!({ "stats": self.name(stats) }));
            return;
        }
        let [at, there] = tables.places();
        let name = |place: &str, table: &str| plain(&format!("{place} {table}"));
        let of = self.of.as_ref().map(|[task, destination]| plain(&format!("{task} → {destination}: ")));
        println!(
            "{}{}",
            of.unwrap_or_default(),
            sentence(&name(at, &source), &name(there, &copy), tally, took)
        );
    }
}

/// One object for a row that disagrees. Values are text, as the database writes them.
fn document(table: &str, found: &Difference) -> Value {
    let key: Map<String, Value> =
        found.key.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let mut document = json!({ "table": table, "key": key, "kind": found.kind.as_str() });
    if found.kind == DeliveryKind::Differs {
        let columns: Map<String, Value> = (found.columns.iter())
            .map(|(name, source, copy)| (name.to_string(), json!({ "src": source, "des": copy })))
            .collect();
        document["columns"] = columns.into();
    }
    document
}

/// The same on a line for people.
fn line(found: &Difference) -> String {
    let sign = match found.kind {
        DeliveryKind::Missing => '-',
        DeliveryKind::Extra => '+',
        DeliveryKind::Differs => '~',
        DeliveryKind::Ambiguous => '!',
    };
    let value = |value: &Option<String>| match value {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", short(&plain(text), LONGEST)),
    };
    let key: Vec<String> = found
        .key
        .iter()
        .map(|(name, of)| {
            format!(
                "{}={}",
                plain(name),
                of.as_deref().map_or_else(|| "NULL".to_owned(), |text| short(&plain(text), LONGEST))
            )
        })
        .collect();
    let mut line = format!("{sign} {}", key.join(" "));
    for (name, source, copy) in &found.columns {
        let _ = write!(line, "  {}: {} → {}", plain(name), value(source), value(copy));
    }
    if found.kind == DeliveryKind::Ambiguous {
        line.push_str("  several rows");
    }
    line
}

/// One line for a table.
fn sentence(source: &str, copy: &str, tally: &Tally, took: Duration) -> String {
    let rows = tally.rows_source.max(tally.rows_copy);
    let rate = rows as f64 / took.as_secs_f64().max(1e-3);
    let parts = counted(&[
        (tally.missing, "missing"),
        (tally.differs, "differ"),
        (tally.extra, "extra"),
        (tally.ambiguous, "ambiguous"),
    ]);
    let found = if parts.is_empty() { "no difference" } else { &parts };
    let not = counted(&[
        (tally.null_key, "rows without a key"),
        (tally.undecided, "rows for which `deletedWhen` cannot be worked out"),
        (tally.too_large, "rows too large"),
        (tally.moving, "rows that changed at each look"),
        (tally.unread, "stretches with too many rows of one key"),
    ]);
    let digested = match tally.digested {
        0 => String::new(),
        rows => format!(" ({} by digests)", number(rows)),
    };
    let mut line = format!(
        "{source} → {copy}: {} and {} rows in {:.1} s ({}/s): {} agree{digested}, {found}",
        number(tally.rows_source),
        number(tally.rows_copy),
        took.as_secs_f64(),
        number(rate as u64),
        number(tally.same),
    );
    if !not.is_empty() {
        let _ = write!(line, "; not compared: {not}");
    }
    line
}

/// Those that are not zero, one after the other.
fn counted(counts: &[(u64, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{} {what}", number(*count))).collect::<Vec<_>>().join(", ")
}

/// How far it is.
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    shown: Instant,
    rows: u64,
    on_line: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { terminal: io::stderr().is_terminal(), began: now, shown: now, rows: 0, on_line: false }
    }

    pub(super) fn add(&mut self, rows: u64) {
        self.rows += rows;
        if self.shown.elapsed() < if self.terminal { OFTEN } else { SELDOM } {
            return;
        }
        self.shown = Instant::now();
        let rate = self.rows as f64 / self.began.elapsed().as_secs_f64();
        let words = format!("{} rows read on both sides, {}/s", number(self.rows), number(rate as u64));
        if self.terminal {
            eprint!("\r\x1b[K{words}");
            let _ = io::Write::flush(&mut io::stderr());
            self.on_line = true;
        } else {
            eprintln!("{words}");
        }
    }

    /// Makes room for a line of output.
    pub(super) fn clear(&mut self) {
        if self.on_line {
            eprint!("\r\x1b[K");
            self.on_line = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_so_that_it_can_be_read_and_does_nothing_to_a_terminal() {
        let found = Difference {
            kind: DeliveryKind::Differs,
            key: vec![("id".into(), Some("7".to_owned()))],
            columns: vec![("name".into(), Some("a\u{1b}[31m".to_owned()), None)],
        };
        assert_eq!(line(&found), "~ id=7  name: \"a\\u{1b}[31m\" → NULL");
        assert_eq!(
            document("shop.user", &found),
            json!({ "table": "shop.user", "key": { "id": "7" }, "kind": "differs",
                    "columns": { "name": { "src": "a\u{1b}[31m", "des": null } } })
        );
        let missing = Difference { kind: DeliveryKind::Missing, columns: Vec::new(), ..found };
        assert_eq!(line(&missing), "- id=7");
        assert_eq!(document("t", &missing), json!({ "table": "t", "key": { "id": "7" }, "kind": "missing" }));
    }

    #[test]
    fn the_sentence_says_what_was_not_compared() {
        let tally = Tally {
            rows_source: 1000,
            rows_copy: 998,
            same: 995,
            missing: 3,
            differs: 1,
            ..Tally::default()
        };
        let took = Duration::from_secs(2);
        assert_eq!(
            sentence("a.t", "b.t", &tally, took),
            "a.t → b.t: 1 000 and 998 rows in 2.0 s (500/s): 995 agree, 3 missing, 1 differ"
        );
        let partial = Tally { rows_source: 1, same: 1, null_key: 2, ..Tally::default() };
        assert!(
            sentence("a", "b", &partial, took).ends_with("no difference; not compared: 2 rows without a key")
        );
    }
}
