//! Runs keys on two databases: each group is a table, each of its cases a row of the source.

use cupid::model::{RowId, Verdict};

use super::bench::{both_ways, judged, lenient, places, task};
use super::case::{Found, Keys, Lit};
use crate::support::db::Db;

/// All cases that these databases can have; the number of them, and what is wrong.
pub async fn run(src: &Db, des: &Db, groups: &[Keys]) -> (usize, Vec<String>) {
    let able: Vec<&Keys> = groups
        .iter()
        .filter(|keys| keys.source.on(src.engine).is_some() && keys.copy.on(des.engine).is_some())
        .collect();
    let mut tasks = serde_json::Map::new();
    for (n, keys) in able.iter().enumerate() {
        let name = format!("k{n}");
        let at_source: Vec<(Lit, &str)> = keys.rows.iter().map(|(key, ..)| (*key, "v")).collect();
        let mut at_copy: Vec<(Lit, &str)> = Vec::new();
        for (_, copies, found) in keys.rows {
            let value = if *found == Found::Differs { "other" } else { "v" };
            at_copy.extend(copies.iter().map(|copy| (*copy, value)));
        }
        fill(src, &name, keys.source.on(src.engine).unwrap(), &at_source).await;
        fill(des, &name, keys.copy.on(des.engine).unwrap(), &at_copy).await;
        let columns = [("v".to_owned(), "v".into())].into_iter().collect();
        tasks.insert(name.clone(), task(src, des, &name, "k", columns));
    }
    let mut wrong = Vec::new();
    let places = places(tasks);
    for (n, keys) in able.iter().enumerate() {
        let task = places.tasks.iter().find(|t| t.config.name.as_str() == format!("k{n}")).unwrap();
        let place = format!("{} → {}, {}", src.engine, des.engine, keys.about);
        let pair = task.pair(0).await.unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(judged(&pair).await.len(), keys.rows.len(), "{place}");
        let (first, again) = both_ways(&pair).await;
        for (at, (key, copies, found)) in keys.rows.iter().enumerate() {
            let row = RowId(at as i128 + 1);
            let looked = again.get(&row).cloned().unwrap_or(Verdict::NotComparable);
            for (way, verdict) in [("read", &first[&row]), ("whole", &looked)] {
                let told = match verdict {
                    Verdict::Same => Found::Same,
                    Verdict::Missing => Found::Missing,
                    Verdict::Differs(_) => Found::Differs,
                    Verdict::Ambiguous(n) => Found::Ambiguous(*n),
                    Verdict::TooLarge | Verdict::NotComparable => Found::NotComparable,
                    Verdict::Extra => unreachable!("the source has every row"),
                };
                if told != *found {
                    let (s, d) = (keys.source.on(src.engine).unwrap(), keys.copy.on(des.engine).unwrap());
                    wrong.push(format!(
                        "{place}: {key:?} as {s} among {copies:?} as {d}: {told:?} instead of {found:?} ({way})"
                    ));
                }
            }
        }
    }
    places.close().await;
    (able.iter().map(|keys| keys.rows.len()).sum(), wrong)
}

async fn fill(db: &Db, table: &str, kind: &str, rows: &[(Lit, &str)]) {
    let mut statements = vec![
        lenient(db).to_owned(),
        format!("CREATE TABLE {table} (id INTEGER NOT NULL PRIMARY KEY, k {kind}, v VARCHAR(20))"),
    ];
    for (at, (key, value)) in rows.iter().enumerate() {
        statements.push(format!("INSERT INTO {table} VALUES ({}, {}, '{value}')", at + 1, key.sql(db)));
    }
    db.run(statements.join(";\n")).await;
}
