//! What is counted: rows that no delivery can stand for, and samples.

use super::{Judged, Pair};
use crate::model::{Counts, SourceRow, Unfit, Verdict};
use crate::sql::PlaceError;

/// What a comparison of some rows showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Rows by verdict.
    pub counts: Counts,
    /// For each compared column, in the order of the configuration, the rows in which it differs.
    pub by_column: Vec<u64>,
}

impl Pair {
    /// Why no delivery can stand for a row.
    pub(super) fn unfit(&self, judged: &Judged, row: &SourceRow) -> Option<Unfit> {
        match judged.verdict {
            Verdict::TooLarge => Some(Unfit::TooLarge),
            Verdict::Ambiguous(_) => Some(Unfit::Ambiguous),
            Verdict::NotComparable if judged.key.is_some() => Some(Unfit::Undecided),
            Verdict::NotComparable if row.values[self.read.key].is_null() => Some(Unfit::NullKey),
            Verdict::NotComparable => Some(Unfit::Inexpressible),
            Verdict::Same | Verdict::Missing | Verdict::Differs(_) | Verdict::Extra => None,
        }
    }

    /// Compares up to `limit` rows from all over the source; nothing comes of it but counts.
    pub(in crate::engine) async fn sample(&self, limit: usize) -> Result<Sample, PlaceError> {
        let rows = self.source.sample(limit).await?;
        let mut sample = Sample { by_column: vec![0; self.read.rules.len()], ..Sample::default() };
        for judged in self.judge_all(&rows).await? {
            if let Verdict::Differs(columns) = &judged.verdict {
                columns.iter().for_each(|column| sample.by_column[*column] += 1);
            }
            sample.counts.see(&judged.verdict);
        }
        Ok(sample)
    }
}
