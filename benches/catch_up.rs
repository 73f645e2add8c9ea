//! Catch-up of the insert feed against cupid-go's algorithm, in one run on the same tables.
//!
//! `cargo bench --bench catch_up` starts a private MariaDB, fills two tables of 200 000 rows with 400 planted
//! differences, and lets each algorithm find them. cupid-go asks for each source row by its id and then for its copy,
//! one statement each; here these are prepared, pooled, and tried with several numbers of workers, of which the
//! fastest counts. cupid is the daemon itself, from the start of its process to the callback of the last row.

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

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Row};

use support::config::with;
use support::daemon::Site;
use support::pair::{Pair, TABLE};
use support::receiver::Receiver;

const ROWS: i64 = 200_000;
const DIFFERENT: usize = 400;
/// Rows that the slow side is given; its rate does not depend on it.
const BASELINE_ROWS: i64 = 40_000;
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let Some(pair) = Pair::new(Engine::MySql).await else {
        println!("catch_up: skipped, MariaDB is not installed");
        return;
    };
    for db in [&pair.src, &pair.des] {
        let t = db.quote(TABLE);
        db.run(format!(
            "INSERT INTO {t} (id, number, name, phone)
             SELECT seq, concat('n', seq), concat('name ', seq), concat('+86 ', seq) FROM seq_1_to_{ROWS}"
        ))
        .await;
        db.run(format!("ANALYZE TABLE {t}")).await;
    }
    let lost: Vec<i64> = (0..200).map(|i| 1 + i * 997).collect();
    let spoilt: Vec<i64> = (0..200).map(|i| 500 + i * 991).collect();
    pair.lose(&lost).await;
    pair.spoil(&spoilt).await;

    println!("catch-up of {ROWS} rows, {DIFFERENT} differences, MariaDB to MariaDB, key indexed");
    let mut best = 0.0_f64;
    for workers in [1, 3, 8] {
        let rate = cupid_go(&pair, workers).await;
        println!("  cupid-go's algorithm, {workers} workers: {rate:>10.0} rows/s");
        best = best.max(rate);
    }
    let mut rates = Vec::new();
    for _ in 0..3 {
        let (rate, own, peak) = daemon(&pair).await;
        println!(
            "  cupid, whole process:            {rate:>10.0} rows/s (scan alone {own} rows/s, peak {peak} MiB)"
        );
        rates.push(rate);
    }
    rates.sort_by(f64::total_cmp);
    println!("  ratio (median of 3 against the fastest baseline): {:.1}", rates[1] / best);
}

/// Rows per second of one SELECT per source id and one per destination.
async fn cupid_go(pair: &Pair, workers: usize) -> f64 {
    let pool = |db: &support::db::Db| {
        let (url, n) = (db.url(), u32::try_from(workers).unwrap());
        async move { MySqlPoolOptions::new().max_connections(n).connect(&url).await.unwrap() }
    };
    let (src, des) = (pool(&pair.src).await, pool(&pair.des).await);
    let next = Arc::new(AtomicI64::new(1));
    let found = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (src, des, next, found) = (src.clone(), des.clone(), next.clone(), found.clone());
        tasks.spawn(async move {
            let by_id = format!("SELECT id, number, name, phone FROM `{TABLE}` WHERE id = ?");
            let by_key = format!("SELECT name, phone FROM `{TABLE}` WHERE number = ?");
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id > BASELINE_ROWS {
                    return;
                }
                let Some(row) =
                    sqlx::query(AssertSqlSafe(by_id.clone())).bind(id).fetch_optional(&src).await.unwrap()
                else {
                    continue;
                };
                let number: String = row.get(1);
                let copy = sqlx::query(AssertSqlSafe(by_key.clone()))
                    .bind(number)
                    .fetch_optional(&des)
                    .await
                    .unwrap();
                let same = copy.is_some_and(|copy| {
                    row.get::<Option<String>, _>(2) == copy.get::<Option<String>, _>(0)
                        && row.get::<Option<String>, _>(3) == copy.get::<Option<String>, _>(1)
                });
                found.fetch_add(usize::from(!same), Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let rate = BASELINE_ROWS as f64 / began.elapsed().as_secs_f64();
    assert!(found.load(Ordering::Relaxed) > 0, "the baseline must see differences");
    src.close().await;
    des.close().await;
    rate
}

/// Rows per second of the whole daemon; what it says of the scan alone; its peak memory.
async fn daemon(pair: &Pair) -> (f64, String, u64) {
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false, "confirm": "0s" })));
    let began = Instant::now();
    let mut daemon = site.start();
    daemon.until("the scan has caught up", LIMIT, || true).await;
    daemon.wait_output("caught up").await;
    daemon.until("all differences are called back", LIMIT, || receiver.count() >= DIFFERENT).await;
    let took = began.elapsed().as_secs_f64();
    let peak = daemon.peak_rss_kib() / 1024;
    let output = daemon.output();
    let own = output
        .lines()
        .find(|line| line.contains("caught up"))
        .and_then(|line| line.split("rows_per_s=").nth(1))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or("?")
        .to_owned();
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    assert_eq!(receiver.count(), DIFFERENT, "each once, none else");
    (ROWS as f64 / took, own, peak)
}
