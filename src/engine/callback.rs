//! The callback task: one lane for each (task, destination), all of them side by side.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};

use super::lane::Lane;
use super::{Places, StatusBoard, Stop};
use crate::base::clock::Clock;
use crate::deliver::Caller;
use crate::notify::Alert;
use crate::outbox::Policy;
use crate::store::Store;

/// Wake-ups of the lanes: by task, then by destination.
pub(super) type Wakes = Arc<Vec<Vec<Arc<Notify>>>>;

/// See the module's documentation.
#[derive(Clone)]
pub struct Callback {
    lanes: Vec<Lane>,
    wakes: Wakes,
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").field("lanes", &self.lanes.len()).finish()
    }
}

impl Callback {
    /// Lanes for every destination of every task.
    ///
    /// # Errors
    /// If an HTTP client cannot be made.
    pub fn new(
        store: &Arc<dyn Store>,
        places: &Places,
        clock: &Clock,
        alerts: &mpsc::Sender<Alert>,
        status: &StatusBoard,
    ) -> Result<Self, reqwest::Error> {
        let mut lanes = Vec::new();
        let mut wakes = Vec::new();
        for task in &places.tasks {
            let mut of_task = Vec::new();
            for (destination, config) in task.config.destinations.iter().enumerate() {
                let wake = Arc::new(Notify::new());
                of_task.push(wake.clone());
                lanes.push(Lane {
                    store: store.clone(),
                    places: task.clone(),
                    destination,
                    caller: Caller::new(config.callback.clone(), clock.clone())?,
                    policy: Policy {
                        retry: config.retry.clone(),
                        verify: config.verify,
                        sending: task.config.callbacks && config.callbacks,
                    },
                    clock: clock.clone(),
                    wake,
                    alerts: alerts.clone(),
                    status: status.clone(),
                });
            }
            wakes.push(of_task);
        }
        Ok(Self { lanes, wakes: Arc::new(wakes) })
    }

    /// For whoever makes deliveries.
    pub(super) fn wakes(&self) -> Wakes {
        self.wakes.clone()
    }

    /// Works until the stop and waits for open calls.
    pub async fn run(self, stop: Stop) {
        join_all(self.lanes.into_iter().map(|lane| lane.run(stop.clone()))).await;
    }
}
