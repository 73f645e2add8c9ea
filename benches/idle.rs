//! What the daemon costs while nothing happens: three tasks that have caught up, with default settings.
//!
//! `cargo bench --bench idle` starts a private MariaDB and PostgreSQL, gives each task 10 000 equal rows, waits until all
//! have caught up and settled, and then measures one minute: processor time and memory of the process, and the
//! statements that the servers counted. MariaDB to PostgreSQL, PostgreSQL to MariaDB, SQLite to SQLite.

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

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::{Map, Value, json};

use support::daemon::Site;
use support::db::Db;
use support::pair::{Pair, TABLE};
use support::receiver::Receiver;

const ROWS: i64 = 10_000;
/// Until everything that was found at the start has settled.
const CALM: Duration = Duration::from_secs(90);
const MEASURED: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let receiver = Receiver::answering(200).await;
    let (mut tasks, mut pairs) = (Map::new(), Vec::new());
    for (from, to) in [
        (Engine::MySql, Engine::Postgres),
        (Engine::Postgres, Engine::MySql),
        (Engine::Sqlite, Engine::Sqlite),
    ] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        let pair = Pair::of(src, des).await;
        for first in (1..=ROWS).step_by(1000) {
            pair.fill(first..=first + 999).await;
        }
        let mut config = pair.both_feeds(&receiver.url());
        let (mut src, des) = (config["src"].take(), config["des"].take());
        for default in ["insertIntervalMillisecond", "updateIntervalMillisecond", "updateScanSecond"] {
            src.as_object_mut().unwrap().remove(default);
        }
        tasks.insert(format!("{from}"), json!({ "src": src, "des": des }));
        pairs.push(pair);
    }
    let site = Site::new(&json!({ "tasks": tasks }));
    let mut daemon = site.start();
    let begun = Instant::now();
    daemon.until("all have caught up", Duration::from_secs(300), || begun.elapsed() > CALM).await;
    let stat = |daemon: &support::daemon::Daemon| processor_ticks(daemon.pid());
    let (ticks, mut counts) = (stat(&daemon), Vec::new());
    for pair in &pairs {
        counts.push((statements(&pair.src).await, statements(&pair.des).await));
    }
    let began = Instant::now();
    daemon.until("a minute is over", MEASURED * 2, || began.elapsed() > MEASURED).await;
    let took = began.elapsed().as_secs_f64();
    let spent = (stat(&daemon) - ticks) as f64 / 100.0;
    println!(
        "idle, {} tasks: {:.2} % of a core ({spent:.2} s in {took:.0} s), {} KiB resident, {} KiB at most",
        pairs.len(),
        100.0 * spent / took,
        memory(daemon.pid(), "VmRSS:"),
        daemon.peak_rss_kib()
    );
    for (pair, (src, des)) in pairs.iter().zip(counts) {
        if let (Some(src), Some(des)) = (src, des) {
            let (now_src, now_des) =
                (statements(&pair.src).await.unwrap(), statements(&pair.des).await.unwrap());
            println!(
                "  {} to {}: {:.1} statements a second at the source's server, {:.1} at the copy's, all tasks together",
                pair.src.engine,
                pair.des.engine,
                (now_src - src) as f64 / took,
                (now_des - des) as f64 / took
            );
        }
    }
    assert_eq!(receiver.count(), 0);
    daemon.stop().await;
}

/// Hundredths of a second that a process has computed.
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Statements of all databases of a server; `None` for SQLite.
async fn statements(db: &Db) -> Option<i64> {
    match db.engine {
        Engine::MySql => {
            let status = "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'";
            Some(db.number(format!("SELECT VARIABLE_VALUE FROM {status}")).await)
        }
        Engine::Postgres => Some(db.number("SELECT sum(xact_commit)::bigint FROM pg_stat_database").await),
        Engine::Sqlite => None,
    }
}
