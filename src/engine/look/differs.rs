//! What a message is about, for people who ask later.

use crate::engine::pair::Pair;
use crate::model::{Difference, Row, Verdict};

/// The columns in which the copy disagrees; `None`: it has no such row.
pub(super) fn differs(
    pair: &Pair,
    row: &Row,
    copy: Option<&Row>,
    verdict: Option<&Verdict>,
) -> Option<Vec<Difference>> {
    let (Some(Verdict::Differs(list)), Some(copy)) = (verdict, copy) else { return None };
    let columns = pair.source.columns();
    let of = |i: &usize| {
        let at = pair.source_column(*i);
        Some(Difference::new(&columns.get(at)?.name, row.get(at)?, copy.get(i + 1)?))
    };
    Some(list.iter().take(Difference::MOST).filter_map(of).collect())
}
