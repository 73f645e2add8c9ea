//! Where the engine puts what needs people. Nobody waits here and nothing is dropped: what is about the same is put
//! together, so there is never more in it than there are causes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// How often something was put here; how much of that was taken when it was taken last, and how much is durable.
    put: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    kept: Arc<AtomicU64>,
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
        self.put.fetch_add(1, Ordering::SeqCst);
        drop(signals);
        self.news.notify_one();
    }

    /// It is over; of no meaning if it never was.
    pub fn clear(&self, cause: Cause) {
        let mut signals = self.lock();
        signals.entry(cause).or_default().over = true;
        self.put.fetch_add(1, Ordering::SeqCst);
        drop(signals);
        self.news.notify_one();
    }

    /// Everything since the last time.
    pub fn take(&self) -> BTreeMap<Cause, Signal> {
        let mut signals = self.lock();
        self.taken.store(self.put.load(Ordering::SeqCst), Ordering::SeqCst);
        std::mem::take(&mut *signals)
    }

    /// A mark: everything that was put here until now, for [`Alerts::is_kept`].
    pub fn mark(&self) -> u64 {
        self.put.load(Ordering::SeqCst)
    }

    /// What was taken until now, for [`Alerts::kept`].
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// What was taken until then survives a crash.
    pub fn kept(&self, taken: u64) {
        self.kept.fetch_max(taken, Ordering::SeqCst);
    }

    /// Whether everything until a mark survives a crash.
    pub fn is_kept(&self, mark: u64) -> bool {
        self.kept.load(Ordering::SeqCst) >= mark
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

    #[test]
    fn who_puts_something_here_can_see_when_it_survives() {
        let alerts = Alerts::default();
        alerts.raise_process(&What::State);
        let mark = alerts.mark();
        alerts.kept(alerts.taken());
        assert!(!alerts.is_kept(mark), "nobody has taken it");
        alerts.take();
        assert!(!alerts.is_kept(mark), "nobody has kept it");
        let taken = alerts.taken();
        alerts.raise_process(&What::State);
        alerts.kept(taken);
        assert!(alerts.is_kept(mark) && !alerts.is_kept(alerts.mark()));
    }
}
