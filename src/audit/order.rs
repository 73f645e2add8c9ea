//! Whether two columns order their values alike, so that a stretch between two keys holds the same rows on both sides.

use crate::config::Engine;
use crate::model::{Class, Column};
use crate::sql::catalog::Table;

/// Whether every key of the two tables stands in the same order on both sides.
pub(super) fn is_alike(source: (&Table, &[usize]), copy: (&Table, &[usize])) -> bool {
    source.1.iter().zip(copy.1).all(|(a, b)| alike((source.0, *a), (copy.0, *b)))
}

fn alike(a: (&Table, usize), b: (&Table, usize)) -> bool {
    match (kind(a), kind(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// What is ordered by the same rule everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordered {
    Number,
    Day,
    WallClock,
    Instant,
    Bytes,
    Sixteen,
}

fn kind((table, at): (&Table, usize)) -> Option<Ordered> {
    let Column { class, declared, .. } = &table.columns[at];
    Some(match class {
        Class::Int | Class::Decimal => Ordered::Number,
        // Other values than integers stand behind or before all of them.
        Class::Dynamic if table.is_integer(at) => Ordered::Number,
        Class::Date => Ordered::Day,
        Class::DateTime => Ordered::WallClock,
        Class::Instant => Ordered::Instant,
        Class::Bytes if &**declared == "binary(16)" => Ordered::Sixteen,
        Class::Bytes => Ordered::Bytes,
        // MariaDB's own type is ordered by parts of it.
        Class::Uuid if table.engine == Engine::Postgres => Ordered::Sixteen,
        _ => return None,
    })
}
