//! The class a column is compared as.

use crate::model::{Class, Column};

/// SQLite tells by the declaration what a column is meant to hold, and by its rules of affinity what it turns values
/// into; only a column without either ([`Class::Dynamic`]) leaves that to each value. All others say it themselves.
pub(super) fn class(column: &Column) -> Class {
    if column.class != Class::Dynamic {
        return column.class;
    }
    let declared = column.declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let begins = |words: &[&str]| words.iter().any(|word| declared.starts_with(word));
    if has(&["INT"]) {
        Class::Int
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Class::Text
    } else if declared.is_empty() || has(&["BLOB"]) || declared == "ANY" {
        Class::Dynamic
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Class::F64
    } else if begins(&["TIMESTAMP", "DATETIME"]) {
        Class::DateTime
    } else if begins(&["DATE"]) {
        Class::Date
    } else if begins(&["TIME"]) {
        Class::Time
    } else if begins(&["JSON"]) {
        Class::Json
    } else if begins(&["UUID"]) {
        Class::Uuid
    } else if begins(&["BOOL"]) {
        Class::Bool
    } else {
        Class::Decimal
    }
}

/// Whether values are network addresses.
pub(super) fn is_address(column: &Column) -> bool {
    column.class == Class::Other && matches!(&*column.declared, "inet" | "cidr" | "inet4" | "inet6")
}

/// Whether values are amounts of money, written as the server's locale does.
pub(super) fn is_money(column: &Column) -> bool {
    column.class == Class::Other && &*column.declared == "money"
}

/// Whether values are bit strings whose length is a part of them.
pub(super) fn is_varbit(column: &Column) -> bool {
    column.class == Class::Bit && column.declared.starts_with("bit varying")
}

/// Whether values are exactly as many bytes as a UUID has.
pub(super) fn is_sixteen_bytes(column: &Column) -> bool {
    column.class == Class::Bytes && column.declared.eq_ignore_ascii_case("binary(16)")
}
