//! `cupid runs show`.

use serde_json::Value;

use super::super::text::time;
use super::super::when::length;
use super::{Prefix, Refused, Shelf, words};
use crate::model::Feed;
use crate::store::{Run, RunError, RunResult, Runs};

/// Deliveries listed at most.
const LISTED: usize = 20;

pub(super) async fn show(shelf: &Shelf, id: &Prefix, json: bool) -> Result<(), Refused> {
    let (store, run) = shelf.one(id).await?;
    let opened = store.opened_by(run.id, 0).await?;
    let lines: Vec<String> = opened.iter().take(LISTED).map(words::delivery).collect();
    if json {
        let mut facts = words::facts(&run);
        facts["deliveries"] = opened.iter().map(|d| Value::from(d.id.to_string())).collect();
        println!("{facts:#}");
        return Ok(());
    }
    println!("{}", text(&run, &shelf.counted(&run), &lines));
    Ok(())
}

fn text(run: &Run, counted: &str, deliveries: &[String]) -> String {
    let mut out = vec![format!("run         {}", run.id)];
    let mut say = |label: &str, value: String| out.push(format!("{label:<11} {value}"));
    say("task", run.task.to_string());
    say("destination", run.destination.to_string());
    say("feed", run.feed.map_or("not kept", Feed::as_str).to_owned());
    if run.from.is_some() || run.to.is_some() {
        let place = |place: &Option<String>| place.clone().unwrap_or_else(|| "the beginning".to_owned());
        say("from, to", format!("{} → {}", place(&run.from), place(&run.to)));
    }
    say("began", time(run.started));
    let ended = match run.result {
        RunResult::Running => "it has not".to_owned(),
        _ => format!("{}, after {}", time(run.ended), length(run.started, run.ended)),
    };
    say("ended", ended);
    let result = match run.result {
        RunResult::CutOff => "cut-off: the daemon ended before it did, the next run goes on",
        other => other.as_str(),
    };
    say("result", result.to_owned());
    if run.passes > 1 {
        say("passes", format!("{}, of which none was worth a line of its own", run.passes));
    }
    say("looked at", counted.to_owned());
    say("deliveries", format!("{} opened, {} changed, {} healed", run.opened, run.changed, run.healed));
    let error = |e: &RunError| format!("{} {} ({}): {}", time(e.at), e.class, e.group, e.message);
    if let (Some(first), Some(last)) = (&run.first_error, &run.last_error) {
        say("tries", format!("{} in vain", run.errors));
        say("first error", error(first));
        if run.errors > 1 {
            say("last error", error(last));
        }
    }
    out.extend(deliveries.iter().map(|line| format!("  {line}")));
    let listed = deliveries.len() as u64;
    if run.opened > listed && listed == LISTED as u64 {
        out.push(format!("  … and {} more: `cupid runs log` has all that are kept", run.opened - listed));
    } else if run.opened > listed {
        out.push(format!("  {} of them are no longer kept", run.opened - listed));
    }
    out.join("\n")
}
