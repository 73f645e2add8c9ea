//! Look-ups by odd keys, in lists of every size.

use std::collections::BTreeSet;

use cupid::config::Engine;
use cupid::model::{Row, Value};

use super::super::support::db::ENGINES;
use super::{Db, open_destination, text};

fn sorted(rows: &[Row]) -> Vec<String> {
    let mut all: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    all.sort();
    all
}

#[tokio::test]
async fn lists_of_every_size_find_each_row_once() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (k INTEGER, v VARCHAR(20))").await;
        let all: Vec<String> = (1..=5000).map(|k| format!("({k}, 'v{k}')")).collect();
        db.run(format!("INSERT INTO t VALUES {}", all.join(", "))).await;
        let copy = open_destination(&db, "t", "k", &["v"]).await.unwrap();
        for size in [0, 1, 2, 9, 10, 11, 99, 100, 101, 150, 350, 999, 1000, 1001, 1010, 5000] {
            let keys: Vec<Value> = (1..=size).map(Value::Int).collect();
            let rows = copy.lookup(&keys).await.unwrap().rows;
            let found: BTreeSet<i128> = rows.iter().map(|row| row[0].as_int().unwrap()).collect();
            assert_eq!(rows.len(), size as usize, "{engine} {size}");
            assert_eq!(found.len(), size as usize, "{engine} {size}");
            assert!(rows.iter().all(|row| row[1] == text(&format!("v{}", row[0].as_int().unwrap()))));
        }
        // Asked twice, absent, NULL.
        let rows =
            copy.lookup(&[Value::Int(7), Value::Int(7), Value::Null, Value::Int(-1)]).await.unwrap().rows;
        assert_eq!(rows.len(), 1, "{engine}");
    }
}

/// PostgreSQL hands decimals and times over as text; that is not the order in which they are walked.
#[tokio::test]
async fn every_key_is_walked_whatever_it_is_read_as() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let time = if engine == Engine::MySql { "DATETIME" } else { "TIMESTAMP" };
        db.run(format!(
            "CREATE TABLE t (n DECIMAL(20,1), at {time}); CREATE INDEX t_n ON t (n); CREATE INDEX t_at ON t (at)"
        ))
        .await;
        let rows: Vec<String> =
            (1..=120).map(|n| format!("({n}.5, '2026-01-{:02} {:02}:00:00')", n / 24 + 1, n % 24)).collect();
        db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        for key in ["n", "at"] {
            let copy = open_destination(&db, "t", key, &[]).await.unwrap();
            let (mut from, mut found) = (None, BTreeSet::new());
            loop {
                let page = copy.walk(from.as_ref(), 7).await.unwrap();
                found.extend(page.keys.iter().map(|key| format!("{key:?}")));
                from = Some(page.next);
                if !page.more {
                    break;
                }
            }
            assert_eq!(found.len(), 120, "{engine} {key}");
        }
    }
}

#[tokio::test]
async fn text_keys() {
    let odd = [
        "", " ", "a", "A", "a ", "é", "e\u{301}", "'", "\"", "`", "\\", "%", "😀", "NULL", "0", "中文",
        "a\tb",
    ];
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let kind = if engine == Engine::MySql { "VARCHAR(20) COLLATE utf8mb4_bin" } else { "VARCHAR(20)" };
        db.run(format!("CREATE TABLE t (k {kind}, v INTEGER)")).await;
        for (v, k) in odd.iter().enumerate() {
            db.run(format!("INSERT INTO t VALUES ({}, {v})", db.literal(Some(k)))).await;
        }
        db.run("INSERT INTO t VALUES (NULL, 99)").await;
        let copy = open_destination(&db, "t", "k", &["v"]).await.unwrap();
        for (v, k) in odd.iter().enumerate() {
            let rows = copy.lookup(&[text(k)]).await.unwrap().rows;
            let exact: Vec<&Row> = rows.iter().filter(|row| row[0] == text(k)).collect();
            assert_eq!(exact.len(), 1, "{engine} {k:?}: {rows:?}");
            assert_eq!(exact[0][1].as_int(), Some(v as i128));
        }
        let all: Vec<Value> = odd.iter().map(|k| text(k)).collect();
        assert_eq!(copy.lookup(&all).await.unwrap().rows.len(), odd.len(), "{engine}");
        assert_eq!(copy.lookup(&[Value::Null]).await.unwrap().rows, Vec::<Row>::new());
        assert_eq!(copy.lookup(&[text("a\0")]).await.unwrap().rows, Vec::<Row>::new(), "{engine}");
    }
}

/// A collation that takes `a` for `A` answers with more than was asked, but with no row twice.
#[tokio::test]
async fn case_insensitive_keys_are_never_doubled() {
    for engine in [Engine::MySql, Engine::Sqlite] {
        let Some(db) = Db::new(engine).await else { continue };
        let kind = if engine == Engine::MySql {
            "VARCHAR(20) COLLATE utf8mb4_general_ci"
        } else {
            "TEXT COLLATE NOCASE"
        };
        db.run(format!("CREATE TABLE t (k {kind})")).await;
        let both: Vec<String> = (0..700).flat_map(|n| [format!("('k{n}')"), format!("('K{n}')")]).collect();
        db.run(format!("INSERT INTO t VALUES {}", both.join(", "))).await;
        let copy = open_destination(&db, "t", "k", &[]).await.unwrap();
        let keys: Vec<Value> = (0..700)
            .map(|n| text(&format!("k{n}")))
            .chain((0..700).map(|n| text(&format!("K{n}"))))
            .collect();
        let rows = copy.lookup(&keys).await.unwrap().rows;
        assert_eq!(rows.len(), 1400, "{engine}");
        let distinct: BTreeSet<String> = sorted(&rows).into_iter().collect();
        assert_eq!(distinct.len(), 1400, "{engine}");
    }
}

/// Keys of every type, given as the same type or as another engine's text for it.
#[tokio::test]
async fn typed_keys() {
    let uuid = "6ccd780c-baba-1026-9564-5b8c656024db";
    let raw: [u8; 16] = *uuid::Uuid::parse_str(uuid).unwrap().as_bytes();
    let hit = |keys: &[Value]| keys.to_vec();
    let mysql = [
        (
            "BIGINT UNSIGNED",
            "18446744073709551615",
            hit(&[Value::UInt(u64::MAX), text("18446744073709551615")]),
        ),
        ("INT", "-5", hit(&[Value::Int(-5), text("-5"), text("-5.0"), Value::F64(-5.0)])),
        (
            "DECIMAL(30,10)",
            "12345678901234567890.1",
            hit(&[text("12345678901234567890.1"), text("12345678901234567890.1000000000")]),
        ),
        ("DECIMAL(20,0)", "5", hit(&[Value::Int(5), text("5.00")])),
        ("FLOAT", "0.1", hit(&[Value::F32(0.1), text("0.1")])),
        ("DOUBLE", "0.1", hit(&[Value::F64(0.1), text("0.1")])),
        ("DATE", "'2024-02-29'", hit(&[text("2024-02-29"), text("2024-02-29 00:00:00")])),
        ("DATE", "'0000-00-00'", hit(&[text("0000-00-00")])),
        (
            "DATETIME(3)",
            "'2024-02-29 10:00:00.5'",
            hit(&[text("2024-02-29 10:00:00.500"), text("2024-02-29T10:00:00.5")]),
        ),
        (
            "TIMESTAMP NULL",
            "FROM_UNIXTIME(1700000000)",
            hit(&[
                text("2023-11-14 22:13:20"),
                text("2023-11-14 22:13:20+00"),
                text("2023-11-15 06:13:20+08"),
            ]),
        ),
        ("TIME", "'-01:00:00'", hit(&[text("-01:00:00"), text("-01:00:00.000")])),
        ("BINARY(16)", "x'6ccd780cbaba102695645b8c656024db'", hit(&[Value::Bytes(raw.into()), text(uuid)])),
        ("VARBINARY(9)", "x'00ff'", hit(&[Value::Bytes([0, 255].into())])),
        ("BIT(9)", "b'100000001'", hit(&[Value::Bytes([1, 1].into()), Value::Int(257)])),
        ("YEAR", "2024", hit(&[Value::Int(2024), text("2024")])),
        ("ENUM('a','b')", "'b'", hit(&[text("b")])),
        ("VARCHAR(9) CHARACTER SET latin1", "'é'", hit(&[text("é")])),
        ("VARCHAR(9) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin", "'5'", hit(&[Value::Int(5), text("5")])),
    ];
    for db in Db::every_mysql().await {
        typed(&db, &mysql).await;
    }
    let postgres = [
        ("int", "5", hit(&[Value::Int(5), text("5"), text("5.0")])),
        ("smallint", "5", hit(&[Value::Int(5)])),
        ("numeric", "12345678901234567890.10", hit(&[text("12345678901234567890.1")])),
        ("numeric", "'NaN'", hit(&[text("NaN")])),
        ("real", "0.1", hit(&[Value::F32(0.1), text("0.1")])),
        ("double precision", "'Infinity'", hit(&[Value::F64(f64::INFINITY)])),
        ("bool", "true", hit(&[Value::Bool(true), Value::Int(1), text("t")])),
        (
            "uuid",
            &*format!("'{uuid}'"),
            hit(&[text(uuid), text(&uuid.to_uppercase()), Value::Bytes(raw.into())]),
        ),
        ("date", "'infinity'", hit(&[text("infinity")])),
        ("timestamp", "'2024-02-29 10:00:00.5'", hit(&[text("2024-02-29 10:00:00.500000")])),
        (
            "timestamptz",
            "'2024-02-29 10:00:00+08'",
            hit(&[text("2024-02-29 02:00:00"), text("2024-02-29 02:00:00+00")]),
        ),
        ("time", "'10:00'", hit(&[text("10:00:00"), text("10:00:00.000")])),
        ("bytea", "'\\x00ff'", hit(&[Value::Bytes([0, 255].into())])),
        ("char(5)", "'ab'", hit(&[text("ab")])),
        ("inet", "'10.0.0.1'", hit(&[text("10.0.0.1")])),
        ("varbit", "B'101'", hit(&[text("101")])),
        ("jsonb", "'{\"a\": 1}'", hit(&[text("{\"a\":1}")])),
        ("interval", "'1 day'", hit(&[text("1 day")])),
        ("\"weird Type\"", "'x y'", hit(&[text("x y")])),
    ];
    if let Some(db) = Db::new(Engine::Postgres).await {
        db.run("CREATE TYPE \"weird Type\" AS ENUM ('x y', 'z')").await;
        typed(&db, &postgres).await;
    }
    let sqlite = [
        ("INTEGER", "5", hit(&[Value::Int(5), text("5")])),
        ("TEXT", "'5'", hit(&[Value::Int(5), text("5")])),
        ("", "5", hit(&[Value::Int(5), text("5")])),
        ("", "'5'", hit(&[Value::Int(5), text("5")])),
        ("DECIMAL(10,2)", "1.5", hit(&[text("1.50"), Value::F64(1.5)])),
        (
            "DATETIME",
            "'2024-02-29 10:00:00'",
            hit(&[
                text("2024-02-29 10:00:00"),
                text("2024-02-29 10:00:00.000"),
                text("2024-02-29 10:00:00+00"),
            ]),
        ),
        ("BLOB", "x'00ff'", hit(&[Value::Bytes([0, 255].into())])),
        ("TEXT", "'18446744073709551615'", hit(&[Value::UInt(u64::MAX)])),
    ];
    typed(&Db::sqlite().await, &sqlite).await;
}

async fn typed(db: &Db, cases: &[(&str, &str, Vec<Value>)]) {
    for (i, (kind, literal, keys)) in cases.iter().enumerate() {
        db.run(format!(
            "CREATE TABLE k{i} (k {kind}, v INTEGER); INSERT INTO k{i} VALUES ({literal}, 7), (NULL, 8)"
        ))
        .await;
        let copy = open_destination(db, &format!("k{i}"), "k", &["v"]).await.unwrap();
        for key in keys {
            let rows = copy
                .lookup(std::slice::from_ref(key))
                .await
                .unwrap_or_else(|e| panic!("{} {kind} {key:?}: {e}", db.engine))
                .rows;
            assert_eq!(rows.len(), 1, "{} {kind} {key:?}", db.engine);
            assert_eq!(rows[0][1], Value::Int(7), "{} {kind} {key:?}", db.engine);
        }
        // What the column cannot hold finds nothing, and does not spoil the list it stands in.
        let nonsense = [
            text("no such key"),
            text("a\0b"),
            text("2024-02-30"),
            text("99999999999999999999999"),
            text("é😀"),
            Value::Bytes([0xff].into()),
            text(""),
        ];
        let mut list = nonsense.to_vec();
        list.insert(3, keys[0].clone());
        let rows = copy.lookup(&list).await.unwrap_or_else(|e| panic!("{} {kind}: {e}", db.engine)).rows;
        let found = rows.iter().filter(|row| row[1] == Value::Int(7)).count();
        assert_eq!(found, 1, "{} {kind}: {rows:?}", db.engine);
    }
}

#[tokio::test]
async fn several_rows_of_one_key_are_all_returned() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (k INTEGER, v INTEGER); INSERT INTO t VALUES (1, 1), (1, 1), (2, 3)").await;
        let copy = open_destination(&db, "t", "k", &["v", "k"]).await.unwrap();
        let rows = copy.lookup(&[Value::Int(1), Value::Int(2)]).await.unwrap().rows;
        assert_eq!(rows.len(), 3, "{engine}");
        assert!(rows.iter().all(|row| row.len() == 3 && row[0] == row[2]));
    }
}

/// Makes the n-th key.
type MakeKey = fn(u32) -> Value;

/// Look-ups follow the index, whatever the key's type: 20 lists of 1000 over 50 000 rows take well under what as many
/// scans of the table would.
#[tokio::test]
async fn look_ups_use_the_index() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let kinds: &[(&str, MakeKey)] = match engine {
            Engine::MySql => &[
                ("VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_general_cs", |n| text(&format!("key{n}"))),
                ("VARCHAR(40)", |n| text(&format!("key{n}"))),
                ("DECIMAL(20,2)", |n| text(&format!("{n}.25"))),
                ("BIGINT UNSIGNED", |n| Value::Int(i64::from(n))),
                ("DATETIME", |n| {
                    text(&format!("2024-01-01 {:02}:{:02}:{:02}", n / 3600 % 24, n / 60 % 60, n % 60))
                }),
            ],
            Engine::Postgres => &[
                ("varchar(40)", |n| text(&format!("key{n}"))),
                ("char(10)", |n| text(&format!("key{n}"))),
                ("numeric", |n| text(&format!("{n}.25"))),
                ("int", |n| Value::Int(i64::from(n))),
                ("uuid", |n| text(&format!("00000000-0000-0000-0000-0000{n:08x}"))),
                ("timestamptz", |n| {
                    text(&format!("2024-01-01 {:02}:{:02}:{:02}", n / 3600 % 24, n / 60 % 60, n % 60))
                }),
            ],
            Engine::Sqlite => {
                &[("TEXT", |n| text(&format!("key{n}"))), ("INTEGER", |n| Value::Int(i64::from(n)))]
            }
        };
        for (i, (kind, key)) in kinds.iter().enumerate() {
            db.run(format!("CREATE TABLE t{i} (k {kind}, v INTEGER)")).await;
            for part in 0..10 {
                let rows: Vec<String> = (part * 5000..(part + 1) * 5000)
                    .map(|n| format!("('{}', {n})", key(n).to_text().unwrap()))
                    .collect();
                db.run(format!("INSERT INTO t{i} VALUES {}", rows.join(", "))).await;
            }
            db.run(format!("CREATE INDEX t{i}_k ON t{i} (k)")).await;
            if engine != Engine::Sqlite {
                db.run(if engine == Engine::MySql {
                    format!("ANALYZE TABLE t{i}")
                } else {
                    format!("ANALYZE t{i}")
                })
                .await;
            }
            let copy = open_destination(&db, &format!("t{i}"), "k", &["v"]).await.unwrap();
            let began = std::time::Instant::now();
            for round in 0..20_u32 {
                let keys: Vec<Value> = (0..1000).map(|n| key(round * 2500 + n)).collect();
                assert_eq!(copy.lookup(&keys).await.unwrap().rows.len(), 1000, "{engine} {kind}");
            }
            let took = began.elapsed();
            println!("{engine} {kind}: 20000 keys in {took:?}");
            assert!(took.as_secs() < 5, "{engine} {kind}: {took:?}");
        }
    }
}
