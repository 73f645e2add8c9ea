//! In the words of MySQL and MariaDB.

use super::super::catalog::Table;
use super::super::statement::Read;
use super::Shape;
use crate::model::Class;

/// Halves of a digest are signed, as PostgreSQL's integers of 64 bits are.
pub(super) const SUMS: [&str; 4] = [
    "COUNT(*)",
    "COUNT(h)",
    "SUM(CAST(CONV(LEFT(h, 16), 16, -10) AS SIGNED))",
    "SUM(CAST(CONV(RIGHT(h, 16), 16, -10) AS SIGNED))",
];

/// A table with a limit is made before it is read; any other would be dissolved, with the digest at each place.
pub(super) fn digest(text: &str) -> (String, &'static str) {
    (format!("MD5({text})"), " LIMIT 18446744073709551615")
}

pub(super) fn whole(parts: &[String]) -> String {
    format!("CONCAT({})", parts.join(", "))
}

/// A column's part of the row's text: arguments of CONCAT.
pub(super) fn part(table: &Table, at: usize, name: &str, shape: Shape) -> Option<String> {
    let value = value(table, at, name, shape)?;
    let nullable = table.may_be_null(at);
    if shape.is_free() {
        // Not COALESCE: a text beyond what a packet holds becomes NULL, and must not pass for one.
        let length = if shape == Shape::Text && table.details[at].utf8 { name } else { &value };
        let text = format!("LENGTH({length}), ':', {value}");
        return Some(if nullable { format!("IF({name} IS NULL, 'N', CONCAT({text}))") } else { text });
    }
    Some(if !nullable {
        format!("{value}, ';'")
    } else if value == name {
        format!("IFNULL({name}, 'N'), ';'")
    } else {
        format!("IF({name} IS NULL, 'N', {value}), ';'")
    })
}

fn value(table: &Table, at: usize, name: &str, shape: Shape) -> Option<String> {
    let (column, detail) = (&table.columns[at], &table.details[at]);
    let (class, declared) = (column.class, &*column.declared);
    // Leading zeros are its display, and no part of a number.
    let is_padded = declared.contains("zerofill") || declared.starts_with("year");
    let whole = || if is_padded { format!("CAST({name} AS UNSIGNED)") } else { name.to_owned() };
    let bytes = || {
        if class == Class::Text && !detail.utf8 {
            format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)")
        } else {
            format!("CAST({name} AS BINARY)")
        }
    };
    let without_zeros = || format!("TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {name}))");
    Some(match (shape, class) {
        (Shape::Whole | Shape::Truth | Shape::Trimmed, Class::Int) => whole(),
        (Shape::Scaled(0), Class::Int) => whole(),
        (Shape::Scaled(most), Class::Int) => format!("CONCAT({}, '.{}')", whole(), "0".repeat(most)),
        (_, Class::Decimal) if is_padded => return None,
        (Shape::Scaled(most), Class::Decimal) => match (super::scale(column)?, most) {
            (scale, most) if scale == most => name.to_owned(),
            (0, most) => format!("CONCAT({name}, '.{}')", "0".repeat(most)),
            (scale, most) => format!("CONCAT({name}, '{}')", "0".repeat(most - scale)),
        },
        (Shape::Trimmed, Class::Decimal) => match super::scale(column)? {
            0 => name.to_owned(),
            _ => without_zeros(),
        },
        (Shape::Truth | Shape::Bits, Class::Bit) => format!("BIN({name} + 0)"),
        (Shape::Bits, Class::Int) => format!("IF({name} < 0, {name}, BIN({name}))"),
        // As a double it is written with as many digits as it needs; those of a type with digits of its own are cut.
        (Shape::Float, _) if !declared.contains('(') => format!("({name} + 0e0)"),
        (Shape::Text, _) => bytes(),
        (Shape::Hex, _) if is_bytes(declared) => format!("LOWER(HEX({name}))"),
        (Shape::Md5, Class::Text) => format!("MD5({})", bytes()),
        (Shape::Md5, _) if is_bytes(declared) => format!("MD5({name})"),
        (Shape::Date, _) => name.to_owned(),
        (Shape::Moment { .. }, Class::Date) => format!("CONCAT({name}, ' 00:00:00')"),
        (Shape::Moment { trim } | Shape::Clock { trim }, _) => match detail.read {
            Read::DateTime(0) | Read::Time(0) => name.to_owned(),
            Read::DateTime(_) | Read::Time(_) if trim => without_zeros(),
            Read::DateTime(_) | Read::Time(_) => name.to_owned(),
            _ => return None,
        },
        (Shape::UuidDigits, Class::Uuid) => format!("REPLACE({name}, '-', '')"),
        (Shape::UuidDigits, _) if is_bytes(declared) => format!("LOWER(HEX({name}))"),
        // Beside a UUID the mark of NULL would be read as another, which it is not.
        (Shape::Uuid | Shape::UuidText, Class::Uuid) => format!("CAST({name} AS CHAR)"),
        (Shape::UuidText, Class::Text) => format!("CAST(LOWER({name}) AS CHAR)"),
        (Shape::UuidText, _) if is_bytes(declared) => {
            let hyphen = |text: String, at: usize| format!("INSERT({text}, {at}, 0, '-')");
            [9, 14, 19, 24].into_iter().fold(format!("LOWER(HEX({name}))"), hyphen)
        }
        (Shape::Written, Class::Json) if declared != "json" => bytes(),
        (Shape::Written, _) => format!("CAST({name} AS CHAR)"),
        _ => return None,
    })
}

fn is_bytes(declared: &str) -> bool {
    declared.starts_with("binary") || declared.starts_with("varbinary") || declared.ends_with("blob")
}
