//! Values as people read them in a statement. Each stays on one line, whatever is in it, and means the same whatever the
//! session that runs it is set to.

use std::fmt::Write as _;

use super::held::big_endian;
use crate::config::Engine;
use crate::model::{Class, Column, Value, real_text};

/// A value of a column.
pub(super) fn literal(engine: Engine, column: &Column, value: &Value) -> String {
    match value {
        Value::Null | Value::TooLarge(_) => "NULL".to_owned(),
        Value::Bool(truth) => if *truth { "TRUE" } else { "FALSE" }.to_owned(),
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::F32(x) if engine == Engine::MySql => {
            // A column of single precision is compared as the double that it is exactly.
            Value::F64(f64::from(*x)).to_text().unwrap_or_default().into_owned()
        }
        Value::F64(x) if engine == Engine::Sqlite && x.is_infinite() => {
            if *x > 0.0 { "9e999" } else { "-9e999" }.to_owned()
        }
        Value::F64(x) if engine == Engine::Sqlite => real_text(*x),
        Value::F32(_) | Value::F64(_) => {
            let text = value.to_text().unwrap_or_default();
            if engine == Engine::Postgres { format!("'{text}'") } else { text.into_owned() }
        }
        Value::Text(text) => quoted(engine, text),
        Value::Bytes(bytes) if engine == Engine::MySql && column.class == Class::Bit => {
            big_endian(bytes).unwrap_or_default().to_string()
        }
        Value::Bytes(bytes) if engine == Engine::Postgres => format!("'\\x{}'", hex(bytes)),
        Value::Bytes(bytes) => format!("X'{}'", hex(bytes)),
    }
}

fn quoted(engine: Engine, text: &str) -> String {
    // A backslash means something in some sessions, and another line would not belong to the statement.
    let odd = |c: char| c == '\\' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.chars().any(odd) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    match engine {
        Engine::MySql => format!("_utf8mb4 X'{}'", hex(text.as_bytes())),
        Engine::Sqlite => format!("CAST(X'{}' AS TEXT)", hex(text.as_bytes())),
        Engine::Postgres => {
            let mut sql = String::with_capacity(text.len() + 3);
            sql.push_str("E'");
            for c in text.chars() {
                match c {
                    '\'' => sql.push_str("''"),
                    '\\' => sql.push_str("\\\\"),
                    c if odd(c) => {
                        let _ = write!(sql, "\\u{:04x}", u32::from(c));
                    }
                    c => sql.push(c),
                }
            }
            sql.push('\'');
            sql
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stays_on_one_line() {
        let column = |class| Column { name: "c".into(), class, declared: "x".into(), nullable: true };
        let text = column(Class::Text);
        for (engine, value, wanted) in [
            (Engine::MySql, Value::text("it's"), "'it''s'"),
            (Engine::MySql, Value::text("a\\\n"), "_utf8mb4 X'615c0a'"),
            (Engine::Sqlite, Value::text("a\0"), "CAST(X'6100' AS TEXT)"),
            (Engine::Postgres, Value::text("'\\\n\u{2028}"), "E'''\\\\\\u000a\\u2028'"),
            (Engine::Postgres, Value::Bytes([0, 255].into()), "'\\x00ff'"),
            (Engine::Sqlite, Value::Bytes([0, 255].into()), "X'00ff'"),
            (Engine::Postgres, Value::Bool(true), "TRUE"),
            (Engine::Postgres, Value::F64(f64::NAN), "'NaN'"),
            (Engine::Sqlite, Value::F64(1.0), "1.0"),
            (Engine::MySql, Value::UInt(u64::MAX), "18446744073709551615"),
            (Engine::MySql, Value::Null, "NULL"),
        ] {
            assert_eq!(literal(engine, &text, &value), wanted);
        }
        assert_eq!(literal(Engine::MySql, &column(Class::Bit), &Value::Bytes([1, 0].into())), "256");
    }
}
