//! A million open deliveries, made by scanning real tables while the receiver is away; then it comes back.
//!
//! `cargo bench --bench backlog` prints the memory of the daemon with all of them open, how long `cupid status` takes, the
//! rate at which they are worked off, and how long new differences take from their INSERT to the receiver meanwhile.
//! `CUPID_BENCH_ROWS=2000` makes fewer, `CUPID_BENCH_SECONDS=60` ends the draining earlier. MariaDB if it is there, else SQLite.

#![allow(
    clippy::allow_attributes,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a program that shares the test ground and uses a part of it"
)]

#[path = "support/receiver.rs"]
mod axum_receiver;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;

use axum_receiver::Receiver;
use support::config::with;
use support::daemon::{Daemon, Site};
use support::db::Db;
use support::pair::{Pair, TABLE};
use support::servers::free_port;
use support::state;

/// New rows are those behind all of the backlog.
const NEW: i64 = 1_000_000_000;
const LONG: Duration = Duration::from_secs(7200);

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows = setting("CUPID_BENCH_ROWS", 1_000_000);
    let seconds = Duration::from_secs(setting("CUPID_BENCH_SECONDS", 600).unsigned_abs());
    let pair = match Pair::new(Engine::MySql).await {
        Some(pair) => pair,
        None => Pair::new(Engine::Sqlite).await.unwrap(),
    };
    let t = pair.src.quote(TABLE);
    let numbers = if pair.src.engine == Engine::MySql {
        format!("SELECT seq AS i FROM seq_1_to_{rows}")
    } else {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n"
        )
    };
    let text = |name: &str| match pair.src.engine {
        Engine::MySql => format!("concat('{name}', i)"),
        _ => format!("'{name}' || i"),
    };
    pair.src
        .run(format!(
            "INSERT INTO {t} (id, number, name, phone) SELECT i, {}, {}, {} FROM ({numbers}) AS numbers",
            text("n"),
            text("name "),
            text("+86 ")
        ))
        .await;

    let mut receiver = Receiver::at(free_port(), Duration::ZERO, NEW);
    let more = json!({
        "verify": false, "breaker": { "pause": "5s", "max": "5s" }, "sweep": false, "log": { "level": "warn" },
    });
    let mut config = with(pair.inserts(&receiver.url()), more);
    config["des"][0]["callbackNotification"]["concurrency"] = 32.into();
    let site = Site::new(&config);
    let began = Instant::now();
    let mut daemon = site.start();
    wait(&mut daemon, &site, "SELECT count(*) FROM delivery WHERE state NOT IN ('suspect')", rows).await;
    let took = began.elapsed().as_secs_f64();
    let engine = pair.src.engine;
    println!("{rows} open deliveries, {engine} to {engine}, found and confirmed in {took:.1} s");
    println!(
        "  memory: {} MiB resident, {} MiB at most (budget 100)",
        resident(daemon.pid()) / 1024,
        daemon.peak_rss_kib() / 1024
    );
    let size = std::fs::metadata(state::file(&site)).unwrap().len() >> 20;
    let began = Instant::now();
    let status = site.run(&["status", "-c", "{c}"]);
    println!(
        "  `cupid status` takes {:.2} s (budget 1), the state {size} MiB",
        began.elapsed().as_secs_f64()
    );
    assert!(status.stdout.contains("is left alone"), "{}", status.all());

    receiver.up().await;
    let (started, mut waits, mut next) = (Instant::now(), Vec::new(), NEW);
    let mut first = None;
    let all = rows.unsigned_abs();
    while receiver.calls() < all && started.elapsed() < seconds {
        assert!(daemon.running(), "{}", daemon.output());
        if receiver.calls() < 1000.min(all / 4) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let (at, before) = *first.get_or_insert_with(|| (Instant::now(), receiver.calls()));
        let _ = (at, before);
        next += 1;
        pair.fill_source(next..=next).await;
        let inserted = Instant::now();
        let arrived = loop {
            if let Some(arrived) = receiver.arrived(next) {
                break arrived;
            }
            assert!(inserted.elapsed() < Duration::from_secs(60), "a new row was not told within a minute");
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        if receiver.calls() < all {
            waits.push(arrived.saturating_duration_since(inserted));
        }
    }
    let (at, before) = first.unwrap_or((started, 0));
    let rate = (receiver.calls() - before) as f64 / at.elapsed().as_secs_f64();
    println!(
        "  the receiver is back: {rate:.0} rows/s, {} of {rows} sent when the measuring ended",
        receiver.calls()
    );
    waits.sort_unstable();
    let of = |part: f64| {
        waits.get((waits.len().saturating_sub(1) as f64 * part) as usize).copied().unwrap_or_default()
    };
    println!(
        "  {} new rows meanwhile, from INSERT to receiver: median {:.2?}, p99 {:.2?}, longest {:.2?} (budget: interval 0.1 s \
         + confirm 1 s + 2 s)",
        waits.len(),
        of(0.5),
        of(0.99),
        of(1.0)
    );
    println!("  memory at most {} MiB (budget 100)", daemon.peak_rss_kib() / 1024);
    daemon.stop().await;
}

async fn wait(daemon: &mut Daemon, site: &Site, sql: &str, wanted: i64) {
    let began = Instant::now();
    loop {
        assert!(daemon.running(), "{}", daemon.output());
        if state::try_number(site, sql).await == Some(wanted) {
            return;
        }
        assert!(began.elapsed() < LONG, "not within two hours: {sql}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
