//! What an audit tells.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::model::{DeliveryKind, Row, Value};

/// A key on which the tables disagree. Values are in the database's own text form, bytes in base64, NULL is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is wrong.
    pub kind: DeliveryKind,
    /// Columns of the key, by the source's names.
    pub key: Vec<(Box<str>, Option<String>)>,
    /// Columns that disagree, by the source's names, with the values of source and copy; empty unless one row stands on
    /// either side.
    pub columns: Vec<(Box<str>, Option<String>, Option<String>)>,
}

/// The whole rows behind a [`Difference`], where they are wanted: the key's columns, then the compared ones. `None`: there
/// is no such row, or there are several.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The difference.
    pub of: Difference,
    /// The key's values, as the side that has the row spells them.
    pub key: Vec<Value>,
    /// The source's row.
    pub source: Option<Row>,
    /// The copy's row.
    pub copy: Option<Row>,
    /// The room that they take until nobody needs them any more.
    pub(super) _room: Option<Arc<OwnedSemaphorePermit>>,
}

/// How much was looked at, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Rows read of the source.
    pub rows_source: u64,
    /// Rows read of the copy; where it is asked by key, those that were found.
    pub rows_copy: u64,
    /// Keys on which both agree.
    pub same: u64,
    /// Those of them that agree by digests and were not read.
    pub digested: u64,
    /// Only at the source.
    pub missing: u64,
    /// At both, with other values.
    pub differs: u64,
    /// Only at the copy.
    pub extra: u64,
    /// Carried by several rows of a side.
    pub ambiguous: u64,
    /// For which nobody can work out whether they count as not there (`deletedWhen`).
    pub undecided: u64,
    /// Too large to be compared.
    pub too_large: u64,
    /// Rows of either side without a key: nothing can be said of them.
    pub null_key: u64,
    /// Changed at each look, so that nothing can be said of them.
    pub moving: u64,
    /// Stretches that could not be compared.
    pub unread: u64,
}

impl Tally {
    /// Keys that disagree.
    pub fn differences(&self) -> u64 {
        self.missing + self.differs + self.extra + self.ambiguous
    }

    /// Whether something was not compared.
    pub fn is_partial(&self) -> bool {
        self.unverified() > 0
    }

    /// Rows of which nothing can be said, and stretches that could not be read.
    pub fn unverified(&self) -> u64 {
        self.undecided + self.too_large + self.null_key + self.moving + self.unread
    }

    pub(super) fn count(&mut self, kind: DeliveryKind) {
        match kind {
            DeliveryKind::Missing => self.missing += 1,
            DeliveryKind::Differs => self.differs += 1,
            DeliveryKind::Extra => self.extra += 1,
            DeliveryKind::Ambiguous => self.ambiguous += 1,
        }
    }
}
