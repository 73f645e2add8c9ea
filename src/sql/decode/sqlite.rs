//! SQLite: each value says itself what it is.

use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _};

use crate::model::{Row, Value};
use crate::sql::statement::Read;

/// All values of a row; `reads` only tells how many.
pub(in crate::sql) fn row(row: &SqliteRow, reads: &[Read]) -> Result<Row, sqlx::Error> {
    let mut room = super::Room::new();
    (0..reads.len()).map(|at| Ok(room.take(value(row.try_get_raw(at)?)?))).collect()
}

fn value(raw: SqliteValueRef<'_>) -> Result<Value, sqlx::Error> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INTEGER" => Value::Int(decode(raw)?),
        "REAL" => Value::F64(decode(raw)?),
        "TEXT" => super::text(decode(raw)?),
        _ => Value::Bytes(decode::<&[u8]>(raw)?.into()),
    })
}

fn decode<'r, T: Decode<'r, Sqlite>>(raw: SqliteValueRef<'r>) -> Result<T, sqlx::Error> {
    T::decode(raw).map_err(sqlx::Error::Decode)
}
