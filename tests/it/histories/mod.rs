//! Random histories on real servers: applications, a replicator, daemons that are killed and cut off, and whose clocks
//! are not those of their databases. The test's own ledger decides what had to be said, and what must not have been.
//!
//! `CUPID_HISTORY_SEEDS=200` goes through so many seeds instead of a few, `CUPID_SEED=17` begins with that one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::blind::Blind;
use crate::support::db::Db;
use crate::support::dice::{Dice, seed};
use crate::support::servers::{start_mysql, start_postgres};
use crate::support::wait::wait_for;

mod desk;
mod ledger;
mod post;
mod replica;
mod story;
mod tables;

use desk::Desk;
use ledger::{Told, Verdict};
use post::{CLOCKS, Post};
use replica::Replica;
use story::Story;
use tables::{TABLES, Table};

/// Seeds side by side, each with connections of its own.
const LANES: u64 = 34;
const DESKS: usize = 3;
/// Until everything that differs for good has been told: far beyond what is normal, and less than it takes until gaps
/// are looked at again.
const LIMIT: Duration = Duration::from_secs(55);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    let Some(server) = start_mysql(&["--max-connections=400"], &[]).await else { return };
    histories(Arc::new(server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let Some(server) = start_postgres(&[], &[]).await else { return };
    histories(Arc::new(server)).await;
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn histories(server: Arc<crate::support::servers::Server>) {
    let seeds = number("CUPID_HISTORY_SEEDS").unwrap_or(LANES);
    let first = number("CUPID_SEED").unwrap_or_else(|| seed() % 1_000_000);
    eprintln!("CUPID_SEED={first} CUPID_HISTORY_SEEDS={seeds}");
    let (src, des) = (Db::on(&server).await, Db::on(&server).await);
    let tables = Table::all(server.engine);
    for table in tables {
        table.create(&src, &des).await;
    }
    let blind = Blind::of(&src).await;
    let replica = Replica::new(&des, TABLES, first).await;
    for table in tables {
        replica.plant(table, &src).await;
    }
    let mut posts = Vec::new();
    for (at, of) in tables.chunks(TABLES / CLOCKS.len()).enumerate() {
        let Some(post) = Post::new(at, of, (&src, &des), &blind, &replica).await else { return };
        posts.push(post);
    }
    let mut tasks = JoinSet::new();
    replica.copy(&mut tasks);

    let began = Instant::now();
    let lanes = (0..LANES.min(seeds)).map(|lane| {
        let (replica, src) = (replica.clone(), src.clone());
        async move {
            let mut desks = Vec::new();
            for _ in 0..DESKS {
                desks.push(Desk::open(&src).await);
            }
            for seed in (first + lane..first + seeds).step_by(LANES as usize) {
                let table = tables[(seed % TABLES as u64) as usize];
                Story { seed, table, replica: &replica, desks: &mut desks }.tell().await;
            }
        }
    });
    let log = Mutex::new(Vec::new());
    let over = CancellationToken::new();
    let trouble = (0_u64..).zip(&mut posts);
    let trouble = trouble.map(|(at, post)| post.suffer(Dice::new(first ^ (at << 32)), &over, &log));
    let written = async {
        join_all(lanes).await;
        over.cancel();
    };
    tokio::join!(written, join_all(trouble));
    let wrote = began.elapsed();

    quiet(&posts, &replica, &tables).await;
    check_ledger(&replica, &src, &des).await;
    posts.iter_mut().for_each(Post::check);
    let mut log = log.into_inner().unwrap();
    log.sort_unstable();
    let trouble: Vec<String> =
        log.chunk_by(|a, b| a == b).map(|same| format!("{} {}", same.len(), same[0])).collect();
    let verdict = judge(&posts, &replica, &tables);
    report(&server.engine.to_string(), seeds, &replica, &verdict, calls(&posts).len());
    eprintln!("written in {wrote:.1?}, quiet {:.1?} later; {}", began.elapsed() - wrote, trouble.join(", "));
    assert_eq!(
        (verdict.untold.len(), verdict.unfounded.len(), verdict.backwards.len()),
        (0, 0, 0),
        "untold, unfounded and backwards; as told above, from CUPID_SEED={first} CUPID_HISTORY_SEEDS={seeds}"
    );
}

fn calls(posts: &[Post]) -> Vec<Told> {
    posts.iter().flat_map(Post::told).collect()
}

fn judge(posts: &[Post], replica: &Replica, tables: &[Table]) -> Verdict {
    replica.ledger.lock().unwrap().judge(&calls(posts), |table| tables[table].is_swept())
}

/// Waits until nothing is under way and nothing is owed; what is never told is said by the verdict.
async fn quiet(posts: &[Post], replica: &Replica, tables: &[Table]) {
    let since = Instant::now();
    wait_for("the replicator has brought everything", LIMIT, async || replica.is_drained().then_some(()))
        .await;
    wait_for("everything is told", LIMIT * 2, async || {
        if since.elapsed() > LIMIT {
            return Some(());
        }
        if !judge(posts, replica, tables).untold.is_empty() {
            return None;
        }
        for post in posts {
            if post.waiting().await? > 0 {
                return None;
            }
        }
        replica.is_drained().then_some(())
    })
    .await;
}

/// The ledger is what the databases say.
async fn check_ledger(replica: &Replica, src: &Db, des: &Db) {
    let ledger = replica.ledger.lock().unwrap().clone();
    for at in 0..TABLES {
        for (db, table, copy) in [(src, format!("s{at}"), false), (des, format!("c{at}"), true)] {
            let rows = db.texts(format!("SELECT number, name FROM {table}")).await;
            let digits = |text: &Option<String>| text.as_ref().unwrap()[1..].parse::<u64>().unwrap();
            let rows = rows.iter().map(|row| (digits(&row[0]), digits(&row[1]))).collect();
            assert_eq!(ledger.shows(at, copy), rows, "{table}");
        }
    }
}

fn report(engine: &str, seeds: u64, replica: &Replica, verdict: &Verdict, calls: usize) {
    let ledger = replica.ledger.lock().unwrap();
    let listed =
        [("untold", &verdict.untold), ("unfounded", &verdict.unfounded), ("backwards", &verdict.backwards)];
    for (what, list) in listed {
        list.iter().take(10).for_each(|line| eprintln!("{what}: {line}"));
    }
    eprintln!(
        "{engine}: {seeds} seeds, {} commits, {} rolled back, {} refused; {} rows differ for good ({} of them beyond what \
         the feeds promise), {calls} callbacks, {} of them about rows that were late by more than the confirm time; \
         untold {}, unfounded {}, backwards {}",
        ledger.commits,
        ledger.rolled_back,
        ledger.refused,
        verdict.differ,
        verdict.unpromised,
        verdict.late,
        verdict.untold.len(),
        verdict.unfounded.len(),
        verdict.backwards.len(),
    );
}
