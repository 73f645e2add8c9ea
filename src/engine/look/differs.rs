//! What a message is about, for people who ask later.

use crate::engine::pair::Pair;
use crate::model::{Difference, Row, Value, Verdict};

/// The columns in which the copy disagrees; of a row that it does not have, the key of another that stands in its way.
/// `None`: there is nothing to show.
pub(super) fn differs(
    pair: &Pair,
    row: &Row,
    (copy, stray): (Option<&Row>, Option<&Value>),
    verdict: Option<&Verdict>,
) -> Option<Vec<Difference>> {
    if let (Some(Verdict::Missing), Some(stray)) = (verdict, stray) {
        let (name, key) = pair.key_of(row)?;
        return Some(vec![Difference::new(name, key, stray)]);
    }
    let (Some(Verdict::Differs(list)), Some(copy)) = (verdict, copy) else { return None };
    let columns = pair.source.columns();
    let of = |i: &usize| {
        let at = pair.source_column(*i);
        Some(Difference::new(&columns.get(at)?.name, row.get(at)?, copy.get(i + 1)?))
    };
    Some(list.iter().take(Difference::MOST).filter_map(of).collect())
}
