//! Keys are given out at the insert and seen at the commit: rows that appear behind the newest one are found.

use cupid::config::Engine;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

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
