//! Raw wire bytes become [`Value`](crate::model::Value)s, as the catalogue says, one file per engine.
//!
//! The drivers' typed decoding is not used: on real data it loses (unsigned integers, scales, zero dates) or even
//! panics (`infinity`).

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod sqlite;

use crate::model::Value;

/// Text if it is valid UTF-8, else its bytes.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Text(text.into()),
        Err(_) => Value::Bytes(bytes.into()),
    }
}
