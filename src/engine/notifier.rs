//! Tells people what needs them: at once the first time, then at most every ten minutes per destination and kind of
//! trouble, with the count of what happened meanwhile. Its failure never touches delivery.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Stop;
use crate::base::chain::chain;
use crate::model::{DestinationName, TaskName};
use crate::notify::{Alert, Channel};

const QUIET: Duration = Duration::from_secs(600);
/// Failures that come together are one message.
const GATHER: Duration = Duration::from_millis(500);

/// See the module's documentation.
#[derive(Clone)]
pub struct Notifier {
    channels: Arc<Vec<Box<dyn Channel>>>,
    alerts: Arc<Mutex<mpsc::Receiver<Alert>>>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("channels", &self.channels.len()).finish_non_exhaustive()
    }
}

/// Whom it is about, and the kind of trouble.
type Subject = (TaskName, DestinationName, &'static str);

#[derive(Debug)]
struct Held {
    alert: Alert,
    due: Instant,
}

impl Notifier {
    /// A notifier over these channels.
    pub fn new(channels: Vec<Box<dyn Channel>>, alerts: mpsc::Receiver<Alert>) -> Self {
        Self { channels: Arc::new(channels), alerts: Arc::new(Mutex::new(alerts)) }
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop) {
        let mut alerts = self.alerts.lock().await;
        let mut held: HashMap<Subject, Held> = HashMap::new();
        let mut told: HashMap<Subject, Instant> = HashMap::new();
        loop {
            let next = held.values().map(|h| h.due).min();
            tokio::select! {
                () = stop.intake.cancelled() => return,
                Some(alert) = alerts.recv() => {
                    let lane = (alert.task.clone(), alert.destination.clone(), alert.what.name());
                    let soonest = Instant::now() + GATHER;
                    let due = told.get(&lane).map_or(soonest, |at| (*at + QUIET).max(soonest));
                    held.entry(lane)
                        .and_modify(|h| {
                            let count = h.alert.count + alert.count;
                            h.alert = Alert { count, ..alert.clone() };
                        })
                        .or_insert(Held { alert, due });
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    let now = Instant::now();
                    let due: Vec<_> = held.iter().filter(|(_, h)| h.due <= now).map(|(k, _)| k.clone()).collect();
                    for lane in due {
                        if let Some(h) = held.remove(&lane) {
                            tokio::select! {
                                () = stop.intake.cancelled() => return,
                                () = self.step(&h.alert) => {}
                            }
                            told.insert(lane, Instant::now());
                        }
                    }
                }
            }
        }
    }

    /// One message to every channel.
    async fn step(&self, alert: &Alert) {
        for channel in self.channels.iter() {
            let name = channel.name();
            match channel.tell(alert).await {
                Ok(()) => {
                    info!(channel = name, task = %alert.task, destination = %alert.destination, "people were told")
                }
                Err(e) => warn!(channel = name, error = %chain(&e), "people could not be told"),
            }
        }
    }
}
