//! `cupid deliveries replay` and `close`: any number of deliveries.

use std::collections::HashSet;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::super::exit;
use super::super::text::{age, number, plain, table};
use super::args::{Bulk, MOST_NAMED};
use super::desk::{self, Desk};
use super::list::is_parked;
use super::{Ends, pick, who};
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::Job;
use crate::model::State;
use crate::store::local::LocalStore;
use crate::store::{Act, Doing, History, Order, Select, Store, Tally, Verb};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);
/// Deliveries that are looked at in one piece.
const PIECE: usize = 500;

/// Counts what is meant, asks, and does it.
pub(super) async fn act(config: &Config, given: &str, verb: Verb, bulk: Bulk) -> Result<u8, Ends> {
    let Bulk { filter, limit, dry_run, yes, note, author } = bulk;
    let store = desk::must_view(config).await?;
    let named = !(filter.deliveries.is_empty() && filter.id.is_empty());
    let mut select = pick::select(&store, filter, &[State::Dead]).await?;
    if let Some(limit) = limit {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        select.numbers = some(&store, &select, limit).await?;
        if select.numbers.is_empty() {
            select = Select { states: Vec::new(), until: Some(i64::MIN), ..Select::default() };
        }
    }
    if select.numbers.len() > MOST_NAMED as usize {
        let words =
            format!("at most {MOST_NAMED} deliveries can be named in one go; use --state and other filters");
        return Err(Ends::new(exit::CONFIG, words));
    }
    let tally = store.tally(&select).await?;
    let total: u64 = tally.iter().map(|t| t.count).sum();
    if dry_run || total == 0 {
        let would = rehearsed(&store, verb, &select).await?;
        store.close().await;
        println!("{}", counted(config, &would, &tally, total).join("\n"));
        return Ok(0);
    }
    store.close().await;
    if !named && !yes && !agreed(config, verb, &tally, total)? {
        println!("nothing was done");
        return Ok(0);
    }
    let desk = Desk::open(config).await?;
    let mut told = Instant::now();
    let done = desk.act(verb, select, who::author(author), note, |job| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            eprintln!("{} of {} …", number(handled(job)), number(total));
        }
    });
    let job = done.await;
    desk.close().await;
    let job = job?;
    println!("{}", said(&job, given).join("\n"));
    Ok(if job.busy > 0 || !job.refused.is_empty() { exit::FAILED } else { 0 })
}

async fn some(store: &dyn History, select: &Select, limit: usize) -> Result<Vec<i64>, Ends> {
    let (mut numbers, mut after) = (Vec::new(), None);
    while numbers.len() < limit {
        let found = store.find(select, Order::Oldest, after, limit - numbers.len()).await?;
        numbers.extend(found.places.iter().map(|place| place.number));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    Ok(numbers)
}

fn handled(job: &Job) -> u64 {
    job.done + job.already + job.busy + job.refused.values().sum::<u64>()
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{} deliveries", number(count)) }
}

/// What is meant, by lane and state.
pub(super) fn counts(config: &Config, verb: Option<Verb>, tally: &[Tally]) -> Vec<String> {
    let now = Clock::system().now();
    let rows: Vec<Vec<String>> = tally
        .iter()
        .map(|t| {
            // What ended is open again afterwards.
            let open = verb == Some(Verb::Replay) || State::parse(&t.state).is_none_or(State::is_open);
            let parked = if open && is_parked(config, &t.task, &t.destination) { " (parked)" } else { "" };
            let lane = format!("{} → {}{parked}", plain(&t.task), plain(&t.destination));
            vec![number(t.count), t.state.clone(), lane, format!("{} ago", age(t.oldest, now))]
        })
        .collect();
    table(&[">COUNT", "STATE", "TASK → DESTINATION", "OLDEST FOUND"], &rows)
}

/// What would become of what is meant, piece by piece as it would be done.
async fn rehearsed(store: &LocalStore, verb: Verb, select: &Select) -> Result<Job, Ends> {
    let mut job = Job::new(verb, select.clone());
    let (mut taken, mut after) = (HashSet::new(), None);
    loop {
        let found = store.find(select, Order::Oldest, after, PIECE).await?;
        let numbers = found.places.iter().map(|place| place.number).collect();
        let doing = if verb == Verb::Close { Doing::Close } else { Doing::Replay };
        let act = Act { doing, author: String::new(), note: None, numbers, named: select.named, now: 0 };
        for (_, acted) in store.would_act(&act, &mut taken).await? {
            job.count(acted);
        }
        after = found.next;
        if after.is_none() {
            return Ok(job);
        }
    }
}

fn counted(config: &Config, would: &Job, tally: &[Tally], total: u64) -> Vec<String> {
    if total == 0 {
        return vec!["no delivery fits, nothing to do".to_owned()];
    }
    let mut out = counts(config, Some(would.verb), tally);
    let did = if would.verb == Verb::Close { "would be closed" } else { "would be sent again" };
    out.push(format!("{did}: {}; nothing was done", deliveries(would.done)));
    out.extend(left(would));
    out
}

/// Asks a person; without one, `--yes` must have been typed.
fn agreed(config: &Config, verb: Verb, tally: &[Tally], total: u64) -> Result<bool, Ends> {
    let what = format!("{} {}", verb.as_str(), deliveries(total));
    if !std::io::stdin().is_terminal() {
        let words = format!("this would {what}; look with --dry-run, and type --yes to do it");
        return Err(Ends::new(exit::CONFIG, words));
    }
    println!("{}", counts(config, Some(verb), tally).join("\n"));
    print!("{what}? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn said(job: &Job, given: &str) -> Vec<String> {
    let did = if job.verb == Verb::Close { "closed" } else { "to be sent again" };
    let mut out = vec![format!("{did}: {}", deliveries(job.done))];
    out.extend(left(job));
    if job.verb == Verb::Replay && job.done > 0 {
        out.push(format!("watch them with: cupid queue -c {given}"));
    }
    out
}

/// What it is not done with, and why.
fn left(job: &Job) -> Vec<String> {
    let already = if job.verb == Verb::Close { "closed before" } else { "waits to be sent already" };
    let mut out = Vec::new();
    if job.already > 0 {
        out.push(format!("{already}: {}", number(job.already)));
    }
    if job.busy > 0 {
        out.push(format!(
            "being called or looked at all the while, left alone: {}; ask again in a moment",
            number(job.busy)
        ));
    }
    for (why, count) in &job.refused {
        out.push(format!("left alone: {}, {}", number(*count), why.words()));
    }
    out
}
