//! One session that may write, and what it says when it cannot.

use std::time::Duration;

use sqlx::error::ErrorKind;
use tokio::time::timeout;

use super::super::connect::{self, Connection};
use super::super::run::{self, Within};
use super::super::statement::{Param, Statement};
use super::super::{Limits, PlaceError, PlaceErrorKind, classify};
use crate::config::{Dsn, Engine};
use crate::model::{DatabaseClass, Row};

/// Time on top of the statement limit before the answer is no longer waited for.
const GRACE: Duration = Duration::from_secs(5);

/// A session. When it is dropped, what was not committed is undone by the server.
pub(crate) struct Session {
    connection: Connection,
    engine: Engine,
    place: String,
    limit: Duration,
    writes: bool,
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) kind: FailedKind,
    pub(crate) error: PlaceError,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedKind {
    /// Another row has this value of a unique index.
    Duplicate,
    /// A foreign key says no.
    ForeignKey,
    /// The database does not take this row.
    Refused,
    /// Somebody else held a lock; the transaction is to be begun anew.
    Passing,
    /// The connection is gone.
    Lost,
    /// No other row would fare better.
    Fatal,
}

impl Session {
    /// Opens one; without `writes` it is read-only and locks nothing.
    pub(crate) async fn open(dsn: &Dsn, limits: &Limits, writes: bool) -> Result<Self, PlaceError> {
        let place = dsn.place();
        let opened = async {
            if writes { connect::open_writer(dsn, limits).await } else { connect::open(dsn, limits).await }
        };
        match timeout(dsn.connect_timeout, Box::pin(opened)).await {
            Ok(Ok(connection)) => {
                Ok(Self { connection, engine: dsn.engine, place, limit: limits.statement, writes })
            }
            Ok(Err(error)) => Err(classify::place_error(dsn.engine, &place, error)),
            Err(_) => {
                let message = format!(
                    "no connection within {} s; {}",
                    dsn.connect_timeout.as_secs_f64(),
                    classify::REACH
                );
                Err(PlaceError::new(PlaceErrorKind::Unreachable, place, message)
                    .of_class(DatabaseClass::Timeout))
            }
        }
    }

    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// All rows of a statement.
    pub(crate) async fn fetch(
        &mut self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Vec<Row>, Failed> {
        let mut within = Within::new(usize::MAX);
        let fetch = run::fetch(&mut self.connection, statement, params, self.limit, &mut within);
        match timeout(self.limit + GRACE, fetch).await {
            Ok(Ok(_)) => Ok(within.answer.rows),
            Ok(Err(run::Failure::Driver(error))) => Err(self.failed(error)),
            Ok(Err(run::Failure::Shape(message))) => Err(Failed {
                kind: FailedKind::Fatal,
                error: PlaceError::new(PlaceErrorKind::Missing, &self.place, message),
            }),
            Err(_) => Err(self.silent()),
        }
    }

    /// How many rows a statement met.
    pub(crate) async fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, Failed> {
        match timeout(self.limit + GRACE, run::execute(&mut self.connection, sql, params, self.limit)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// Begins a transaction; SQLite has one writer, who says so at once.
    pub(crate) async fn begin(&mut self) -> Result<(), Failed> {
        let sql = if self.engine == Engine::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.control(sql).await
    }

    /// Makes everything since the beginning durable.
    pub(crate) async fn commit(&mut self) -> Result<(), Failed> {
        self.control("COMMIT").await
    }

    /// Takes everything since the beginning back.
    pub(crate) async fn rollback(&mut self) -> Result<(), Failed> {
        self.control("ROLLBACK").await
    }

    /// A point that [`Session::back`] returns to.
    pub(crate) async fn mark(&mut self) -> Result<(), Failed> {
        self.control("SAVEPOINT cupid").await
    }

    /// Takes back what was done since the mark.
    pub(crate) async fn back(&mut self) -> Result<(), Failed> {
        self.control("ROLLBACK TO SAVEPOINT cupid").await
    }

    /// Forgets the mark.
    pub(crate) async fn release(&mut self) -> Result<(), Failed> {
        self.control("RELEASE SAVEPOINT cupid").await
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), Failed> {
        match timeout(self.limit + GRACE, run::control(&mut self.connection, sql)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Failed {
        let message = "no answer in time; the network or the server hangs";
        let error = PlaceError::new(PlaceErrorKind::TooSlow, &self.place, message);
        Failed { kind: FailedKind::Lost, error: error.of_class(DatabaseClass::Timeout) }
    }

    fn failed(&self, error: sqlx::Error) -> Failed {
        let class = classify::class(self.engine, &error);
        let said = error.as_database_error().map(|e| (e.kind(), classify::one_line(e.message())));
        let mut error = classify::place_error(self.engine, &self.place, error);
        let kind = match &said {
            Some((ErrorKind::UniqueViolation, _)) => FailedKind::Duplicate,
            Some((ErrorKind::ForeignKeyViolation, _)) => FailedKind::ForeignKey,
            _ if !class.keeps_connection => FailedKind::Lost,
            _ if class.kind == PlaceErrorKind::Transient => FailedKind::Passing,
            Some(_)
                if class.bad_value
                    || class.kind == PlaceErrorKind::TooSlow
                    || (class.kind == PlaceErrorKind::Other && class.class == DatabaseClass::Other) =>
            {
                FailedKind::Refused
            }
            _ => FailedKind::Fatal,
        };
        if let Some((_, said)) = said
            && kind != FailedKind::Fatal
        {
            error.message = said;
        }
        Failed { kind, error }
    }
}
