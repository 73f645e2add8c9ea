//! Where the engine puts what needs people. Nobody waits here and nothing is dropped: what is about the same is put
//! together, so there is never more in it than there are causes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Alert, Cause, Facts, What};

/// What has become of a cause since the notifier looked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// How often it happened.
    pub count: u64,
    /// What is known of it, if it happened.
    pub facts: Facts,
    /// Whether it is over now.
    pub over: bool,
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    signals: Arc<Mutex<BTreeMap<Cause, Signal>>>,
    news: Arc<Notify>,
}

impl Alerts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cause, Signal>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened at a destination.
    pub fn raise(&self, alert: &Alert) {
        self.put(alert.cause(), alert.count, &alert.what);
    }

    /// Something happened to the whole process.
    pub fn raise_process(&self, what: &What) {
        self.put(Cause::process(what.event()), 1, what);
    }

    fn put(&self, cause: Cause, count: u64, what: &What) {
        let mut signals = self.lock();
        let signal = signals.entry(cause).or_default();
        signal.count = signal.count.saturating_add(count);
        signal.facts = what.into();
        signal.over = false;
        drop(signals);
        self.news.notify_one();
    }

    /// It is over; of no meaning if it never was.
    pub fn clear(&self, cause: Cause) {
        self.lock().entry(cause).or_default().over = true;
        self.news.notify_one();
    }

    /// Everything since the last time.
    pub fn take(&self) -> BTreeMap<Cause, Signal> {
        std::mem::take(&mut *self.lock())
    }

    /// Waits until there may be something. Cancel safe.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DestinationName, Event, TaskName};

    #[test]
    fn what_is_about_the_same_is_counted_together() {
        let alerts = Alerts::default();
        let (task, destination) = (TaskName::new("t"), DestinationName::new("d"));
        for _ in 0..10_000 {
            alerts.raise(&Alert {
                task: task.clone(),
                destination: destination.clone(),
                count: 2,
                what: What::NotFixed,
            });
        }
        alerts.raise_process(&What::Restarted { part: "scanner-1".to_owned() });
        let taken = alerts.take();
        assert_eq!(taken.len(), 2);
        let cause = Cause::at(Event::NotFixed, &task, &destination);
        assert_eq!((taken[&cause].count, taken[&cause].over), (20_000, false));
        alerts.clear(cause.clone());
        assert!(alerts.take()[&cause].over);
        assert!(alerts.take().is_empty());
    }
}
