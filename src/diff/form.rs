//! The canonical form that values of two columns have in common.

use std::borrow::Cow;

use super::json;
use crate::model::{Class, Column, Value, form as text_form};

/// How values of a pair of columns are made comparable. Decided from both schemas, never from samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As numbers, exactly: integers, decimals and numeric text of any length; floats by their shortest text.
    Number,
    /// As numbers of single precision; integers stay exact.
    Single,
    /// Truth: `true`, 1, `t`.
    Truth,
    /// Bit strings as numbers.
    Bits,
    /// Date with or without time; instants in UTC, wall-clock times as written.
    Moment,
    /// Time of day.
    Clock,
    /// JSON by structure.
    Json,
    /// UUID.
    Uuid,
    /// Byte for byte.
    Plain,
    /// SQLite on both sides: numbers as numbers, text and bytes as they are.
    Dynamic,
}

impl Form {
    /// The form in which values of `a` and `b` meet. Symmetric.
    pub(super) fn between(a: &Column, b: &Column) -> Self {
        let (a, b) = (class(a), class(b));
        let either = |wanted: &[Class]| wanted.contains(&a) || wanted.contains(&b);
        if a == Class::Dynamic && b == Class::Dynamic {
            Self::Dynamic
        } else if either(&[Class::Bool]) {
            Self::Truth
        } else if either(&[Class::Bit]) {
            // Against text of 0 and 1 too: a bit string is what the other side must mean.
            Self::Bits
        } else if either(&[Class::F32]) {
            Self::Single
        } else if either(&[Class::Int, Class::Decimal, Class::F64]) {
            Self::Number
        } else if either(&[Class::Json]) {
            Self::Json
        } else if either(&[Class::Uuid]) {
            Self::Uuid
        } else if either(&[Class::Date, Class::DateTime, Class::Instant]) {
            Self::Moment
        } else if either(&[Class::Time]) {
            Self::Clock
        } else {
            Self::Plain
        }
    }

    /// The canonical bytes of a value; `None` is NULL. What does not look as its form expects stays as it is.
    pub(super) fn canonical<'v>(self, value: &'v Value) -> Option<Cow<'v, [u8]>> {
        if value.is_null() {
            return None;
        }
        let plain = plain(value);
        let better = match self {
            Self::Plain => None,
            Self::Number => number(value),
            Self::Single => single(value),
            Self::Truth => truth(value),
            Self::Bits => bits(value),
            Self::Moment => text_of(&plain).and_then(text_form::moment),
            Self::Clock => text_of(&plain).and_then(text_form::clock_time),
            Self::Json => text_of(&plain).and_then(json::canonical),
            Self::Uuid => match value {
                Value::Bytes(bytes) if bytes.len() == 16 => {
                    uuid::Uuid::from_slice(bytes).ok().map(|id| id.as_simple().to_string())
                }
                _ => text_of(&plain).and_then(text_form::uuid),
            },
            Self::Dynamic => match value {
                Value::Bytes(_) => None,
                _ => number(value),
            },
        };
        Some(better.map_or(plain, |text| Cow::Owned(text.into_bytes())))
    }
}

/// The class a column is compared as. SQLite's declared dates are the only declarations that count: its values say
/// the rest themselves.
fn class(column: &Column) -> Class {
    if column.class != Class::Dynamic {
        return column.class;
    }
    let declared = column.declared.to_ascii_lowercase();
    if declared.starts_with("timestamp") || declared.starts_with("datetime") {
        Class::DateTime
    } else if declared.starts_with("date") {
        Class::Date
    } else {
        Class::Dynamic
    }
}

/// The bytes of a value as they are.
fn plain(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        other => match other.to_text() {
            Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            None => Cow::Borrowed(&[]),
        },
    }
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn number(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bytes(_) => None,
        Value::Bool(truth) => Some(u8::from(*truth).to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::UInt(n) => Some(n.to_string()),
        Value::Text(text) => text_form::number(text),
        Value::F32(_) | Value::F64(_) => text_form::number(&value.to_text()?),
    }
}

fn single(value: &Value) -> Option<String> {
    let single = match value {
        Value::F32(x) => *x,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the nearest single is what the other side can hold"
        )]
        Value::F64(x) => *x as f32,
        Value::Text(text) => text_form::number(text)?.parse().ok()?,
        other => return number(other),
    };
    text_form::number(&Value::F32(single).to_text()?)
}

fn truth(value: &Value) -> Option<String> {
    let digit = match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Text(text) if text.eq_ignore_ascii_case("t") || text.eq_ignore_ascii_case("true") => {
            "1".to_owned()
        }
        Value::Text(text) if text.eq_ignore_ascii_case("f") || text.eq_ignore_ascii_case("false") => {
            "0".to_owned()
        }
        Value::Bytes(_) => bits(value)?,
        other => number(other)?,
    };
    Some(digit)
}

/// A bit string as the hexadecimal digits of its number.
fn bits(value: &Value) -> Option<String> {
    let hex = match value {
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        Value::Text(text) if !text.is_empty() && text.bytes().all(|b| b == b'0' || b == b'1') => {
            let padded = format!("{}{text}", "0".repeat((4 - text.len() % 4) % 4));
            let digit = |four: &[u8]| four.iter().fold(0_u8, |n, bit| (n << 1) | (bit - b'0'));
            padded.as_bytes().chunks(4).map(|four| format!("{:x}", digit(four))).collect()
        }
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(n) => format!("{n:x}"),
        Value::UInt(n) => format!("{n:x}"),
        _ => return None,
    };
    let digits = hex.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
}
