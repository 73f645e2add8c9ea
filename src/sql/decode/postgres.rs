//! PostgreSQL's binary format, for the few types that arrive in it; the rest is asked for as text.

use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};

use crate::model::{Row, Value};
use crate::sql::statement::Read;

/// All values of a row.
pub(in crate::sql) fn row(row: &PgRow, reads: &[Read]) -> Result<Row, sqlx::Error> {
    let (mut values, mut room) = (Row::with_capacity(reads.len()), super::Room::new());
    for (at, read) in reads.iter().enumerate() {
        values.push(room.take(value(row.try_get_raw(at)?, *read)?));
    }
    Ok(values)
}

fn value(raw: PgValueRef<'_>, read: Read) -> Result<Value, sqlx::Error> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let bytes = raw.as_bytes().map_err(sqlx::Error::Decode)?;
    decode(bytes, read).ok_or_else(|| {
        sqlx::Error::Protocol(format!("{} bytes do not make a value read as {read:?}", bytes.len()))
    })
}

fn decode(bytes: &[u8], read: Read) -> Option<Value> {
    Some(match read {
        Read::Bool => Value::Bool(*bytes.first()? != 0),
        Read::Int => Value::Int(match bytes.len() {
            8 => i64::from_be_bytes(bytes.try_into().ok()?),
            4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
            2 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)),
            _ => return None,
        }),
        Read::UInt => Value::Int(i64::from(u32::from_be_bytes(bytes.try_into().ok()?))),
        Read::F32 => Value::F32(f32::from_be_bytes(bytes.try_into().ok()?)),
        Read::F64 => Value::F64(f64::from_be_bytes(bytes.try_into().ok()?)),
        Read::Bytes => Value::Bytes(bytes.into()),
        Read::Uuid => Value::text(uuid::Uuid::from_slice(bytes).ok()?.as_hyphenated().to_string()),
        Read::Padded => super::text(bytes.trim_ascii_end_blanks()),
        Read::Host => super::text(host(bytes)),
        Read::Text | Read::Dynamic | Read::Date | Read::DateTime(_) | Read::Time(_) => super::text(bytes),
    })
}

/// As the server prints it: only the cast to text writes the mask of a single host.
fn host(bytes: &[u8]) -> &[u8] {
    let mask: &[u8] = if bytes.contains(&b':') { b"/128" } else { b"/32" };
    bytes.strip_suffix(mask).unwrap_or(bytes)
}

trait TrimBlanks {
    fn trim_ascii_end_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_ascii_end_blanks(&self) -> &[u8] {
        let end = self.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
        &self[..end]
    }
}

/// Compares what the server announces with what the catalogue had said.
pub(in crate::sql) fn check(row: &PgRow, reads: &[Read]) -> Result<(), String> {
    if row.columns().len() != reads.len() {
        return Err(format!("{} columns were asked for, {} came", reads.len(), row.columns().len()));
    }
    for (column, read) in row.columns().iter().zip(reads) {
        let name = column.type_info().name();
        let fits = match read {
            Read::Bool => name == "BOOL",
            Read::Int => matches!(name, "INT2" | "INT4" | "INT8"),
            Read::UInt => name == "OID",
            Read::F32 => name == "FLOAT4",
            Read::F64 => name == "FLOAT8",
            Read::Bytes => name == "BYTEA",
            Read::Uuid => name == "UUID",
            _ => true,
        };
        if !fits {
            return Err(format!(
                "column {:?} is {} now and was not when cupid read the catalogue; the table was altered",
                column.name(),
                name.to_lowercase()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_forms() {
        assert_eq!(decode(&[0xff, 0xfe], Read::Int), Some(Value::Int(-2)));
        assert_eq!(decode(&[0x80, 0, 0, 0], Read::Int), Some(Value::Int(i64::from(i32::MIN))));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff], Read::UInt), Some(Value::Int(4_294_967_295)));
        assert_eq!(decode(b"ab  ", Read::Padded), Some(Value::text("ab")));
        assert_eq!(decode(b"    ", Read::Padded), Some(Value::text("")));
        assert_eq!(decode(b"10.0.0.1/32", Read::Host), Some(Value::text("10.0.0.1")));
        assert_eq!(decode(b"::1/128", Read::Host), Some(Value::text("::1")));
        assert_eq!(decode(b"::1/32", Read::Host), Some(Value::text("::1/32")));
        assert_eq!(decode(&[1, 2, 3], Read::Int), None);
        assert_eq!(decode(&[0xc3, 0x28], Read::Text), Some(Value::Bytes([0xc3, 0x28].into())));
    }
}
