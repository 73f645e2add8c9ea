//! What may be asked of a running engine from outside.

use std::sync::Arc;

use serde::Serialize;

use super::StatusBoard;
use super::callback::Callback;
use super::clerk::Clerk;
use super::guard::Guard;
use super::receiver::Receiver;
use crate::store::{Store, StoreError};

/// What a person has let go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resumed {
    /// The task.
    pub task: String,
    /// The destination.
    pub destination: String,
    /// `callbacks`, or `extra`: the look for rows that only the copy has.
    pub what: &'static str,
}

/// What the outside may ask of a running engine.
#[derive(Clone)]
pub struct ControlHandle {
    status: StatusBoard,
    store: Arc<dyn Store>,
    guards: Arc<Vec<(Arc<Guard>, Arc<Receiver>)>>,
    clerk: Clerk,
}

impl std::fmt::Debug for ControlHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlHandle").finish_non_exhaustive()
    }
}

impl ControlHandle {
    /// A handle on the engine behind this board, store, callback task and clerk.
    pub fn new(status: StatusBoard, store: Arc<dyn Store>, callback: &Callback, clerk: Clerk) -> Self {
        Self { status, store, guards: Arc::new(callback.guards()), clerk }
    }

    /// Who does with deliveries what people ask for.
    pub fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    /// Lets callbacks go on that were paused because the copy seemed to be emptied, and the look for rows that only the
    /// copy has, for one pass, where the source seemed to be: it is meant. A receiver that was gone is called again by all
    /// who call it. `None` stands for every destination. Returns what was paused.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn resume(
        &self,
        task: Option<&str>,
        destination: Option<&str>,
    ) -> Result<Vec<Resumed>, StoreError> {
        let mut resumed = Vec::new();
        let goes_on = |guard: &Guard, what| Resumed {
            task: guard.task.to_string(),
            destination: guard.destination.to_string(),
            what,
        };
        for (guard, receiver) in self.guards.iter() {
            let meant = task.is_none_or(|task| task == guard.task.as_str())
                && destination.is_none_or(|destination| destination == guard.destination.as_str());
            if !meant {
                continue;
            }
            if guard.resume().await? {
                self.status.paused(&guard.task, &guard.destination, None);
                self.status.parked(&guard.task, &guard.destination, None);
                resumed.push(goes_on(guard, "callbacks"));
            }
            for other in receiver.guards() {
                if other.unpark().await? {
                    self.status.parked(&other.task, &other.destination, None);
                    if !other.is_emptied() {
                        resumed.push(goes_on(other, "callbacks"));
                    }
                }
            }
            if guard.resume_walk().await? {
                resumed.push(goes_on(guard, "extra"));
            }
        }
        Ok(resumed)
    }

    /// What the engine does, and what waits, as one JSON document.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn status(&self) -> Result<serde_json::Value, StoreError> {
        let counts = self.store.counts().await?;
        let waiting: Vec<serde_json::Value> = counts
            .iter()
            .map(|c| {
                serde_json::json!({
                    "task": c.task.as_str(), "destination": c.destination.as_str(), "state": c.state.as_str(),
                    "count": c.count, "oldest": c.oldest,
                })
            })
            .collect();
        let status = serde_json::to_value(self.status.snapshot()).unwrap_or_default();
        Ok(serde_json::json!({ "status": status, "waiting": waiting }))
    }
}
