//! `cupid diff`: what two tables disagree on, without a configuration.

mod plan;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::exit;
use crate::audit::{Chosen, Event, Mapping, Pace, Strategy, Tables, Tally, Wanted, audit};
use crate::base::chain::chain;
use crate::base::signal::Requests;
use crate::config::{ColumnPolicy, Engine, TableUrl};
use crate::sql::{Database, Limits, PlaceError};
use plan::Plan;
use show::{Progress, Show};

/// Events that wait to be shown.
const EVENTS: usize = 1024;

/// Two tables and how they are compared.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The source: URL of its database, with the table, as in the examples
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The copy: the same of the table that should agree
    #[arg(value_name = "COPY")]
    copy: String,
    /// Columns that tell rows apart: a,b or, where the copy calls them otherwise, a=x,b=y; the source's primary key without it
    #[arg(short = 'k', long = "key-columns", value_name = "COLUMNS", value_delimiter = ',')]
    key: Vec<String>,
    /// Compare only these: a,b or a=x,b=y; without it all that both have by the same name
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Leave these out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', conflicts_with = "columns")]
    ignore_columns: Vec<String>,
    /// Compare only rows that meet this condition, in SQL that both databases understand
    #[arg(short = 'w', long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// Another condition at the copy
    #[arg(long, value_name = "SQL", requires = "filter")]
    where_copy: Option<String>,
    /// Show each row: `-` only at the source, `+` only at the copy, `~` differs, `!` several rows for one key
    #[arg(long)]
    rows: bool,
    /// One JSON object per row that disagrees, the last one with the counts
    #[arg(long, conflicts_with = "rows")]
    json: bool,
    /// How long a difference must stand before it is believed; more than the copy lags behind
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::args::length)]
    confirm: Duration,
    /// How long a statement should take
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = super::args::length)]
    chunk_time: Duration,
    /// Whether all rows are read, or the servers digest them and only what differs is read; auto: whichever is faster
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = how)]
    strategy: Strategy,
    /// Write a plan that makes the copy agree, for people to read and cupid repair to carry out
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Stretches of the tables that are read at once
    #[arg(short = 'j', long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

/// Compares, and tells.
pub(super) async fn diff(asked: &Asked) -> ExitCode {
    let (source, copy) = match (TableUrl::parse(&asked.source), TableUrl::parse(&asked.copy)) {
        (Ok(source), Ok(copy)) => (source, copy),
        (source, copy) => {
            for (what, problem) in [("SOURCE", source.err()), ("COPY", copy.err())] {
                if let Some(problem) = problem {
                    eprintln!("error: {what}: {problem}");
                }
            }
            return ExitCode::from(exit::CONFIG);
        }
    };
    for note in source.notes.iter().chain(&copy.notes) {
        eprintln!("note: {note}");
    }
    let limits = || Limits { connections: asked.threads.clamp(1, 32) + 2, ..Limits::default() };
    let places = [&source.dsn, &copy.dsn].map(|dsn| Arc::new(Database::connect(dsn, limits())));
    let Ok(mut requests) = Requests::listen() else {
        eprintln!("error: signals cannot be received");
        return ExitCode::from(exit::INTERNAL);
    };
    let code = tokio::select! {
        code = compare(asked, [source.table, copy.table], &places) => code,
        _ = requests.next() => {
            eprintln!("interrupted: what was shown stands, the rest was not looked at");
            if let Some(plan) = &asked.plan {
                eprintln!("the plan {} was not written to its end and cannot be used", plan.display());
            }
            ExitCode::from(exit::INTERRUPTED)
        }
    };
    for place in &places {
        place.close().await;
    }
    code
}

async fn compare(asked: &Asked, names: [String; 2], places: &[Arc<Database>; 2]) -> ExitCode {
    let tables = match Box::pin(resolve(asked, names, places)).await {
        Ok(tables) => tables,
        Err(e) => {
            eprintln!("error: {}", chain(&e));
            // A name that is not there is a mistake of whoever typed it, a database that is away is not.
            let code = if e.kind.is_passing() { exit::UNVERIFIED } else { exit::CONFIG };
            return ExitCode::from(code);
        }
    };
    for note in tables.notes() {
        eprintln!("note: {note}");
    }
    // Nobody expects digests of SQLite who has not asked for them.
    let expected = match asked.strategy {
        Strategy::Auto => places.iter().all(|place| place.engine() != Engine::Sqlite),
        strategy => strategy == Strategy::Digest,
    };
    if let Some(why) = tables.without_digests().filter(|_| expected) {
        eprintln!("note: rows are read, there are no digests: {why}");
    }
    let mut plan = match Plan::begin(asked.plan.as_deref(), &tables, &places[1]).await {
        Ok(plan) => plan,
        Err(code) => return ExitCode::from(code),
    };
    let tables = if plan.is_wanted() { tables.with_rows() } else { tables };
    let pace = Pace {
        chunk_time: asked.chunk_time,
        parallel: asked.threads,
        confirm: asked.confirm,
        strategy: asked.strategy,
    };
    let (sender, mut receiver) = mpsc::channel(EVENTS);
    let (show, began) = (Show::new(asked.rows, asked.json), Instant::now());
    let watch = async {
        let (mut progress, mut chosen) = (Progress::new(), None);
        while let Some(event) = receiver.recv().await {
            match event {
                Event::Found(difference) => {
                    progress.clear();
                    show.difference(&tables, &difference);
                }
                Event::Rows(rows) => plan.add(&rows, &mut progress),
                Event::Read(rows) => progress.add(rows),
                Event::Chosen(how) => chosen = Some(how),
                Event::Undigested(stretches) => {
                    progress.clear();
                    eprintln!(
                        "note: {stretches} stretches could not be digested by the servers: their rows were read"
                    );
                }
            }
        }
        progress.clear();
        chosen
    };
    let work = async {
        let result = Box::pin(audit(&tables, &pace, &sender)).await;
        drop(sender);
        result
    };
    let (result, chosen) = tokio::join!(work, watch);
    let planned = plan.finish();
    match result {
        Ok(tally) => {
            let digested = tally.digested > 0 || asked.strategy == Strategy::Digest;
            let differs =
                |how: &&Chosen| how.strategy != asked.strategy && tables.without_digests().is_none();
            if let Some(Chosen { why, .. }) = chosen.as_ref().filter(differs).filter(|_| digested) {
                eprintln!("note: {why}");
            }
            show.end(&tables, &tally, chosen.as_ref(), began.elapsed());
            ExitCode::from(planned.unwrap_or_else(|| code(&tally)))
        }
        Err(e) => {
            eprintln!("error: {}", chain(&e));
            eprintln!("not everything was compared; what was shown stands");
            ExitCode::from(exit::UNVERIFIED)
        }
    }
}

/// What was not looked at outweighs what was found.
fn code(tally: &Tally) -> u8 {
    match (tally.is_partial(), tally.differences()) {
        (true, _) => exit::UNVERIFIED,
        (false, 0) => 0,
        (false, _) => exit::DIFFERENCES,
    }
}

fn how(word: &str) -> Result<Strategy, String> {
    match word {
        "auto" => Ok(Strategy::Auto),
        "stream" => Ok(Strategy::Stream),
        "digest" => Ok(Strategy::Digest),
        _ => Err("it is auto, stream or digest".to_owned()),
    }
}

async fn resolve(
    asked: &Asked,
    tables: [String; 2],
    places: &[Arc<Database>; 2],
) -> Result<Tables, PlaceError> {
    let pairs = |list: &[String]| -> Vec<(String, String)> {
        let pair = |word: &String| match word.split_once('=') {
            Some((a, b)) => (a.trim().to_owned(), b.trim().to_owned()),
            None => (word.trim().to_owned(), word.trim().to_owned()),
        };
        list.iter().map(pair).collect()
    };
    let columns = if asked.columns.is_empty() {
        Mapping::Same { but: asked.ignore_columns.iter().map(|name| name.trim().to_owned()).collect() }
    } else {
        let policy = |(a, b)| (a, b, ColumnPolicy::default());
        Mapping::These(pairs(&asked.columns).into_iter().map(policy).collect())
    };
    let of_copy = asked.where_copy.clone().or_else(|| asked.filter.clone());
    let wanted = Wanted { tables, key: pairs(&asked.key), columns, filters: [asked.filter.clone(), of_copy] };
    Tables::resolve(places.clone(), &wanted).await
}
