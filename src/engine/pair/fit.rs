//! What does not fit: policies their columns, `deletedWhen` a row.

use super::{Pair, Shape};
use crate::model::Value;
use crate::sql::{PlaceError, PlaceErrorKind};

/// Why two sides cannot be compared.
#[derive(Debug)]
pub(in crate::engine) enum PairError {
    /// A column is gone.
    Place(PlaceError),
    /// Policies that do not fit their columns, all of them.
    Unfit(Vec<String>),
}

impl PairError {
    /// For whoever needs the two sides.
    pub(in crate::engine) fn at(self, place: impl Into<String>) -> PlaceError {
        match self {
            Self::Place(e) => e,
            Self::Unfit(all) => PlaceError::new(PlaceErrorKind::Missing, place, all.join("; ")),
        }
    }
}

impl From<PlaceError> for PairError {
    fn from(e: PlaceError) -> Self {
        Self::Place(e)
    }
}

impl Pair {
    /// Whether a row counts as being at the source; `None`: `deletedWhen` cannot be worked out for it.
    pub(super) fn is_there(&self, shape: &Shape, row: &[Value]) -> Option<bool> {
        let Some((rule, classes)) = &self.deleted_when else { return Some(true) };
        let values = shape.rule.iter().zip(classes).map(|(at, class)| (&row[*at], *class));
        rule.holds(values).map(|deleted| !deleted)
    }

    /// Why `deletedWhen` is no rule, if this row shows that: nothing could be compared, and nobody would know.
    pub(super) fn no_rule(&self, row: &[Value]) -> Option<PlaceError> {
        let (rule, classes) = self.deleted_when.as_ref()?;
        let gives =
            rule.gives_else(self.read.rule.iter().zip(classes).map(|(at, class)| (&row[*at], *class)))?;
        let message = rule.is_none(&gives);
        Some(PlaceError::new(PlaceErrorKind::Missing, self.source.identity(), message))
    }
}
