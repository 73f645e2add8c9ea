//! One column value, exact, as the database handed it over.

use std::borrow::Cow;

use base64::Engine as _;

/// One column value.
///
/// Only what has one obvious machine form gets a variant of its own. Everything else (decimals, dates, JSON,
/// UUIDs, enums …) is [`Value::Text`] in the database's own text form, and the column's [`Class`](crate::model::Class)
/// says how two such texts are compared. So no value is ever squeezed through a type that cannot hold it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A boolean (PostgreSQL `bool`).
    Bool(bool),
    /// Any integer that fits in 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are always [`Value::Int`].
    UInt(u64),
    /// A single precision float, bit for bit.
    F32(f32),
    /// A double precision float, bit for bit.
    F64(f64),
    /// Text, or anything else in the database's own text form.
    Text(Box<str>),
    /// Bytes, and text that is not valid UTF-8.
    Bytes(Box<[u8]>),
    /// So many bytes that were not kept: with them the row would be too large to hold. Agrees with nothing, not even
    /// with itself; rows that hold one are [`Verdict::TooLarge`](crate::model::Verdict::TooLarge).
    TooLarge(u64),
}

impl Value {
    /// An unsigned integer in its canonical variant.
    pub fn uint(n: u64) -> Self {
        i64::try_from(n).map_or(Self::UInt(n), Self::Int)
    }

    /// Text from anything string-like.
    pub fn text(s: impl Into<Box<str>>) -> Self {
        Self::Text(s.into())
    }

    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// How many bytes of text or bytes it is.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Bytes it takes in memory.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.weight()
    }

    /// The integer, if the value is one.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(i128::from(*n)),
            Self::UInt(n) => Some(i128::from(*n)),
            _ => None,
        }
    }

    /// The text form that callbacks carry: the database's own, bytes as base64; `None` is NULL.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(b) => Cow::Borrowed(if *b { "t" } else { "f" }),
            Self::Int(n) => Cow::Owned(n.to_string()),
            Self::UInt(n) => Cow::Owned(n.to_string()),
            Self::F32(x) => Cow::Owned(float_text(f64::from(*x), &format!("{x:e}"))),
            Self::F64(x) => Cow::Owned(float_text(*x, &format!("{x:e}"))),
            Self::Text(s) => Cow::Borrowed(s),
            Self::Bytes(b) => Cow::Owned(base64::engine::general_purpose::STANDARD.encode(b)),
            Self::TooLarge(n) => Cow::Owned(format!("({n} bytes, too large)")),
        })
    }
}

/// A REAL as SQLite writes it: always with a point, `1.0`. Digits as in [`Value::to_text`], of which SQLite shows 15 only.
pub fn real_text(x: f64) -> String {
    let text = float_text(x, &format!("{x:e}"));
    match text.split_once('e') {
        _ if !x.is_finite() || text.contains('.') => text,
        Some((digits, exponent)) => format!("{digits}.0e{exponent}"),
        None => text + ".0",
    }
}

/// Shortest text that reads back as the same float: plain up to 15 digits, with an exponent beyond.
fn float_text(x: f64, scientific: &str) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (digits, exponent) = scientific.split_once('e').expect("{:e} always writes an exponent");
    let exponent: i32 = exponent.parse().expect("{:e} writes an integer exponent");
    if !(-5..15).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let plain: String = digits.chars().filter(|c| *c != '.').collect();
    let point = exponent + 1;
    let body = if point <= 0 {
        format!("0.{}{plain}", "0".repeat(point.unsigned_abs() as usize))
    } else if (point as usize) < plain.len() {
        let (whole, fraction) = plain.split_at(point as usize);
        format!("{whole}.{fraction}")
    } else {
        format!("{plain}{}", "0".repeat(point as usize - plain.len()))
    };
    format!("{sign}{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_forms() {
        let cases = [
            (Value::Int(-1), "-1"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::F32(0.1), "0.1"),
            (Value::F64(0.1), "0.1"),
            (Value::F64(-1234.5), "-1234.5"),
            (Value::F64(0.00012), "0.00012"),
            (Value::F64(1e20), "1e+20"),
            (Value::F64(1.5e-7), "1.5e-07"),
            (Value::F64(100_000.0), "100000"),
            (Value::F64(0.0), "0"),
            (Value::F64(f64::NEG_INFINITY), "-Infinity"),
            (Value::Bool(true), "t"),
            (Value::Bytes(Box::new([0, 255])), "AP8="),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_text().as_deref(), Some(text));
        }
        assert_eq!(Value::Null.to_text(), None);
    }

    #[test]
    fn reals_have_a_point() {
        for (x, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-2.0, "-2.0"),
            (0.1, "0.1"),
            (1e14, "100000000000000.0"),
            (1e15, "1.0e+15"),
            (1.5e20, "1.5e+20"),
            (1e-5, "0.00001"),
            (1e-7, "1.0e-07"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(real_text(x), text);
        }
    }

    proptest! {
        #[test]
        fn float_text_reads_back(x in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let text = Value::F64(x).to_text().unwrap().into_owned();
            prop_assert_eq!(text.parse::<f64>().unwrap(), x);
        }
    }
}
