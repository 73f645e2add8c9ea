//! Values as a column of the copy holds them.

use super::super::bind;
use super::super::statement::Param;
use crate::config::Engine;
use crate::model::{Class, Column, Value};

/// A value of another table as this column can hold it; `None`: it cannot. Whether it then still means the same is for
/// the comparison to say.
pub(crate) fn held(engine: Engine, column: &Column, value: &Value) -> Option<Value> {
    match (column.class, value) {
        (_, Value::Null) => Some(Value::Null),
        (_, Value::TooLarge(_)) => None,
        // As it was written: 1.50 stays 1.50 where the column keeps it.
        (Class::Decimal, Value::Text(text)) if is_plain_number(text) => Some(value.clone()),
        (Class::F32, Value::F32(_)) => Some(value.clone()),
        (Class::F32, other) => match bind::own(engine, column, other)? {
            Value::F64(x) => Some(Value::F32(x as f32)),
            other => Some(other),
        },
        (Class::Instant, other) if engine == Engine::Postgres => {
            bind::own(engine, column, other).map(|own| in_utc(&own))
        }
        (Class::Dynamic, Value::Bool(truth)) => Some(Value::Int(i64::from(*truth))),
        (Class::Dynamic, Value::UInt(n)) => Some(Value::text(n.to_string())),
        (Class::Dynamic, Value::F32(_)) => value.to_text().and_then(|text| text.parse().ok()).map(Value::F64),
        _ => bind::own(engine, column, value),
    }
}

/// A time as PostgreSQL writes it in a session in UTC, so that it means the same in any.
fn in_utc(value: &Value) -> Value {
    match value {
        Value::Text(text) if !text.ends_with("infinity") => {
            let (time, era) = text.strip_suffix(" BC").map_or((&**text, ""), |time| (time, " BC"));
            Value::text(format!("{time}+00{era}"))
        }
        other => other.clone(),
    }
}

fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all(whole) && all(fraction)
}

/// A value that was read from this very column, as it is bound to be written there again; `None`: it cannot be. NULL is
/// never bound.
pub(crate) fn as_stored(engine: Engine, column: &Column, value: &Value) -> Option<Param> {
    Some(match (engine, column.class, value) {
        (_, _, Value::Null | Value::TooLarge(_)) => return None,
        (Engine::MySql, Class::Bit, Value::Bytes(bytes)) => Param::UInt(big_endian(bytes)?),
        // Text that is not in the encoding of the database: nothing that can be bound would be stored so.
        (Engine::Postgres, class, Value::Bytes(_)) if class != Class::Bytes => return None,
        (Engine::Sqlite, _, Value::UInt(n)) => Param::text(n.to_string()),
        (_, _, value) => bind::param(value),
    })
}

pub(super) fn big_endian(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(class: Class, declared: &str) -> Column {
        Column { name: "c".into(), class, declared: declared.into(), nullable: true }
    }

    #[test]
    fn what_a_column_cannot_hold_is_not_held() {
        let int = column(Class::Int, "int");
        assert_eq!(held(Engine::MySql, &int, &Value::text("abc")), None);
        assert_eq!(held(Engine::Postgres, &int, &Value::UInt(u64::MAX)), None);
        assert_eq!(held(Engine::Postgres, &column(Class::Text, "text"), &Value::text("a\0")), None);
        assert_eq!(held(Engine::Postgres, &column(Class::Date, "date"), &Value::text("0000-00-00")), None);
        assert_eq!(held(Engine::MySql, &int, &Value::Null), Some(Value::Null));
    }

    #[test]
    fn spellings_are_kept() {
        let decimal = column(Class::Decimal, "numeric");
        assert_eq!(held(Engine::Postgres, &decimal, &Value::text("1.50")), Some(Value::text("1.50")));
        assert_eq!(held(Engine::Postgres, &decimal, &Value::text("1e2")), Some(Value::text("100")));
        let time = column(Class::Instant, "timestamptz");
        let noon = Value::text("2024-02-29 14:00:00+02");
        assert_eq!(held(Engine::Postgres, &time, &noon), Some(Value::text("2024-02-29 12:00:00+00")));
        let never = Value::text("-infinity");
        assert_eq!(held(Engine::Postgres, &time, &never), Some(never));
        let real = column(Class::F32, "real");
        assert_eq!(held(Engine::Postgres, &real, &Value::F64(0.1)), Some(Value::F32(0.1)));
    }

    #[test]
    fn bits_are_bound_as_a_number() {
        let bit = column(Class::Bit, "bit(9)");
        assert_eq!(as_stored(Engine::MySql, &bit, &Value::Bytes([1, 2].into())), Some(Param::UInt(258)));
    }
}
