//! What the log, people and the next start are told of a receiver.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Receiver;
use crate::engine::StatusBoard;
use crate::model::{AttemptOutcome, ErrorClass};
use crate::outbox::Change;
use crate::store::Store;

/// Name of the note that keeps the pause of a breaker that is open, in milliseconds.
const BREAKER: &str = "breaker";

impl Receiver {
    /// Says what has become of it, once, and keeps it; unless something else has become of it since.
    pub(in crate::engine) async fn tell(
        &self,
        (change, epoch): (Change, u64),
        outcome: &AttemptOutcome,
        store: &Arc<dyn Store>,
        status: &StatusBoard,
    ) {
        // One after the other, so that what is kept is the last.
        let _telling = self.telling.lock().await;
        if self.lock().breaker.epoch() != epoch {
            return;
        }
        let receiver = self.place.as_str();
        let (class, error) = match outcome {
            AttemptOutcome::Failed { class, detail, .. } => (*class, detail.as_str()),
            _ => (ErrorClass::Protocol, ""),
        };
        let destinations = self.members.len();
        match change {
            Change::Opened { pause, failed, of } => {
                let pause_s = pause.as_secs_f64();
                warn!(
                    receiver,
                    class = class.as_str(),
                    error,
                    failed,
                    of,
                    destinations,
                    pause_s,
                    "the receiver fails, nothing is sent to it but one call after each pause"
                );
                let what = format!("{failed} of {of} calls failed ({})", class.as_str());
                self.shut(&what, class, pause, store, status).await;
            }
            Change::Asked { pause } => {
                let pause_s = pause.as_secs_f64();
                warn!(
                    receiver,
                    class = class.as_str(),
                    error,
                    destinations,
                    pause_s,
                    "the receiver asks for a pause, nothing is sent to it meanwhile"
                );
                self.shut("it asked for a pause", class, pause, store, status).await;
            }
            Change::StillOpen { pause } => {
                let what = format!("it still fails ({})", class.as_str());
                self.shut(&what, class, pause, store, status).await;
            }
            // Said when it is over: this lasts for a few calls.
            Change::Ramping => {}
            Change::Closed => {
                info!(receiver, destinations, "the receiver works again, calls are made as ever");
                for m in &self.members {
                    status.receiver(&m.task, &m.destination, None);
                }
                self.keep(None, store, status).await;
            }
        }
    }

    async fn shut(
        &self,
        what: &str,
        class: ErrorClass,
        pause: Duration,
        store: &Arc<dyn Store>,
        status: &StatusBoard,
    ) {
        let why = format!(
            "the receiver {} is left alone: {what}; what waits is kept and spends no tries, one call is made after {} s to \
             see whether it works again",
            self.place,
            pause.as_secs_f64().ceil()
        );
        for m in &self.members {
            status.receiver(&m.task, &m.destination, Some((class, &why)));
        }
        self.keep(Some((pause, class)), store, status).await;
    }

    async fn keep(&self, shut: Option<(Duration, ErrorClass)>, store: &Arc<dyn Store>, status: &StatusBoard) {
        let value = shut.map(|(pause, class)| format!("{} {}", pause.as_millis(), class.as_str()));
        // Each destination has its own, so that it does not matter which of them stay in the file.
        for m in &self.members {
            if let Err(e) = store.remember(&m.task, &m.destination, BREAKER, value.clone()).await {
                status.store_failed(&e);
            }
        }
    }

    fn reopen(&self, pause: Duration) -> bool {
        let mut inner = self.lock();
        inner.breaker.reopen(pause, self.clock.elapsed());
        inner.breaker.is_open()
    }

    /// Goes on where an earlier process stopped. A breaker that was open then lets one call through at once.
    pub(in crate::engine) async fn recall(&self, store: &Arc<dyn Store>, status: &StatusBoard) {
        for m in &self.members {
            let kept = store.recall(&m.task, &m.destination, BREAKER).await.ok().flatten();
            let Some((pause, class)) = kept.as_deref().and_then(kept_of) else { continue };
            if !self.reopen(pause) {
                // It is switched off by now.
                return self.keep(None, store, status).await;
            }
            let why = format!(
                "the receiver {} is left alone: it failed before the restart; one call tells whether it works again",
                self.place
            );
            for m in &self.members {
                status.receiver(&m.task, &m.destination, Some((class, &why)));
            }
            return;
        }
    }
}

/// The pause and the class of the last failure; what an older version has kept has no class.
fn kept_of(text: &str) -> Option<(Duration, ErrorClass)> {
    let (pause, class) = text.split_once(' ').unwrap_or((text, ""));
    let class = ErrorClass::ALL.iter().find(|known| known.as_str() == class);
    Some((Duration::from_millis(pause.parse().ok()?), class.copied().unwrap_or(ErrorClass::Connect)))
}
