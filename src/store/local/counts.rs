//! Rows by verdict, as columns of whatever is counted so.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::coverage::int;
use crate::model::Counts;

/// The columns, in the order of [`values`].
pub(super) const COUNTS: [&str; 10] = [
    "rows",
    "same",
    "missing",
    "differs",
    "ambiguous",
    "extra",
    "not_comparable",
    "null_key",
    "undecided",
    "too_large",
];

pub(super) fn values(c: Counts) -> [i64; 10] {
    [
        c.rows,
        c.same,
        c.missing,
        c.differs,
        c.ambiguous,
        c.extra,
        c.not_comparable,
        c.null_key,
        c.undecided,
        c.too_large,
    ]
    .map(int)
}

pub(super) fn read(row: &SqliteRow) -> Result<Counts, sqlx::Error> {
    let count = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(name)?.unsigned_abs());
    Ok(Counts {
        rows: count("rows")?,
        same: count("same")?,
        missing: count("missing")?,
        differs: count("differs")?,
        ambiguous: count("ambiguous")?,
        extra: count("extra")?,
        not_comparable: count("not_comparable")?,
        null_key: count("null_key")?,
        undecided: count("undecided")?,
        too_large: count("too_large")?,
    })
}
