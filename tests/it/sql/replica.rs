//! A source that is itself a copy: what its primary wrote long ago may arrive at any time.

use std::sync::Arc;
use std::time::Duration;

use cupid::config::Engine;
use cupid::model::Feed;

use super::super::support::servers::{PASSWORD, Server, USER, start_mysql};
use super::super::support::wait::{LIMIT, wait_for};
use super::Db;
use super::settled::{SETTLE, Walker, config, row, table, write};

/// A primary, its replica, and one database on both.
async fn replicated() -> Option<(Db, Db)> {
    let primary =
        Arc::new(start_mysql(&["--server-id=1", "--log-bin=log", "--binlog-format=ROW"], &[]).await?);
    let replica: Arc<Server> = Arc::new(start_mysql(&["--server-id=2", "--read-only"], &[]).await?);
    let there = Db::on(&primary).await;
    let seen = there.texts("SELECT @@gtid_binlog_pos").await[0][0].clone().unwrap();
    let here = Db::named(&replica, &there.name).await;
    here.run(format!(
        "SET GLOBAL gtid_slave_pos = '{seen}'; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, \
         MASTER_USER = '{USER}', MASTER_PASSWORD = '{PASSWORD}', MASTER_USE_GTID = slave_pos; START SLAVE",
        primary.port
    ))
    .await;
    Some((there, here))
}

async fn arrives(here: &Db, what: &str, sql: &str) {
    wait_for(what, LIMIT, async || (here.number(sql).await == 1).then_some(())).await;
}

/// It goes on receiving, and applies nothing for longer than `settle`.
#[tokio::test]
async fn a_replica_that_stops_applying_for_a_while_loses_nothing() {
    let Some((there, here)) = replicated().await else { return };
    table(&there).await;
    there.run(row(Engine::MySql, 1, 0)).await;
    there.run(row(Engine::MySql, 2, 0)).await;
    let tables =
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 't'";
    arrives(&here, "the table is copied", tables).await;
    arrives(&here, "the rows are copied", "SELECT count(*) = 2 FROM t").await;
    let mut inserts = Walker::new(&config(&here), Feed::Insert).await;
    let mut updates = Walker::new(&config(&here), Feed::Update).await;
    inserts.finds("the first row", 1, 0).await;
    updates.look().await;
    assert!(!updates.coverage.told, "what is open at the primary is not told here");
    for stops in ["SQL_THREAD", ""] {
        let v = i64::from(stops.is_empty()) + 1;
        here.run(format!("STOP SLAVE {stops}")).await;
        there.run(write(Engine::MySql, 1, v)).await;
        there.run(row(Engine::MySql, 10 * v, v)).await;
        for walker in [&mut inserts, &mut updates] {
            walker.goes_on(SETTLE * 2 + Duration::from_secs(2)).await;
        }
        here.run("START SLAVE").await;
        updates.finds("the change", 1, v.into()).await;
        updates.finds("the new row, by its time", (10 * v).into(), v.into()).await;
        inserts.finds("the new row", (10 * v).into(), v.into()).await;
    }
}
