//! What a column is, as the catalogue says, in words that hold for every engine.

/// What kind of values a column holds; decides how they are compared, bound and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// True or false.
    Bool,
    /// Integer of any width, signed or not; MySQL `YEAR` too.
    Int,
    /// Exact decimal, text form.
    Decimal,
    /// Single precision float.
    F32,
    /// Double precision float.
    F64,
    /// Character data; enums and sets by label.
    Text,
    /// Bytes.
    Bytes,
    /// Bit strings (MySQL `BIT(n)` as bytes, most significant first; PostgreSQL `bit` as text of 0 and 1).
    Bit,
    /// Calendar date, text form.
    Date,
    /// Time of day or interval of hours, text form.
    Time,
    /// Date and time on a wall clock, without a zone, text form.
    DateTime,
    /// A point in time; text form in UTC.
    Instant,
    /// JSON, text form.
    Json,
    /// UUID, text form.
    Uuid,
    /// SQLite: each value carries its own type, whatever the column was declared as.
    Dynamic,
    /// Anything else, compared by the database's own text form.
    Other,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, exactly as the catalogue spells it.
    pub name: Box<str>,
    /// What it holds.
    pub class: Class,
    /// The type as the database prints it, for messages and for casts: `varchar(20)`, `bigint unsigned`.
    pub declared: Box<str>,
    /// Whether NULL is allowed.
    pub nullable: bool,
}
