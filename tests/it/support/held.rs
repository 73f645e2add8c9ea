//! A connection of one's own, to hold a transaction open as an application does.

use cupid::config::Engine;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, PgConnection};

use super::db::Db;

/// An open transaction on MySQL or PostgreSQL.
pub enum Held {
    MySql(MySqlConnection),
    Postgres(PgConnection),
}

impl Held {
    pub async fn begin(db: &Db) -> Self {
        let mut held = Self::session(db).await;
        held.run("BEGIN").await;
        held
    }

    /// A connection without one yet.
    pub async fn session(db: &Db) -> Self {
        let server = db.server.as_ref().expect("a server");
        match db.engine {
            Engine::MySql => Self::MySql(server.mysql_options(&db.name).connect().await.unwrap()),
            _ => Self::Postgres(server.postgres_options(&db.name).connect().await.unwrap()),
        }
    }

    pub async fn run(&mut self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::MySql(c) => drop(query.execute(c).await.unwrap()),
            Self::Postgres(c) => drop(query.execute(c).await.unwrap()),
        }
    }

    /// `COMMIT` or `ROLLBACK`.
    pub async fn end(mut self, how: &str) {
        self.run(how).await;
        match self {
            Self::MySql(c) => c.close().await.unwrap(),
            Self::Postgres(c) => c.close().await.unwrap(),
        }
    }
}
