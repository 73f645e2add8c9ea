//! Rows whose update time is a text that is no time: the update feed cannot see them, and must not stand still for them.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;

use super::TimeForm;
use crate::model::{RowId, Value};
use crate::source::ground::EDGE;

/// Rows that are named.
const NAMED: usize = 10;

/// What stands at the two ends of an update column of text, told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct Strays {
    /// Rows without a readable time.
    pub(in crate::source) rows: u64,
    /// Whether there may be more of them.
    pub(in crate::source) more: bool,
    /// The first of them.
    pub(in crate::source) named: Vec<RowId>,
    /// The latest time that can be read.
    pub(in crate::source) latest: Option<NaiveDateTime>,
}

impl Strays {
    /// `edges` are the largest and the smallest values of the column.
    pub(in crate::source) fn among(edges: &[(Value, RowId)], time: &TimeForm) -> Self {
        let mut latest = None;
        let mut strays = BTreeSet::new();
        for (value, id) in edges {
            match time.parse(value) {
                Some(at) => latest = latest.max(Some(at)),
                None => drop(strays.insert(*id)),
            }
        }
        Self {
            rows: strays.len() as u64,
            more: strays.len() >= EDGE,
            named: strays.into_iter().take(NAMED).collect(),
            latest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form;

    #[test]
    fn each_row_is_counted_once_and_the_first_are_named() {
        let time = TimeForm::Layout("%Y%m%d%H%M%S".to_owned());
        let row = |text: &str, id: i128| (Value::text(text), RowId(id));
        let good = [row("20260101000000", 1), row("20260301000000", 3)];
        let bad: Vec<_> = (20..40).rev().map(|id| row("never", id)).collect();
        let edges: Vec<_> = good.iter().chain(&bad).chain(&good).chain(&bad).cloned().collect();
        let strays = Strays::among(&edges, &time);
        assert_eq!((strays.rows, strays.more), (20, false));
        assert_eq!(strays.named, (20..30).map(RowId).collect::<Vec<_>>());
        assert_eq!(strays.latest, form::parse_moment("2026-03-01 00:00:00"));
        assert_eq!(Strays::among(&good, &time).rows, 0);
    }
}
