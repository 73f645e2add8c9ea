//! Runs groups of values on two databases: each group is a column, each of its cases a row, many groups to a table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use cupid::engine::{Judged, Pair, Places};
use cupid::model::{Feed, Key, RowId, SourceRow, Verdict};
use serde_json::{Value, json};

use super::case::{Group, Is, Lit, Type};
use crate::support::db::Db;

/// Columns to a table: MariaDB wants a row of the longest values to fit into a page.
const COLUMNS: usize = 20;

/// A group in one direction.
pub(super) struct Column<'g> {
    pub(super) group: &'g Group,
    turned: bool,
}

impl Column<'_> {
    pub(super) fn types(&self) -> (Type, Type) {
        if self.turned { (self.group.copy, self.group.source) } else { (self.group.source, self.group.copy) }
    }

    pub(super) fn row(&self, at: usize) -> Option<(Lit, Lit, Is)> {
        let (a, b, is) = *self.group.rows.get(at)?;
        Some(if self.turned { (b, a, is) } else { (a, b, is) })
    }
}

/// All cases that these databases can have; the number of them, and what is wrong.
pub async fn run(src: &Db, des: &Db, groups: &[&Group]) -> (usize, Vec<String>) {
    let columns = columns(src, des, groups);
    let tables = tables(src, des, &columns).await;
    let mut tasks = serde_json::Map::new();
    for (n, table) in tables.iter().enumerate() {
        let name = format!("t{n}");
        let mapped = table.iter().enumerate().map(|(c, column)| {
            let policy = column.group.policy;
            let entry = match policy {
                "" => json!(format!("d{c}")),
                members => serde_json::from_str(&format!("{{ \"column\": \"d{c}\", {members} }}")).unwrap(),
            };
            (format!("c{c}"), entry)
        });
        tasks.insert(name.clone(), task(src, des, &name, "id", mapped.collect()));
    }
    let mut wrong = Vec::new();
    let places = places(tasks);
    for (n, table) in tables.iter().enumerate() {
        let task = places.tasks.iter().find(|t| t.config.name.as_str() == format!("t{n}")).unwrap();
        let pair = task.pair(0).await.unwrap_or_else(|e| panic!("{} → {} t{n}: {e}", src.engine, des.engine));
        let (first, again) = both_ways(&pair).await;
        let rows = table.iter().map(|c| c.group.rows.len()).max().unwrap_or(0);
        assert_eq!((first.len(), again.len()), (rows, rows), "{} → {} t{n}", src.engine, des.engine);
        for at in 0..rows {
            let row = RowId(at as i128 + 1);
            for (way, verdict) in [("read", &first[&row]), ("whole", &again[&row])] {
                let differing: &[usize] = match verdict {
                    Verdict::Same => &[],
                    Verdict::Differs(columns) => columns,
                    other => panic!("{} → {} t{n} row {at}: {other:?}", src.engine, des.engine),
                };
                for (c, column) in table.iter().enumerate() {
                    let told = if differing.contains(&c) { Is::Differs } else { Is::Same };
                    let (a, b, is) = column.row(at).unwrap_or((Lit::Null, Lit::Null, Is::Same));
                    if told != is {
                        let (s, d) = column.types();
                        wrong.push(format!(
                            "{} → {}, {} {}: {a:?} as {} and {b:?} as {}: {told:?} instead of {is:?} ({way})",
                            src.engine,
                            des.engine,
                            column.group.about,
                            column.group.policy,
                            s.on(src.engine).unwrap(),
                            d.on(des.engine).unwrap(),
                        ));
                    }
                }
            }
        }
    }
    places.close().await;
    (columns.iter().map(|c| c.group.rows.len()).sum(), wrong)
}

/// The groups that these engines have the types for, in both directions.
pub(super) fn columns<'g>(src: &Db, des: &Db, groups: &[&'g Group]) -> Vec<Column<'g>> {
    groups
        .iter()
        .flat_map(|group| [false, true].map(|turned| Column { group, turned }))
        .filter(|c| c.types().0.on(src.engine).is_some() && c.types().1.on(des.engine).is_some())
        .collect()
}

/// Fills tables `t0`, `t1` … on both sides, whose columns are `c0`, `c1` … here and `d0`, `d1` … there.
pub(super) async fn tables<'c, 'g>(src: &Db, des: &Db, columns: &'c [Column<'g>]) -> Vec<&'c [Column<'g>]> {
    let tables: Vec<&[Column<'_>]> = columns.chunks(COLUMNS).collect();
    for (n, table) in tables.iter().enumerate() {
        let name = format!("t{n}");
        fill(src, &name, "c", table, |c| c.types().0, |row| row.0).await;
        fill(des, &name, "d", table, |c| c.types().1, |row| row.1).await;
    }
    tables
}

/// A task that compares a table with the one of the same name.
pub fn task(src: &Db, des: &Db, table: &str, by: &str, columns: serde_json::Map<String, Value>) -> Value {
    json!({
        "src": { "dsn": src.url(), "table": table, "id": "id", "byColumn": by },
        "des": [{ "dsn": des.url(), "table": table, "byColumn": by, "columns": columns,
                  "callbackNotification": { "url": "http://127.0.0.1:1/" } }],
    })
}

/// The places of a configuration with these tasks.
pub fn places(tasks: serde_json::Map<String, Value>) -> Places {
    let text = json!({ "tasks": tasks }).to_string();
    let loaded = cupid::config::parse(&text, Path::new("/etc/cupid.json"), &|_| None);
    Places::new(&loaded.unwrap_or_else(|report| panic!("{report}")).config, &[])
}

/// What the engine says of all rows as a feed reads them, and as they are read before an attempt.
pub async fn both_ways(pair: &Arc<Pair>) -> (HashMap<RowId, Verdict>, HashMap<RowId, Verdict>) {
    let judged = judged(pair).await;
    let keyed: Vec<(RowId, &Key)> = judged.iter().filter_map(|j| Some((j.row, j.key.as_ref()?))).collect();
    let (mut wanted, mut again) = (keyed, HashMap::new());
    while !wanted.is_empty() {
        let looked = pair.look(&wanted).await.unwrap();
        assert!(looked[0].is_some(), "it goes on");
        let (mut rest, both) = (Vec::new(), wanted.into_iter().zip(looked));
        for ((row, key), looked) in both {
            match looked {
                Some(looked) => drop(again.insert(row, looked.verdict.expect("it is there"))),
                None => rest.push((row, key)),
            }
        }
        wanted = rest;
    }
    (judged.into_iter().map(|j| (j.row, j.verdict)).collect(), again)
}

/// What the engine says of all rows as a feed reads them.
pub async fn judged(pair: &Arc<Pair>) -> Vec<Judged> {
    pair.judge_all(&rows(pair).await).await.unwrap()
}

/// All rows of the source, as the insert feed reads them.
pub async fn rows(pair: &Arc<Pair>) -> Vec<SourceRow> {
    let mut at = pair.source.start(Feed::Insert, Some(RowId(1))).await.unwrap();
    let mut rows: BTreeMap<RowId, SourceRow> = BTreeMap::new();
    loop {
        let batch = pair.source.read(Feed::Insert, &at, 5000).await.unwrap();
        rows.extend(batch.rows.into_iter().map(|row| (row.id, row)));
        at = batch.next;
        if !batch.more {
            return rows.into_values().collect();
        }
    }
}

async fn fill(
    db: &Db,
    table: &str,
    prefix: &str,
    columns: &[Column<'_>],
    kind: impl Fn(&Column<'_>) -> Type,
    side: impl Fn((Lit, Lit, Is)) -> Lit,
) {
    let declared: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(c, column)| format!("{prefix}{c} {}", kind(column).on(db.engine).unwrap()))
        .collect();
    db.run(format!("CREATE TABLE {table} (id INTEGER NOT NULL PRIMARY KEY, {})", declared.join(", "))).await;
    let rows = columns.iter().map(|c| c.group.rows.len()).max().unwrap_or(0);
    let mut statements = vec![lenient(db).to_owned()];
    for at in 0..rows {
        let (mut names, mut values) = (vec!["id".to_owned()], vec![(at + 1).to_string()]);
        for (c, column) in columns.iter().enumerate() {
            match column.row(at).map(&side) {
                None | Some(Lit::Own) => {}
                Some(lit) => {
                    names.push(format!("{prefix}{c}"));
                    values.push(lit.sql(db));
                }
            }
        }
        statements.push(format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", ")));
    }
    db.run(statements.join(";\n")).await;
}

/// Lets MySQL take zero dates.
pub fn lenient(db: &Db) -> &'static str {
    if db.engine == cupid::config::Engine::MySql { "SET sql_mode = ''" } else { "SELECT 1" }
}
