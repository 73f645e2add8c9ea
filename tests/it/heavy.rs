//! What takes the machine for itself: many rows, and many kills.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::config::with;
use crate::support::daemon::{Site, is_release};
use crate::support::db::Db;
use crate::support::dice::Dice;
use crate::support::pair::{Pair, TABLE, id_of, ids_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(120);

/// Peak resident memory allowed in a release build, KiB.
const PEAK_RSS: u64 = 40 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_rows_with_four_hundred_differences() {
    const ROWS: i64 = 200_000;
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    let different = plant(&pair, ROWS).await;

    // A receiver that only answers, told once; then one that repairs.
    let deaf = Receiver::answering(200).await;
    let quiet = with(pair.inserts(&deaf.url()), json!({ "verify": false }));
    all_of_them(&pair, &deaf, &quiet, &different, ROWS + 1, "answering").await;
    pair.des
        .run(format!(
            "INSERT INTO `{TABLE}` SELECT * FROM {}.`{TABLE}` WHERE id = {}",
            pair.src.name,
            ROWS + 1
        ))
        .await;
    let repairer = pair.repairer().await;
    let config = pair.inserts(&repairer.url());
    all_of_them(&pair, &repairer, &config, &different, ROWS + 2, "repairing").await;
    assert_eq!(pair.differences().await, [0_i64; 0]);
}

/// Fills both sides of a MariaDB with equal rows and makes 400 of them different.
async fn plant(pair: &Pair, rows: i64) -> Vec<i64> {
    for db in [&pair.src, &pair.des] {
        let t = db.quote(TABLE);
        db.run(format!(
            "INSERT INTO {t} (id, number, name, phone)
             SELECT seq, concat('n', seq), concat('name ', seq), concat('+86 ', seq) FROM seq_1_to_{rows}"
        ))
        .await;
    }
    let lost: Vec<i64> = (0..200).map(|i| 1 + i * 997).collect();
    let spoilt: Vec<i64> = (0..200).map(|i| 500 + i * 991).collect();
    pair.lose(&lost).await;
    pair.spoil(&spoilt).await;
    let mut different: Vec<i64> = lost.iter().chain(&spoilt).copied().collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 400);
    different
}

async fn all_of_them(
    pair: &Pair,
    receiver: &Receiver,
    config: &serde_json::Value,
    different: &[i64],
    sentinel: i64,
    what: &str,
) {
    let site = Site::new(config);
    let began = Instant::now();
    let mut daemon = site.start();
    daemon.until("all differences are called back", LIMIT, || receiver.count() >= different.len()).await;
    // The last one is behind nearly all rows.
    let took = began.elapsed();
    // A row behind all others: when it has come, everything before it has been compared.
    pair.fill_source(sentinel..=sentinel).await;
    daemon
        .until("the last row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&sentinel))
        .await;
    let peak = daemon.peak_rss_kib();
    eprintln!("{what}: 200 000 rows, {} callbacks, {took:?}, peak {} MiB", different.len(), peak / 1024);
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    let mut expected = different.to_vec();
    expected.push(sentinel);
    assert_eq!(ids_of(&receiver.calls()), expected, "each once, none else");
    if is_release() {
        assert!(peak <= PEAK_RSS, "peak {peak} KiB");
    }
}

/// A benchmark, not a test: the catch-up of the daemon beside cupid-go's way, in one run. For numbers that mean
/// something: `cargo test --release --test it -- --ignored --nocapture catch_up`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn catch_up_beside_one_query_per_row() {
    const ROWS: i64 = 200_000;
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    let different = plant(&pair, ROWS).await;
    // Both find everything in the buffer pool.
    assert_eq!(pair.differences().await.len(), different.len());

    let began = Instant::now();
    let found = one_query_per_row(&pair, ROWS).await;
    let slow = began.elapsed();
    assert_eq!(found, different);

    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    let began = Instant::now();
    let mut daemon = site.start();
    daemon.until("all differences are called back", LIMIT, || receiver.count() >= different.len()).await;
    daemon.wait_output("caught up").await;
    let fast = began.elapsed();
    let ratio = slow.as_secs_f64() / fast.as_secs_f64();
    eprintln!(
        "catch-up over {ROWS} rows with 400 differences: one query per row {slow:.1?} (finding only), cupid {fast:.1?} \
         (start, finding and 400 durable callbacks): {ratio:.1} times as fast"
    );
    if is_release() {
        assert!(ratio >= 10.0, "{ratio:.1}");
    }
}

/// cupid-go's way: for each id one SELECT at the source, then one at the destination; prepared, pooled, and with as many
/// workers as make it fastest on this machine's cores.
async fn one_query_per_row(pair: &Pair, rows: i64) -> Vec<i64> {
    const WORKERS: i64 = 8;
    let pool = async |db: &Db| {
        let options = db.server.as_ref().expect("a server").mysql_options(&db.name);
        let most = u32::try_from(WORKERS).unwrap();
        sqlx::mysql::MySqlPoolOptions::new().max_connections(most).connect_with(options).await.unwrap()
    };
    let (src, des) = (pool(&pair.src).await, pool(&pair.des).await);
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (src, des) = (src.clone(), des.clone());
        workers.spawn(async move {
            type Row = (String, Option<String>, Option<String>);
            let mut found = Vec::new();
            for id in (1 + worker..=rows).step_by(usize::try_from(WORKERS).unwrap()) {
                let row: Option<Row> = sqlx::query_as("SELECT number, name, phone FROM `user` WHERE id = ?")
                    .bind(id)
                    .fetch_optional(&src)
                    .await
                    .unwrap();
                let Some(row) = row else { continue };
                let copy: Option<Row> =
                    sqlx::query_as("SELECT number, name, phone FROM `user` WHERE number = ?")
                        .bind(&row.0)
                        .fetch_optional(&des)
                        .await
                        .unwrap();
                if copy.as_ref() != Some(&row) {
                    found.push(id);
                }
            }
            found
        });
    }
    let mut found = workers.join_all().await.concat();
    found.sort_unstable();
    found
}

/// Rows that are there from the start; only these are updated.
const OLD: i64 = 200;

/// The daemon is killed at random moments while two writers go on, one in three changes never reaches the copy, and the
/// receiver is slow. In the end the copy agrees, which only callbacks can have done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_nothing() {
    const KILLS: usize = 50;
    const HITS: usize = 30;
    let seed = std::env::var("CUPID_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_121);
    eprintln!("CUPID_TEST_SEED={seed}");
    let mut random = Dice::new(seed);
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=OLD).await;
    let receiver = slow_repairer(&pair, Dice::new(random.roll())).await;
    // Most lives are shorter than a second: what is found must be believed within one.
    let mut config = pair.both_feeds(&receiver.url());
    config["confirm"] = "100ms".into();
    let site = Site::new(&config);
    let shop = Arc::new(Shop {
        pair: pair.clone(),
        next: AtomicI64::new(OLD + 1),
        open: AtomicUsize::new(0),
        dropped: Mutex::default(),
        end: AtomicBool::new(false),
    });
    let mut writers = JoinSet::new();
    for _ in 0..2 {
        writers.spawn(shop.clone().write(Dice::new(random.roll())));
    }

    let (mut with_request, mut with_transaction, mut with_either) = (0, 0, 0);
    for _ in 0..KILLS {
        let mut daemon = site.start();
        tokio::time::sleep(Duration::from_millis(50 + random.number(700))).await;
        let (requests, transactions) = (receiver.open(), shop.open.load(Ordering::SeqCst));
        assert!(daemon.running(), "it ended by itself:\n{}", daemon.output());
        daemon.kill();
        with_request += usize::from(requests > 0);
        with_transaction += usize::from(transactions > 0);
        with_either += usize::from(requests > 0 || transactions > 0);
    }
    shop.end.store(true, Ordering::SeqCst);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let dropped = shop.dropped.lock().unwrap().clone();
    let rows = shop.next.load(Ordering::SeqCst) - 1;
    eprintln!(
        "{KILLS} kills, {with_request} with a request open, {with_transaction} with a transaction uncommitted, \
         {with_either} with either; {rows} rows, {} of them kept from the copy, {} calls",
        dropped.len(),
        receiver.count()
    );
    assert!(with_either >= HITS, "{with_either} of {KILLS}");
    assert!(with_request >= HITS, "the receiver was busy in {with_request} of {KILLS}");

    let mut daemon = site.start();
    wait_for("source and copy agree", LIMIT, async || {
        assert!(daemon.running(), "{}", daemon.output());
        pair.differences().await.is_empty().then_some(())
    })
    .await;
    // And a last row, to see that it is awake.
    let last = rows + 1;
    pair.fill_source(last..=last).await;
    daemon.until("a new row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&last)).await;
    let (status, _) = daemon.stop().await;
    assert!(status.success());

    let calls = receiver.calls();
    let called: HashSet<i64> = calls.iter().map(id_of).collect();
    let untold: Vec<i64> = dropped.into_iter().filter(|id| !called.contains(id)).collect();
    assert!(untold.is_empty(), "never called back: {untold:?}");
    // What carries one id is one message, over all crashes; revisions of a row only grow.
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut revisions: BTreeMap<i64, i64> = BTreeMap::new();
    for call in &calls {
        let first = *bodies.entry(call.id()).or_insert(&call.body);
        assert!(first == call.body, "{} came with other bytes", call.id());
        let revision: i64 = call.header("cupid-revision").parse().unwrap();
        let before = revisions.insert(id_of(call), revision).unwrap_or(0);
        assert!(revision >= before, "row {}: revision {revision} after {before}", id_of(call));
    }
}

/// Fixes the row it is told about from the source, some while after the call has come.
async fn slow_repairer(pair: &Pair, random: Dice) -> Receiver {
    let (pair, random) = (pair.clone(), Arc::new(Mutex::new(random)));
    Receiver::with(move |call| {
        let pair = pair.clone();
        let pause = 50 + random.lock().unwrap().number(200);
        async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            bring(&pair, id_of(&call)).await;
            Answer::Status(200)
        }
    })
    .await
}

/// Brings the newest version of a row to the copy.
async fn bring(pair: &Pair, id: i64) {
    let (t, from) = (pair.des.quote(TABLE), &pair.src.name);
    let sql = format!("REPLACE INTO {t} SELECT * FROM {from}.{t} WHERE id = {id}");
    // It locks the source row, too, and may meet a writer as a deadlock.
    let mut tries = 0;
    while let Err(e) = pair.des.try_run(&sql).await {
        tries += 1;
        assert!(tries < 20, "{e}");
    }
}

/// Two writers' common ground.
struct Shop {
    pair: Pair,
    next: AtomicI64,
    /// Transactions that are not committed.
    open: AtomicUsize,
    /// New rows that did not reach the copy; nothing but a callback brings them there.
    dropped: Mutex<Vec<i64>>,
    end: AtomicBool,
}

impl Shop {
    /// Inserts and updates in transactions of some milliseconds, so that ids are committed out of order.
    async fn write(self: Arc<Self>, mut random: Dice) {
        let Db { server, name, .. } = &self.pair.src;
        let options = server.as_ref().expect("a server").mysql_options(name);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let mut version = 0;
        while !self.end.load(Ordering::SeqCst) {
            version += 1;
            let mut ids = Vec::new();
            let mut statements = Vec::new();
            for _ in 0..=random.number(2) {
                if random.number(2) == 0 {
                    let id = self.next.fetch_add(1, Ordering::SeqCst);
                    statements.push(format!(
                        "INSERT INTO `{TABLE}` (id, number, name, phone) VALUES ({id}, 'n{id}', 'name {id}', NULL)"
                    ));
                    ids.push(id);
                } else {
                    let id = 1 + random.number(OLD.unsigned_abs()).cast_signed();
                    statements.push(format!(
                        "UPDATE `{TABLE}` SET name = 'v{version} {}', update_time = CURRENT_TIMESTAMP WHERE id = {id}",
                        random.number(1_000_000)
                    ));
                    ids.push(id);
                }
            }
            let run = async |c: &mut sqlx::MySqlConnection, sql: String| {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(c).await.map(drop)
            };
            self.open.fetch_add(1, Ordering::SeqCst);
            let mut kept = run(&mut connection, "START TRANSACTION".into()).await.is_ok();
            for sql in statements {
                // Two updates in opposite order may meet as a deadlock: then this one is rolled back.
                kept = kept && run(&mut connection, sql).await.is_ok();
            }
            tokio::time::sleep(Duration::from_millis(random.number(60))).await;
            kept = kept && random.number(10) > 0;
            run(&mut connection, if kept { "COMMIT" } else { "ROLLBACK" }.into()).await.unwrap();
            self.open.fetch_sub(1, Ordering::SeqCst);
            if kept && random.number(3) > 0 {
                for id in ids {
                    bring(&self.pair, id).await;
                }
            } else if kept {
                self.dropped.lock().unwrap().extend(ids.into_iter().filter(|id| *id > OLD));
            }
            tokio::time::sleep(Duration::from_millis(random.number(20))).await;
        }
    }
}
