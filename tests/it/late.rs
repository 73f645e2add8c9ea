//! Keys are given out at the insert and seen at the commit: rows that appear behind the newest one are found.

use std::sync::Arc;

use cupid::config::Engine;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::support::config::{legacy, source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::wait::{LIMIT, wait_for};
use crate::support::{servers, state};

/// A transaction of an application, open until it is told to commit.
enum Open {
    MySql(sqlx::MySqlConnection),
    Postgres(sqlx::PgConnection),
}

impl Open {
    async fn begin(pair: &Pair, sql: &str) -> Self {
        let url = pair.src.url();
        match pair.src.engine {
            Engine::MySql => {
                let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
                connection.execute("START TRANSACTION").await.unwrap();
                connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
                Self::MySql(connection)
            }
            Engine::Postgres => {
                let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
                Self::Postgres(connection)
            }
            Engine::Sqlite => unreachable!("SQLite has one writer at a time"),
        }
    }

    async fn commit(self) {
        match self {
            Self::MySql(mut c) => drop(c.execute("COMMIT").await.unwrap()),
            Self::Postgres(mut c) => drop(c.execute("COMMIT").await.unwrap()),
        }
    }
}

/// Smaller keys commit after larger ones were read; in between the daemon is killed and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_key_that_commits_later_is_found() {
    for pair in Pair::everywhere(&[Engine::MySql, Engine::Postgres]).await {
        let table = pair.src.quote(TABLE);
        pair.fill(1..=20).await;
        let row = |id: i64| {
            format!("INSERT INTO {table} (id, number, name, phone) VALUES ({id}, 'n{id}', 'late {id}', NULL)")
        };
        let first = Open::begin(&pair, &row(21)).await;
        let second = Open::begin(&pair, &row(22)).await;
        pair.fill_source(23..=23).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&pair.inserts(&receiver.url()));
        let mut daemon = site.start();
        daemon
            .until("the larger key is called back", LIMIT, || ids_of(&receiver.calls()).contains(&23))
            .await;
        first.commit().await;
        daemon.until("the late row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&21)).await;
        daemon.kill();
        second.commit().await;
        let mut daemon = site.start();
        daemon.until("also over a kill", LIMIT, || ids_of(&receiver.calls()).contains(&22)).await;
        wait_for("all are seen to agree", LIMIT, async || {
            (state::try_number(&site, "SELECT count(*) FROM delivery WHERE state = 'healed'").await? == 3)
                .then_some(())
        })
        .await;
        assert_eq!(pair.differences().await, [0_i64; 0]);
        let mut ids = ids_of(&receiver.calls());
        ids.dedup();
        assert_eq!(ids, [21, 22, 23], "none else is called back");
    }
}

/// Statements that a source has answered while the insert feed made so many looks for the first destination.
async fn statements(daemon: &mut Daemon, site: &Site, source: &Db, looks: usize) -> i64 {
    let executed = async || {
        let name = "VARIABLE_NAME = 'COM_STMT_EXECUTE'";
        source
            .number(format!("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE {name}"))
            .await
    };
    let looked = || {
        let output = site.everything_written();
        output
            .lines()
            .filter(|l| l.contains(" looked ") && l.contains("feed=insert") && l.contains("=one"))
            .count()
    };
    let (before, from) = (executed().await, looked());
    daemon.until("it has looked again and again", LIMIT * 2, || looked() >= from + looks).await;
    executed().await - before
}

/// Two destinations, and a transaction that is open all the while. One destination is away for a time, and is read for
/// on its own from what had settled; then one read serves both again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_drift_apart_share_their_reads_again() {
    const ROWS: i64 = 20_000;
    const LOOKS: usize = 40;
    let Some(server) = servers::start_mysql(&[], &[]).await else { return };
    let Some(away) = servers::start_mysql(&[], &[]).await else { return };
    let away = Arc::new(away);
    let one = Pair::of(Db::on(&Arc::new(server)).await, Db::sqlite().await).await;
    let two = Pair { src: one.src.clone(), des: Pair::new_copy(&away).await };
    let beside = Pair { src: one.des.clone(), des: two.des.clone() };
    one.fill_source(1..=10).await;
    beside.fill(1..=10).await;
    let table = one.src.quote(TABLE);
    let mut held = Held::begin(&one.src).await;
    held.run(&format!("INSERT INTO {table} (id, number) VALUES (11, 'held')")).await;
    one.fill_source(12..=ROWS).await;
    beside.fill(12..=ROWS).await;

    let receivers = [one.repairer().await, two.repairer().await];
    let copies = vec![
        with(one.copy(&receivers[0].url()), json!({ "name": "one" })),
        with(two.copy(&receivers[1].url()), json!({ "name": "two" })),
    ];
    let config =
        with(legacy(source(&one.src, TABLE, "number"), copies), json!({ "log": { "level": "debug" } }));
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("both have caught up", LIMIT, || daemon_says(&site, "caught up", 2)).await;
    let before = statements(&mut daemon, &site, &one.src, LOOKS).await;

    away.stop().await;
    one.fill_source(ROWS + 1..=ROWS + 50).await;
    daemon.until("the other goes on", LIMIT, || receivers[0].count() == 50).await;
    // Where there is nothing to compare, nobody is asked.
    daemon.until("one is away", LIMIT, || daemon_says(&site, "a database cannot be used now", 1)).await;
    let apart = statements(&mut daemon, &site, &one.src, LOOKS).await;
    away.start().await;
    daemon.until("it is back", LIMIT, || receivers[1].count() == 50).await;
    daemon
        .until("all is quiet", LIMIT, || site.run(&["status", "-c", "{c}"]).all().contains("nothing waits"))
        .await;
    let after = statements(&mut daemon, &site, &one.src, LOOKS).await;
    eprintln!("{LOOKS} looks: {before} statements together, {apart} apart, {after} together again");
    // Now and then the catalogue is looked at as well.
    assert!(after * 2 <= before * 3, "{after} statements, {before} before");
    assert!(apart <= before * 3 + 100, "{apart} statements, {before} before");

    held.end("COMMIT").await;
    for receiver in &receivers {
        daemon.until("the late row is told", LIMIT, || ids_of(&receiver.calls()).contains(&11)).await;
        assert_eq!(receiver.count(), 51);
    }
}

fn daemon_says(site: &Site, words: &str, times: usize) -> bool {
    site.everything_written().matches(words).count() >= times
}
