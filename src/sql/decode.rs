//! Raw wire bytes become [`Value`](crate::model::Value)s, as the catalogue says, one file per engine.
//!
//! The drivers' typed decoding is not used: on real data it loses (unsigned integers, scales, zero dates) or even
//! panics (`infinity`).

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod sqlite;

use crate::model::Value;

/// What the values of one row may weigh together. Servers and drivers carry more; holding a batch of such rows would
/// end the process, and no receiver takes them.
pub(crate) const HEAVIEST_ROW: usize = 64 << 20;

/// Takes the values of one row as long as there is room.
struct Room(usize);

impl Room {
    fn new() -> Self {
        Self(HEAVIEST_ROW)
    }

    fn take(&mut self, value: Value) -> Value {
        match self.0.checked_sub(value.weight()) {
            Some(left) => {
                self.0 = left;
                value
            }
            None => Value::TooLarge(value.weight() as u64),
        }
    }
}

/// Text if it is valid UTF-8, else its bytes.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Text(text.into()),
        Err(_) => Value::Bytes(bytes.into()),
    }
}
