//! `cupid status`: what the daemon does and what waits, from its socket; from the state file if none runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::exit;
use crate::admin;
use crate::base::clock::Clock;
use crate::config::{self, Config, TaskConfig, show_duration};
use crate::store::local::{LocalStore, holder};
use crate::store::{LaneCount, Store, StoreError};

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
    let answer = match live {
        Some(answer) => answer,
        None if !database.exists() => json!({ "waiting": [] }),
        None => match waiting(&database).await {
            Ok(counts) => {
                let waiting: Vec<Value> = counts
                    .iter()
                    .map(|c| {
                        json!({ "task": c.task.as_str(), "destination": c.destination.as_str(),
                                "state": c.state.as_str(), "count": c.count, "oldest": c.oldest })
                    })
                    .collect();
                json!({ "waiting": waiting })
            }
            Err(e) => {
                eprintln!("error: {e}");
                return ExitCode::from(exit::STATE);
            }
        },
    };
    if as_json {
        println!("{answer:#}");
    } else {
        println!("{}", text(config, &answer, held, Clock::system().now()));
    }
    ExitCode::SUCCESS
}

async fn waiting(database: &Path) -> Result<Vec<LaneCount>, StoreError> {
    LocalStore::view(database).await?.counts().await
}

/// The destinations of a task as the file names them. One that is called after a database in a variable that is not
/// set here gives way to what the daemon and its state name.
fn destinations(task: &TaskConfig, answer: &Value) -> Vec<String> {
    let mut names: Vec<String> = task.destinations.iter().map(|d| d.name.to_string()).collect();
    if names.iter().any(|name| name.contains(config::UNSET)) {
        let live = answer["status"]["tasks"][task.name.as_str()]["destinations"].as_object();
        let waiting = answer["waiting"].as_array().into_iter().flatten();
        let waiting =
            waiting.filter(|w| w["task"] == task.name.as_str()).filter_map(|w| w["destination"].as_str());
        let others = live.into_iter().flatten().map(|(name, _)| name.as_str()).chain(waiting);
        let others: BTreeSet<String> =
            others.map(str::to_owned).filter(|name| !names.contains(name)).collect();
        if !others.is_empty() {
            names.retain(|name| !name.contains(config::UNSET));
            names.extend(others);
        }
    }
    names
}

/// One line for each destination, and one for each trouble.
fn text(config: &Config, answer: &Value, held: bool, now: i64) -> String {
    let mut out = match answer["status"]["pid"].as_u64() {
        Some(pid) => vec![format!("running as process {pid}")],
        None if held => vec!["running, as far as the lock says".to_owned()],
        None => vec!["not running".to_owned()],
    };
    if let Some(trouble) = answer["status"]["state_trouble"].as_str() {
        out.push(format!("the state cannot be written: {trouble}"));
    }
    for task in &config.tasks {
        let live = &answer["status"]["tasks"][task.name.as_str()];
        for destination in &destinations(task, answer) {
            let feeds = &live["destinations"][destination];
            let looked: Vec<String> = feeds
                .as_object()
                .into_iter()
                .flatten()
                .map(|(feed, f)| {
                    if matches!(feed.as_str(), "sweep" | "extra") {
                        return slow(feed, f, now);
                    }
                    let c = &f["counts"];
                    let state = if f["caught_up"] == true { "caught up" } else { "catching up" };
                    let looked = format!("{feed} feed {state}, {} of {} rows agreed", c["same"], c["rows"]);
                    looked + &limits(f, now)
                })
                .collect();
            let mine = |w: &&Value| w["task"] == task.name.as_str() && w["destination"] == *destination;
            let waiting: Vec<String> = answer["waiting"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(mine)
                .map(|w| {
                    let age = now.saturating_sub(w["oldest"].as_i64().unwrap_or(now)) / 1000;
                    format!("{} {} (oldest {age} s)", w["count"], w["state"].as_str().unwrap_or("?"))
                })
                .collect();
            let waiting = if waiting.is_empty() { "nothing waits".to_owned() } else { waiting.join(", ") };
            let looked =
                if looked.is_empty() { String::new() } else { format!("{} · ", looked.join(" · ")) };
            out.push(format!("{} → {destination}: {looked}{waiting}", task.name));
        }
        for (what, trouble) in live["trouble"].as_object().into_iter().flatten() {
            let kind = match trouble["class"].as_str() {
                Some("paused") => "paused",
                _ if trouble["blocked"] == true => "blocked",
                _ => "waiting",
            };
            out.push(format!("{} {what}: {kind}: {}", task.name, trouble["reason"].as_str().unwrap_or("?")));
        }
    }
    out.join("\n")
}

/// What a feed has settled, and what it cannot see.
fn limits(f: &Value, now: i64) -> String {
    let mut out = String::new();
    if let Some(settled) = f["settled"].as_str() {
        let age = now.saturating_sub(f["last_read"].as_i64().unwrap_or(now)).max(0) / 1000;
        out = format!(", settled to {settled}, {age} s ago");
    }
    if f["told"] == false {
        out += " (open transactions are not shown: later commits than `settle` are left to the sweep)";
    }
    match f["uncovered"].as_u64() {
        Some(rows) if rows > 0 => {
            let ids: Vec<&str> =
                f["unreadable"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let unreadable = if ids.is_empty() {
                String::new()
            } else {
                format!(" or none that can be read (id {})", ids.join(", "))
            };
            out + &format!(", {rows} rows have no update time{unreadable} and are left to the sweep")
        }
        _ => out,
    }
}

/// A slow feed: the age of its last complete pass is how late at most it finds what no other feed sees.
fn slow(feed: &str, f: &Value, now: i64) -> String {
    let what = if feed == "sweep" { "sweep" } else { "rows only the copy has" };
    let pass = match f["last_pass"]["began"].as_i64() {
        Some(began) => {
            let age = Duration::from_secs(now.saturating_sub(began).max(0).unsigned_abs() / 1000);
            format!("last complete pass began {} ago", show_duration(age))
        }
        None => "no complete pass yet".to_owned(),
    };
    format!("{what}: {pass}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_known_here_gives_way_to_the_daemons() {
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
        let shown = |answer: Value| text(&config, &answer, false, 5_000);
        assert!(shown(json!({ "waiting": [] })).contains("main → <unset>.t: nothing waits"));
        let waits = json!([{ "task": "main", "destination": "copy.t", "state": "retry", "count": 3, "oldest": 2_000 }]);
        let live = json!({ "pid": 7, "tasks": { "main": { "destinations": { "crm": {} } } } });
        assert_eq!(
            shown(json!({ "status": live, "waiting": waits })),
            "running as process 7\nmain → crm: nothing waits\nmain → copy.t: 3 retry (oldest 3 s)"
        );
    }
}
