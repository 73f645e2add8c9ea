//! Values in a plan: JSON that holds each of them exactly.
//!
//! NULL and truth are JSON's own, text is a string, numbers are text that says what it is (`{"int":"7"}`,
//! `{"float":"0.1"}`, `{"single":"0.1"}`), bytes are base64 (`{"base64":"AP8="}`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::model::Value;

/// A value as JSON. [`Value::TooLarge`] has none.
pub(super) fn encode(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(n) => json!({ "int": n.to_string() }),
        Value::UInt(n) => json!({ "int": n.to_string() }),
        // All NaN look alike as text.
        Value::F32(x) if x.is_nan() => json!({ "single": format!("0x{:08x}", x.to_bits()) }),
        Value::F64(x) if x.is_nan() => json!({ "float": format!("0x{:016x}", x.to_bits()) }),
        Value::F32(x) => json!({ "single": format!("{x:?}") }),
        Value::F64(x) => json!({ "float": format!("{x:?}") }),
        Value::Text(text) => json!(&**text),
        Value::Bytes(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
        Value::TooLarge(_) => return None,
    })
}

/// The value that was encoded; `None`: nothing encodes so.
pub(super) fn decode(json: &Json) -> Option<Value> {
    let object = match json {
        Json::Null => return Some(Value::Null),
        Json::Bool(truth) => return Some(Value::Bool(*truth)),
        Json::String(text) => return Some(Value::text(&**text)),
        Json::Object(object) if object.len() == 1 => object,
        _ => return None,
    };
    let (kind, text) = object.iter().next()?;
    let text = text.as_str()?;
    let bits = |digits: &str| u64::from_str_radix(digits, 16).ok();
    Some(match (&**kind, text.strip_prefix("0x")) {
        ("int", _) => match text.parse::<i64>() {
            Ok(n) => Value::Int(n),
            Err(_) => Value::UInt(text.parse().ok()?),
        },
        ("float", Some(digits)) => Value::F64(f64::from_bits(bits(digits)?)),
        ("float", None) => Value::F64(text.parse().ok()?),
        ("single", Some(digits)) => Value::F32(f32::from_bits(u32::try_from(bits(digits)?).ok()?)),
        ("single", None) => Value::F32(text.parse().ok()?),
        ("base64", _) => Value::Bytes(STANDARD.decode(text).ok()?.into()),
        _ => return None,
    })
}

/// Whether two values are the same to the last bit.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::TooLarge(_), _) | (_, Value::TooLarge(_)) => false,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_a_value() {
        for text in ["1", "[]", "{}", r#"{"int":"x"}"#, r#"{"int":1}"#, r#"{"base64":"*"}"#, r#"{"a":"b"}"#] {
            assert_eq!(decode(&serde_json::from_str(text).unwrap()), None, "{text}");
        }
    }
}
