//! Opens one session, read-only but for a repair: connection settings, TLS, and the session settings that make results exact.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::{Limits, nodelay};
use crate::config::{Dsn, Engine, Tls};

/// Prepared statements kept per connection: a few per task and destination, many tasks.
const STATEMENTS: usize = 512;

/// How long SQLite waits for a writer's lock.
const BUSY: Duration = Duration::from_secs(5);

/// Seconds that a session which writes waits for somebody else's lock.
const LOCK_WAIT: u32 = 3;

/// How often (in virtual machine steps) SQLite looks at its time limit.
const PROGRESS_STEPS: i32 = 10_000;

/// What the server calls us in its process list.
pub(super) const APPLICATION: &str = "cupid";

/// One open session.
pub(super) enum Connection {
    MySql(Box<MySqlConnection>),
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>, Deadline),
}

/// The time limit of the statement that runs on an SQLite connection.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    base: Instant,
    /// Milliseconds after `base`; `u64::MAX`: none.
    at: Arc<AtomicU64>,
}

impl Deadline {
    fn new() -> Self {
        Self { base: Instant::now(), at: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Lets the statement that runs now go on for `limit`; zero ends it.
    pub(super) fn set(&self, limit: Duration) {
        let at = self.base.elapsed().saturating_add(limit).as_millis();
        self.at.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.base.elapsed().as_millis() > u128::from(self.at.load(Ordering::Relaxed))
    }
}

/// Opens a session at `dsn`.
pub(super) async fn open(dsn: &Dsn, limits: &Limits) -> Result<Connection, sqlx::Error> {
    let connection = match dsn.engine {
        Engine::MySql => Connection::MySql(Box::new(open_mysql(dsn, limits).await?)),
        Engine::Postgres => Connection::Postgres(Box::new(open_postgres(dsn, limits).await?)),
        Engine::Sqlite => {
            let (connection, deadline) = open_sqlite(dsn).await?;
            Connection::Sqlite(Box::new(connection), deadline)
        }
    };
    if dsn.engine != Engine::Sqlite && dsn.socket.is_none() {
        nodelay::repair(dsn.port);
    }
    Ok(connection)
}

/// Opens a session that may write, which nobody but a repair needs. What is written must be stored as it is or be refused.
pub(super) async fn open_writer(dsn: &Dsn, limits: &Limits) -> Result<Connection, sqlx::Error> {
    if dsn.engine == Engine::Sqlite {
        let (connection, deadline) = open_sqlite_file(dsn, true).await?;
        return Ok(Connection::Sqlite(Box::new(connection), deadline));
    }
    let mut connection = open(dsn, limits).await?;
    match &mut connection {
        Connection::MySql(connection) => {
            // Zero dates are data here too, and so is an id of 0.
            connection
                .execute(
                    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,\
                     NO_ENGINE_SUBSTITUTION'",
                )
                .await?;
            connection.execute("SET SESSION TRANSACTION READ WRITE").await?;
            connection
                .execute(AssertSqlSafe(format!("SET SESSION innodb_lock_wait_timeout={LOCK_WAIT}")))
                .await?;
        }
        Connection::Postgres(connection) => {
            connection
                .execute(AssertSqlSafe(format!(
                    "SET default_transaction_read_only = off; SET lock_timeout = '{LOCK_WAIT}s'; \
                     SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"
                )))
                .await?;
        }
        Connection::Sqlite(..) => {}
    }
    Ok(connection)
}

async fn open_mysql(dsn: &Dsn, limits: &Limits) -> Result<MySqlConnection, sqlx::Error> {
    let mut options = MySqlConnectOptions::new()
        .host(&dsn.host)
        .port(dsn.port)
        .username(&dsn.user)
        .charset("utf8mb4")
        .timezone("+00:00".to_owned())
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(STATEMENTS)
        .ssl_mode(match dsn.tls {
            Tls::Off => MySqlSslMode::Disabled,
            Tls::Preferred => MySqlSslMode::Preferred,
            Tls::Required => MySqlSslMode::Required,
            Tls::VerifyCa => MySqlSslMode::VerifyCa,
            Tls::VerifyFull => MySqlSslMode::VerifyIdentity,
        })
        .disable_statement_logging();
    if let Some(socket) = &dsn.socket {
        // A server may offer or demand TLS here too, and its certificate needs a name to be checked against.
        options = options.socket(socket).host("localhost");
    }
    if let Some(password) = &dsn.password {
        options = options.password(password.expose());
    }
    if !dsn.database.is_empty() {
        options = options.database(&dsn.database);
    }
    if let Some(ca) = &dsn.ca {
        options = options.ssl_ca(ca);
    }
    let mut connection = options.connect().await?;
    let version: String = connection.fetch_one("SELECT VERSION()").await?.try_get_unchecked(0)?;
    let seconds = limits.statement.as_secs_f64().max(0.001);
    if version.contains("MariaDB") {
        // MariaDB makes a table of a list of 1000 values and, in a prepared statement, cuts the values down to the
        // width its first column seemed to have: keys would not be found.
        set_if_known(&mut connection, "SET SESSION in_predicate_conversion_threshold=0").await?;
        connection.execute(AssertSqlSafe(format!("SET SESSION max_statement_time={seconds:.3}"))).await?;
    } else {
        // Since 5.7.8.
        let limit = limits.statement.as_millis().max(1);
        set_if_known(&mut connection, format!("SET SESSION max_execution_time={limit}")).await?;
        // Since 8.0 what it says of a table may be a day old.
        set_if_known(&mut connection, "SET SESSION information_schema_stats_expiry=0").await?;
    }
    connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
    // An empty sql_mode: zero dates are data, not errors, and identifiers are quoted by backticks whatever the
    // server's default says.
    let lock_wait = limits.statement.as_secs().max(1);
    connection
        .execute(AssertSqlSafe(format!("SET SESSION sql_mode='', SESSION lock_wait_timeout={lock_wait}")))
        .await?;
    Ok(connection)
}

/// Sets what older servers do not have.
async fn set_if_known(connection: &mut MySqlConnection, sql: impl Into<String>) -> Result<(), sqlx::Error> {
    match connection.execute(AssertSqlSafe(sql.into())).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn open_postgres(dsn: &Dsn, limits: &Limits) -> Result<PgConnection, sqlx::Error> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&dsn.host)
        .port(dsn.port)
        .username(&dsn.user)
        .password(dsn.password.as_ref().map_or("", |password| password.expose()))
        .database(if dsn.database.is_empty() { &dsn.user } else { &dsn.database })
        .application_name(APPLICATION)
        .statement_cache_capacity(STATEMENTS)
        .ssl_mode(match dsn.tls {
            Tls::Off => PgSslMode::Disable,
            Tls::Preferred => PgSslMode::Prefer,
            Tls::Required => PgSslMode::Require,
            Tls::VerifyCa => PgSslMode::VerifyCa,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        })
        .disable_statement_logging();
    if let Some(socket) = &dsn.socket {
        // libpq and sqlx name the folder; a full path to the socket file is understood too. As with libpq there is no TLS
        // through a socket, whatever is asked for: no server offers it there.
        options = options.socket(postgres_socket_folder(socket)).ssl_mode(PgSslMode::Disable);
    }
    if let Some(ca) = &dsn.ca {
        options = options.ssl_root_cert(ca);
    }
    let mut connection = options.connect().await?;
    let limit = limits.statement.as_millis().max(1);
    // Plans are made for the values at hand: a generic plan for "the rows after x" may well read the whole table. And
    // rows that a policy hides would be taken for missing: without row security the server refuses to read such a table.
    connection
        .execute(AssertSqlSafe(format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {limit}; \
             SET lock_timeout = {limit}; SET bytea_output = 'hex'; SET IntervalStyle = 'postgres'; \
             SELECT set_config(name, CASE name WHEN 'row_security' THEN 'off' ELSE 'force_custom_plan' END, false) \
             FROM pg_catalog.pg_settings WHERE name IN ('plan_cache_mode', 'row_security')"
        )))
        .await?;
    Ok(connection)
}

/// The folder of a PostgreSQL socket, from the folder itself or from the socket's own path.
pub(super) fn postgres_socket_folder(socket: &Path) -> &Path {
    let is_file =
        socket.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(".s.PGSQL."));
    match socket.parent() {
        Some(folder) if is_file => folder,
        _ => socket,
    }
}

async fn open_sqlite(dsn: &Dsn) -> Result<(SqliteConnection, Deadline), sqlx::Error> {
    open_sqlite_file(dsn, false).await
}

async fn open_sqlite_file(dsn: &Dsn, writes: bool) -> Result<(SqliteConnection, Deadline), sqlx::Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(&dsn.database)
        .read_only(!writes)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
        .pragma("query_only", if writes { "off" } else { "on" })
        .disable_statement_logging()
        .connect()
        .await?;
    let deadline = Deadline::new();
    let watch = deadline.clone();
    connection.lock_handle().await?.set_progress_handler(PROGRESS_STEPS, move || !watch.is_over());
    Ok((connection, deadline))
}
