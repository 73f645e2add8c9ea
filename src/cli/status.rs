//! `cupid status`: what the daemon does and what waits, from its socket; from the state file if none runs.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::exit;
use crate::admin;
use crate::base::clock::Clock;
use crate::config::Config;
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
        for destination in &task.destinations {
            let feeds = &live["destinations"][destination.name.as_str()];
            let looked: Vec<String> = feeds
                .as_object()
                .into_iter()
                .flatten()
                .map(|(feed, f)| {
                    let c = &f["counts"];
                    let state = if f["caught_up"] == true { "caught up" } else { "catching up" };
                    format!("{feed} feed {state}, {} of {} rows agreed", c["same"], c["rows"])
                })
                .collect();
            let mine =
                |w: &&Value| w["task"] == task.name.as_str() && w["destination"] == destination.name.as_str();
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
            out.push(format!("{} → {}: {looked}{waiting}", task.name, destination.name));
        }
        for (what, trouble) in live["trouble"].as_object().into_iter().flatten() {
            let kind = if trouble["blocked"] == true { "blocked" } else { "waiting" };
            out.push(format!("{} {what}: {kind}: {}", task.name, trouble["reason"].as_str().unwrap_or("?")));
        }
    }
    out.join("\n")
}
