//! The canonical form that values of two columns have in common.

use std::borrow::Cow;

use super::class::{class, is_address, is_money, is_sixteen_bytes, is_varbit};
use super::{json, spell};
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
    /// MySQL's bit strings as the numbers that the other side holds.
    BitNumber,
    /// Amounts of money as numbers.
    Money,
    /// Date with or without time; instants in UTC, wall-clock times as written.
    Moment,
    /// Time of day.
    Clock,
    /// JSON by structure.
    Json,
    /// UUID.
    Uuid,
    /// Network address.
    Address,
    /// Byte for byte.
    Plain,
}

impl Form {
    /// The form in which values of `a` and `b` meet. Symmetric.
    pub(super) fn between(a: &Column, b: &Column) -> Self {
        let of = |test: fn(&Column) -> bool| test(a) || test(b);
        let (of_sixteen, of_money, of_address) = (of(is_sixteen_bytes), of(is_money), of(is_address));
        // Their length counts, where the other side can tell it too.
        let of_varbit = match (is_varbit(a), is_varbit(b)) {
            (true, true) => true,
            (true, false) => class(b) == Class::Text,
            (false, true) => class(a) == Class::Text,
            (false, false) => false,
        };
        let (a, b) = (class(a), class(b));
        let either = |wanted: &[Class]| wanted.contains(&a) || wanted.contains(&b);
        if of_money {
            Self::Money
        } else if of_address {
            Self::Address
        } else if either(&[Class::Bool]) {
            Self::Truth
        } else if of_varbit {
            Self::Plain
        } else if either(&[Class::Bit]) && either(&[Class::Decimal, Class::F32, Class::F64]) {
            Self::BitNumber
        } else if either(&[Class::Bit]) {
            // Against text of 0 and 1 too: a bit string is what the other side must mean.
            Self::Bits
        } else if either(&[Class::F32]) {
            Self::Single
        } else if either(&[Class::Int, Class::Decimal, Class::F64]) {
            Self::Number
        } else if either(&[Class::Json]) {
            Self::Json
        } else if either(&[Class::Uuid]) || (of_sixteen && either(&[Class::Text])) {
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
    pub(super) fn canonical(self, value: &Value) -> Option<Cow<'_, [u8]>> {
        if matches!(value, Value::Null | Value::TooLarge(_)) {
            return None;
        }
        let plain = plain(value);
        let text = || std::str::from_utf8(&plain).ok();
        let better = match self {
            Self::Plain => None,
            Self::Number => spell::number_key(value),
            Self::Single => spell::single(value),
            Self::Truth => spell::truth(value),
            Self::Bits => spell::bits(value),
            Self::BitNumber => spell::bit_number(value),
            Self::Money => spell::money(value),
            Self::Moment => text().and_then(text_form::moment),
            Self::Clock => text().and_then(text_form::clock_time),
            Self::Json => text().and_then(json::canonical),
            Self::Uuid => spell::uuid(value),
            Self::Address => text().and_then(spell::address),
        };
        Some(better.map_or(plain, |text| Cow::Owned(text.into_bytes())))
    }

    /// Whether two values are the same. The canonical bytes decide, but for floats, which have several spellings that
    /// lose nothing.
    pub(super) fn same(self, a: &Value, b: &Value) -> bool {
        // Most rows agree, and most of them to the letter.
        match (a, b) {
            (Value::Null, Value::Null) => true,
            (Value::Null, _) | (_, Value::Null) => false,
            (Value::TooLarge(_), _) | (_, Value::TooLarge(_)) => false,
            _ if a == b => true,
            // Two integers or two plain texts that are not identical need no second look.
            (Value::Int(_) | Value::UInt(_), Value::Int(_) | Value::UInt(_)) => false,
            (Value::Text(_), Value::Text(_)) if self == Self::Plain => false,
            (Value::F32(_) | Value::F64(_), _) | (_, Value::F32(_) | Value::F64(_))
                if self.takes_numbers() =>
            {
                spell::same_number(a, b)
            }
            _ => self.canonical(a) == self.canonical(b),
        }
    }

    /// Whether the values of columns of these classes are compared as numbers.
    pub(super) fn is_number(self, classes: &[Class]) -> bool {
        matches!(self, Self::Number | Self::Single | Self::BitNumber | Self::Money)
            || (self == Self::Plain && classes.contains(&Class::Dynamic))
    }

    fn takes_numbers(self) -> bool {
        matches!(self, Self::Number | Self::Single | Self::BitNumber | Self::Money | Self::Plain)
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
