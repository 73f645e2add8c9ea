//! Runs one prepared statement on one session and decodes its rows.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::mysql::MySqlArguments;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Database, Encode, Row as _, Type};

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

/// Bytes of rows that one read of a feed holds; those behind it come with the next.
pub(crate) const BUDGET: usize = 16 << 20;

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

/// Takes rows until their budget is used up.
struct Taken {
    answer: Answer,
    left: usize,
}

impl Taken {
    fn take(&mut self, row: Row) {
        self.left = self.left.saturating_sub(row_size(&row));
        self.answer.rows.push(row);
        self.answer.cut = self.left == 0;
    }

    fn is_empty(&self) -> bool {
        self.answer.rows.is_empty()
    }

    fn wants_more(&self) -> bool {
        !self.answer.cut
    }
}

/// Runs `statement` with `params` and returns its rows: all of them, or as many as use up `budget` bytes.
///
/// After an answer that was cut, the connection is in the middle of the others: it can only be closed.
pub(super) async fn fetch(
    connection: &mut Connection,
    statement: &Statement,
    params: &[Param],
    limit: Duration,
    budget: usize,
) -> Result<Answer, Failure> {
    let reads = &*statement.reads;
    let sql = AssertSqlSafe(statement.sql.clone());
    let mut rows = Taken { answer: Answer::default(), left: budget };
    match connection {
        Connection::MySql(connection) => {
            let mut arguments = MySqlArguments::default();
            params.iter().try_for_each(|param| bind_mysql(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while rows.wants_more()
                && let Some(row) = stream.try_next().await?
            {
                if rows.is_empty() {
                    decode::mysql::check(&row, reads).map_err(Failure::Shape)?;
                }
                rows.take(decode::mysql::row(&row, reads)?);
            }
        }
        Connection::Postgres(connection) => {
            let mut arguments = PgArguments::default();
            params.iter().try_for_each(|param| bind_postgres(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while rows.wants_more()
                && let Some(row) = stream.try_next().await?
            {
                if rows.is_empty() {
                    decode::postgres::check(&row, reads).map_err(Failure::Shape)?;
                }
                rows.take(decode::postgres::row(&row, reads)?);
            }
        }
        Connection::Sqlite(connection, deadline) => {
            deadline.set(limit);
            let mut arguments = SqliteArguments::default();
            params.iter().try_for_each(|param| bind_sqlite(&mut arguments, param)).map_err(encode_error)?;
            let mut stream = sqlx::query_with(sql, arguments).fetch(&mut **connection);
            while rows.wants_more()
                && let Some(row) = stream.try_next().await?
            {
                rows.take(decode::sqlite::row(&row, reads)?);
            }
        }
    }
    Ok(rows.answer)
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
