//! Keys of every kind: of several columns, of text that both sides order otherwise, of numbers at both ends, several rows
//! for one, and none.

use cupid::config::Engine;

use super::{at, diff, kinds, nowhere, told};
use crate::support::db::{Db, ENGINES};

/// Rows whose keys are `(a, b)`, in many groups of equal `a`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_several_columns() {
    for (from, to) in [
        (Engine::MySql, Engine::Postgres),
        (Engine::Postgres, Engine::Sqlite),
        (Engine::Sqlite, Engine::MySql),
    ] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (a INTEGER, b BIGINT, v VARCHAR(20), PRIMARY KEY (a, b))").await;
            let rows: Vec<String> =
                (0..6000).map(|n| format!("({}, {}, 'v{n}')", n / 500, n % 500)).collect();
            for rows in rows.chunks(1000) {
                db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
            }
        }
        des.run("DELETE FROM t WHERE a = 3 AND b IN (0, 499)").await;
        des.run("UPDATE t SET v = 'else' WHERE a = 11 AND b = 499").await;
        des.run("INSERT INTO t VALUES (3, 500, 'x'), (12, -1, 'x')").await;
        let site = nowhere();
        let ran = diff(&site, &at(&src, "t"), &at(&des, "t"), &["--json", "--confirm", "0s"]);
        let (rows, stats) = told(&ran);
        let mut found: Vec<String> = rows
            .iter()
            .map(|row| {
                format!(
                    "{} {} {}",
                    row["kind"].as_str().unwrap(),
                    row["key"]["a"].as_str().unwrap(),
                    row["key"]["b"].as_str().unwrap()
                )
            })
            .collect();
        found.sort();
        assert_eq!(
            found,
            ["differs 11 499", "extra 12 -1", "extra 3 500", "missing 3 0", "missing 3 499"],
            "{from} → {to}"
        );
        assert_eq!(
            (&stats["same"], &stats["rows_copy"]),
            (&serde_json::json!(5997), &serde_json::json!(6000))
        );
    }
}

/// Decimals, which one engine hands over as text and orders as numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_decimals() {
    for (from, to) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::MySql)] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (k DECIMAL(20,2) PRIMARY KEY, v VARCHAR(2000))").await;
            let rows: Vec<String> =
                (0..9000).map(|n| format!("({}.25, '{}')", n - 4000, "x".repeat(1500))).collect();
            for rows in rows.chunks(500) {
                db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
            }
        }
        src.run("DELETE FROM t WHERE k IN (-3999.25, 9.25, 4000.25)").await;
        des.run("DELETE FROM t WHERE k IN (10.25, 4999.25)").await;
        let (rows, stats) =
            told(&diff(&nowhere(), &at(&src, "t"), &at(&des, "t"), &["--json", "--confirm", "0s"]));
        let found: Vec<String> =
            kinds(&rows, "k").into_iter().map(|(kind, key)| format!("{kind} {key}")).collect();
        let wanted = ["extra -3999.25", "extra 4000.25", "extra 9.25", "missing 10.25", "missing 4999.25"];
        assert_eq!(found, wanted, "{from} → {to}");
        assert_eq!((&stats["unread"], &stats["rows_source"]), (&0.into(), &8997.into()));
    }
}

/// Text: no two engines order it alike, and one of them takes `K1` for `k1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_both_sides_order_otherwise() {
    for (from, to) in [
        (Engine::MySql, Engine::Postgres),
        (Engine::Postgres, Engine::MySql),
        (Engine::Sqlite, Engine::Postgres),
    ] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            let kind = if db.engine == Engine::MySql {
                "VARCHAR(40) COLLATE utf8mb4_general_ci"
            } else {
                "VARCHAR(40)"
            };
            db.run(format!("CREATE TABLE t (k {kind} PRIMARY KEY, v INTEGER)")).await;
            let rows: Vec<String> =
                (0..5000).map(|n| format!("('{}{n}', {n})", ["k", "Z", "é", "_"][n % 4])).collect();
            for rows in rows.chunks(1000) {
                db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
            }
        }
        des.run("DELETE FROM t WHERE v IN (0, 4999)").await;
        des.run("UPDATE t SET v = -1 WHERE v = 2002").await;
        des.run("UPDATE t SET k = 'K2004' WHERE v = 2004").await;
        des.run("INSERT INTO t VALUES ('ß', 1)").await;
        let (rows, _) =
            told(&diff(&nowhere(), &at(&src, "t"), &at(&des, "t"), &["--json", "--confirm", "0s"]));
        let found: Vec<String> =
            kinds(&rows, "k").into_iter().map(|(kind, key)| format!("{kind} {key}")).collect();
        let wanted =
            ["differs é2002", "extra K2004", "extra ß", "missing _4999", "missing k0", "missing k2004"];
        assert_eq!(found, wanted, "{from} → {to}");
    }
}

/// Both ends of the type, several rows for one key, and rows without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_at_both_ends_twice_and_none() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (k BIGINT, v INTEGER); CREATE INDEX t_k ON t (k)").await;
            db.run(format!(
                "INSERT INTO t VALUES ({}, 1), ({}, 2), (0, 3), (7, 4), (8, 5)",
                i64::MIN,
                i64::MAX
            ))
            .await;
        }
        src.run("INSERT INTO t VALUES (7, 4), (NULL, 9)").await;
        des.run("INSERT INTO t VALUES (NULL, 9), (NULL, 9)").await;
        des.run(format!("UPDATE t SET v = 0 WHERE k IN ({}, {})", i64::MIN, i64::MAX)).await;
        let site = nowhere();
        let ran = diff(&site, &at(&src, "t"), &at(&des, "t"), &["-k", "k", "--json", "--confirm", "0s"]);
        let (rows, stats) = told(&ran);
        let found: Vec<String> =
            kinds(&rows, "k").into_iter().map(|(kind, key)| format!("{kind} {key}")).collect();
        let wanted = ["ambiguous 7", "differs -9223372036854775808", "differs 9223372036854775807"];
        assert_eq!(found, wanted, "{engine}");
        assert_eq!(
            (ran.code, &stats["null_key"]),
            (Some(3), &serde_json::json!(3)),
            "rows without a key were not compared"
        );
    }
}

/// Unsigned numbers beyond what SQLite holds as one, in a key of two columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsigned_keys_beside_sqlite() {
    let Some(src) = Db::new(Engine::MySql).await else { return };
    let des = Db::sqlite().await;
    src.run("CREATE TABLE t (s INTEGER, u BIGINT UNSIGNED, v INTEGER, PRIMARY KEY (s, u))").await;
    des.run("CREATE TABLE t (s INTEGER, u TEXT, v INTEGER, PRIMARY KEY (s, u))").await;
    for db in [&src, &des] {
        db.run(
            "INSERT INTO t VALUES (1, 1, 1), (1, '18446744073709551615', 2), (2, '9223372036854775808', 3)",
        )
        .await;
    }
    let site = nowhere();
    for (source, copy) in [(&src, &des), (&des, &src)] {
        let same = diff(&site, &at(source, "t"), &at(copy, "t"), &[]);
        assert_eq!(same.code, Some(0), "{same:?}");
    }
    des.run("UPDATE t SET v = 9 WHERE u = '18446744073709551615'").await;
    let ran = diff(&site, &at(&src, "t"), &at(&des, "t"), &["--rows", "--confirm", "0s"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("~ s=1 u=18446744073709551615"), "{ran:?}");
}
