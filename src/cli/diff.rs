//! `cupid diff`: what two tables disagree on, without a configuration.

mod plan;
mod show;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::exit;
use crate::audit::{Mapping, Tables, Wanted};
use crate::base::chain::chain;
use crate::base::signal::Requests;
use crate::config::{ColumnPolicy, TableUrl};
use crate::sql::{Database, Limits, PlaceError};
pub(super) use plan::Plan;
pub(super) use show::Show;
pub(super) use work::{Pacing, say_notes, work};

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
    #[command(flatten)]
    pace: Pacing,
    /// Write a plan that makes the copy agree, for people to read and cupid repair to carry out
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
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
    let limits = || Limits { connections: asked.pace.connections(), ..Limits::default() };
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
    let tables = match resolve(asked, names, places).await {
        Ok(tables) => tables,
        Err(e) => {
            eprintln!("error: {}", chain(&e));
            // A name that is not there is a mistake of whoever typed it, a database that is away is not.
            let code = if e.kind.is_passing() { exit::UNVERIFIED } else { exit::CONFIG };
            return ExitCode::from(code);
        }
    };
    let show = Show::new(asked.rows, asked.json);
    say_notes(&tables, asked.pace.strategy);
    let plan = match Plan::begin(asked.plan.as_deref(), &tables, asked.filter.is_some(), &places[1]).await {
        Ok(plan) => plan,
        Err(code) => return ExitCode::from(code),
    };
    let tables = if plan.is_wanted() { tables.with_rows() } else { tables };
    ExitCode::from(work(&tables, &asked.pace.pace(asked.confirm), &show, plan).await)
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
    let wanted = Wanted {
        tables,
        key: pairs(&asked.key),
        columns,
        filters: [asked.filter.clone(), of_copy],
        gone: None,
    };
    Box::pin(Tables::resolve(places.clone(), &wanted)).await
}
