//! `cupid runs`: the operation log, from the state, with a daemon beside it or without one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{exit, when};
use crate::base::clock::UnixMs;
use crate::config::Config;
use crate::model::{Counts, DestinationName, RunId, TaskName};
use crate::store::local::{LocalStore, holder};
use crate::store::{Run, RunFilter, RunResult, Runs, StoreError};

mod export;
mod list;
mod log;
mod show;
mod words;

const LIST: &str = "\
Examples:
  cupid runs list -c config.json --result failed --since 1d
  cupid runs list -c config.json --task users --since '2026-11-30 02:00' --until '2026-11-30 03:00'
  cupid runs list -c config.json --json | jq '.[].last_error.class'

Exit codes: 0 done, 2 usage or configuration, 5 the state cannot be read.";

const SHOW: &str = "\
Example:
  cupid runs show -c config.json 0199c0de

Exit codes: 0 done, 2 no such run, or more than one, 5 the state cannot be read.";

const LOG: &str = "\
Example:
  cupid runs log -c config.json 0199c0de

Exit codes: 0 done, 2 no such run, or more than one, 5 the state cannot be read.";

const EXPORT: &str = "\
Examples:
  cupid runs export -c config.json --since 1d > runs.jsonl
  cupid runs export -c config.json --format operation-log --task users > operations.jsonl

Exit codes: 0 done, 2 usage or configuration, 5 the state cannot be read.";

/// What `cupid runs` is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// List runs, the newest first
    ///
    /// A run is one pass of a feed at one destination. One that opened a delivery, failed, took a minute or more or was
    /// the first one has a line of its own; the others of an hour share one, which says how many passes it stands for.
    #[command(after_help = LIST)]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one run: from where to where, what was counted, which deliveries it opened, how it failed
    #[command(after_help = SHOW)]
    Show {
        /// Its id, or the first eight or more characters of it
        #[arg(value_name = "ID", value_parser = prefix)]
        id: Prefix,
        /// As one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print what happened in a run and to the deliveries that it opened, line by line
    ///
    /// With `logDir` these are the lines of its log files that carry the run's id. Without it, or if no file has one any
    /// more, they are made from the state: when deliveries were found, called and ended.
    #[command(after_help = LOG)]
    Log {
        /// Its id, or the first eight or more characters of it
        #[arg(value_name = "ID", value_parser = prefix)]
        id: Prefix,
    },
    /// Write runs to standard output, one JSON object a line, the oldest first
    ///
    /// What still runs is left out.
    #[command(after_help = EXPORT)]
    Export {
        #[command(flatten)]
        which: Which,
        /// `jsonl`: all that is kept of a run; `operation-log`: id, data, `start_at`, `end_at`, result
        #[arg(long, value_enum, default_value = "jsonl")]
        format: Format,
    },
}

/// Which runs.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only those that ended since then: 30m, 2h, 7d ago, or a time such as "2026-11-30 21:00"
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    since: Option<UnixMs>,
    /// Only those that began until then
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    until: Option<UnixMs>,
    /// Only those with this result
    #[arg(long, value_enum)]
    result: Option<Word>,
}

/// Results as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Running,
    Ok,
    Failed,
    CutOff,
}

/// What `export` writes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Jsonl,
    OperationLog,
}

/// The beginning of an id.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    text: String,
    first: RunId,
    last: RunId,
}

fn prefix(text: &str) -> Result<Prefix, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if !(8..=32).contains(&digits.len()) || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("an id of a run is wanted, or the first eight or more characters of one; \
                    `cupid runs list` shows them"
            .to_owned());
    }
    let filled = |with: &str| {
        let all = format!("{digits}{}", with.repeat(32 - digits.len()));
        uuid::Uuid::parse_str(&all).map(RunId).map_err(|e| e.to_string())
    };
    Ok(Prefix { text: text.to_owned(), first: filled("0")?, last: filled("f")? })
}

impl Which {
    fn filter(&self, oldest_first: bool, limit: usize) -> RunFilter {
        let result = self.result.map(|word| match word {
            Word::Running => RunResult::Running,
            Word::Ok => RunResult::Ok,
            Word::Failed => RunResult::Failed,
            Word::CutOff => RunResult::CutOff,
        });
        let task = self.task.as_deref().map(TaskName::new);
        let (since, until) = (self.since, self.until);
        RunFilter { task, result, since, until, oldest_first, page: None, limit }
    }
}

/// Why there is nothing to show.
enum Refused {
    State(StoreError),
    Usage(String),
}

impl From<StoreError> for Refused {
    fn from(e: StoreError) -> Self {
        Self::State(e)
    }
}

/// The state of a configuration, to be read.
struct Shelf {
    /// `None`: there is none yet.
    store: Option<LocalStore>,
    database: PathBuf,
    /// Nobody works on it: what runs as far as it says does so no more.
    deserted: bool,
    /// Event destinations.
    events: BTreeSet<(TaskName, DestinationName)>,
}

impl Shelf {
    async fn open(config: &Config) -> Result<Self, StoreError> {
        let database = config.state.database(&config.name);
        let mut store = None;
        if database.exists() {
            let view = LocalStore::view(&database).await?;
            store = if view.is_new().await? { None } else { Some(view) };
        }
        let events = config.tasks.iter().flat_map(|task| {
            let events = task.destinations.iter().filter(|d| d.is_event());
            events.map(|d| (task.name.clone(), d.name.clone()))
        });
        Ok(Self { store, deserted: holder(&database).is_none(), database, events: events.collect() })
    }

    /// What a run counted, in words. Where there is nothing to compare with, nothing is called the same.
    fn counted(&self, run: &Run) -> String {
        let is_event = self.events.contains(&(run.task.clone(), run.destination.clone()));
        let same = if is_event { 0 } else { run.counts.same };
        words::counted(&Counts { same, ..run.counts })
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        // What nobody works on any more is cut off, whatever is written there.
        let judge = matches!(filter.result, Some(RunResult::CutOff | RunResult::Running)) && self.deserted;
        let mut page = RunFilter { result: filter.result.filter(|_| !judge), ..filter.clone() };
        let mut found = Vec::new();
        loop {
            let runs = store.runs(&page).await?;
            page.page = runs.last().map(|run| run.id);
            let all = runs.len() < filter.limit;
            let runs = runs.into_iter().map(|run| self.judged(run));
            found.extend(runs.filter(|run| filter.result.is_none_or(|wanted| wanted == run.result)));
            if all || found.len() >= filter.limit {
                found.truncate(filter.limit);
                return Ok(found);
            }
        }
    }

    fn judged(&self, run: Run) -> Run {
        if self.deserted && run.result == RunResult::Running {
            return Run { result: RunResult::CutOff, ..run };
        }
        run
    }

    /// The one run that is meant.
    async fn one(&self, id: &Prefix) -> Result<(&LocalStore, Run), Refused> {
        let none = || Refused::Usage(format!("there is no run {}; `cupid runs list` shows them", id.text));
        let store = self.store.as_ref().ok_or_else(none)?;
        let mut found = store.runs_between(id.first, id.last).await?;
        match (found.len(), found.pop()) {
            (1, Some(run)) => Ok((store, self.judged(run))),
            (0, _) => Err(none()),
            _ => Err(Refused::Usage(format!("several runs begin with {}; type more of the id", id.text))),
        }
    }
}

/// Does it.
pub(super) async fn runs(config: &Config, command: RunsCommand) -> ExitCode {
    let done = async {
        let shelf = Shelf::open(config).await?;
        match command {
            RunsCommand::List { which, limit, json } => {
                list::list(&shelf, &which.filter(false, limit), json).await
            }
            RunsCommand::Show { id, json } => show::show(&shelf, &id, json).await,
            RunsCommand::Log { id } => log::log(&shelf, config, &id).await,
            RunsCommand::Export { which, format } => export::export(&shelf, &which, format).await,
        }
    };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused::State(e)) => {
            eprintln!("error: {e}");
            ExitCode::from(exit::STATE)
        }
        Err(Refused::Usage(e)) => {
            eprintln!("error: {e}");
            ExitCode::from(exit::CONFIG)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_shortened() {
        let whole = prefix("0199c0de-0000-7000-8000-000000000001").unwrap();
        assert_eq!(whole.first, whole.last);
        let short = prefix("0199c0de").unwrap();
        assert_eq!(short.first.to_string(), "0199c0de-0000-0000-0000-000000000000");
        assert_eq!(short.last.to_string(), "0199c0de-ffff-ffff-ffff-ffffffffffff");
        let longer = prefix("0199c0de-00").unwrap();
        assert_eq!(longer.last.to_string(), "0199c0de-00ff-ffff-ffff-ffffffffffff");
        for text in ["", "0199", "0199c0dg", "0199c0de-0000-7000-8000-0000000000010"] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }
}
