//! Digests that both servers make of their rows: whatever hides from weaker ones is found, exactly as by reading all rows.

use cupid::config::Engine;
use serde_json::json;

use super::{at, diff, kinds, nowhere, told};
use crate::support::db::Db;

/// Servers that make digests, with each other and among themselves.
const SERVERS: [(Engine, Engine); 4] = [
    (Engine::MySql, Engine::MySql),
    (Engine::Postgres, Engine::Postgres),
    (Engine::MySql, Engine::Postgres),
    (Engine::Postgres, Engine::MySql),
];

/// A table with the same rows on both sides, and what is done to the copy.
struct Case {
    about: &'static str,
    /// Columns behind the key, for MySQL and PostgreSQL.
    columns: [&'static str; 2],
    rows: &'static str,
    change: &'static str,
    /// Rows that then disagree.
    found: usize,
}

const TEXTS: [&str; 2] = ["a VARCHAR(40), b VARCHAR(40)", "a varchar(40), b varchar(40)"];
const NUMBERS: [&str; 2] = ["a BIGINT, b DECIMAL(20,4)", "a bigint, b numeric(20,4)"];

const CASES: &[Case] = &[
    Case {
        about: "the same change in two rows",
        columns: TEXTS,
        rows: "(1, 'x', '0'), (2, 'y', '0'), (3, 'longer', '0'), (4, 'z', '0')",
        change: "UPDATE t SET b = '1' WHERE id IN (2, 4)",
        found: 2,
    },
    Case {
        about: "a border between two columns that moves",
        columns: TEXTS,
        rows: "(1, 'ab', 'c')",
        change: "UPDATE t SET a = 'a', b = 'bc'",
        found: 1,
    },
    Case {
        about: "text that looks like the end of a column",
        columns: TEXTS,
        rows: "(1, '1:x', ''), (2, 'N', NULL)",
        change: "UPDATE t SET a = '', b = '1:x' WHERE id = 1",
        found: 1,
    },
    Case {
        about: "values that change places",
        columns: TEXTS,
        rows: "(1, 'x', 'y'), (2, 'y', 'x')",
        change: "UPDATE t SET a = b, b = 'x' WHERE id = 1; UPDATE t SET b = 'x', a = 'y' WHERE id = 1",
        found: 1,
    },
    Case {
        about: "rows that change places",
        columns: TEXTS,
        rows: "(1, 'x', 'y'), (2, 'v', 'w')",
        change: "UPDATE t SET id = 3 - id + 100; UPDATE t SET id = id - 100",
        found: 2,
    },
    Case {
        about: "NULL and the word",
        columns: TEXTS,
        rows: "(1, NULL, 'x')",
        change: "UPDATE t SET a = 'NULL'",
        found: 1,
    },
    Case {
        about: "NULL and its mark",
        columns: TEXTS,
        rows: "(1, NULL, 'x')",
        change: "UPDATE t SET a = 'N'",
        found: 1,
    },
    Case {
        about: "NULL and no text",
        columns: TEXTS,
        rows: "(1, NULL, 'x')",
        change: "UPDATE t SET a = ''",
        found: 1,
    },
    Case {
        about: "NULL of one column and of another",
        columns: TEXTS,
        rows: "(1, NULL, 'x')",
        change: "UPDATE t SET a = 'x', b = NULL",
        found: 1,
    },
    Case {
        about: "nothing and NULL",
        columns: NUMBERS,
        rows: "(1, 5, 0.0)",
        change: "UPDATE t SET b = NULL",
        found: 1,
    },
    Case {
        about: "a blank at the end",
        columns: TEXTS,
        rows: "(1, 'x', 'y')",
        change: "UPDATE t SET a = 'x '",
        found: 1,
    },
    Case { about: "case", columns: TEXTS, rows: "(1, 'x', 'y')", change: "UPDATE t SET a = 'X'", found: 1 },
    Case {
        about: "two spellings of one letter",
        columns: TEXTS,
        rows: "(1, 'é', 'y')",
        change: "UPDATE t SET a = 'e\u{301}'",
        found: 1,
    },
    Case {
        about: "both ends of numbers, the last digit of them",
        columns: NUMBERS,
        rows: "(-9223372036854775807, 9223372036854775807, 9999999999999999.9999), (9223372036854775807, -1, -0.0001)",
        change: "UPDATE t SET b = 9999999999999999.9998 WHERE id < 0; UPDATE t SET a = 1 WHERE id > 0",
        found: 2,
    },
    Case {
        about: "a fraction of a second",
        columns: ["a DATETIME(6), b TIMESTAMP(6) NULL", "a timestamp, b timestamptz"],
        rows: "(1, '2024-01-01 10:00:00', '2024-01-01 10:00:00.5'), (2, '2024-01-01 10:00:00.100000', NULL)",
        change: "UPDATE t SET a = '2024-01-01 10:00:00.000001' WHERE id = 1",
        found: 1,
    },
    Case {
        about: "bytes",
        columns: ["a BINARY(4), b LONGBLOB", "a bytea, b bytea"],
        rows: "(1, 'abcd', 'efgh')",
        change: "UPDATE t SET b = 'efgH'",
        found: 1,
    },
    Case {
        about: "what is not there",
        columns: TEXTS,
        rows: "(1, 'x', 'y'), (2, 'x', 'y'), (3, 'x', 'y')",
        change: "DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (0, 'x', 'y')",
        found: 2,
    },
    Case {
        about: "a copy without rows",
        columns: TEXTS,
        rows: "(1, 'x', 'y'), (2, 'x', 'y')",
        change: "DELETE FROM t",
        found: 2,
    },
    Case {
        about: "nothing",
        columns: TEXTS,
        rows: "(1, 'é😀', NULL), (2, '', ' ')",
        change: "DELETE FROM t WHERE id = 0",
        found: 0,
    },
];

/// Rows told by digests and by reading, which must be the same; the first with the counts.
fn both_ways(source: &str, copy: &str, about: &str) -> (Vec<serde_json::Value>, serde_json::Value) {
    let site = nowhere();
    let run = |strategy| {
        let ran = diff(&site, source, copy, &["--json", "--confirm", "0s", "--strategy", strategy]);
        let (mut rows, stats) = told(&ran);
        rows.sort_by_key(ToString::to_string);
        assert_eq!(stats["strategy"], strategy, "{about}: {ran:?}");
        (rows, stats)
    };
    let ((digested, stats), (read, counted)) = (run("digest"), run("stream"));
    assert_eq!(digested, read, "{about}");
    for count in ["same", "rows_source", "rows_copy", "missing", "differs", "extra"] {
        assert_eq!(stats[count], counted[count], "{about}: {count}");
    }
    (digested, stats)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hides_from_weaker_digests_is_found() {
    for (from, to) in SERVERS {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for case in CASES {
            for db in [&src, &des] {
                let columns = case.columns[usize::from(db.engine == Engine::Postgres)];
                db.run(format!(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t (id BIGINT PRIMARY KEY, {columns}); \
                     INSERT INTO t VALUES {}",
                    case.rows
                ))
                .await;
            }
            des.run(case.change).await;
            let about = format!("{from} → {to}, {}", case.about);
            let (rows, stats) = both_ways(&at(&src, "t"), &at(&des, "t"), &about);
            assert_eq!(rows.len(), case.found, "{about}: {rows:?}");
            assert_eq!(stats["digested"] == 0, case.found > 0, "{about}: {stats}");
        }
    }
}

/// Only MySQL has zero dates, unsigned integers and numbers that are shown with zeros.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_mysql_has_is_digested_too() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::MySql).await) else { return };
    for (change, found) in [
        ("UPDATE t SET d = '0000-00-00', at = at", 0),
        ("UPDATE t SET d = '2024-00-00', at = at", 1),
        ("UPDATE t SET at = '1970-01-01 00:00:01'", 1),
        ("UPDATE t SET n = 18446744073709551614, at = at", 1),
        ("UPDATE t SET y = 2024, at = at", 1),
        ("UPDATE t SET f = 1.0000001, at = at", 1),
        ("UPDATE t SET e = 'b', at = at", 1),
        ("UPDATE t SET j = '{\"a\": 2}', at = at", 1),
        ("ALTER TABLE t MODIFY z INT", 0),
    ] {
        for db in [&src, &des] {
            db.run(
                "SET sql_mode = ''; DROP TABLE IF EXISTS t; CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, d DATE, \
                 at TIMESTAMP, n BIGINT UNSIGNED, y YEAR, z INT(8) ZEROFILL, f FLOAT, g DOUBLE, \
                 e ENUM('a', 'b', 'é') CHARACTER SET latin1, j JSON); \
                 INSERT INTO t VALUES (18446744073709551615, '0000-00-00', '0000-00-00 00:00:00', 18446744073709551615, \
                 0, 7, 1, 5e-324, 'é', '{\"a\": 1}')",
            )
            .await;
        }
        des.run(format!("SET sql_mode = ''; {change}")).await;
        let (rows, _) = both_ways(&at(&src, "t"), &at(&des, "t"), change);
        assert_eq!(rows.len(), found, "{change}: {rows:?}");
    }
}

/// Rows of ten megabytes, and one that is too large for the server to digest: that is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values() {
    for (from, to) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::MySql)] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            let (text, bytes) = match db.engine {
                Engine::MySql => ("LONGTEXT", "LONGBLOB"),
                _ => ("text", "bytea"),
            };
            db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, a {text}, b {bytes})")).await;
            let large = if db.engine == Engine::MySql {
                "REPEAT('xyz', 3495253), REPEAT('uvw', 3000000)"
            } else {
                "repeat('xyz', 3495253), convert_to(repeat('uvw', 3000000), 'UTF8')"
            };
            db.run("INSERT INTO t VALUES (1, 'small', 'small')").await;
            db.run(format!("INSERT INTO t SELECT 2, {large}")).await;
        }
        let about = format!("{from} → {to}");
        let (rows, stats) = both_ways(&at(&src, "t"), &at(&des, "t"), &about);
        assert_eq!((rows.len(), &stats["digested"]), (0, &json!(2)), "{about}: {stats}");
        let end = if des.engine == Engine::MySql { "CONCAT(a, 'x')" } else { "a || 'x'" };
        des.run(format!("UPDATE t SET a = {end} WHERE id = 2")).await;
        assert_eq!(both_ways(&at(&src, "t"), &at(&des, "t"), &about).0.len(), 1, "{about}");
    }
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::MySql).await) else { return };
    for db in [&src, &des] {
        // Twice as many digits as bytes: beyond what the server puts together.
        let kind = if db.name == src.name { "VARBINARY(60)" } else { "LONGBLOB" };
        db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, a {kind})")).await;
        db.run("INSERT INTO t VALUES (1, 'small'), (2, 'small')").await;
    }
    des.run("UPDATE t SET a = REPEAT('xyz', 11500000) WHERE id = 2").await;
    let (rows, stats) = both_ways(&at(&src, "t"), &at(&des, "t"), "too large");
    assert_eq!((rows.len(), &stats["same"]), (1, &json!(1)));
    let ran = diff(&nowhere(), &at(&src, "t"), &at(&des, "t"), &["--confirm", "0s", "--strategy", "digest"]);
    assert!(ran.stderr.contains("1 stretches could not be digested"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_columns() {
    for (from, to) in SERVERS {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            let columns: Vec<String> =
                (0..200).map(|n| format!("c{n} {}", ["VARCHAR(8)", "INTEGER"][n % 2])).collect();
            db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {})", columns.join(", "))).await;
            let value = |id: usize, n: usize| match (n % 3, n % 2) {
                (0, _) => ", NULL".to_owned(),
                (_, 0) => format!(", 'v{}'", id * n),
                _ => format!(", {}", id * n),
            };
            let values = |id: usize| (0..200).map(|n| value(id, n)).collect::<String>();
            let rows: Vec<String> = (0..50).map(|id| format!("({id}{})", values(id))).collect();
            db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        }
        let about = format!("{from} → {to}");
        assert_eq!(both_ways(&at(&src, "t"), &at(&des, "t"), &about).1["digested"], 50, "{about}");
        // A NULL that moves to another column.
        des.run("UPDATE t SET c102 = c100, c100 = NULL WHERE id = 31").await;
        assert_eq!(both_ways(&at(&src, "t"), &at(&des, "t"), &about).0.len(), 1, "{about}");
    }
}

/// Differences at the borders of stretches and of the pieces that these are split into, with keys of two columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_with_few_differences() {
    for (from, to) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::Postgres)] {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (a INTEGER, b BIGINT, v VARCHAR(20), PRIMARY KEY (a, b))").await;
            let rows: Vec<String> =
                (0..40_000).map(|n| format!("({}, {}, 'v{n}')", n / 500, n % 500)).collect();
            for rows in rows.chunks(5000) {
                db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
            }
        }
        let about = format!("{from} → {to}");
        assert_eq!(both_ways(&at(&src, "t"), &at(&des, "t"), &about).1["digested"], 40_000, "{about}");
        des.run("DELETE FROM t WHERE (a = 0 AND b = 0) OR (a = 79 AND b = 499) OR (a = 3 AND b = 499)").await;
        des.run("UPDATE t SET v = 'else' WHERE (a = 4 AND b = 0) OR (a = 40 AND b = 250)").await;
        des.run("INSERT INTO t VALUES (79, 500, 'x'), (-1, 0, 'x'), (30, 700, 'x')").await;
        let (rows, stats) = both_ways(&at(&src, "t"), &at(&des, "t"), &about);
        assert_eq!(rows.len(), 8, "{about}: {rows:?}");
        assert!(stats["digested"].as_u64() > Some(10_000), "{about}: {stats}");
        // A copy that goes on and on behind the source's last row.
        for from in [80, 90] {
            let rows: Vec<String> =
                (0..5000).map(|n| format!("({}, {}, 'x')", from + n / 500, n % 500)).collect();
            des.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        }
        assert_eq!(both_ways(&at(&src, "t"), &at(&des, "t"), &about).0.len(), 10_008, "{about}");
    }
}

/// What cannot be digested is read, and said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_are_no_digests_rows_are_read() {
    let (Some(my), Some(pg)) = (Db::new(Engine::MySql).await, Db::new(Engine::Postgres).await) else {
        return;
    };
    let sqlite = Db::new(Engine::Sqlite).await.unwrap();
    let make = async |db: &Db, columns: &str| {
        db.run(format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({columns})")).await;
        db.run("INSERT INTO t VALUES (1, 2), (3, 4)").await;
    };
    let (key, plain) = ("id INTEGER PRIMARY KEY, ", "id INTEGER PRIMARY KEY, v INTEGER");
    for (src, des, columns, said) in [
        (&sqlite, &my, [plain.to_owned(), plain.to_owned()], "SQLite has no digests"),
        (
            &my,
            &pg,
            [format!("{key} v DOUBLE"), format!("{key} v double precision")],
            "the servers do not write these columns alike: v (double at the source, double precision at the copy)",
        ),
        (
            &pg,
            &my,
            [
                "id varchar(9) PRIMARY KEY, v INTEGER".to_owned(),
                "id VARCHAR(9) PRIMARY KEY, v INTEGER".to_owned(),
            ],
            "nobody knows whether both sides order these keys alike",
        ),
        (&my, &pg, ["id INTEGER, v INTEGER".to_owned(), plain.to_owned()], "each key has one row only"),
    ] {
        make(src, &columns[0]).await;
        make(des, &columns[1]).await;
        des.run("UPDATE t SET v = 5 WHERE v = 4").await;
        let more = ["-k", "id", "--json", "--confirm", "0s", "--strategy", "digest"];
        let ran = diff(&nowhere(), &at(src, "t"), &at(des, "t"), &more);
        let (rows, stats) = told(&ran);
        assert_eq!(kinds(&rows, "id"), [("differs".to_owned(), "3".to_owned())], "{said}");
        assert!(ran.stderr.contains(said), "{said:?} in {ran:?}");
        assert_eq!((&stats["strategy"], &stats["digested"]), (&json!("stream"), &json!(0)), "{said}");
        assert!(stats["strategy_why"].as_str().unwrap().contains(said), "{stats}");
    }
}
