//! The same groups by the servers' digests: a row that differs never has the same one, and is told with the others.

use std::sync::Arc;
use std::time::Duration;

use cupid::audit::{Mapping, Pace, Strategy, Tables, Tally, Wanted, audit};
use cupid::config::{ColumnPolicy, TableUrl};
use cupid::sql::{Database, Limits};
use tokio::sync::mpsc;

use super::bench;
use super::case::{Group, Is};
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

/// What digests say of these rows of a column; `None`: there are none.
async fn ask(places: &[Arc<Database>; 2], table: usize, column: usize, ids: &[String]) -> Option<Tally> {
    let filter = Some(format!("id IN ({})", ids.join(", ")));
    let wanted = Wanted {
        tables: [format!("t{table}"), format!("t{table}")],
        key: vec![("id".to_owned(), "id".to_owned())],
        columns: Mapping::These(vec![(format!("c{column}"), format!("d{column}"), ColumnPolicy::default())]),
        filters: [filter.clone(), filter],
    };
    let tables = Tables::resolve(places.clone(), &wanted).await.unwrap();
    if tables.without_digests().is_some() {
        return None;
    }
    let pace = Pace { strategy: Strategy::Digest, confirm: Duration::ZERO, ..Pace::default() };
    let (events, _seen) = mpsc::channel(64);
    Some(Box::pin(audit(&tables, &pace, &events)).await.unwrap())
}
