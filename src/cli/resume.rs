//! `cupid resume`: a person says that very many missing rows, at the copy or at the source, are meant.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::exit;
use crate::admin;
use crate::config::Config;
use crate::store::local::holder;

/// Lets what the running daemon has paused go on.
pub(super) async fn resume(config: &Config, task: Option<&str>, destination: Option<&str>) -> ExitCode {
    if let Err(e) = known(config, task, destination) {
        eprintln!("error: {e}");
        return ExitCode::from(exit::CONFIG);
    }
    let database = config.state.database(&config.name);
    if holder(&database).is_none() {
        eprintln!("error: no daemon runs on {}; start it, then ask again", database.display());
        return ExitCode::from(exit::STATE);
    }
    let request = json!({ "verb": "resume", "task": task, "destination": destination });
    let answer = match admin::ask(&admin::path_beside(&database), &request).await {
        Ok(answer) => answer,
        Err(e) => {
            eprintln!("error: the daemon cannot be asked ({e}); ask as the user that runs it");
            return ExitCode::from(exit::STATE);
        }
    };
    if let Some(e) = answer["error"].as_str() {
        eprintln!("error: {e}");
        return ExitCode::from(exit::STATE);
    }
    let resumed: Vec<&Value> = answer["resumed"].as_array().into_iter().flatten().collect();
    if resumed.is_empty() {
        println!("nothing was paused");
    }
    for one in resumed {
        let name = |key: &str| one[key].as_str().unwrap_or("?").to_owned();
        let what = match one["what"].as_str() {
            Some("extra") => "rows that only the copy has are looked for again, for one pass",
            _ => "callbacks go on",
        };
        println!("{what}: {} → {}", name("task"), name("destination"));
    }
    ExitCode::SUCCESS
}

/// A wrong name must not look as if nothing was paused.
fn known(config: &Config, task: Option<&str>, destination: Option<&str>) -> Result<(), String> {
    let tasks: Vec<&str> = config.tasks.iter().map(|t| t.name.as_str()).collect();
    if let Some(task) = task.filter(|task| !tasks.contains(task)) {
        return Err(format!(
            "there is no task `{task}` in the configuration; its tasks are: {}",
            tasks.join(", ")
        ));
    }
    let of = config.tasks.iter().filter(|t| task.is_none_or(|task| t.name.as_str() == task));
    let destinations: Vec<&str> = of.flat_map(|t| &t.destinations).map(|d| d.name.as_str()).collect();
    // A name that is made from a variable which is not set here is not known here.
    if destinations.iter().any(|name| name.contains(crate::config::UNSET)) {
        return Ok(());
    }
    match destination.filter(|name| !destinations.contains(name)) {
        Some(name) => {
            Err(format!("there is no destination `{name}`; there are: {}", destinations.join(", ")))
        }
        None => Ok(()),
    }
}
