//! Rows that are easily lost: committed late, under odd names, with odd keys, behind every notation of a database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::Site;
use crate::support::db::{Db, ENGINES};
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE, id_of, ids_of, now};
use crate::support::receiver::Receiver;
use crate::support::servers::{PASSWORD, USER, start_mysql};
use crate::support::wait::{LIMIT, wait_until};

const SERVERS: [Engine; 2] = [Engine::MySql, Engine::Postgres];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_commits_late_with_a_small_id_is_found() {
    for pair in Pair::apart(&SERVERS).await {
        let receiver = pair.repairer().await;
        let site = Site::new(&pair.inserts(&receiver.url()));
        pair.fill(1..=9).await;
        let mut daemon = site.start();
        let t = pair.src.quote(TABLE);
        let insert = |id: i64| format!("INSERT INTO {t} (id, number, name) VALUES ({id}, 'n{id}', 'late')");
        let (mut late, mut undone) = (Held::begin(&pair.src).await, Held::begin(&pair.src).await);
        late.run(&insert(10)).await;
        undone.run(&insert(11)).await;
        // Others overtake them.
        pair.fill_source(12..=12).await;
        daemon
            .until("the first overtaker is called back", LIMIT, || ids_of(&receiver.calls()).contains(&12))
            .await;
        pair.fill_source(13..=200).await;
        daemon.until("all overtakers are called back", LIMIT, || receiver.count() >= 189).await;
        late.end("COMMIT").await;
        undone.end("ROLLBACK").await;
        daemon.until("the late row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&10)).await;
        pair.fill_source(201..=201).await;
        daemon.until("the last row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&201)).await;
        let expected: Vec<i64> = [10].into_iter().chain(12..=201).collect();
        assert_eq!(ids_of(&receiver.calls()), expected, "{}", pair.src.engine);
    }
}

/// Also over a kill: what was not settled is looked at again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_commits_while_the_daemon_is_dead_is_found() {
    for pair in Pair::apart(&SERVERS).await {
        let receiver = pair.repairer().await;
        let site = Site::new(&pair.inserts(&receiver.url()));
        let t = pair.src.quote(TABLE);
        let mut daemon = site.start();
        let mut late = Held::begin(&pair.src).await;
        late.run(&format!("INSERT INTO {t} (id, number, name) VALUES (10, 'n10', 'late')")).await;
        pair.fill_source(11..=11).await;
        daemon.until("the overtaker is called back", LIMIT, || ids_of(&receiver.calls()).contains(&11)).await;
        daemon.kill();
        late.end("COMMIT").await;
        let mut daemon = site.start();
        daemon.until("the late row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_commits_after_its_window_is_found() {
    for pair in Pair::apart(&SERVERS).await {
        pair.fill(1..=9).await;
        let receiver = pair.repairer().await;
        let mut config = pair.both_feeds(&receiver.url());
        config["src"]["updateScanSecond"] = 1.into();
        let site = Site::new(&config);
        let mut daemon = site.start();
        pair.update(&[1], "first").await;
        daemon.until("the feed runs", LIMIT, || receiver.count() >= 1).await;
        let t = pair.src.quote(TABLE);
        let mut late = Held::begin(&pair.src).await;
        let time = now(&pair.src);
        late.run(&format!("UPDATE {t} SET name = 'late', update_time = {time} WHERE id = 5")).await;
        let since = Instant::now();
        wait_until("the window has passed it", LIMIT, || since.elapsed() > Duration::from_millis(3500)).await;
        pair.update(&[6], "later").await;
        daemon.until("a later change is called back", LIMIT, || ids_of(&receiver.calls()).contains(&6)).await;
        assert!(!ids_of(&receiver.calls()).contains(&5));
        late.end("COMMIT").await;
        daemon
            .until("the late change is called back", LIMIT, || ids_of(&receiver.calls()).contains(&5))
            .await;
    }
}

/// Two versions within one second carry the same update time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_change_within_the_same_second_is_found() {
    for pair in Pair::everywhere(&ENGINES).await {
        pair.fill(1..=3).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&pair.both_feeds(&receiver.url()));
        let mut daemon = site.start();
        for round in 0..5 {
            let (first, second) = (format!("a{round}"), format!("b{round}"));
            pair.update(&[2], &first).await;
            daemon
                .until("the first version is called back", LIMIT, || {
                    receiver.calls().iter().any(|c| c.src("name").as_deref() == Some(&first))
                })
                .await;
            pair.update(&[2], &second).await;
            daemon
                .until("the second version is called back", LIMIT, || {
                    receiver.calls().iter().any(|c| c.src("name").as_deref() == Some(&second))
                })
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_quoted() {
    const TABLES: [&str; 5] = ["order", "a.b", "客户 表", "it's", "Mixed"];
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let receiver = Receiver::answering(200).await;
        let mut tasks = serde_json::Map::new();
        for (n, table) in TABLES.into_iter().enumerate() {
            for db in [&src, &des] {
                let [t, id, key, value] = [table, "Id nummer", "select", "wert \"1\""].map(|n| db.quote(n));
                db.run(format!(
                    "CREATE TABLE {t} ({id} INTEGER NOT NULL PRIMARY KEY, {key} VARCHAR(20), {value} VARCHAR(20))"
                ))
                .await;
            }
            let t = src.quote(table);
            src.run(format!("INSERT INTO {t} VALUES (1, 'k', 'v')")).await;
            let url = format!("{}/{n}", receiver.url());
            let task = json!({
                "src": source(&src, table, "select"),
                "des": [copy(&des, table, "select", &[("wert \"1\"", "wert \"1\"")], &url)],
            });
            tasks.insert(format!("task-{n}"), task);
        }
        let site = Site::new(&json!({ "workerNumber": 4, "verify": false, "tasks": tasks }));
        let mut daemon = site.start();
        daemon.until("each table is compared", LIMIT, || receiver.count() >= TABLES.len()).await;
        let mut paths: Vec<String> = receiver.calls().iter().map(|c| c.path.clone()).collect();
        paths.sort();
        assert_eq!(paths, [0, 1, 2, 3, 4].map(|n| format!("/callback/{n}")), "{engine}");
        assert_eq!(receiver.calls()[0].src("wert \"1\"").as_deref(), Some("v"));
    }
}

/// Each key stands in one row that agrees, one that is missing and one that differs; NULL keys say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_keys_are_found() {
    const TEXTS: [&str; 9] = [
        "O'Brien",
        "say \"hi\"",
        "back\\slash",
        "",
        "100%_",
        "'; DROP TABLE t; --",
        "键 🔑",
        "line\nbreak",
        "?$1:a",
    ];
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        for db in [&src, &des] {
            let long =
                if engine == Engine::MySql { "VARCHAR(60) COLLATE utf8mb4_bin" } else { "VARCHAR(60)" };
            db.run(format!(
                "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k {long}, v VARCHAR(20)); CREATE INDEX t_k ON t (k)"
            ))
            .await;
        }
        let (mut id, mut expected) = (0, Vec::new());
        for text in TEXTS {
            // `!` and so on make three keys of each text.
            for (suffix, at_copy) in [("", Some("v")), ("!", None), ("#", Some("other"))] {
                id += 1;
                let key = src.literal(Some(&format!("{text}{suffix}")));
                src.run(format!("INSERT INTO t VALUES ({id}, {key}, 'v')")).await;
                if let Some(v) = at_copy {
                    des.run(format!("INSERT INTO t VALUES ({id}, {key}, '{v}')")).await;
                }
                if at_copy != Some("v") {
                    expected.push((id, if at_copy.is_none() { 1 } else { 2 }));
                }
            }
        }
        src.run("INSERT INTO t VALUES (100, NULL, 'v'), (101, NULL, 'v'), (102, 'last', 'v')").await;
        expected.push((102, 1));
        let receiver = Receiver::answering(200).await;
        let config =
            legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("v", "v")], &receiver.url())]);
        let site = Site::new(&with(config, json!({ "verify": false })));
        let mut daemon = site.start();
        daemon.until("all are called back", LIMIT, || receiver.count() >= expected.len()).await;
        daemon.stop().await;
        let mut told: Vec<(i64, i64)> = receiver.calls().iter().map(|c| (id_of(c), c.kind())).collect();
        told.sort_unstable();
        assert_eq!(told, expected, "{engine}");
        for call in receiver.calls() {
            let key =
                src.texts(format!("SELECT k FROM t WHERE id = {}", id_of(&call))).await.remove(0).remove(0);
            assert_eq!(call.src("k"), key, "{engine}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_any_type_are_found() {
    /// Type and three values: one agrees, one is missing, one differs.
    type Case = (&'static str, [&'static str; 3]);
    const MYSQL: &[Case] = &[
        ("BIGINT UNSIGNED", ["0", "18446744073709551615", "9223372036854775808"]),
        ("DECIMAL(30,10)", ["1.5", "-12345678901234567890.0000000001", "0"]),
        ("DATE", ["'1970-01-01'", "'2024-02-29'", "'9999-12-31'"]),
        ("DATETIME(6)", ["'2024-01-01 00:00:00.000001'", "'1000-01-01 00:00:00'", "'2038-01-19 03:14:08'"]),
        ("TIME", ["'-838:59:59'", "'00:00:00'", "'12:00:01'"]),
        ("VARBINARY(20)", ["x'00ff'", "x''", "x'27275c00'"]),
        ("CHAR(10)", ["'a'", "'b '", "'ß'"]),
        ("YEAR", ["1901", "2155", "2024"]),
        ("ENUM('x', 'y', 'z')", ["'x'", "'y'", "'z'"]),
        ("BIT(9)", ["b'101'", "b'111111111'", "b'0'"]),
    ];
    const POSTGRES: &[Case] = &[
        ("BIGINT", ["-9223372036854775808", "9223372036854775807", "0"]),
        ("SMALLINT", ["-1", "1", "2"]),
        ("NUMERIC", ["1.50", "-12345678901234567890.0000000001", "0"]),
        ("DATE", ["'4713-01-01 BC'", "'2024-02-29'", "'infinity'"]),
        ("TIMESTAMP", ["'2024-01-01 00:00:00.000001'", "'infinity'", "'2038-01-19 03:14:08'"]),
        ("TIMESTAMPTZ", ["'2024-01-01 00:00:00+08'", "'-infinity'", "'1999-12-31 23:59:59-05'"]),
        (
            "UUID",
            [
                "gen_random_uuid()",
                "'00000000-0000-0000-0000-000000000000'",
                "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            ],
        ),
        ("BYTEA", ["'\\x00ff'", "''", "'\\x2727'"]),
        ("CHAR(10)", ["'a'", "'b '", "'ß'"]),
        ("INET", ["'10.0.0.1'", "'::1'", "'10.0.0.0/8'"]),
        ("DOUBLE PRECISION", ["0.1", "1e300", "-5e-324"]),
        ("BOOLEAN", ["true", "false", "NULL"]),
    ];
    const SQLITE: &[Case] = &[
        ("INTEGER", ["-9223372036854775808", "9223372036854775807", "0"]),
        ("TEXT", ["'a'", "''", "'ß'"]),
        ("BLOB", ["x'00ff'", "x''", "x'2727'"]),
        ("REAL", ["0.1", "1e300", "-2.5"]),
        ("DATETIME", ["'2024-01-01 00:00:00'", "'2024-02-29'", "'never'"]),
    ];
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let cases = match engine {
            Engine::MySql => MYSQL,
            Engine::Postgres => POSTGRES,
            Engine::Sqlite => SQLITE,
        };
        let receiver = Receiver::answering(200).await;
        let mut tasks = serde_json::Map::new();
        let mut expected = Vec::new();
        for (n, (kind, values)) in cases.iter().enumerate() {
            for db in [&src, &des] {
                db.run(format!(
                    "CREATE TABLE t{n} (id INTEGER NOT NULL PRIMARY KEY, k {kind}, v VARCHAR(20))"
                ))
                .await;
                db.run(format!("CREATE INDEX t{n}_k ON t{n} (k)")).await;
            }
            for (id, value) in (1..).zip(values) {
                src.run(format!("INSERT INTO t{n} VALUES ({id}, {value}, 'v')")).await;
            }
            // The values as the source holds them: a random one is the same on both sides.
            let keys = src.texts(format!("SELECT {} FROM t{n} ORDER BY id", shown(engine, kind))).await;
            for (id, at_copy) in [(1_usize, "v"), (3, "other")] {
                let key = read_back(&des, kind, keys[id - 1][0].as_deref());
                des.run(format!("INSERT INTO t{n} VALUES ({id}, {key}, '{at_copy}')")).await;
            }
            expected.push((n, 2, 1));
            if values[2] != "NULL" {
                expected.push((n, 3, 2));
            }
            let url = format!("{}/{n}", receiver.url());
            let table = format!("t{n}");
            let task = json!({
                "src": source(&src, &table, "k"), "des": [copy(&des, &table, "k", &[("v", "v")], &url)],
            });
            tasks.insert(table, task);
        }
        let site = Site::new(&json!({ "workerNumber": 6, "verify": false, "tasks": tasks }));
        let mut daemon = site.start();
        daemon
            .until("all are called back", LIMIT, || {
                let told = told(&receiver);
                expected.iter().all(|e| told.contains(e)) || told.len() > expected.len()
            })
            .await;
        daemon.stop().await;
        assert_eq!(told(&receiver), expected, "{engine}");
    }
}

/// (table, id, type) of all calls.
fn told(receiver: &Receiver) -> Vec<(usize, i64, i64)> {
    let table = |path: &str| path.rsplit('/').next().unwrap().parse().unwrap();
    let mut told: Vec<_> = receiver.calls().iter().map(|c| (table(&c.path), id_of(c), c.kind())).collect();
    told.sort_unstable();
    told
}

/// A key column as text that [`read_back`] makes the same value of.
fn shown(engine: Engine, kind: &str) -> &'static str {
    match (engine, kind) {
        (Engine::MySql, "VARBINARY(20)") | (Engine::Sqlite, "BLOB") => "hex(k)",
        (Engine::MySql, "BIT(9)") => "k + 0",
        (Engine::Sqlite, "REAL") => "printf('%.17g', k)",
        _ => "k",
    }
}

fn read_back(db: &Db, kind: &str, text: Option<&str>) -> String {
    match (db.engine, kind, text) {
        (Engine::MySql, "VARBINARY(20)", Some(hex)) | (Engine::Sqlite, "BLOB", Some(hex)) => {
            format!("x'{hex}'")
        }
        (Engine::MySql, "BIT(9)", Some(number)) | (Engine::Sqlite, "INTEGER" | "REAL", Some(number)) => {
            number.to_owned()
        }
        (_, _, text) => db.literal(text),
    }
}

/// Go's, PHP's and URL notation, over TCP and over a socket, all name the same database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_notation_of_a_database_works() {
    let Some(server) = start_mysql(&[], &[]).await else { return };
    let server = Arc::new(server);
    let pair = Pair::of(Db::on(&server).await, Db::on(&server).await).await;
    let Some(postgres) = Pair::new(Engine::Postgres).await else { return };
    let lite = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let pg = postgres.des.server.clone().unwrap();
    let (port, name, socket) = (server.port, &pair.des.name, server.dir().join("mysql.sock"));
    let socket = socket.display();
    let pg_name = &postgres.des.name;
    let account = json!({ "user": USER, "password": PASSWORD });
    let none = json!({});
    let notations: Vec<(String, &Value)> = vec![
        (format!("{USER}:{PASSWORD}@tcp(127.0.0.1:{port})/{name}?charset=utf8"), &none),
        (
            format!(
                "{USER}:{PASSWORD}@tcp(127.0.0.1:{port})/{name}?charset=utf8mb4&parseTime=True&loc=Local"
            ),
            &none,
        ),
        (format!("{USER}:{PASSWORD}@unix({socket})/{name}"), &none),
        (format!("mysql:dbname={name};host=127.0.0.1;port={port}"), &account),
        (format!("mysql:host=127.0.0.1;port={port};dbname={name};charset=utf8"), &account),
        (format!("mysql:unix_socket={socket};dbname={name}"), &account),
        (format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}"), &none),
        (format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{pg_name}", pg.port), &none),
        (format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/{pg_name}?sslmode=prefer", pg.port), &none),
        (format!("pgsql:host=127.0.0.1;port={};dbname={pg_name}", pg.port), &account),
        (format!("sqlite://{}", lite.des.name), &none),
        (format!("sqlite:{}", lite.des.name), &none),
    ];
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(200).await;
    let copies: Vec<Value> = notations
        .iter()
        .enumerate()
        .map(|(n, (dsn, account))| {
            let mut des = pair.copy(&format!("{}/{n}", receiver.url()));
            des["dsn"] = dsn.clone().into();
            with(des, (*account).clone())
        })
        .collect();
    let config = legacy(source(&pair.src, TABLE, "number"), copies);
    let site = Site::new(&with(config, json!({ "verify": false })));
    let mut daemon = site.start();
    daemon.until("every copy is looked at", LIMIT, || receiver.count() >= notations.len()).await;
    let mut paths: Vec<usize> =
        receiver.calls().iter().map(|c| c.path.rsplit('/').next().unwrap().parse().unwrap()).collect();
    paths.sort_unstable();
    assert!(paths.into_iter().eq(0..notations.len()));
    assert!(!daemon.output().contains(PASSWORD));
}
