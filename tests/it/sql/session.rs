//! What a session may do, and what it costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cupid::config::Engine;
use futures_util::TryStreamExt;
use sqlx::{ConnectOptions, Executor, Row};

use super::super::support::db::ENGINES;
use super::super::support::servers;
use super::{Db, database, open, source_config};

/// Without `TCP_NODELAY` each of these waits some 40 ms for the kernel's delayed acknowledgement. When this passes
/// without `sql/nodelay.rs`, that file can go.
#[tokio::test]
async fn fifty_unprepared_queries_do_not_stall() {
    let Some(db) = Db::new(Engine::MySql).await else { return };
    let mut plain = db.server.as_ref().unwrap().mysql_options(&db.name).connect().await.unwrap();
    // Opening a session of ours repairs all of this process to that port, the plain one too.
    database(&db).ping().await.unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        plain.execute(sqlx::query("SELECT 1").persistent(false)).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

/// MySQL knows a time limit for statements since 5.7.8; before that ours alone must do. What stands in for it is a
/// MariaDB that calls itself so and does not know MySQL's limit.
#[tokio::test]
async fn servers_without_a_time_limit_are_read_too() {
    let Some(server) = servers::start_mysql(&["--version=5.7.7-log"], &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    assert_eq!(db.texts("SELECT VERSION()").await[0][0].as_deref(), Some("5.7.7-log"));
    database(&db).ping().await.unwrap();
}

/// Sessions cannot write: a function that writes, called by a view, is refused.
#[tokio::test]
async fn sessions_are_read_only() {
    let cases = [
        (
            Engine::MySql,
            "CREATE TABLE log (n INT); CREATE FUNCTION f() RETURNS INT DETERMINISTIC BEGIN INSERT INTO log VALUES (1); RETURN 1; END; CREATE VIEW v AS SELECT f() AS id",
        ),
        (
            Engine::Postgres,
            "CREATE TABLE log (n INT); CREATE FUNCTION f() RETURNS INT AS 'INSERT INTO log VALUES (1) RETURNING 1' LANGUAGE sql VOLATILE; CREATE VIEW v AS SELECT f() AS id",
        ),
    ];
    for (engine, setup) in cases {
        let Some(db) = Db::new(engine).await else { continue };
        if engine == Engine::MySql {
            db.run("SET GLOBAL log_bin_trust_function_creators = 1").await;
        }
        for statement in setup
            .split("; CREATE")
            .map(|s| if s.starts_with("CREATE") { s.to_owned() } else { format!("CREATE{s}") })
        {
            db.run(statement).await;
        }
        let mut config = source_config(&db, "v", "id");
        config.id = Some("id".to_owned());
        // MariaDB does not even describe such a view in a read-only session.
        if let Ok(source) = open(&config, &[], &db).await {
            let start = source.start(cupid::model::Feed::Insert, None).await.unwrap();
            let error = source.read(cupid::model::Feed::Insert, &start, 5).await.unwrap_err();
            assert!(error.message.to_lowercase().contains("read"), "{error}");
        }
        assert_eq!(db.number("SELECT count(*) FROM log").await, 0);
    }
}

/// A SQLite database is opened as it is: nothing beside it appears, and a writer goes on meanwhile.
#[tokio::test]
async fn sqlite_is_left_alone() {
    let db = Db::sqlite().await;
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
    for n in 2..20 {
        db.run(format!("INSERT INTO t VALUES ({n})")).await;
        let start = source.start(cupid::model::Feed::Insert, None).await.unwrap();
        assert_eq!(super::drain(&*source, cupid::model::Feed::Insert, start, 5).await.0.len(), n);
    }
}

/// Many callers share the few sessions there are.
#[tokio::test]
async fn callers_share_a_few_sessions() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        let calls =
            (0..64).map(|_| async { source.fetch_some(&[cupid::model::RowId(1)]).await.unwrap().rows.len() });
        assert_eq!(futures_util::future::join_all(calls).await, vec![1; 64]);
        let open_sessions = match engine {
            Engine::MySql => Some(format!(
                "SELECT count(*) FROM information_schema.processlist WHERE db = '{}' AND command = 'Sleep'",
                db.name
            )),
            Engine::Postgres => Some(format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'cupid'",
                db.name
            )),
            Engine::Sqlite => None,
        };
        if let Some(sql) = open_sessions {
            let sessions = db.number(sql).await;
            assert!((1..=4 + 6).contains(&sessions), "{engine}: {sessions}");
        }
    }
}

/// A million rows, page by page; prints the rate. Run by hand, with `--release`.
#[tokio::test]
#[ignore = "a measurement"]
async fn reading_rate() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b BIGINT, c VARCHAR(40), d VARCHAR(40), e DECIMAL(12,2), f DOUBLE PRECISION, g DATE, h TIMESTAMP NULL, i VARCHAR(60))").await;
        for part in 0..100 {
            let rows: Vec<String> = (part * 10_000..(part + 1) * 10_000)
                .map(|n| format!("({n}, {n}, {n}00000, 'name of {n}', 'city {n}', {n}.25, {n}.5, '2024-01-01', '2024-01-01 10:00:00', 'a somewhat longer text for row {n}')"))
                .collect();
            db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        }
        let mapped = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let source = open(&source_config(&db, "t", "id"), &mapped, &db).await.unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            let (mut at, mut count) = (source.start(cupid::model::Feed::Insert, None).await.unwrap(), 0);
            loop {
                let batch = source.read(cupid::model::Feed::Insert, &at, 10_000).await.unwrap();
                count += batch.rows.len();
                at = batch.next;
                if !batch.more {
                    break;
                }
            }
            let ours = f64::from(u32::try_from(count).unwrap()) / began.elapsed().as_secs_f64();
            let alone = driver_alone(&db).await.map_or(String::new(), |rate| {
                format!("; the driver alone {rate:.0} rows/s, ratio {:.2}", ours / rate)
            });
            println!("{engine}: {count} rows of 10 columns, {ours:.0} rows/s{alone}");
        }
    }
}

/// Rows per second when the driver reads the same pages and nothing is kept of them.
async fn driver_alone(db: &Db) -> Option<f64> {
    let server = db.server.as_ref()?;
    let (began, mut after, mut count, mut bytes) = (Instant::now(), -1_i32, 0_u32, 0);
    let mut mysql = None;
    let mut postgres = None;
    if db.engine == Engine::MySql {
        mysql = Some(server.mysql_options(&db.name).connect().await.unwrap());
    } else {
        postgres = Some(server.postgres_options(&db.name).connect().await.unwrap());
    }
    loop {
        let mut page = 0;
        if let Some(connection) = &mut mysql {
            let sql = "SELECT id, a, b, c, d, e, f, g, h, i FROM t WHERE id > ? ORDER BY id LIMIT 10000";
            let mut rows = sqlx::query(sql).bind(after).fetch(connection);
            while let Some(row) = rows.try_next().await.unwrap() {
                after = row.try_get_unchecked(0).unwrap();
                bytes += (0..10).map(|i| row.try_get_unchecked::<&[u8], _>(i).unwrap().len()).sum::<usize>();
                page += 1;
            }
        }
        if let Some(connection) = &mut postgres {
            let sql = "SELECT id, a, b, c, d, e::text, f, g::text, h::text, i FROM t WHERE id > $1 ORDER BY id LIMIT 10000";
            let mut rows = sqlx::query(sql).bind(after).fetch(connection);
            while let Some(row) = rows.try_next().await.unwrap() {
                after = row.try_get_unchecked(0).unwrap();
                bytes +=
                    (0..10).map(|i| row.try_get_raw(i).unwrap().as_bytes().unwrap().len()).sum::<usize>();
                page += 1;
            }
        }
        count += page;
        if page == 0 {
            assert!(bytes > 0);
            return Some(f64::from(count) / began.elapsed().as_secs_f64());
        }
    }
}
