//! One comparison: what is told while it goes on, and the code that it ends with.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::plan::Plan;
use super::show::{Progress, Show};
use crate::audit::{Chosen, Event, Pace, Strategy, Tables, Tally, audit};
use crate::base::chain::chain;
use crate::cli::exit;

/// Events that wait to be shown.
const EVENTS: usize = 1024;

/// How hard it works.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct Pacing {
    /// How long a statement should take
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = crate::cli::args::length)]
    chunk_time: Duration,
    /// Whether all rows are read, or the servers digest them and only what differs is read; auto: whichever is faster
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = how)]
    pub(super) strategy: Strategy,
    /// Stretches of the tables that are read at once
    #[arg(short = 'j', long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

impl Pacing {
    /// With how long a difference must stand.
    pub(in crate::cli) fn pace(&self, confirm: Duration) -> Pace {
        Pace { chunk_time: self.chunk_time, parallel: self.threads, confirm, strategy: self.strategy }
    }

    /// Connections that a place needs.
    pub(in crate::cli) fn connections(&self) -> usize {
        self.threads.clamp(1, 32) + 2
    }

    pub(in crate::cli) fn strategy(&self) -> Strategy {
        self.strategy
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

/// What people should know before they read the result.
pub(in crate::cli) fn say_notes(tables: &Tables, strategy: Strategy) {
    for note in tables.notes() {
        eprintln!("note: {note}");
    }
    // Nobody expects digests of SQLite who has not asked for them.
    let expected = match strategy {
        Strategy::Auto => !tables.places().iter().any(|place| place.starts_with("sqlite")),
        strategy => strategy == Strategy::Digest,
    };
    if let Some(why) = tables.without_digests().filter(|_| expected) {
        eprintln!("note: rows are read, there are no digests: {why}");
    }
}

/// Compares, and tells. Returns the code to end with.
pub(in crate::cli) async fn work(tables: &Tables, pace: &Pace, show: &Show, mut plan: Plan<'_>) -> u8 {
    let (sender, mut receiver) = mpsc::channel(EVENTS);
    let began = Instant::now();
    let watch = async {
        let (mut progress, mut chosen) = (Progress::new(), None);
        while let Some(event) = receiver.recv().await {
            match event {
                Event::Found(difference) => {
                    progress.clear();
                    show.difference(tables, &difference);
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
    let walk = async {
        let result = Box::pin(audit(tables, pace, &sender)).await;
        drop(sender);
        result
    };
    let (result, chosen) = tokio::join!(walk, watch);
    let planned = plan.finish();
    match result {
        Ok(tally) => {
            let digested = tally.digested > 0 || pace.strategy == Strategy::Digest;
            let differs = |how: &&Chosen| how.strategy != pace.strategy && tables.without_digests().is_none();
            if let Some(Chosen { why, .. }) = chosen.as_ref().filter(differs).filter(|_| digested) {
                eprintln!("note: {why}");
            }
            show.end(tables, &tally, chosen.as_ref(), began.elapsed());
            planned.unwrap_or_else(|| code(&tally))
        }
        Err(e) => {
            eprintln!("error: {}", chain(&e));
            eprintln!("not everything was compared; what was shown stands");
            exit::UNVERIFIED
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
