//! `cupid runs log`: from the log files, or from the state.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::super::run::log_name;
use super::super::when::{day, iso};
use super::{Prefix, Refused, Shelf, words};
use crate::base::clock::UnixMs;
use crate::config::Config;
use crate::store::local::LocalStore;
use crate::store::{Run, RunError, RunResult, Runs, StoreError};

pub(super) async fn log(shelf: &Shelf, config: &Config, id: &Prefix) -> Result<(), Refused> {
    let (store, run) = shelf.one(id).await?;
    match &config.log.dir {
        Some(dir) => {
            let name = log_name(config);
            let files = files(dir, &name, run.started);
            if print_lines(&files, &run.id.to_string()) {
                return Ok(());
            }
            eprintln!(
                "note: no file {}/{}.*.log has a line of this run (they may be gone, or its lines were not written: \
                 what found nothing is logged at the level debug); this is what the state knows",
                dir.display(),
                name
            );
        }
        None => eprintln!("note: `logDir` is not set, so this is what the state knows"),
    }
    let mut events = own(&run, &shelf.counted(&run));
    of_deliveries(store, &run, &mut events).await?;
    // What happened at one time stays in the order in which it was put down.
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in events {
        println!("{} {event}", iso(at));
    }
    Ok(())
}

/// The daily files in which the run may be, the oldest first.
fn files(dir: &Path, name: &str, since: UnixMs) -> Vec<PathBuf> {
    let first = day(since);
    let of_day = |path: &PathBuf| {
        let file = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".log")?;
        (file >= first.as_str()).then_some(())
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|path| of_day(path).is_some()).collect();
    files.sort();
    files
}

/// Prints the lines that carry the id; returns whether there was one. A file that cannot be read has none.
fn print_lines(files: &[PathBuf], id: &str) -> bool {
    let mut found = false;
    for path in files {
        let Ok(file) = File::open(path) else {
            eprintln!("note: {} cannot be read", path.display());
            continue;
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if text.contains(id) {
                print!("{text}");
                found = true;
            }
            line.clear();
        }
    }
    found
}

fn own(run: &Run, counted: &str) -> Vec<(UnixMs, String)> {
    let place = |place: &Option<String>| place.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    let mut events = vec![(run.started, format!("run began{}", place(&run.from)))];
    let error = |e: &RunError| (e.at, format!("failed: {} ({}): {}", e.class, e.group, e.message));
    let last = run.last_error.iter().filter(|_| run.errors > 1);
    events.extend(run.first_error.iter().chain(last).map(error));
    if run.result != RunResult::Running {
        let passes = if run.passes > 1 { format!("{} passes, ", run.passes) } else { String::new() };
        let result = run.result.as_str();
        events.push((run.ended, format!("run ended{}: {result}, {passes}{counted}", place(&run.to))));
    }
    events
}

async fn of_deliveries(
    store: &LocalStore,
    run: &Run,
    events: &mut Vec<(UnixMs, String)>,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = store.opened_by(run.id, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        for d in &page {
            let row = words::delivery(d);
            let found = row.rsplit_once(": ").map_or(row.as_str(), |(found, _)| found);
            events.push((d.found_at, format!("found {found}")));
            for call in store.calls_of(d.seq).await? {
                let status = call.status.map(|status| format!(" {status}")).unwrap_or_default();
                let (number, outcome, took) = (call.number, &call.outcome, call.took_ms);
                events.push((
                    call.began,
                    format!("called {} attempt {number}: {outcome}{status}, {took} ms", d.id),
                ));
            }
            if let Some(at) = d.ended_at {
                events.push((at, format!("{} {}", d.state.as_str(), d.id)));
            }
        }
    }
}
