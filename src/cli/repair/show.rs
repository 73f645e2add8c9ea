//! What `cupid repair` prints: rows that were not written and counts on standard output, progress on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cli::text::{number, plain, short};
use crate::repair::{Event, Report, Told};

/// Characters of a key that are shown.
const LONGEST: usize = 80;
/// Between two lines of progress, on a terminal and elsewhere.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

/// How it is shown.
pub(super) struct Show {
    json: bool,
    dry_run: bool,
    undo: bool,
    terminal: bool,
    began: Instant,
    shown: Instant,
    on_line: bool,
    done: u64,
}

impl Show {
    pub(super) fn new(json: bool, dry_run: bool, undo: bool) -> Self {
        let (now, terminal) = (Instant::now(), io::stderr().is_terminal());
        Self { json, dry_run, undo, terminal, began: now, shown: now, on_line: false, done: 0 }
    }

    /// Whether no transaction has ended yet.
    pub(super) fn nothing_done(&self) -> bool {
        self.done == 0
    }

    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Note(note) => eprintln!("note: {}", plain(&note)),
            Event::Row(told) => {
                self.clear();
                if self.json { println!("{}", document(&told)) } else { println!("{}", line(&told)) }
            }
            Event::Done(done, planned) => {
                self.done = done;
                self.progress(done, planned);
            }
        }
    }

    fn progress(&mut self, done: u64, planned: u64) {
        if self.shown.elapsed() < if self.terminal { OFTEN } else { SELDOM } {
            return;
        }
        self.shown = Instant::now();
        let words = format!("{} of {} rows", number(done), number(planned));
        if self.terminal {
            eprint!("\r\x1b[K{words}");
            let _ = io::stderr().flush();
            self.on_line = true;
        } else {
            eprintln!("{words}");
        }
    }

    /// Makes room for a line of output.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.on_line) {
            eprint!("\r\x1b[K");
        }
    }

    pub(super) fn end(&mut self, report: &Report) {
        self.clear();
        let undo = report.undo.as_ref().map(|path| path.display().to_string());
        if self.json {
            let mut stats = json!(report.tally);
            stats["not_looked_at"] = report.tally.unseen().into();
            stats["dry_run"] = self.dry_run.into();
            stats["undo"] = undo.into();
            stats["took_ms"] = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).into();
            println!("{}", json!({ "stats": stats }));
            return;
        }
        println!("{}", sentence(report, self.dry_run));
        if let Some(undo) = undo.filter(|_| report.tally.applied() > 0) {
            let what = if self.undo { "what was taken back comes again" } else { "it is taken back" };
            println!("{what} with: cupid repair {} COPY", crate::base::shell::typed(&undo));
        }
    }
}

fn document(told: &Told) -> Value {
    let key: Map<String, Value> =
        told.key.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    json!({ "key": key, "do": told.act, "result": told.outcome.as_str(), "reason": told.reason })
}

/// The same on a line for people.
fn line(told: &Told) -> String {
    let value = |of: &Option<String>| {
        of.as_deref().map_or_else(|| "NULL".to_owned(), |text| short(&plain(text), LONGEST))
    };
    let key: Vec<String> =
        told.key.iter().map(|(name, of)| format!("{}={}", plain(name), value(of))).collect();
    format!("{}  {} {}: {}", told.outcome.as_str(), told.act, key.join(" "), plain(&told.reason))
}

fn sentence(report: &Report, dry_run: bool) -> String {
    let tally = &report.tally;
    let would = if dry_run { "would be " } else { "" };
    let parts = [
        (tally.inserted, format!("{would}inserted")),
        (tally.updated, format!("{would}updated")),
        (tally.deleted, format!("{would}deleted")),
        (tally.already, "already so".to_owned()),
        (tally.stale, "stale".to_owned()),
        (tally.refused, "refused".to_owned()),
        (tally.left, "left that only the copy has (--delete takes them away)".to_owned()),
        (tally.unseen(), "not looked at".to_owned()),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    let parts = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
    let end = if dry_run { "; nothing was written" } else { "" };
    let begin = if report.stopped { "stopped: " } else { "" };
    format!("{begin}{} rows planned: {parts}{end}", number(tally.planned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::{Outcome, Tally};

    #[test]
    fn rows_and_counts_can_be_read() {
        let told = Told {
            act: "update",
            key: vec![("id".into(), Some("7\u{1b}".to_owned())), ("b".into(), None)],
            outcome: Outcome::Stale,
            reason: "name has changed since the plan was made".to_owned(),
        };
        assert_eq!(line(&told), "stale  update id=7\\u{1b} b=NULL: name has changed since the plan was made");
        assert_eq!(document(&told)["result"], "stale");
        let tally = Tally { planned: 1200, inserted: 3, updated: 1000, stale: 7, ..Tally::default() };
        let report = Report { tally, stopped: true, undo: None };
        assert_eq!(
            sentence(&report, false),
            "stopped: 1 200 rows planned: 3 inserted, 1 000 updated, 7 stale, 190 not looked at"
        );
        let report =
            Report { tally: Tally { planned: 1, deleted: 1, ..Tally::default() }, ..Report::default() };
        assert_eq!(sentence(&report, true), "1 rows planned: 1 would be deleted; nothing was written");
        assert_eq!(sentence(&Report::default(), false), "0 rows planned: nothing to do");
    }
}
