//! Key values as the key column can hold them.
//!
//! A value that the column's type cannot express (`abc` for an integer, 2^40 for an `int4` key is fine but not
//! `2^70`, a NUL for PostgreSQL text) equals none of its values: it is left out of the look-up and so counts as
//! missing, instead of making the whole look-up fail or read the whole table.

use super::select::LIST;
use super::statement::Param;
use crate::config::Engine;
use crate::model::{Class, Column, Value, form};

/// The forms under which a key is looked up: none if the column cannot hold it, several where the stored spelling is
/// not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Forms(pub(crate) [Option<Value>; 3]);

impl Forms {
    fn one(value: Option<Value>) -> Self {
        Self([value, None, None])
    }

    fn two(first: Option<Value>, second: Option<Value>) -> Self {
        Self([first, second, None])
    }
}

/// `value` as a key of `column`.
pub(crate) fn key(engine: Engine, column: &Column, value: &Value) -> Forms {
    let value = match (column.class, value) {
        (_, Value::Null | Value::TooLarge(_)) => None,
        // Bytes may be digits or MySQL's BIT, most significant byte first.
        (Class::Int, Value::Bytes(bytes)) => {
            let digits = plain(value).and_then(|text| whole(&text)).and_then(|n| fit(engine, n));
            return Forms::two(digits, big_endian(bytes).and_then(|n| fit(engine, n)));
        }
        (Class::Int, value) => integer(value).and_then(|n| fit(engine, n)),
        (Class::Decimal, value) => decimal(engine, value),
        (Class::F64, value) => plain(value).and_then(|text| text.parse().ok()).map(Value::F64),
        (Class::F32, value) => single(value),
        (Class::Bool, value) => truth(value).map(Value::Bool),
        (Class::Bytes, value) => bytes(column, value),
        (Class::Bit, value) => bits(engine, column, value),
        (Class::Date | Class::DateTime | Class::Instant, value) => moment(engine, column.class, value),
        (Class::Time, value) => plain(value).and_then(|text| form::clock_time(&text)).map(Value::text),
        (Class::Uuid, value) => uuid(value),
        (Class::Dynamic, value) => return dynamic(column, value),
        (Class::Text | Class::Json | Class::Other, value) => plain(value).map(Value::text),
    };
    let nul = |value: &Value| {
        engine == Engine::Postgres && matches!(value, Value::Text(text) if text.contains('\0'))
    };
    Forms::one(value.filter(|value| !nul(value)))
}

/// All forms of [`key`].
pub(crate) fn all(engine: Engine, column: &Column, value: &Value) -> impl Iterator<Item = Value> {
    let Forms(forms) = key(engine, column, value);
    forms.into_iter().flatten()
}

/// A value that the column holds, as it is bound to be compared with the column.
pub(crate) fn own(engine: Engine, column: &Column, value: &Value) -> Option<Value> {
    if column.class == Class::Dynamic {
        // What SQLite cannot hold as a number it holds as a text, if at all.
        return match value {
            Value::Null => None,
            Value::UInt(n) if i64::try_from(*n).is_err() => Some(Value::text(n.to_string())),
            value => Some(value.clone()),
        };
    }
    all(engine, column, value).next()
}

/// The text of a value; bytes only if they are text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        other => other.to_text().map(std::borrow::Cow::into_owned),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::Int(_) | Value::UInt(_) => value.as_int(),
        Value::Bytes(bytes) => big_endian(bytes),
        other => whole(&plain(other)?),
    }
}

fn whole(text: &str) -> Option<i128> {
    form::number(text)?.parse().ok()
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |n, byte| (n << 8) | i128::from(*byte)))
}

fn fit(engine: Engine, n: i128) -> Option<Value> {
    match engine {
        Engine::MySql => {
            i64::try_from(n).map(Value::Int).ok().or_else(|| u64::try_from(n).map(Value::uint).ok())
        }
        Engine::Postgres | Engine::Sqlite => i64::try_from(n).map(Value::Int).ok(),
    }
}

fn decimal(engine: Engine, value: &Value) -> Option<Value> {
    let text = match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        other => form::number(&plain(other)?)?,
    };
    let finite = !text.ends_with(|c: char| c.is_ascii_alphabetic());
    (finite || engine == Engine::Postgres).then(|| Value::text(text))
}

/// A single precision key is compared by the engines as the double it is exactly.
fn single(value: &Value) -> Option<Value> {
    let single = match value {
        Value::F32(x) => *x,
        other => plain(other)?.parse().ok()?,
    };
    Some(Value::F64(f64::from(single)))
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Bytes(bytes) if bytes.len() == 1 && bytes[0] < 2 => Some(bytes[0] == 1),
        other => match plain(other)?.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" => Some(true),
            "0" | "f" | "false" => Some(false),
            _ => None,
        },
    }
}

fn bytes(column: &Column, value: &Value) -> Option<Value> {
    match value {
        Value::Bytes(_) => Some(value.clone()),
        other => {
            let text = plain(other)?;
            // 36 or 32 characters do not fit into 16 bytes: there the UUID itself is meant.
            if &*column.declared == "binary(16)"
                && let Some(hex) = form::uuid(&text)
            {
                let id = uuid::Uuid::try_parse(&hex).ok()?;
                return Some(Value::Bytes(id.as_bytes().as_slice().into()));
            }
            Some(Value::Bytes(text.into_bytes().into()))
        }
    }
}

fn bits(engine: Engine, column: &Column, value: &Value) -> Option<Value> {
    match (engine, value) {
        (Engine::Postgres, Value::Text(text)) if text.bytes().all(|b| b == b'0' || b == b'1') => {
            Some(value.clone())
        }
        (Engine::Postgres, value) => {
            let digits = format!("{:b}", u64::try_from(integer(value)?).ok()?);
            let width = column.declared.strip_prefix("bit(").and_then(|rest| rest.strip_suffix(')'));
            let width: usize = width.and_then(|width| width.parse().ok()).unwrap_or(1);
            (digits.len() <= width || column.declared.starts_with("bit varying"))
                .then(|| Value::text(format!("{digits:0>width$}")))
        }
        (_, Value::Text(text)) if text.len() <= 64 && text.bytes().all(|b| b == b'0' || b == b'1') => {
            u64::from_str_radix(text, 2).ok().map(Value::uint)
        }
        (_, value) => integer(value).and_then(|n| u64::try_from(n).ok()).map(Value::uint),
    }
}

fn moment(engine: Engine, class: Class, value: &Value) -> Option<Value> {
    let text = plain(value)?;
    let postgres = engine == Engine::Postgres;
    let Some(normal) = form::moment(&text) else {
        return (postgres && matches!(&*text, "infinity" | "-infinity")).then(|| Value::text(text));
    };
    // PostgreSQL has days of its own: BC, and years beyond 9999; it has none that no calendar has.
    let (plain, era) = normal.strip_suffix(" BC").map_or((&*normal, ""), |plain| (plain, " BC"));
    let far = !era.is_empty() || plain.find('-') != Some(4);
    if far && !postgres || postgres && !far && form::parse_moment(plain).is_none() {
        return None;
    }
    if class == Class::Date {
        return plain.strip_suffix(" 00:00:00").map(|day| Value::text(format!("{day}{era}")));
    }
    Some(Value::text(normal))
}

fn uuid(value: &Value) -> Option<Value> {
    let id = match value {
        Value::Bytes(bytes) if bytes.len() == 16 => uuid::Uuid::from_slice(bytes).ok()?,
        other => uuid::Uuid::try_parse(&plain(other)?).ok()?,
    };
    Some(Value::text(id.as_hyphenated().to_string()))
}

/// SQLite converts what is bound by the column's affinity. Where a column has none, text, bytes and number of the same
/// digits are different values, and any may be stored; the same holds for bytes anywhere, and for two spellings of one
/// time. The forms never find the same row.
fn dynamic(column: &Column, value: &Value) -> Forms {
    let declared = column.declared.to_ascii_uppercase();
    let untyped = declared.is_empty() || (declared.contains("BLOB") && !declared.contains("INT"));
    match value {
        Value::Null | Value::TooLarge(_) => Forms::default(),
        Value::Bool(truth) => Forms::one(Some(Value::Int(i64::from(*truth)))),
        Value::Int(n) => Forms::two(Some(Value::Int(*n)), untyped.then(|| Value::text(n.to_string()))),
        Value::UInt(n) => Forms::one(Some(Value::text(n.to_string()))),
        Value::F32(_) => Forms::one(plain(value).and_then(|text| text.parse().ok()).map(Value::F64)),
        Value::F64(_) => Forms::one(Some(value.clone())),
        Value::Bytes(_) => Forms::two(Some(value.clone()), plain(value).map(Value::text)),
        Value::Text(text) => {
            let other = match form::moment(text) {
                Some(normal) => (*normal != **text).then(|| Value::text(normal)),
                None if untyped => form::number(text).and_then(|n| n.parse().ok()).map(Value::Int),
                None => None,
            };
            let bytes = untyped.then(|| Value::Bytes(text.as_bytes().into()));
            Forms([Some(value.clone()), other, bytes])
        }
    }
}

/// What the keys of one statement may weigh together: servers refuse packets beyond a size, down to one MiB.
const HEAVIEST: usize = 1 << 19;

/// Places of groups of keys (of forms of a key), in lists that one statement can take. A group stays together.
pub(crate) fn lists(groups: &[Vec<Value>]) -> Vec<Vec<usize>> {
    let mut lists: Vec<Vec<usize>> = Vec::new();
    let (mut holds, mut weighs) = (0, 0);
    for (at, group) in groups.iter().enumerate() {
        let weight: usize = group.iter().map(weight).sum();
        match lists.last_mut() {
            Some(list) if holds + group.len() <= LIST && weighs + weight <= HEAVIEST => {
                list.push(at);
                (holds, weighs) = (holds + group.len(), weighs + weight);
            }
            _ => {
                lists.push(vec![at]);
                (holds, weighs) = (group.len(), weight);
            }
        }
    }
    lists
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// The parameters of a look-up of `keys` with `size` places.
pub(crate) fn params(engine: Engine, class: Class, keys: &[&Value], size: usize) -> Vec<Param> {
    if engine != Engine::Postgres {
        // Filled up with the lightest: the same heavy one a thousand times would be a heavy packet.
        let lightest = keys.iter().min_by_key(|key| weight(key));
        let filled = keys.iter().chain(lightest.into_iter().cycle()).take(size);
        return filled.map(|key| param(key)).collect();
    }
    let texts = || keys.iter().map(|key| plain(key).unwrap_or_default().into()).collect();
    vec![match class {
        Class::Int => Param::Ints(keys.iter().filter_map(|key| i64::try_from(key.as_int()?).ok()).collect()),
        Class::F32 | Class::F64 => Param::Floats(keys.iter().filter_map(|key| as_float(key)).collect()),
        Class::Bool => Param::Bools(keys.iter().map(|key| matches!(key, Value::Bool(true))).collect()),
        Class::Bytes => Param::Blobs(keys.iter().filter_map(|key| as_bytes(key)).collect()),
        _ => Param::Texts(texts()),
    }]
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::F64(x) => Some(*x),
        _ => None,
    }
}

fn as_bytes(value: &Value) -> Option<Box<[u8]>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

/// One value as a parameter. NULL is never bound: nothing equals it.
pub(crate) fn param(value: &Value) -> Param {
    match value {
        Value::Null | Value::TooLarge(_) => Param::text(""),
        Value::Bool(truth) => Param::Bool(*truth),
        Value::Int(n) => Param::Int(*n),
        Value::UInt(n) => Param::UInt(*n),
        Value::F32(x) => Param::F64(f64::from(*x)),
        Value::F64(x) => Param::F64(*x),
        Value::Text(text) => Param::Text(text.clone()),
        Value::Bytes(bytes) => Param::Bytes(bytes.clone()),
    }
}

#[cfg(test)]
#[path = "bind/tests.rs"]
mod tests;
