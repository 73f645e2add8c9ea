//! Values of sizes at which protocols, drivers and servers begin to have limits.

use std::sync::Arc;

use cupid::config::Engine;
use cupid::model::{RowId, Verdict};
use serde_json::json;

use super::bench::{both_ways, places, task};
use crate::support::db::{Db, ENGINES};
use crate::support::servers::start_mysql;

const MIB: usize = 1 << 20;

/// Empty databases whose servers take whatever is written here.
async fn databases() -> Option<Vec<Db>> {
    let mut all = Vec::new();
    for engine in ENGINES {
        all.push(match engine {
            Engine::MySql => {
                let server =
                    start_mysql(&["--max-allowed-packet=1G", "--innodb-log-file-size=512M"], &[]).await?;
                Db::on(&Arc::new(server)).await
            }
            other => Db::new(other).await?,
        });
    }
    Some(all)
}

/// A text of `size` bytes that ends with `end`.
fn text(db: &Db, size: usize, end: &str) -> String {
    let body = size - end.len();
    match db.engine {
        Engine::MySql => format!("CONCAT(REPEAT('x', {body}), '{end}')"),
        Engine::Postgres => format!("repeat('x', {body}) || '{end}'"),
        Engine::Sqlite => {
            format!("substr(replace(hex(zeroblob({body} / 2 + 1)), '00', 'xx'), 1, {body}) || '{end}'")
        }
    }
}

/// Up to the limit rows are compared exactly, to their last byte; beyond it they are a class of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_rows_are_compared_or_said_to_be_too_large() {
    // At 16 MiB the packets of MySQL are split.
    const SIZES: [(usize, Verdict); 4] = [
        (16 * MIB - 20, Verdict::Same),
        (16 * MIB, Verdict::Same),
        (17 * MIB, Verdict::Same),
        (65 * MIB, Verdict::TooLarge),
    ];
    let Some(dbs) = databases().await else { return };
    for db in &dbs {
        let kind = if db.engine == Engine::MySql { "LONGTEXT" } else { "TEXT" };
        db.run(format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v {kind}, w {kind})")).await;
        db.run(format!("CREATE TABLE u (id INTEGER NOT NULL PRIMARY KEY, v {kind}, w {kind})")).await;
        for (id, (size, _)) in (1..).zip(&SIZES) {
            let value = text(db, *size, "a.");
            db.run(format!(
                "INSERT INTO t VALUES ({id}, {value}, 'w'); INSERT INTO u VALUES ({id}, {value}, 'w')"
            ))
            .await;
        }
        // Different in the last byte, and two values that are too much together.
        let (a, b, half) = (text(db, 17 * MIB, "a."), text(db, 17 * MIB, "a!"), text(db, 33 * MIB, "a."));
        db.run(format!("INSERT INTO t VALUES (5, {a}, 'w'), (6, {half}, {half}), (7, 'small', 'w')")).await;
        db.run(format!("INSERT INTO u VALUES (5, {b}, 'w'), (6, {half}, {half}), (7, 'small', 'v')")).await;
    }
    let mut wanted: Vec<Verdict> = SIZES.map(|(_, verdict)| verdict).to_vec();
    wanted.extend([Verdict::Differs(vec![0]), Verdict::TooLarge, Verdict::Differs(vec![1])]);
    // Each engine as a source and as a copy.
    for (src, des) in dbs.iter().zip(dbs.iter().cycle().skip(1)) {
        let columns = [("v".to_owned(), json!("v")), ("w".to_owned(), json!("w"))].into_iter().collect();
        let mut config = task(src, des, "t", "id", columns);
        config["des"][0]["table"] = "u".into();
        let pair = places([("t".to_owned(), config)].into_iter().collect()).tasks[0].pair(0).await.unwrap();
        let (first, again) = both_ways(&pair).await;
        for (id, wanted) in (1..).zip(&wanted) {
            let told = (&first[&RowId(id)], &again[&RowId(id)]);
            assert_eq!(told, (wanted, wanted), "{} → {} row {id}", src.engine, des.engine);
        }
        // What is not compared may be as large as it likes.
        for columns in [json!({ "w": "w" }), json!({ "v": { "column": "v", "ignore": true }, "w": "w" })] {
            let columns = serde_json::from_value(columns).unwrap();
            let mut config = task(src, des, "t", "id", columns);
            config["des"][0]["table"] = "u".into();
            let tasks = [("t".to_owned(), config)].into_iter().collect();
            let (first, again) = both_ways(&places(tasks).tasks[0].pair(0).await.unwrap()).await;
            for id in 1..=5 {
                let told = (&first[&RowId(id)], &again[&RowId(id)]);
                let same = &Verdict::Same;
                assert_eq!(told, (same, same), "{} → {} row {id}, alone", src.engine, des.engine);
            }
        }
    }
}

/// Keys that no index holds are not looked up; many long ones are asked for in several statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_keys_never_stop_a_batch() {
    const LONG: usize = 60_000;
    for pair in super::pairs() {
        let Some((src, des)) = super::databases(pair).await else { continue };
        for db in [&src, &des] {
            let kind = if db.engine == Engine::MySql { "LONGTEXT COLLATE utf8mb4_bin" } else { "TEXT" };
            db.run(format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k {kind}, v VARCHAR(9))")).await;
            // Together more than a packet of 16 MiB, and last one that is more than that alone.
            let keys: Vec<String> =
                (1..=300).map(|id| format!("({id}, {}, 'v')", text(db, LONG, &format!("{id}.")))).collect();
            db.run(format!("INSERT INTO t VALUES {}", keys.join(", "))).await;
            db.run(format!(
                "INSERT INTO t VALUES (301, {}, 'v'), (302, 'short', 'v')",
                text(db, 15 * MIB, "a.")
            ))
            .await;
        }
        let columns = [("v".to_owned(), json!("v"))].into_iter().collect();
        let tasks = [("t".to_owned(), task(&src, &des, "t", "k", columns))].into_iter().collect();
        let found = places(tasks).tasks[0].pair(0).await.unwrap();
        let (first, again) = both_ways(&found).await;
        for id in 1..=302 {
            let wanted = if id == 301 { Verdict::TooLarge } else { Verdict::Same };
            assert_eq!((&first[&RowId(id)], &again[&RowId(id)]), (&wanted, &wanted), "{pair:?} {id}");
        }
    }
}
