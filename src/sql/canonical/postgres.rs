//! In the words of PostgreSQL. Names are given with their schema: a search path may put others before them.

use super::super::catalog::Table;
use super::Shape;
use crate::model::Class;

pub(super) const SUMS: [&str; 4] = [
    "pg_catalog.count(*)",
    "pg_catalog.count(h)",
    "pg_catalog.sum(h::bit(64)::int8)::text",
    "pg_catalog.sum((h << 64)::bit(64)::int8)::text",
];

/// A query with an offset is not dissolved into that around it, with the digest at each place.
pub(super) fn digest(text: &str) -> (String, &'static str) {
    (format!("('x' || pg_catalog.md5({text}))::bit(128)"), " OFFSET 0")
}

/// Put together in pairs: each step copies what it puts together, and tables have up to 1 600 columns.
pub(super) fn whole(parts: &[String]) -> String {
    match parts {
        [] => "''".to_owned(),
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} || {})", whole(left), whole(right))
        }
    }
}

/// A column's part of the row's text.
pub(super) fn part(table: &Table, at: usize, name: &str, shape: Shape) -> Option<String> {
    if shape.is_free() && !table.details[at].utf8 {
        return None;
    }
    let value = value(table, at, name, shape)?;
    let (text, null) = if shape.is_free() {
        (format!("pg_catalog.octet_length({value})::text || ':' || {value}"), "N")
    } else {
        (format!("{value} || ';'"), "N;")
    };
    Some(if table.may_be_null(at) {
        format!("CASE WHEN {name} IS NULL THEN '{null}' ELSE {text} END")
    } else {
        format!("({text})")
    })
}

fn value(table: &Table, at: usize, name: &str, shape: Shape) -> Option<String> {
    let column = &table.columns[at];
    let text = format!("{name}::text");
    let binary = |text: &str| format!("coalesce(nullif(pg_catalog.ltrim({text}, '0'), ''), '0')");
    Some(match (shape, column.class) {
        (Shape::Whole | Shape::Trimmed | Shape::Truth, Class::Int) => text,
        (Shape::Scaled(0), Class::Int) => text,
        (Shape::Scaled(most), Class::Int) => format!("{text} || '.{}'", "0".repeat(most)),
        (Shape::Scaled(most), Class::Decimal) => match (super::scale(column)?, most) {
            (scale, most) if scale == most => text,
            (0, most) => format!("{text} || '.{}'", "0".repeat(most)),
            (scale, most) => format!("{text} || '{}'", "0".repeat(most - scale)),
        },
        // What is no number has no scale.
        (Shape::Trimmed, Class::Decimal) => format!(
            "CASE WHEN pg_catalog.scale({name}) > 0 THEN pg_catalog.rtrim(pg_catalog.rtrim({text}, '0'), '.') \
             ELSE {text} END"
        ),
        (Shape::Truth, Class::Bool) => format!("CASE WHEN {name} THEN '1' ELSE '0' END"),
        (Shape::Truth | Shape::Bits, Class::Bit) => binary(&text),
        (Shape::Bits, Class::Int) => format!(
            "CASE WHEN {name}::int8 < 0 THEN {text} ELSE {} END",
            binary(&format!("{name}::int8::bit(64)::text"))
        ),
        (Shape::Float, Class::F32) => format!("pg_catalog.encode(pg_catalog.float4send({name}), 'hex')"),
        (Shape::Float, Class::F64) => format!("pg_catalog.encode(pg_catalog.float8send({name}), 'hex')"),
        (Shape::Md5, Class::Text) => format!("pg_catalog.md5(pg_catalog.convert_to({text}, 'UTF8'))"),
        (Shape::Md5, Class::Bytes) => format!("pg_catalog.md5({name})"),
        (Shape::Hex | Shape::UuidDigits, Class::Bytes) => format!("pg_catalog.encode({name}, 'hex')"),
        (Shape::Moment { .. }, Class::Date) => format!("{text} || ' 00:00:00'"),
        (Shape::Moment { .. }, Class::Instant) => format!("({name} AT TIME ZONE 'UTC')::text"),
        (Shape::UuidDigits, Class::Uuid) => format!("pg_catalog.replace({text}, '-', '')"),
        (Shape::UuidText, Class::Text) => format!("pg_catalog.lower({text})"),
        (Shape::UuidText, Class::Uuid) => text,
        (
            Shape::Text
            | Shape::Written
            | Shape::BitText
            | Shape::Date
            | Shape::Moment { .. }
            | Shape::Clock { .. }
            | Shape::Uuid,
            _,
        ) => text,
        _ => return None,
    })
}
