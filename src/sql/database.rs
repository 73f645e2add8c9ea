//! A small fixed pool of read-only sessions at one place.
//!
//! Sessions are opened when first needed and at most `Limits::connections` exist. A call that fails half-way, runs
//! out of time or is dropped by its caller never hands its session on: it is closed hard, and the statement limit
//! makes the server end what still runs. So nothing ever waits for the rest of somebody else's result.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::catalog::mysql::incarnation;
use super::connect::{self, Connection};
use super::run::{self, Answer, Take};
use super::statement::{Param, Read, Statement};
use super::{PlaceError, PlaceErrorKind, classify, horizon};
use crate::config::{Dsn, Engine};
use crate::model::{DatabaseClass, Row};

/// Bounds of one [`Database`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions at most.
    pub connections: usize,
    /// Time for one statement; the server itself ends what takes longer.
    pub statement: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4, statement: Duration::from_secs(30) }
    }
}

/// Time on top of the statement limit before we stop waiting for an answer ourselves.
const GRACE: Duration = Duration::from_secs(5);

/// A session idle for longer is asked whether it still lives before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// A session idle for longer is closed.
const CLOSE_AFTER: Duration = Duration::from_secs(300);

/// Time to wait for the answer to that question.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// One place that rows are read from; shared by every task that names the same `Dsn`.
pub struct Database {
    dsn: Dsn,
    place: String,
    limits: Limits,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
    /// When `zone` last asked a PostgreSQL server for its default zone, and the answer.
    pub(super) server_zone: Mutex<Option<(Instant, String)>>,
    /// What stood behind the names of tables when that was asked last; by table.
    pub(super) incarnations: Mutex<HashMap<String, incarnation::Known>>,
    /// What `horizon` remembers from reading to reading.
    pub(super) horizon: Mutex<horizon::Known>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A session in use. Unless it is given back, it is closed hard.
struct Lease<'a> {
    connection: Option<Connection>,
    reused: bool,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(Connection::Sqlite(_, deadline)) = &self.connection {
            deadline.set(Duration::ZERO);
        }
    }
}

impl Database {
    /// A place to read from. Nothing is opened yet; the first statement does that.
    pub fn connect(dsn: &Dsn, limits: Limits) -> Self {
        let connections = limits.connections.max(1);
        Self {
            place: dsn.place(),
            dsn: dsn.clone(),
            limits,
            permits: Semaphore::new(connections),
            idle: Mutex::new(Vec::with_capacity(connections)),
            server_zone: Mutex::new(None),
            incarnations: Mutex::default(),
            horizon: Mutex::default(),
        }
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.dsn.engine
    }

    /// Where it is, without credentials.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The settings it was made with.
    pub fn dsn(&self) -> &Dsn {
        &self.dsn
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    /// What stands in the way: unreachable, denied …
    pub async fn ping(&self) -> Result<(), PlaceError> {
        self.fetch(&Statement::new("SELECT 1", [Read::Int]), &[]).await.map(drop)
    }

    /// Closes idle sessions in good order.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for Idle { connection, .. } in idle {
            // The server notices a closed socket as well; a farewell only keeps its log clean.
            let _ = timeout(PROBE_LIMIT, connection.close()).await;
        }
    }

    /// Runs a statement and reads its whole result.
    pub(crate) async fn fetch(
        &self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Vec<Row>, PlaceError> {
        self.fetch_within(usize::MAX, statement, params).await.map(|answer| answer.rows)
    }

    /// Runs a statement and reads its rows until they take `budget` bytes; the last one may go beyond.
    pub(crate) async fn fetch_within(
        &self,
        budget: usize,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Answer, PlaceError> {
        let mut rows = run::Within::new(budget);
        self.fetch_into(&mut rows, statement, params).await?;
        Ok(rows.answer)
    }

    /// Runs a statement and gives its rows away one by one until no more are taken. Returns whether there may be more.
    pub(super) async fn fetch_into(
        &self,
        rows: &mut dyn Take,
        statement: &Statement,
        params: &[Param],
    ) -> Result<bool, PlaceError> {
        let mut lease = self.lease().await?;
        loop {
            let connection =
                lease.connection.as_mut().expect("a lease holds its connection until it is released");
            let limit = self.limits.statement;
            let fetch = run::fetch(connection, statement, params, limit, rows);
            let error = match timeout(limit + GRACE, fetch).await {
                Ok(Ok(cut)) => {
                    if !cut {
                        self.release(lease);
                    }
                    return Ok(cut);
                }
                Ok(Err(run::Failure::Driver(error))) => error,
                Ok(Err(run::Failure::Shape(message))) => {
                    return Err(PlaceError::new(PlaceErrorKind::Missing, &self.place, message));
                }
                Err(_) => {
                    let message = format!(
                        "no answer within {} s although the statement limit is {} s; the network or the server hangs",
                        (limit + GRACE).as_secs(),
                        limit.as_secs()
                    );
                    return Err(self.silent(message));
                }
            };
            let class = classify::class(self.dsn.engine, &error);
            if lease.reused && class.wants_fresh_connection() {
                // An idle session had died, or the table was altered: once more on a new one.
                lease.connection = Some(self.open().await?);
                lease.reused = false;
                continue;
            }
            if class.keeps_connection {
                self.release(lease);
            }
            let mut error = classify::place_error(self.dsn.engine, &self.place, error);
            if class.bad_value {
                error.source = Some(Box::new(BadValue));
            }
            return Err(error);
        }
    }

    /// Runs several statements in one go, in one session, and returns the values of the last row as text. MySQL only;
    /// what fails half-way ends the session.
    pub(super) async fn script(&self, sql: &str) -> Result<Vec<Option<String>>, PlaceError> {
        let mut lease = self.lease().await?;
        loop {
            let connection =
                lease.connection.as_mut().expect("a lease holds its connection until it is released");
            let error = match timeout(self.limits.statement + GRACE, run::script(connection, sql)).await {
                Ok(Ok(row)) => {
                    self.release(lease);
                    return Ok(row);
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    let message = "no answer in time; the network or the server hangs";
                    return Err(self.silent(message.to_owned()));
                }
            };
            if lease.reused && classify::class(self.dsn.engine, &error).wants_fresh_connection() {
                lease.connection = Some(self.open().await?);
                lease.reused = false;
                continue;
            }
            return Err(classify::place_error(self.dsn.engine, &self.place, error));
        }
    }

    async fn lease(&self) -> Result<Lease<'_>, PlaceError> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(Idle { mut connection, since }) = idle else { break };
            if since.elapsed() > CLOSE_AFTER {
                let _ = timeout(PROBE_LIMIT, connection.close()).await;
            } else if since.elapsed() < PROBE_AFTER || connection.answers().await {
                return Ok(Lease { connection: Some(connection), reused: true, _permit: permit });
            }
        }
        let connection = self.open().await?;
        Ok(Lease { connection: Some(connection), reused: false, _permit: permit })
    }

    async fn open(&self) -> Result<Connection, PlaceError> {
        let limit = self.dsn.connect_timeout;
        match timeout(limit, connect::open(&self.dsn, &self.limits)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(classify::place_error(self.dsn.engine, &self.place, error)),
            Err(_) => {
                let message = format!("no connection within {} s; {}", limit.as_secs_f64(), classify::REACH);
                let error = PlaceError::new(PlaceErrorKind::Unreachable, &self.place, message);
                Err(error.of_class(DatabaseClass::Timeout))
            }
        }
    }

    /// A statement that the server should have ended long ago.
    fn silent(&self, message: String) -> PlaceError {
        PlaceError::new(PlaceErrorKind::TooSlow, &self.place, message).of_class(DatabaseClass::Timeout)
    }

    fn release(&self, mut lease: Lease<'_>) {
        if let Some(connection) = lease.connection.take() {
            let idle = Idle { connection, since: Instant::now() };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }
}

impl Connection {
    async fn answers(&mut self) -> bool {
        let answer = match self {
            Self::MySql(c) => timeout(PROBE_LIMIT, c.ping()).await,
            Self::Postgres(c) => timeout(PROBE_LIMIT, c.ping()).await,
            Self::Sqlite(..) => return true,
        };
        matches!(answer, Ok(Ok(())))
    }

    async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql(c) => c.close().await,
            Self::Postgres(c) => c.close().await,
            Self::Sqlite(c, _) => c.close().await,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.place)
    }
}

/// Marks an error of a bound value, so that a look-up can find the key that is to blame.
#[derive(Debug, thiserror::Error)]
#[error("a bound value was refused")]
struct BadValue;

/// Whether the database refused a bound value rather than the statement.
pub(crate) fn is_bad_value(error: &PlaceError) -> bool {
    error.source.as_ref().is_some_and(|source| source.is::<BadValue>())
}
