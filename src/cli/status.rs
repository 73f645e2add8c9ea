//! `cupid status`: what was looked at, what agrees and what waits, from the state; what is in the way, from the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::exit;
use crate::admin;
use crate::base::clock::Clock;
use crate::config::{self, Config, DestinationConfig, TaskConfig};
use crate::engine::AuditNote;
use crate::engine::Notes;
use crate::model::{DestinationName, Feed};
use crate::scan::Walk;
use crate::store::local::{LocalStore, holder};
use crate::store::{Covered, Cursor, LaneCount, Store, StoreError};
use report::{Group, Report, Slow};

mod report;
mod words;

/// What the state holds.
#[derive(Debug, Default)]
struct Kept {
    waiting: Vec<LaneCount>,
    covered: Vec<Covered>,
    cursors: Vec<Cursor>,
}

/// By task, then by destination.
type Reports = BTreeMap<String, BTreeMap<String, Report>>;

/// Prints it.
pub(super) async fn status(config: &Config, as_json: bool) -> ExitCode {
    let database = config.state.database(&config.name);
    let live = match holder(&database) {
        Some(_) => match admin::ask(&admin::path_beside(&database), &json!({ "verb": "status" })).await {
            Ok(answer) => Some(answer),
            Err(e) => {
                eprintln!(
                    "note: a daemon holds {} and cannot be asked ({e}); ask as the user that runs it",
                    database.display()
                );
                None
            }
        },
        None => None,
    };
    let held = live.is_none() && holder(&database).is_some();
    let (kept, mut reports) = match read(config, &database).await {
        Ok(read) => read,
        Err(e) => {
            eprintln!("error: {e}");
            return ExitCode::from(exit::STATE);
        }
    };
    if live.is_none() && !held {
        for report in reports.values_mut().flat_map(BTreeMap::values_mut) {
            report.audit_cut_off = report.audit.as_ref().is_some_and(|audit| audit.ended.is_none());
        }
    }
    let mut answer = live.unwrap_or_else(|| json!({}));
    let waiting = kept.waiting.iter().map(|c| {
        json!({ "task": c.task.as_str(), "destination": c.destination.as_str(), "state": c.state.as_str(),
                "count": c.count, "oldest": c.oldest })
    });
    answer["waiting"] = waiting.collect();
    answer["coverage"] = serde_json::to_value(&reports).unwrap_or_default();
    if as_json {
        println!("{answer:#}");
    } else {
        println!("{}", text(config, &answer["status"], &reports, held, Clock::system().now()));
    }
    ExitCode::SUCCESS
}

/// What the state says, with a daemon beside it or without one.
async fn read(config: &Config, database: &Path) -> Result<(Kept, Reports), StoreError> {
    let mut reports = Reports::new();
    let mut store = if database.exists() { Some(LocalStore::view(database).await?) } else { None };
    if let Some(made) = &store
        && made.is_new().await?
    {
        store = None;
    }
    let kept = match &store {
        Some(store) => Kept {
            waiting: store.counts().await?,
            covered: store.coverage().await?,
            cursors: store.cursors().await?,
        },
        None => Kept::default(),
    };
    for task in &config.tasks {
        let of_task = reports.entry(task.name.to_string()).or_default();
        for destination in destinations(task, &kept) {
            let report = match &store {
                Some(store) => one(store, task, &destination, &kept).await?,
                None => Report::default(),
            };
            of_task.insert(destination.to_string(), report);
        }
    }
    Ok((kept, reports))
}

async fn one(
    store: &LocalStore,
    task: &TaskConfig,
    destination: &DestinationName,
    kept: &Kept,
) -> Result<Report, StoreError> {
    let of_lane = |c: &&Covered| c.task == task.name && c.destination == *destination;
    let covered: Vec<Covered> = kept.covered.iter().filter(of_lane).cloned().collect();
    // What is switched off is not spoken of.
    let config = task.destinations.iter().find(|d| d.name == *destination);
    let is_on = |feed: Feed| {
        config.is_none_or(|d| match feed {
            Feed::Insert => task.source.insert.is_some(),
            Feed::Update => task.source.update.is_some(),
            Feed::Sweep => d.sweep.is_some(),
            Feed::Extra => d.delete && !d.is_event(),
            Feed::Audit => d.audit.is_some(),
        })
    };
    let of_lane = |c: &&Cursor| c.task == task.name && c.destination == *destination;
    let slow = kept.cursors.iter().filter(of_lane).filter_map(|c| {
        let slow = matches!(c.feed, Feed::Sweep | Feed::Extra) && is_on(c.feed);
        let walk: Walk = slow.then(|| serde_json::from_str(c.position.as_str()).ok()).flatten()?;
        Some((c.feed, Slow { walk, start: c.start_id }))
    });
    let slow: Vec<(Feed, Slow)> = slow.collect();
    let covered: Vec<Covered> = covered.into_iter().filter(|c| is_on(c.feed)).collect();
    let sweep = slow.iter().find(|(feed, _)| *feed == Feed::Sweep).map(|(_, slow)| slow);
    let rows = report::rows(&covered, sweep);
    let standing = store.standing(&task.name, destination, None).await?;
    let among = match rows.from {
        Some(_) => store.standing(&task.name, destination, rows.from).await?,
        None => standing.clone(),
    };
    let notes = Notes::read(store, &task.name, destination).await?;
    let hot = Group { count: notes.hot.count, oldest: notes.hot.oldest };
    let mut report = report::report(&rows, &covered, &slow, &among, &standing, Some(hot), notes.paused);
    if is_on(Feed::Audit) {
        report.audit = AuditNote::of(store, &task.name, destination).await?;
    }
    if config.is_some_and(DestinationConfig::is_event) {
        report.events = Some(store.backlog(&task.name, destination).await?.unwrap_or_default().into());
    }
    Ok(report)
}

/// The destinations of a task as the file names them. One that is called after a database in a variable that is not
/// set here gives way to what the state names.
fn destinations(task: &TaskConfig, kept: &Kept) -> Vec<DestinationName> {
    let mut names: Vec<DestinationName> = task.destinations.iter().map(|d| d.name.clone()).collect();
    let unset = |name: &DestinationName| name.as_str().contains(config::UNSET);
    if names.iter().any(unset) {
        let waiting = kept.waiting.iter().map(|c| (&c.task, &c.destination));
        let cursors = kept.cursors.iter().map(|c| (&c.task, &c.destination));
        let others = waiting.chain(cursors).filter(|(of, _)| **of == task.name).map(|(_, name)| name);
        let others: BTreeSet<DestinationName> =
            others.filter(|name| !names.contains(name)).cloned().collect();
        if !others.is_empty() {
            names.retain(|name| !unset(name));
            names.extend(others);
        }
    }
    names
}

/// One sentence for each destination, and a line for each thing that needs attention. `live` is what a daemon says.
fn text(config: &Config, live: &Value, reports: &Reports, held: bool, now: i64) -> String {
    let mut out = match live["pid"].as_u64() {
        Some(pid) => vec![format!("running as process {pid}")],
        None if held => vec!["running, as far as the lock says".to_owned()],
        None => vec!["not running".to_owned()],
    };
    if let Some(trouble) = live["state_trouble"].as_str() {
        out.push(format!("the state cannot be written: {trouble}"));
    }
    for task in &config.tasks {
        let troubles = live["tasks"][task.name.as_str()]["trouble"].as_object();
        // Of what is paused the state knows as well.
        let troubles =
            || troubles.into_iter().flatten().filter(|(_, t)| t["class"] != "paused" && t["class"] != "gone");
        for (destination, report) in reports.get(task.name.as_str()).into_iter().flatten() {
            let ours = format!("→ {destination}");
            let blocked = troubles().any(|(what, t)| t["blocked"] == true && what.ends_with(&ours));
            let sentence = words::sentence(report, blocked, now);
            out.push(format!("{} → {destination}: {sentence}", task.name));
            out.extend(words::lines(report, now).into_iter().map(|line| format!("  {line}")));
            if let Some(why) = &report.paused {
                out.push(format!("{} callbacks → {destination}: paused: {why}", task.name));
            }
        }
        for (what, trouble) in troubles() {
            let kind = if trouble["blocked"] == true { "blocked" } else { "waiting" };
            let reason = trouble["reason"].as_str().unwrap_or("?");
            let (class, group) = (trouble["class"].as_str().unwrap_or("?"), trouble["group"].as_str());
            let class = group.map_or_else(|| class.to_owned(), |group| format!("{class}, {group}"));
            out.push(format!("{} {what}: {kind}: {reason} ({class})", task.name));
        }
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{State, TaskName};

    #[test]
    fn a_name_that_is_not_known_here_gives_way_to_that_of_the_state() {
        let des = |name: &str, dsn: &str| {
            json!({ "name": name, "dsn": dsn, "table": "t", "byColumn": "k", "columns": { "k": "k" },
                "callbackNotification": { "url": "127.0.0.1:1/" } })
        };
        let file = json!({ "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" },
            "des": [des("crm", "sqlite:b.db"), des("", "${COPY_DSN}")] });
        let path = std::env::temp_dir().join(format!("cupid-status-{}.json", std::process::id()));
        std::fs::write(&path, file.to_string()).unwrap();
        let loaded = config::load_names(&path, &|_| None);
        std::fs::remove_file(&path).unwrap();
        let config = loaded.unwrap().config;
        let names = |kept: &Kept| {
            let names = destinations(&config.tasks[0], kept);
            names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&Kept::default()), ["crm", "<unset>.t"]);
        let waiting = vec![LaneCount {
            task: TaskName::new("main"),
            destination: DestinationName::new("copy.t"),
            state: State::Retry,
            count: 3,
            oldest: 2_000,
        }];
        assert_eq!(names(&Kept { waiting, ..Kept::default() }), ["crm", "copy.t"]);
    }
}
