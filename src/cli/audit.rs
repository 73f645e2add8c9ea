//! `cupid audit`: whether the copies of a configuration agree with their sources, all rows of them, once and now.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::diff::{Pacing, Plan, Show, say_notes, work};
use super::exit;
use super::text::plain;
use crate::audit::{Pace, Tables, Wanted};
use crate::base::chain::chain;
use crate::base::signal::Requests;
use crate::config::{Config, CopyConfig, DestinationConfig, Dsn, TaskConfig};
use crate::sql::{Database, Limits};

/// What is audited, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// Only this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Show each row: `-` only at the source, `+` only at the copy, `~` differs, `!` several rows for one key
    #[arg(long)]
    rows: bool,
    /// One JSON object per row that disagrees, and one with the counts for each copy
    #[arg(long, conflicts_with = "rows")]
    json: bool,
    /// How long a difference must stand before it is believed; without it as long as `confirm` says, and at least a second
    #[arg(long, value_name = "TIME", value_parser = super::args::length)]
    confirm: Option<Duration>,
    #[command(flatten)]
    pace: Pacing,
}

/// A copy of the configuration.
struct Audited<'a> {
    task: &'a TaskConfig,
    destination: &'a DestinationConfig,
    copy: &'a CopyConfig,
}

/// Compares one copy after the other, and tells.
pub(super) async fn audit(config: &Config, asked: &Asked) -> ExitCode {
    let chosen = match chosen(config, asked) {
        Ok(chosen) => chosen,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let mut databases: HashMap<&Dsn, Arc<Database>> = HashMap::new();
    for dsn in chosen.iter().flat_map(|of| [&of.task.source.dsn, &of.copy.dsn]) {
        let limits = || Limits { connections: asked.pace.connections(), ..Limits::default() };
        databases.entry(dsn).or_insert_with(|| Arc::new(Database::connect(dsn, limits())));
    }
    let Ok(mut requests) = Requests::listen() else {
        eprintln!("error: signals cannot be received");
        return ExitCode::from(exit::INTERNAL);
    };
    let all = async {
        let mut codes = Vec::with_capacity(chosen.len());
        for of in &chosen {
            let places = [&of.task.source.dsn, &of.copy.dsn].map(|dsn| databases[dsn].clone());
            codes.push(Box::pin(one(of, places, asked)).await);
        }
        end(&codes, asked.json)
    };
    let code = tokio::select! {
        code = all => code,
        _ = requests.next() => {
            eprintln!("interrupted: what was shown stands, the rest was not looked at");
            exit::INTERRUPTED
        }
    };
    for database in databases.values() {
        database.close().await;
    }
    ExitCode::from(code)
}

/// The copies that are meant.
fn chosen<'a>(config: &'a Config, asked: &Asked) -> Result<Vec<Audited<'a>>, String> {
    let mut known = Vec::new();
    let mut chosen = Vec::new();
    for task in &config.tasks {
        for destination in &task.destinations {
            let Some(copy) = &destination.copy else { continue };
            known.push(format!("{} → {}", task.name, destination.name));
            let meant =
                |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
            if meant(&asked.task, &task.name.to_string())
                && meant(&asked.destination, &destination.name.to_string())
            {
                chosen.push(Audited { task, destination, copy });
            }
        }
    }
    match (chosen.is_empty(), known.is_empty()) {
        (false, _) => Ok(chosen),
        (true, true) => Err("no destination of this configuration has a copy to compare".to_owned()),
        (true, false) => {
            Err(format!("no copy of that name; the configuration has: {}", plain(&known.join(", "))))
        }
    }
}

async fn one(of: &Audited<'_>, places: [Arc<Database>; 2], asked: &Asked) -> u8 {
    let wanted = Wanted::of(&of.task.source, of.copy, of.destination.delete);
    let (task, destination) = (&of.task.name, &of.destination.name);
    let tables = match Box::pin(Tables::resolve(places, &wanted)).await {
        Ok(tables) => tables,
        Err(e) => {
            eprintln!("error: {}: {}", plain(&format!("{task} → {destination}")), chain(&e));
            return exit::UNVERIFIED;
        }
    };
    if !asked.json {
        say_notes(&tables, asked.pace.strategy());
    }
    let confirm = asked.confirm.unwrap_or_else(|| Pace::of(of.destination.confirm.floor).confirm);
    let show = Show::new(asked.rows, asked.json).of(&task.to_string(), &destination.to_string());
    work(&tables, &asked.pace.pace(confirm), &show, Plan::none()).await
}

/// The code of all, and one line about them.
fn end(codes: &[u8], as_json: bool) -> u8 {
    let (unverified, differ) = (exit::UNVERIFIED, exit::DIFFERENCES);
    let count = |code: u8| codes.iter().filter(|of| **of == code).count();
    if !as_json && codes.len() > 1 {
        let (agree, all) = (count(0), codes.len());
        println!(
            "{agree} of {all} copies agree, {} differ, {} not wholly compared",
            count(differ),
            count(unverified)
        );
    }
    match (count(unverified), count(differ)) {
        (0, 0) => 0,
        (0, _) => differ,
        _ => unverified,
    }
}
