//! The daemon's memory knows neither how wide rows are nor how many of them carry one key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;
use crate::support::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(120);

const MIB: usize = 1 << 20;

/// Greatest size in memory of a debug build that works on rows of a mebibyte.
const PEAK: u64 = 192;

/// A table of `rows` rows, each a mebibyte of one letter.
async fn wide(engine: Engine, rows: usize, letter: char) -> Option<Db> {
    let db = Db::new(engine).await?;
    let (kind, from) = match engine {
        Engine::MySql => ("LONGTEXT", format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS s")),
        _ => ("TEXT", format!("generate_series(1, {rows}) AS s(n)")),
    };
    db.run(format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k INTEGER, v {kind})")).await;
    db.run(format!("INSERT INTO t SELECT n, n, repeat('{letter}', {MIB}) FROM {from}")).await;
    db.run("CREATE INDEX t_k ON t (k)").await;
    Some(db)
}

fn id_of(call: &Call) -> usize {
    call.src("id").unwrap().parse().unwrap()
}

/// Sixty rows of a mebibyte at both sides, all different. The receiver fails once for each, so that all messages are
/// stored, and then repairs: each row is told, told again as it was, and healed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_wide_rows_are_told_and_healed_in_bounded_memory() {
    const ROWS: usize = 60;
    for (from, to) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::MySql)] {
        let (Some(src), Some(des)) = (wide(from, ROWS, 'x').await, wide(to, ROWS, 'y').await) else {
            continue;
        };
        let (seen, copies): (Arc<Mutex<BTreeMap<usize, usize>>>, Db) = (Arc::default(), des.clone());
        let receiver = Receiver::with(move |call| {
            let id = id_of(&call);
            let times = {
                let mut seen = seen.lock().unwrap();
                let times = seen.entry(id).or_default();
                *times += 1;
                *times
            };
            let copies = copies.clone();
            async move {
                if times == 1 {
                    return Answer::Status(503);
                }
                copies.run(format!("UPDATE t SET v = repeat('x', {MIB}) WHERE id = {id}")).await;
                Answer::Status(200)
            }
        })
        .await;
        let task = legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("v", "v")], &receiver.url())]);
        // Each is refused at first: that is not what is tested here.
        let site = Site::new(&with(task, json!({ "breaker": false })));
        let mut daemon = site.start();
        let healed = "SELECT count(*) FROM delivery WHERE state = 'healed'";
        wait_for("all are healed", LIMIT, async || {
            assert!(daemon.running(), "{}", daemon.output());
            (state::try_number(&site, healed).await? == ROWS as i64).then_some(())
        })
        .await;
        let peak = daemon.peak_rss_kib() / 1024;
        daemon.stop().await;
        eprintln!("{from} to {to}: {ROWS} rows of 1 MiB told twice and healed, peak {peak} MiB");
        assert_eq!(state::deliveries(&site).await, ROWS);
        let mut told: BTreeMap<usize, Vec<Call>> = BTreeMap::new();
        for call in receiver.calls() {
            told.entry(id_of(&call)).or_default().push(call);
        }
        assert_eq!(told.len(), ROWS);
        for (id, calls) in &told {
            let [first, second] = &calls[..] else { panic!("row {id} was told {} times", calls.len()) };
            assert_eq!((first.id(), first.kind()), (second.id(), 2), "row {id}");
            assert!(first.body == second.body, "row {id} came with other bytes");
        }
        assert!(peak <= PEAK, "{from} to {to}: peak {peak} MiB");
    }
}

/// A key that very many rows carry, at the source or at the copy, is put aside as ambiguous; its rows are not read whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_very_many_rows_is_ambiguous_in_bounded_time_and_memory() {
    const CROWD: usize = 200_000;
    for engine in [Engine::MySql, Engine::Postgres] {
        for crowd_at_source in [false, true] {
            let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
            for db in [&src, &des] {
                db.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k INTEGER, v VARCHAR(200))").await;
                db.run("INSERT INTO t VALUES (1, 7, 'one')").await;
            }
            let crowded = if crowd_at_source { &src } else { &des };
            let from = match engine {
                Engine::MySql => format!("(SELECT seq AS n FROM seq_2_to_{CROWD}) AS s"),
                _ => format!("generate_series(2, {CROWD}) AS s(n)"),
            };
            crowded.run(format!("INSERT INTO t SELECT n, 7, repeat('v', 200) FROM {from}")).await;
            // Behind all others, one that is only missing.
            let last = CROWD + 1;
            src.run(format!("INSERT INTO t VALUES ({last}, 8, 'last')")).await;
            for db in [&src, &des] {
                db.run("CREATE INDEX t_k ON t (k)").await;
            }
            let receiver = Receiver::answering(200).await;
            let columns = [("v", "v")];
            let task = legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &columns, &receiver.url())]);
            let site = Site::new(&with(task, json!({ "verify": false })));
            let began = Instant::now();
            let mut daemon = site.start();
            let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
            wait_for("the key is put aside and the last row called back", LIMIT, async || {
                assert!(daemon.running(), "{}", daemon.output());
                (state::try_number(&site, dead).await? == 1 && receiver.count() == 1).then_some(())
            })
            .await;
            let (took, peak) = (began.elapsed(), daemon.peak_rss_kib() / 1024);
            daemon.stop().await;
            let side = if crowd_at_source { "source" } else { "copy" };
            eprintln!("{engine}: {CROWD} rows of one key at the {side}: {took:.1?}, peak {peak} MiB");
            assert_eq!(
                receiver.calls().iter().map(|call| call.src("k")).collect::<Vec<_>>(),
                [Some("8".into())]
            );
            let kind = "SELECT kind FROM delivery WHERE state = 'dead'";
            assert_eq!(state::number(&site, kind).await, 9, "ambiguous");
            assert_eq!(state::deliveries(&site).await, 2, "{engine} {side}");
            assert!(peak <= 80, "{engine} {side}: peak {peak} MiB");
        }
    }
}

/// Counted by servers of its own: a catch-up and the looks after it run few statements, none of them long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catch_up_runs_few_statements_at_either_side() {
    const ROWS: usize = 200_000;
    let servers = [
        crate::support::servers::start_mysql(&[], &[]).await,
        crate::support::servers::start_postgres(&[], &[]).await,
    ];
    let [Some(mysql), Some(postgres)] = servers else { return };
    let (mysql, postgres) = (Arc::new(mysql), Arc::new(postgres));
    for (from, to) in [(&mysql, &postgres), (&postgres, &mysql)] {
        let (src, des) = (Db::on(from).await, Db::on(to).await);
        for db in [&src, &des] {
            db.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k INTEGER UNIQUE, v VARCHAR(20))").await;
            let numbers = match db.engine {
                Engine::MySql => format!("(SELECT seq AS n FROM seq_1_to_{ROWS}) AS s"),
                _ => format!("generate_series(1, {ROWS}) AS s(n)"),
            };
            db.run(format!("INSERT INTO t SELECT n, n, concat('v', n) FROM {numbers}")).await;
        }
        let receiver = Receiver::answering(200).await;
        let task = legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("v", "v")], &receiver.url())]);
        let site = Site::new(&with(task, json!({ "verify": false, "sweep": false })));
        let before = [statements(&src).await, statements(&des).await];
        let began = Instant::now();
        let mut daemon = site.start();
        // The first row behind all others: when it is called back, all of them have been compared.
        src.run(format!("INSERT INTO t VALUES ({0}, {0}, 'last')", ROWS + 1)).await;
        daemon.until("the last row is called back", LIMIT, || receiver.count() > 0).await;
        let took = began.elapsed();
        daemon.stop().await;
        let mut ran = [statements(&src).await, statements(&des).await];
        for (ran, before) in ran.iter_mut().zip(before) {
            *ran -= before;
        }
        let ticks = i64::try_from(took.as_millis() / 100 + 1).unwrap();
        eprintln!(
            "{} to {}: {ROWS} rows in {took:.1?}: {} statements at the source, {} at the copy",
            src.engine, des.engine, ran[0], ran[1]
        );
        // One for each thousand and what opening the places and our own asking take; lists that are not full would be a
        // half more. At the source also a few for each look, which comes every 100 ms once it has caught up, and at either
        // side what makes sure now and then that it still is as it was opened.
        let most = [ROWS as i64 / 1000 + 50 + 5 * ticks, ROWS as i64 / 1000 + 50 + ticks / 3];
        assert!(ran[0] <= most[0] && ran[1] <= most[1], "{ran:?} statements, at most {most:?}");
        assert_eq!(receiver.count(), 1);
    }
}

/// How many statements the server has run, on PostgreSQL for this database; our own questions are a handful.
async fn statements(db: &Db) -> i64 {
    if db.engine == Engine::MySql {
        let status = "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'";
        return db.number(format!("SELECT VARIABLE_VALUE FROM {status}")).await;
    }
    // What a session has counted shows when it has ended.
    wait_for("the daemon's sessions have ended", LIMIT, async || {
        let theirs = "pg_stat_activity WHERE datname = current_database() AND application_name = 'cupid'";
        (db.number(format!("SELECT count(*) FROM {theirs}")).await == 0).then_some(())
    })
    .await;
    db.number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").await
}
