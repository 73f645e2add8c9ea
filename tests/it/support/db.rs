//! A database of one's own on any engine, for seeding and for looking.

use std::sync::Arc;

use cupid::config::Engine;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, MySqlPool, PgPool, Row, SqlitePool, ValueRef};

use super::servers::{self, Server};
use super::temp::TempDir;

/// The engines of the matrix.
pub const ENGINES: [Engine; 3] = [Engine::MySql, Engine::Postgres, Engine::Sqlite];

/// An empty database, made for one test.
#[derive(Clone)]
pub struct Db {
    pub engine: Engine,
    /// Name of the database; for SQLite the file.
    pub name: String,
    /// `None` for SQLite.
    pub server: Option<Arc<Server>>,
    pool: Pool,
    _guard: Arc<Guard>,
}

#[derive(Clone)]
enum Pool {
    MySql(MySqlPool),
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// Drops the database with its last user.
struct Guard {
    database: Option<(Arc<Server>, String)>,
    _dir: Option<TempDir>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.database {
            server.drop_database(name);
        }
    }
}

/// Values of one row as the database writes them as text.
pub type TextRow = Vec<Option<String>>;

impl Db {
    /// A database on the shared server of `engine`; `None` after a loud skip.
    pub async fn new(engine: Engine) -> Option<Self> {
        match engine {
            Engine::MySql => Some(Self::on(&servers::mysql().await?).await),
            Engine::Postgres => Some(Self::on(&servers::postgres().await?).await),
            Engine::Sqlite => Some(Self::sqlite().await),
        }
    }

    /// A database on the server for tests that keep a transaction open; `None` after a loud skip.
    pub async fn apart(engine: Engine) -> Option<Self> {
        Some(Self::on(&servers::apart(engine).await?).await)
    }

    /// One database each on every MySQL there is: the shared one and the developer's.
    pub async fn every_mysql() -> Vec<Self> {
        let mut all = Vec::new();
        for server in servers::mysql().await.into_iter().chain(servers::foreign_mysql()) {
            all.push(Self::on(&server).await);
        }
        all
    }

    /// A database on a given server.
    pub async fn on(server: &Arc<Server>) -> Self {
        let name = server.create_database().await;
        Self::open(server, &name).await
    }

    /// A database that is made, or copied there, under this name.
    pub async fn named(server: &Arc<Server>, name: &str) -> Self {
        let admin = Self::on(server).await;
        admin.run(format!("CREATE DATABASE IF NOT EXISTS {name}")).await;
        Self::open(server, name).await
    }

    async fn open(server: &Arc<Server>, name: &str) -> Self {
        let pool = match server.engine {
            Engine::MySql => {
                let options = MySqlPoolOptions::new().max_connections(6);
                Pool::MySql(options.connect_with(server.mysql_options(name)).await.unwrap())
            }
            _ => {
                let options = PgPoolOptions::new().max_connections(6);
                Pool::Postgres(options.connect_with(server.postgres_options(name)).await.unwrap())
            }
        };
        let guard = Guard { database: Some((server.clone(), name.to_owned())), _dir: None };
        Self {
            engine: server.engine,
            name: name.to_owned(),
            server: Some(server.clone()),
            pool,
            _guard: Arc::new(guard),
        }
    }

    /// A SQLite file in a folder of its own.
    pub async fn sqlite() -> Self {
        let dir = TempDir::new("sqlite");
        let file = dir.path().join("data.db");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off)
            .busy_timeout(std::time::Duration::from_secs(30))
            .foreign_keys(false)
            .disable_statement_logging();
        // One connection: SQLite has one writer, and a deferred read that becomes a write would fail at once.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        Self {
            engine: Engine::Sqlite,
            name: file.display().to_string(),
            server: None,
            pool: Pool::Sqlite(pool),
            _guard: Arc::new(Guard { database: None, _dir: Some(dir) }),
        }
    }

    /// What a configuration's `dsn` says.
    pub fn url(&self) -> String {
        match &self.server {
            Some(server) => server.url(&self.name),
            None => format!("sqlite://{}", self.name),
        }
    }

    /// The same for another account; SQLite has none.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.server.as_ref().expect("a server has accounts").url_as(user, password, &self.name)
    }

    /// Quotes a name in the engine's dialect.
    pub fn quote(&self, name: &str) -> String {
        match self.engine {
            Engine::MySql => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// Runs one or several statements on one connection.
    pub async fn run(&self, sql: impl Into<String>) {
        let sql = sql.into();
        self.try_run(&sql).await.unwrap_or_else(|e| panic!("{e}\nin: {sql:.500}"));
    }

    /// [`Db::run`] for statements that may fail.
    pub async fn try_run(&self, sql: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.pool {
            Pool::MySql(pool) => query.execute(pool).await.map(drop),
            Pool::Postgres(pool) => query.execute(pool).await.map(drop),
            Pool::Sqlite(pool) => query.execute(pool).await.map(drop),
        }
    }

    /// Rows of a query, each value as the engine writes it as text.
    pub async fn texts(&self, sql: impl Into<String>) -> Vec<TextRow> {
        self.table(sql).await.1
    }

    /// Column names and rows of a query.
    pub async fn table(&self, sql: impl Into<String>) -> (Vec<String>, Vec<TextRow>) {
        let sql = sql.into();
        let query = sqlx::raw_sql(AssertSqlSafe(sql.clone()));
        // `raw_sql` speaks the servers' text protocols: what arrives is the server's own text.
        macro_rules! read {
            ($pool:expr, $text:expr) => {{
                let rows = query.fetch_all($pool).await.unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
                let names = rows.first().map(|r| {
                    sqlx::Row::columns(r).iter().map(|c| sqlx::Column::name(c).to_owned()).collect()
                });
                let rows = rows.iter().map(|r| (0..r.len()).map(|i| $text(r, i)).collect()).collect();
                (names.unwrap_or_default(), rows)
            }};
        }
        match &self.pool {
            Pool::MySql(pool) => read!(pool, |r: &sqlx::mysql::MySqlRow, i| {
                r.try_get_unchecked::<Option<Vec<u8>>, _>(i).unwrap().map(text)
            }),
            Pool::Postgres(pool) => read!(pool, |r: &sqlx::postgres::PgRow, i| {
                let value = r.try_get_raw(i).unwrap();
                (!value.is_null()).then(|| value.as_str().unwrap().to_owned())
            }),
            Pool::Sqlite(pool) => read!(pool, |r: &sqlx::sqlite::SqliteRow, i| {
                r.try_get_unchecked::<Option<String>, _>(i).unwrap()
            }),
        }
    }

    /// First value of the first row, as a number.
    pub async fn number(&self, sql: impl Into<String>) -> i64 {
        let rows = self.texts(sql).await;
        rows[0][0].as_deref().expect("not null").parse().expect("a number")
    }

    /// Writes a literal in the engine's dialect.
    pub fn literal(&self, value: Option<&str>) -> String {
        match value {
            None => "NULL".to_owned(),
            Some(v) if self.engine == Engine::MySql => {
                format!("'{}'", v.replace('\\', "\\\\").replace('\'', "''"))
            }
            Some(v) => format!("'{}'", v.replace('\'', "''")),
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("test data is UTF-8")
}

/// The helper itself: text forms are those of the engine, and each test has a database of its own.
#[tokio::test]
async fn databases_are_private_and_answer_in_text() {
    for engine in ENGINES {
        let (Some(a), Some(b)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        for db in [&a, &b] {
            db.run(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n VARCHAR(20)); INSERT INTO t VALUES (1, 'x''y')",
            )
            .await;
        }
        a.run("INSERT INTO t VALUES (2, NULL)").await;
        let rows = a.texts("SELECT id, n FROM t ORDER BY id").await;
        let expected: Vec<TextRow> =
            vec![vec![Some("1".into()), Some("x'y".into())], vec![Some("2".into()), None]];
        assert_eq!(rows, expected, "{engine}");
        assert_eq!(b.number("SELECT count(*) FROM t").await, 1, "{engine}");
    }
}
