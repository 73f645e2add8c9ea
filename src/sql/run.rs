//! Runs one prepared statement on one session and decodes its rows.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::mysql::MySqlArguments;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Database, Encode, Executor as _, Row as _, Type};

use super::connect::Connection;
use super::decode;
use super::statement::{Param, Statement};
use crate::model::{Row, row_size};

/// Why a statement brought no rows.
pub(super) enum Failure {
    /// The driver's error.
    Driver(sqlx::Error),
    /// The result is not shaped as the catalogue said.
    Shape(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// Bytes of rows that one read of a feed, and one look-up, holds; those behind it come with the next.
pub(crate) const BUDGET: usize = 16 << 20;

/// Time for a commit.
const CONTROL: Duration = Duration::from_secs(60);

/// The rows of a statement, or the first of them.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// At least one, if the statement found any.
    pub(crate) rows: Vec<Row>,
    /// The budget was used up; there may be more.
    pub(crate) cut: bool,
}

impl Answer {
    /// Whether there may be more rows than these, of a statement that was given this limit.
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.cut || self.rows.len() >= limit
    }

    /// Bytes that the rows take in memory.
    pub(crate) fn size(&self) -> usize {
        self.rows.iter().map(|row| row_size(row)).sum()
    }
}

/// Whoever takes the rows of a statement as they come.
pub(super) trait Take: Send {
    /// The first row comes next; what was taken before does not count.
    fn begin(&mut self);

    /// Takes a row; `false`: no more.
    fn take(&mut self, row: Row) -> bool;
}

/// Takes rows until their budget is used up.
pub(super) struct Within {
    pub(super) answer: Answer,
    budget: usize,
    left: usize,
}

impl Within {
    pub(super) fn new(budget: usize) -> Self {
        Self { answer: Answer::default(), budget, left: budget }
    }
}

impl Take for Within {
    fn begin(&mut self) {
        *self = Self::new(self.budget);
    }

    fn take(&mut self, row: Row) -> bool {
        self.left = self.left.saturating_sub(row_size(&row));
        self.answer.rows.push(row);
        self.answer.cut = self.left == 0;
        !self.answer.cut
    }
}

/// Runs `statement` with `params` and gives its rows away, until no more are taken. Returns whether that was so.
///
/// The connection is then in the middle of the others: it can only be closed.
pub(super) async fn fetch(
    connection: &mut Connection,
    statement: &Statement,
    params: &[Param],
    limit: Duration,
    rows: &mut dyn Take,
) -> Result<bool, Failure> {
    let reads = &*statement.reads;
    let sql = AssertSqlSafe(statement.sql.clone());
    rows.begin();
    let mut first = true;
    match connection {
        Connection::MySql(connection) => {
            let mut arguments = MySqlArguments::default();
            params.iter().try_for_each(|param| bind_mysql(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while let Some(row) = stream.try_next().await? {
                if first {
                    decode::mysql::check(&row, reads).map_err(Failure::Shape)?;
                    first = false;
                }
                if !rows.take(decode::mysql::row(&row, reads)?) {
                    return Ok(true);
                }
            }
        }
        Connection::Postgres(connection) => {
            let mut arguments = PgArguments::default();
            params.iter().try_for_each(|param| bind_postgres(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while let Some(row) = stream.try_next().await? {
                if first {
                    decode::postgres::check(&row, reads).map_err(Failure::Shape)?;
                    first = false;
                }
                if !rows.take(decode::postgres::row(&row, reads)?) {
                    return Ok(true);
                }
            }
        }
        Connection::Sqlite(connection, deadline) => {
            deadline.set(limit);
            let mut arguments = SqliteArguments::default();
            params.iter().try_for_each(|param| bind_sqlite(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while let Some(row) = stream.try_next().await? {
                if !rows.take(decode::sqlite::row(&row, reads)?) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Runs `sql` with `params` and returns how many rows it met.
pub(super) async fn execute(
    connection: &mut Connection,
    sql: &str,
    params: &[Param],
    limit: Duration,
) -> Result<u64, sqlx::Error> {
    let encode = sqlx::Error::Encode;
    let sql = AssertSqlSafe(sql.to_owned());
    Ok(match connection {
        Connection::MySql(connection) => {
            let mut arguments = MySqlArguments::default();
            params.iter().try_for_each(|param| bind_mysql(&mut arguments, param)).map_err(encode)?;
            sqlx::query_with(sql, arguments).execute(&mut **connection).await?.rows_affected()
        }
        Connection::Postgres(connection) => {
            let mut arguments = PgArguments::default();
            params.iter().try_for_each(|param| bind_postgres(&mut arguments, param)).map_err(encode)?;
            sqlx::query_with(sql, arguments).execute(&mut **connection).await?.rows_affected()
        }
        Connection::Sqlite(connection, deadline) => {
            deadline.set(limit);
            let mut arguments = SqliteArguments::default();
            params.iter().try_for_each(|param| bind_sqlite(&mut arguments, param)).map_err(encode)?;
            sqlx::query_with(sql, arguments).execute(&mut **connection).await?.rows_affected()
        }
    })
}

/// Runs a statement that has neither parameters nor rows, in the text protocol: no other takes transactions.
pub(super) async fn control(connection: &mut Connection, sql: &'static str) -> Result<(), sqlx::Error> {
    match connection {
        Connection::MySql(connection) => connection.execute(sql).await.map(drop),
        Connection::Postgres(connection) => connection.execute(sql).await.map(drop),
        Connection::Sqlite(connection, deadline) => {
            deadline.set(CONTROL);
            connection.execute(sql).await.map(drop)
        }
    }
}

/// Runs several statements in the text protocol; the values of the last row.
pub(super) async fn script(
    connection: &mut Connection,
    sql: &str,
) -> Result<Vec<Option<String>>, sqlx::Error> {
    let Connection::MySql(connection) = connection else { return Ok(Vec::new()) };
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut **connection).await?;
    let Some(row) = rows.last() else { return Ok(Vec::new()) };
    (0..row.len()).map(|at| row.try_get_unchecked(at)).collect()
}

type Bound = Result<(), sqlx::error::BoxDynError>;

fn encode_error(error: sqlx::error::BoxDynError) -> Failure {
    Failure::Driver(sqlx::Error::Encode(error))
}

/// What every engine binds alike.
fn bind_common<'q, D, A>(arguments: &mut A, param: &'q Param) -> Bound
where
    D: Database<Arguments = A>,
    A: sqlx::Arguments<Database = D>,
    i64: Encode<'q, D> + Type<D>,
    f64: Encode<'q, D> + Type<D>,
    bool: Encode<'q, D> + Type<D>,
    &'q str: Encode<'q, D> + Type<D>,
    &'q [u8]: Encode<'q, D> + Type<D>,
{
    match param {
        Param::Int(n) => arguments.add(*n),
        Param::F64(x) => arguments.add(*x),
        Param::Bool(b) => arguments.add(*b),
        Param::Text(s) => arguments.add(&**s),
        Param::Bytes(b) => arguments.add(&**b),
        Param::UInt(_)
        | Param::Ints(_)
        | Param::Floats(_)
        | Param::Bools(_)
        | Param::Texts(_)
        | Param::Blobs(_) => Err(format!("{param:?} cannot be bound on this engine").into()),
    }
}

fn bind_mysql(arguments: &mut MySqlArguments, param: &Param) -> Bound {
    match param {
        Param::UInt(n) => arguments.add(*n),
        other => bind_common::<sqlx::MySql, _>(arguments, other),
    }
}

fn bind_postgres(arguments: &mut PgArguments, param: &Param) -> Bound {
    match param {
        Param::Ints(all) => arguments.add(all.as_slice()),
        Param::Floats(all) => arguments.add(all.as_slice()),
        Param::Bools(all) => arguments.add(all.as_slice()),
        Param::Texts(all) => arguments.add(all.as_slice()),
        Param::Blobs(all) => arguments.add(all.iter().map(|bytes| &**bytes).collect::<Vec<&[u8]>>()),
        other => bind_common::<sqlx::Postgres, _>(arguments, other),
    }
}

fn bind_sqlite(arguments: &mut SqliteArguments, param: &Param) -> Bound {
    bind_common::<sqlx::Sqlite, _>(arguments, param)
}
