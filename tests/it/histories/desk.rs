//! A connection of an application, for transactions of any length.

use cupid::config::Engine;
use sqlx::{AssertSqlSafe, ConnectOptions, MySqlConnection, PgConnection};

use crate::support::db::Db;

pub(super) enum Desk {
    MySql(Box<MySqlConnection>),
    Postgres(Box<PgConnection>),
}

impl Desk {
    /// A connection to a server that this test has started.
    pub(super) async fn open(db: &Db) -> Self {
        let server = db.server.as_ref().unwrap();
        match db.engine {
            Engine::MySql => {
                let mut desk = Self::MySql(Box::new(server.mysql_options(&db.name).connect().await.unwrap()));
                desk.run("SET innodb_lock_wait_timeout = 2").await.unwrap();
                desk
            }
            // By the socket, which asks for no password: proving that one knows it takes a test build a while.
            _ => {
                let options = server.postgres_options(&db.name).socket(server.dir());
                Self::Postgres(Box::new(options.connect().await.unwrap()))
            }
        }
    }

    /// Runs statements; the number they return, if any.
    pub(super) async fn run(&mut self, sql: &str) -> Result<Option<i64>, sqlx::Error> {
        use sqlx::Row as _;
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::MySql(c) => Ok(query.fetch_optional(&mut **c).await?.map(|row| row.get(0))),
            Self::Postgres(c) => Ok(query.fetch_optional(&mut **c).await?.map(|row| row.get(0))),
        }
    }
}
