//! The same groups by the servers' digests: a row that differs never has the same one, and is told with the others; and
//! wherever both servers write any two values of a group alike, these are the same.

use std::sync::Arc;
use std::time::Duration;

use cupid::audit::{Event, Mapping, Pace, Strategy, Tables, Tally, Wanted, audit};
use cupid::config::{ColumnPolicy, Engine, TableUrl};
use cupid::sql::{Database, Limits};
use tokio::sync::mpsc;

use super::bench::{self, Column};
use super::case::{Group, Is, Lit};
use crate::support::db::Db;

/// All cases that these databases can have; the number of them that were digested, and what is wrong.
pub async fn run(src: &Db, des: &Db, groups: &[&Group]) -> (usize, Vec<String>) {
    let columns = bench::columns(src, des, groups);
    let tables = bench::tables(src, des, &columns).await;
    let places = [src, des].map(|db| {
        let url = TableUrl::parse(&super::super::audit::at(db, "t0")).unwrap();
        Arc::new(Database::connect(&url.dsn, Limits::default()))
    });
    let (mut digested, mut wrong, mut read) = (0, Vec::new(), Vec::new());
    for (n, table) in tables.iter().enumerate() {
        for (c, column) in table.iter().enumerate() {
            let (a, b) = column.types();
            let about = format!(
                "{} → {}, {}: {} and {}",
                src.engine,
                des.engine,
                column.group.about,
                a.on(src.engine).unwrap(),
                b.on(des.engine).unwrap()
            );
            let ids = |wanted: Is| -> Vec<String> {
                let rows = (0..column.group.rows.len()).filter(|at| column.row(*at).unwrap().2 == wanted);
                rows.map(|at| (at + 1).to_string()).collect()
            };
            let (same, differs) = (ids(Is::Same), ids(Is::Differs));
            if !same.is_empty() {
                let Some(tally) = Box::pin(ask(&places, n, c, &same)).await else {
                    read.push(about);
                    continue;
                };
                if tally.differences() > 0 || tally.same != same.len() as u64 {
                    wrong.push(format!("{about}: {tally:?}"));
                }
            }
            wrong.extend(Box::pin(alike(src, des, &places, (n, c), column)).await);
            // Each for itself: others would have the stretch read.
            for id in differs {
                let one = std::slice::from_ref(&id);
                let Some(tally) = Box::pin(ask(&places, n, c, one)).await else { break };
                digested += 1;
                if tally.differs != 1 {
                    let row = column.row(id.parse::<usize>().unwrap() - 1);
                    wrong.push(format!("{about}: {row:?} has the same digest: {tally:?}"));
                }
            }
        }
    }
    for place in &places {
        place.close().await;
    }
    read.dedup();
    eprintln!("rows are read, not digested:\n  {}", read.join("\n  "));
    (digested, wrong)
}

/// The values of one side that the other side's server writes as another value of its own: they must be the same.
async fn alike(
    src: &Db,
    des: &Db,
    places: &[Arc<Database>; 2],
    (table, at): (usize, usize),
    column: &Column<'_>,
) -> Vec<String> {
    let resolved = Box::pin(Tables::resolve(places.clone(), &wanted(table, at, None))).await.unwrap();
    let Some(texts) = resolved.row_texts() else { return Vec::new() };
    let count = column.group.rows.len();
    let mut written = Vec::new();
    for (db, text) in [src, des].into_iter().zip(texts) {
        let session = match db.engine {
            Engine::MySql => "SET time_zone = '+00:00', sql_mode = ''; ",
            _ => "",
        };
        let select = format!("{session}SELECT {text} FROM t{table} WHERE id <= {count} ORDER BY id");
        let rows = db.texts(select).await;
        // Behind the key.
        let value =
            |row: &Vec<Option<String>>| row[0].as_deref()?.split_once(';').map(|(_, rest)| rest.to_owned());
        written.push(rows.iter().map(value).collect::<Vec<Option<String>>>());
    }
    let mut pairs: Vec<(Lit, Lit)> = Vec::new();
    for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))).filter(|(a, b)| a != b) {
        assert!(
            written[0][a].is_some() && written[1][b].is_some(),
            "each row has a text: {texts:?} {written:?}"
        );
        let (from, to) = (column.row(a).unwrap().0, column.row(b).unwrap().1);
        if written[0][a] == written[1][b] && !matches!((from, to), (Lit::Own, _) | (_, Lit::Own)) {
            pairs.push((from, to));
        }
    }
    let name = format!("x{table}_{at}");
    let (a, b) = column.types();
    for (db, kind, values) in [
        (src, a, pairs.iter().map(|pair| pair.0).collect::<Vec<Lit>>()),
        (des, b, pairs.iter().map(|pair| pair.1).collect()),
    ] {
        let mut sql = vec![
            bench::lenient(db).to_owned(),
            format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, v {})", kind.on(db.engine).unwrap()),
        ];
        let rows = values.iter().enumerate();
        sql.extend(rows.map(|(id, value)| format!("INSERT INTO {name} VALUES ({id}, {})", value.sql(db))));
        db.run(sql.join(";\n")).await;
    }
    let whole = Wanted {
        tables: [name.clone(), name],
        columns: Mapping::Same { but: Vec::new() },
        ..wanted(0, 0, None)
    };
    let tables = Box::pin(Tables::resolve(places.clone(), &whole)).await.unwrap();
    let pace = Pace { strategy: Strategy::Stream, confirm: Duration::ZERO, ..Pace::default() };
    let (events, mut seen) = mpsc::channel(1024);
    let tally = Box::pin(audit(&tables, &pace, &events)).await.unwrap();
    assert_eq!(tally.rows_source, pairs.len() as u64);
    let mut wrong = Vec::new();
    while let Ok(event) = seen.try_recv() {
        if let Event::Found(found) = event {
            wrong.push(format!(
                "{} → {}, {}: written alike: {found:?}",
                src.engine, des.engine, column.group.about
            ));
        }
    }
    wrong
}

/// What digests say of these rows of a column; `None`: there are none.
async fn ask(places: &[Arc<Database>; 2], table: usize, column: usize, ids: &[String]) -> Option<Tally> {
    let filter = format!("id IN ({})", ids.join(", "));
    let tables =
        Box::pin(Tables::resolve(places.clone(), &wanted(table, column, Some(filter)))).await.unwrap();
    if tables.without_digests().is_some() {
        return None;
    }
    let pace = Pace { strategy: Strategy::Digest, confirm: Duration::ZERO, ..Pace::default() };
    let (events, _seen) = mpsc::channel(64);
    Some(Box::pin(audit(&tables, &pace, &events)).await.unwrap())
}

fn wanted(table: usize, column: usize, filter: Option<String>) -> Wanted {
    Wanted {
        tables: [format!("t{table}"), format!("t{table}")],
        key: vec![("id".to_owned(), "id".to_owned())],
        columns: Mapping::These(vec![(format!("c{column}"), format!("d{column}"), ColumnPolicy::default())]),
        filters: [filter.clone(), filter],
        gone: None,
    }
}
