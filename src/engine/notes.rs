//! What watchers leave in the state about a destination, for whoever asks later.

use serde::{Deserialize, Serialize};

use super::guard;
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, TaskName};
use crate::store::{Store, StoreError};

/// Name of the note that keeps [`HotNote`].
pub(super) const HOT: &str = "hot";

/// Rows that never stand still while their copy follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotNote {
    /// How many.
    pub count: u64,
    /// When the oldest of them was found, Unix ms.
    pub oldest: UnixMs,
    /// Whether people were told that it is older than the limit.
    #[serde(default)]
    pub told: bool,
}

impl HotNote {
    /// As it is kept; nothing if there is nothing to say.
    pub(super) fn text(self) -> Option<String> {
        (self != Self::default()).then(|| serde_json::to_string(&self).expect("numbers always serialise"))
    }

    /// The inverse of [`HotNote::text`]; what cannot be read says nothing.
    pub(super) fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// What is noted about a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Why nothing is sent until the copy, or its receiver, is back or a person says so.
    pub paused: Option<String>,
    /// Rows that never stand still.
    pub hot: HotNote,
}

impl Notes {
    /// Reads them.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn read(
        store: &dyn Store,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Self, StoreError> {
        let paused = store.recall(task, destination, guard::PAUSED).await?;
        let parked = store.recall(task, destination, guard::PARKED).await?;
        let hot = store.recall(task, destination, HOT).await?;
        Ok(Self { paused: guard::why(paused).or(parked), hot: HotNote::read(hot.as_deref()) })
    }
}
