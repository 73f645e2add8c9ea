//! A run in words, and as JSON.

use serde_json::{Value, json};

use super::super::text::time;
use super::super::when::length;
use crate::base::clock::UnixMs;
use crate::model::{Counts, Feed};
use crate::store::{Opened, Run, RunResult};

/// All that is kept of it. Times are Unix ms.
pub(super) fn facts(run: &Run) -> Value {
    json!({
        "id": run.id.to_string(),
        "task": run.task.as_str(),
        "destination": run.destination.as_str(),
        "feed": run.feed.map(Feed::as_str),
        "from": run.from,
        "to": run.to,
        "started": run.started,
        "ended": ended(run),
        "result": run.result.as_str(),
        "passes": run.passes,
        "counts": run.counts,
        "opened": run.opened,
        "changed": run.changed,
        "healed": run.healed,
        "errors": run.errors,
        "first_error": run.first_error,
        "last_error": run.last_error,
    })
}

/// When it ended, Unix ms; `None`: it has not.
pub(super) fn ended(run: &Run) -> Option<UnixMs> {
    (run.result != RunResult::Running).then_some(run.ended)
}

/// A delivery of a run, in one line: no value of the row but its integer key.
pub(super) fn delivery(d: &Opened) -> String {
    let row = if d.row == crate::model::RowId::NONE { String::new() } else { format!(" row {}", d.row) };
    format!("{} {} at {}{row}: {}", d.id, d.kind.as_str(), d.destination, d.state.as_str())
}

/// What was counted, without what there was none of.
pub(super) fn counted(c: &Counts) -> String {
    let parts = [
        (c.rows, "rows"),
        (c.same, "same"),
        (c.missing, "missing"),
        (c.differs, "differ"),
        (c.extra, "extra"),
        (c.ambiguous, "ambiguous"),
        (c.not_comparable, "not comparable"),
        (c.too_large, "too large"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if parts.is_empty() { "no row".to_owned() } else { parts.join(", ") }
}

/// One line of `list`.
pub(super) fn line(run: &Run) -> String {
    let feed = run.feed.map_or("?", Feed::as_str);
    let c = &run.counts;
    let wrong = c.missing + c.differs + c.extra + c.ambiguous;
    let mut parts = Vec::new();
    if run.passes > 1 {
        parts.push(format!("{} passes", run.passes));
    }
    parts.push(format!("{} rows", c.rows));
    if wrong > 0 {
        parts.push(format!("{wrong} differ"));
    }
    if run.opened > 0 {
        parts.push(format!("{} opened", run.opened));
    }
    if run.healed > 0 {
        parts.push(format!("{} healed", run.healed));
    }
    if let Some(e) = &run.last_error {
        let tries = if run.errors > 1 { format!(", {} tries", run.errors) } else { String::new() };
        parts.push(format!("{} ({}){tries}", e.class, e.group));
    }
    let place = if run.destination.as_str().is_empty() {
        run.task.to_string()
    } else {
        format!("{} → {}", run.task, run.destination)
    };
    let took = length(run.started, run.ended);
    let (id, began, result) = (run.id, time(run.started), run.result.as_str());
    format!("{id}  {began}  {took:>7}  {result:<7}  {feed:<6}  {place}: {}", parts.join(", "))
}
