//! Text that two servers make of their values by themselves, the same bytes where values agree, so that rows can be
//! digested where they lie.
//!
//! What a pair of columns becomes is decided from both schemas. It is given a text only where equal texts mean that
//! `diff` finds the values equal, whatever they are: a digest must never hide a difference. The other way round it may be
//! wrong, but only for what is rare (a UUID in capitals): rows that seem to differ are read and compared.
//!
//! A row's text is that of its columns one after the other. NULL is `N`. What is written with few signs (numbers, times,
//! hexadecimal digits) ends with a `;` that it cannot contain, all other text has its length in bytes in front. So no two
//! rows have the same text.

mod mysql;
mod postgres;

use super::catalog::Table;
use super::select::name;
use super::statement::Read;
use crate::config::Engine;
use crate::model::{Class, Column};

/// What the values of a pair of columns are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Integers.
    Whole,
    /// Numbers with so many digits behind the point.
    Scaled(usize),
    /// Numbers without zeros at their end.
    Trimmed,
    /// `1` and `0`; integers and bit strings beside them as they are.
    Truth,
    /// Binary digits without leading zeros.
    Bits,
    /// Binary digits, each of which counts.
    BitText,
    /// Floats, to the last bit.
    Float,
    /// Text.
    Text,
    /// Bytes in hexadecimal digits.
    Hex,
    /// A digest of bytes.
    Md5,
    /// Dates.
    Date,
    /// Date and time in UTC or on a wall clock, without zeros at the end of the fraction if `trim`.
    Moment { trim: bool },
    /// Time of day, likewise.
    Clock { trim: bool },
    /// UUID, as its type writes it.
    Uuid,
    /// The 32 digits of a UUID.
    UuidDigits,
    /// UUID beside text.
    UuidText,
    /// What only its own type understands, as the server writes it.
    Written,
}

impl Shape {
    /// Whether any sign can stand in it.
    fn is_free(self) -> bool {
        matches!(self, Self::Text | Self::UuidText | Self::Written)
    }
}

/// The texts of whole rows at both sides, as expressions.
///
/// # Errors
/// The pairs that no text can be made of, by their place in `pairs`.
pub(crate) fn rows(
    source: &Table,
    copy: &Table,
    pairs: &[(usize, usize)],
) -> Result<[String; 2], Vec<usize>> {
    let (mut texts, mut without) = ([Vec::new(), Vec::new()], Vec::new());
    for (at, (a, b)) in pairs.iter().enumerate() {
        let parts = between((source, *a), (copy, *b))
            .and_then(|shape| Some([part(source, *a, shape)?, part(copy, *b, shape)?]));
        match parts {
            Some([a, b]) => {
                texts[0].push(a);
                texts[1].push(b);
            }
            None => without.push(at),
        }
    }
    if without.is_empty() {
        let [a, b] = texts;
        Ok([whole(source.engine, &a), whole(copy.engine, &b)])
    } else {
        Err(without)
    }
}

/// The statement's own columns over such a text: how many rows, how many with a digest, sums of its halves.
pub(crate) fn sums(engine: Engine) -> ([&'static str; 4], [Read; 4]) {
    let sums = match engine {
        Engine::MySql => mysql::SUMS,
        Engine::Postgres | Engine::Sqlite => postgres::SUMS,
    };
    (sums, [Read::Int, Read::Int, Read::Text, Read::Text])
}

/// The digest of a text, and what keeps the server from making it twice for each row.
pub(crate) fn digest(engine: Engine, text: &str) -> (String, &'static str) {
    match engine {
        Engine::MySql => mysql::digest(text),
        Engine::Postgres | Engine::Sqlite => postgres::digest(text),
    }
}

fn part(table: &Table, at: usize, shape: Shape) -> Option<String> {
    let name = name(table, at);
    match table.engine {
        Engine::MySql => mysql::part(table, at, &name, shape),
        Engine::Postgres => postgres::part(table, at, &name, shape),
        Engine::Sqlite => None,
    }
}

fn whole(engine: Engine, parts: &[String]) -> String {
    if engine == Engine::MySql { mysql::whole(parts) } else { postgres::whole(parts) }
}

/// What a pair is written as; `None`: there is nothing that both sides could write alike.
fn between(a: (&Table, usize), b: (&Table, usize)) -> Option<Shape> {
    let (from, to) = (&a.0.columns[a.1], &b.0.columns[b.1]);
    let same_engine = a.0.engine == b.0.engine;
    let same_type = same_engine && from.declared == to.declared;
    Some(match ordered(from.class, to.class) {
        (Class::Int, Class::Int) => Shape::Whole,
        (Class::Int | Class::Decimal, Class::Decimal) => match (scale(from), scale(to)) {
            (Some(a), Some(b)) => Shape::Scaled(a.max(b)),
            _ => Shape::Trimmed,
        },
        (Class::Bool, Class::Bool | Class::Int) => Shape::Truth,
        (Class::Bool, Class::Bit) if is_fixed(from) && is_fixed(to) => Shape::Truth,
        (Class::Int, Class::Bit) if is_fixed(from) && is_fixed(to) => Shape::Bits,
        (Class::Bit, Class::Bit) => match (is_fixed(from), is_fixed(to)) {
            (true, true) => Shape::Bits,
            (false, false) if same_type => Shape::BitText,
            _ => return None,
        },
        (Class::F32, Class::F32) | (Class::F64, Class::F64) if same_engine => Shape::Float,
        (Class::Text, Class::Text) => Shape::Text,
        (Class::Bytes, Class::Bytes) if is_short(from) || is_short(to) => Shape::Hex,
        (Class::Bytes, Class::Bytes) => Shape::Md5,
        (Class::Text, Class::Bytes) if is_sixteen(from) || is_sixteen(to) => Shape::UuidText,
        (Class::Text, Class::Bytes) => Shape::Md5,
        (Class::Date, Class::Date) => Shape::Date,
        (Class::Date, Class::DateTime | Class::Instant) => Shape::Moment { trim: true },
        (Class::DateTime | Class::Instant, Class::DateTime | Class::Instant) => {
            Shape::Moment { trim: digits(a) != digits(b) }
        }
        (Class::Time, Class::Time) => Shape::Clock { trim: digits(a) != digits(b) },
        (Class::Uuid, Class::Uuid) => Shape::Uuid,
        (Class::Bytes, Class::Uuid) => Shape::UuidDigits,
        (Class::Text, Class::Uuid) => Shape::UuidText,
        (Class::Json, Class::Json) | (Class::Other, Class::Other) if same_type => Shape::Written,
        _ => return None,
    })
}

/// The same for both orders.
fn ordered(a: Class, b: Class) -> (Class, Class) {
    if a as u8 <= b as u8 { (a, b) } else { (b, a) }
}

/// Digits behind the point that each value of the column is written with; `None`: each has its own.
fn scale(column: &Column) -> Option<usize> {
    if column.class == Class::Int {
        return Some(0);
    }
    let digits =
        column.declared.strip_prefix("decimal(").or_else(|| column.declared.strip_prefix("numeric("))?;
    let (_, scale) = digits.split_once(')')?.0.split_once(',')?;
    scale.trim().parse().ok()
}

/// A bit string of a length that its type tells, or something else.
fn is_fixed(column: &Column) -> bool {
    column.class != Class::Bit || column.declared.starts_with("bit(") || &*column.declared == "bit"
}

fn is_sixteen(column: &Column) -> bool {
    &*column.declared == "binary(16)"
}

/// Bytes of which a digest would be longer than they are.
fn is_short(column: &Column) -> bool {
    let size = column.declared.strip_prefix("var").unwrap_or(&column.declared);
    let size = size.strip_prefix("binary(").and_then(|rest| rest.strip_suffix(')'));
    size.and_then(|size| size.parse::<u32>().ok()).is_some_and(|size| size <= 64)
}

/// Digits of the fraction that are always written; `None`: as many as are needed.
fn digits((table, at): (&Table, usize)) -> Option<u8> {
    match table.details[at].read {
        Read::DateTime(digits) | Read::Time(digits) => Some(digits),
        _ => None,
    }
}

#[cfg(test)]
#[path = "canonical/tests.rs"]
mod tests;
