//! What is kept of the last audit of a copy, for whoever asks.

use serde::{Deserialize, Serialize};

use crate::audit::Tally;
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, TaskName};
use crate::store::{Store, StoreError};

/// Name of the note.
const AUDIT: &str = "audit";

/// The audit that is under way, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditNote {
    /// When it began, Unix ms.
    pub began: UnixMs,
    /// When it ended; `None`: it is under way, or was cut off.
    pub ended: Option<UnixMs>,
    /// Rows read so far, of both sides together.
    pub read: u64,
    /// Differences told so far.
    pub found: u64,
    /// Rows of the source.
    pub rows: u64,
    /// Keys on which both agree.
    pub same: u64,
    /// Only at the source.
    pub missing: u64,
    /// At both, with other values.
    pub differs: u64,
    /// Only at the copy.
    pub extra: u64,
    /// Carried by several rows of a side.
    pub ambiguous: u64,
    /// Rows of which nothing can be said.
    pub unverified: u64,
    /// Why it did not come to its end.
    pub error: Option<String>,
}

impl AuditNote {
    /// Reads it; `None`: there is none.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn of(
        store: &dyn Store,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Option<Self>, StoreError> {
        let text = store.recall(task, destination, AUDIT).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps it.
    pub(super) async fn keep(
        &self,
        store: &dyn Store,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).expect("numbers and texts always serialise");
        store.remember(task, destination, AUDIT, Some(text)).await
    }

    /// Takes in how it ended.
    pub(super) fn take(&mut self, tally: &Tally) {
        (self.rows, self.same) = (tally.rows_source, tally.same);
        (self.missing, self.differs) = (tally.missing, tally.differs);
        (self.extra, self.ambiguous) = (tally.extra, tally.ambiguous);
        self.found = tally.differences();
        self.unverified = tally.unverified();
    }
}
