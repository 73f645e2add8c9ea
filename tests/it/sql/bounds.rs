//! Look-ups by key hold a bounded number of bytes and rows, whatever they are asked for, and say what they left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use cupid::destination::Destination;
use cupid::model::{Row, RowId, Value};

use super::super::support::db::ENGINES;
use super::{Db, open, open_destination, source_config, text};

const MIB: usize = 1 << 20;

/// Of rows of a mebibyte, one answer holds no more than these: the last one goes beyond the budget.
const MOST: usize = 17;

/// Of the rows of one key, one answer holds no more than these.
const MANY: usize = 100;

fn wide(db: &Db) -> String {
    match db.engine {
        Engine::MySql => format!("REPEAT('x', {MIB})"),
        Engine::Postgres => format!("repeat('x', {MIB})"),
        Engine::Sqlite => format!("printf('%.{MIB}c', 'x')"),
    }
}

/// The numbers `1..=to` as a table of one column `n`.
fn numbers(db: &Db, to: usize) -> String {
    match db.engine {
        Engine::MySql => format!("(SELECT seq AS n FROM seq_1_to_{to}) AS s"),
        Engine::Postgres => format!("generate_series(1, {to}) AS s(n)"),
        Engine::Sqlite => format!(
            "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {to}) SELECT n FROM s)"
        ),
    }
}

/// `rows` rows of a mebibyte, each `times` times, in a column with this declaration.
async fn table(engine: Engine, key: &str, rows: usize, times: usize) -> Option<Db> {
    let db = Db::new(engine).await?;
    let kind = if engine == Engine::MySql { "LONGTEXT" } else { "TEXT" };
    db.run(format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k {key}, v {kind})")).await;
    let divided = if engine == Engine::MySql { "DIV" } else { "/" };
    let (wide, numbers) = (wide(&db), numbers(&db, rows * times));
    db.run(format!("INSERT INTO t SELECT n, (n - 1) {divided} {times} + 1, {wide} FROM {numbers}")).await;
    Some(db)
}

/// Asks until nothing is left; what was found by key. Each answer keeps its bounds.
async fn all_in_pieces(copy: &dyn Destination, keys: &[Value], about: &str) -> BTreeMap<i128, Vec<Row>> {
    let mut found: BTreeMap<i128, Vec<Row>> = BTreeMap::new();
    let mut keys = keys.to_vec();
    let mut answers = 0;
    while !keys.is_empty() {
        let answer = copy.lookup(&keys).await.unwrap();
        assert!(answer.rows.len() <= MOST, "{about}: {} rows at once", answer.rows.len());
        assert!(answer.rest.is_sorted() && !answer.rest.contains(&0), "{about}: {:?}", answer.rest);
        let rest: Vec<Value> = answer.rest.iter().map(|at| keys[*at].clone()).collect();
        for row in answer.rows {
            let key = row[0].as_int().unwrap();
            assert!(!rest.contains(&row[0]), "{about}: {key} is said to be unknown");
            found.entry(key).or_default().push(row);
        }
        keys = rest;
        answers += 1;
    }
    assert!(answers > 2, "{about}: {answers} answers");
    found
}

#[tokio::test]
async fn wide_copies_come_a_few_at_a_time_and_each_once() {
    for engine in ENGINES {
        for (key, times) in [("INTEGER UNIQUE", 1), ("INTEGER", 1), ("INTEGER", 2)] {
            let Some(db) = table(engine, key, 60 / times, times).await else { continue };
            let about = format!("{engine} {key}, {times} rows each");
            let copy = open_destination(&db, "t", "k", &["v"]).await.unwrap();
            // Half of them are not there, one is asked for twice, one is NULL; the first one is the database's last.
            let rows = 60 / times as i64;
            let mut keys: Vec<Value> = (1..=2 * rows).rev().map(Value::Int).collect();
            keys.rotate_left(usize::try_from(rows).unwrap());
            keys.extend([Value::Int(7), Value::Null]);
            let found = all_in_pieces(&*copy, &keys, &about).await;
            assert_eq!(found.len(), 60 / times, "{about}");
            assert!(found.values().all(|rows| rows.len() == times), "{about}");
            assert!(found.values().flatten().all(|row| row[1].weight() == MIB), "{about}");
        }
    }
}

#[tokio::test]
async fn who_stands_first_is_always_answered() {
    for engine in ENGINES {
        let Some(db) = table(engine, "INTEGER UNIQUE", 40, 1).await else { continue };
        let copy = open_destination(&db, "t", "k", &["v"]).await.unwrap();
        let source = open(&source_config(&db, "t", "id"), &["v"], &db).await.unwrap();
        for first in [1, 20, 40] {
            let numbers = || [first].into_iter().chain((1..=40).filter(move |n| *n != first));
            let keys: Vec<Value> = numbers().map(Value::Int).collect();
            let answer = copy.lookup(&keys).await.unwrap();
            assert!(answer.rows.iter().any(|row| row[0] == keys[0]), "{engine} {first}");
            assert!((20..40).contains(&answer.rest.len()), "{engine} {first}: {}", answer.rest.len());
            let answer = source.lookup(&keys).await.unwrap();
            assert!(answer.rows.iter().any(|row| row.id == RowId(first.into())), "{engine} {first}");
            assert!((20..40).contains(&answer.rest.len()), "{engine} {first}: {}", answer.rest.len());
            let ids: Vec<RowId> = numbers().map(|n| RowId(n.into())).collect();
            let fetched = source.fetch_some(&ids).await.unwrap();
            assert!(fetched.rows.iter().any(|row| row.id == ids[0]), "{engine} {first}");
            assert!(fetched.rows.len() <= MOST && !fetched.rest.contains(&ids[0]), "{engine} {first}");
        }
    }
}

/// Rows of one key beyond all measure are not read whole, and do not hide the others.
#[tokio::test]
async fn a_key_of_very_many_rows_is_counted_up_to_a_hundred() {
    const CROWD: usize = 200_000;
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k VARCHAR(20), v INTEGER)").await;
        let concat = if engine == Engine::MySql { "CONCAT('k', n)" } else { "'k' || n" };
        let (crowd, others) = (numbers(&db, CROWD), numbers(&db, 900));
        db.run(format!("INSERT INTO t SELECT n, 'crowd', n FROM {crowd}")).await;
        db.run(format!("INSERT INTO t SELECT {CROWD} + n, {concat}, n FROM {others}")).await;
        db.run("CREATE INDEX t_k ON t (k)").await;
        let copy = open_destination(&db, "t", "k", &["v"]).await.unwrap();
        let source = open(&source_config(&db, "t", "k"), &["v"], &db).await.unwrap();
        let mut keys: Vec<Value> = (1..=900).map(|n| text(&format!("k{n}"))).collect();
        keys.insert(450, text("crowd"));
        let began = Instant::now();
        let found = copy.lookup(&keys).await.unwrap();
        let crowd = |key: &Value| *key == text("crowd");
        assert_eq!(found.rest, [0_usize; 0], "{engine}");
        assert_eq!(found.rows.iter().filter(|row| crowd(&row[0])).count(), MANY, "{engine}");
        let others: BTreeSet<&str> = found
            .rows
            .iter()
            .filter(|row| !crowd(&row[0]))
            .map(|row| match &row[0] {
                Value::Text(key) => &**key,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((others.len(), found.rows.len()), (900, 900 + MANY), "{engine}");
        assert!(source.shares_keys(), "{engine}");
        let holders = source.holders(&keys).await.unwrap();
        assert_eq!(holders.rest, [0_usize; 0], "{engine}");
        assert_eq!(holders.rows.iter().filter(|(_, key)| crowd(key)).count(), MANY, "{engine}");
        assert_eq!(holders.rows.len(), 900 + MANY, "{engine}");
        let ids: BTreeSet<RowId> = holders.rows.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), holders.rows.len(), "{engine}: no row twice");
        let alone = source.lookup(&[text("crowd")]).await.unwrap();
        assert_eq!((alone.rows.len(), alone.rest.len()), (MANY, 0), "{engine}");
        let took = began.elapsed();
        eprintln!("{engine}: three look-ups around {CROWD} rows of one key took {took:?}");
        assert!(took < Duration::from_secs(10), "{engine}: {took:?}");
    }
}

/// Where a collation takes `abc` for `ABC`, a crowd of the one does not hide the other.
#[tokio::test]
async fn a_crowd_under_another_spelling_hides_nothing() {
    for engine in [Engine::MySql, Engine::Sqlite] {
        let Some(db) = Db::new(engine).await else { continue };
        let collation = if engine == Engine::MySql { "utf8mb4_general_ci" } else { "NOCASE" };
        db.run(format!(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k VARCHAR(20) COLLATE {collation})"
        ))
        .await;
        db.run(format!("INSERT INTO t SELECT n, 'ABC' FROM {}", numbers(&db, 50_000))).await;
        db.run("INSERT INTO t VALUES (100001, 'abc'), (100002, 'other'), (100003, 'Other')").await;
        db.run("CREATE INDEX t_k ON t (k)").await;
        let copy = open_destination(&db, "t", "k", &[]).await.unwrap();
        for keys in [vec![text("abc")], vec![text("other"), text("abc"), text("none")]] {
            let mut wanted = keys.clone();
            let mut found: Vec<Row> = Vec::new();
            while !wanted.is_empty() {
                let answer = copy.lookup(&wanted).await.unwrap();
                found.extend(answer.rows);
                wanted = answer.rest.iter().map(|at| wanted[*at].clone()).collect();
            }
            for key in keys.iter().filter(|key| **key != text("none")) {
                assert_eq!(
                    found.iter().filter(|row| row[0] == *key).count(),
                    1,
                    "{engine} {key:?} of {keys:?}"
                );
            }
        }
    }
}
