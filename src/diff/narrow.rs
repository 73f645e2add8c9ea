//! Copies whose columns hold less than the source's: what they cut off is a difference for ever, whoever repairs it.

use crate::model::{Class, Column};

/// What the copy's column cannot hold of the source's values, for people; `None`: nothing that their types tell.
pub fn narrower(source: &Column, copy: &Column) -> Option<String> {
    let less = match (source.class, copy.class) {
        (Class::Decimal, Class::Int) => digits(source).is_none_or(|digits| digits > 0).then_some("fractions"),
        (Class::Decimal, Class::Decimal) => {
            let (from, to) = (digits(source), digits(copy)?);
            from.is_none_or(|from| from > to).then_some("as many decimal places")
        }
        (Class::DateTime | Class::Instant, Class::Date) => Some("the time of the day"),
        (Class::DateTime | Class::Instant, Class::DateTime | Class::Instant) | (Class::Time, Class::Time) => {
            (digits(source)? > digits(copy)?).then_some("as many digits of a second")
        }
        (Class::F64, Class::F32) => Some("as many digits"),
        (Class::Text, Class::Text) => {
            let (from, to) = (length(source), length(copy)?);
            from.map_or_else(|| is_endless(source), |from| to < from).then_some("texts of that length")
        }
        _ => None,
    }?;
    Some(format!(
        "{:?} is {} at the source and {} at the copy, which does not hold {less}: rows that have them are reported, and \
         stay different",
        source.name, source.declared, copy.declared
    ))
}

/// The number in the first brackets, or the second of two.
fn bracket(declared: &str) -> Option<Vec<&str>> {
    let (_, rest) = declared.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    Some(inside.split(',').map(str::trim).collect())
}

/// Digits behind the point; `None`: as many as are written.
fn digits(column: &Column) -> Option<u32> {
    let given = bracket(&column.declared);
    match (column.class, given.as_deref()) {
        (Class::Decimal, Some([_, scale])) => scale.parse().ok(),
        (Class::Decimal, Some(_)) => Some(0),
        (Class::Decimal, None) => None,
        (_, Some([digits])) => digits.parse().ok(),
        // PostgreSQL writes out the zone, and means microseconds without a number.
        (_, _) if column.declared.contains("time zone") => Some(6),
        (_, _) => Some(0),
    }
}

/// The longest text in characters; `None`: none is given.
fn length(column: &Column) -> Option<u64> {
    let is_sized = column.declared.to_ascii_lowercase().contains("char");
    let given = bracket(&column.declared).filter(|_| is_sized)?;
    given.first()?.parse().ok()
}

/// Whether texts of any length go in; an enum has labels.
fn is_endless(column: &Column) -> bool {
    let declared = column.declared.to_ascii_lowercase();
    declared.contains("text") || declared.contains("char")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_cannot_hold_is_named() {
        use Class::{Date, DateTime, Decimal, F32, F64, Instant, Int, Text, Time};
        let column = |class: Class, declared: &str| Column {
            name: "c".into(),
            class,
            declared: declared.into(),
            nullable: true,
        };
        for (from, to, less) in [
            ((Decimal, "decimal(10,4)"), (Decimal, "numeric(12,2)"), Some("decimal places")),
            ((Decimal, "numeric"), (Decimal, "decimal(10,2)"), Some("decimal places")),
            ((Decimal, "decimal(10,2)"), (Decimal, "numeric"), None),
            ((Decimal, "decimal(10,2)"), (Decimal, "decimal(30,2)"), None),
            ((Decimal, "decimal(10,2)"), (Int, "bigint(20)"), Some("fractions")),
            ((Decimal, "decimal(10,0)"), (Int, "bigint(20)"), None),
            ((DateTime, "datetime(6)"), (DateTime, "datetime"), Some("digits of a second")),
            ((DateTime, "datetime"), (DateTime, "timestamp without time zone"), None),
            ((Instant, "timestamp with time zone"), (DateTime, "datetime(3)"), Some("digits of a second")),
            ((DateTime, "datetime"), (Date, "date"), Some("time of the day")),
            ((Time, "time(3)"), (Time, "time"), Some("digits of a second")),
            ((F64, "double"), (F32, "real"), Some("digits")),
            ((Text, "varchar(60)"), (Text, "character varying(40)"), Some("that length")),
            ((Text, "longtext"), (Text, "varchar(40)"), Some("that length")),
            ((Text, "varchar(40)"), (Text, "text"), None),
            ((Text, "character varying"), (Text, "varchar(40)"), Some("that length")),
            ((Text, "enum('a','b')"), (Text, "varchar(1)"), None),
            ((Int, "bigint"), (Text, "varchar(5)"), None),
        ] {
            let said = narrower(&column(from.0, from.1), &column(to.0, to.1));
            assert_eq!(said.is_some(), less.is_some(), "{from:?} {to:?}: {said:?}");
            assert!(said.unwrap_or_default().contains(less.unwrap_or_default()), "{from:?} {to:?}");
        }
    }
}
