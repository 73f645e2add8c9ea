//! The callback task: one lane for each (task, destination), all of them side by side.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tracing::error;

use super::guard::Guard;
use super::lane::Lane;
use super::receiver::{Receiver, Receivers};
use super::voice::Voice;
use super::watcher::{Waits, Watcher};
use super::{Places, StatusBoard, Stop, strays};
use crate::base::clock::Clock;
use crate::config::CallbackConfig;
use crate::deliver::{Call, Caller, CallerError};
use crate::notify::{Alerts, What};
use crate::outbox::{Hot, LEAST, Learner, Policy, hot_limit};
use crate::store::Store;

/// What whoever opens suspects needs of a destination.
#[derive(Clone)]
pub(super) struct Suspects {
    /// Something is to be looked at.
    pub(super) wake: Arc<Notify>,
    pub(super) waits: Waits,
    pub(super) guard: Arc<Guard>,
}

/// By task, then by destination.
pub(super) type Wakes = Arc<Vec<Vec<Suspects>>>;

/// See the module's documentation.
#[derive(Clone)]
pub struct Callback {
    pub(super) lanes: Vec<Lane>,
    pub(super) watchers: Vec<Watcher>,
    receivers: Vec<Arc<Receiver>>,
    places: Arc<Places>,
    wakes: Wakes,
    store: Arc<dyn Store>,
    status: StatusBoard,
    alerts: Alerts,
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
    /// If a receiver cannot be called as it is configured.
    pub fn new(
        store: &Arc<dyn Store>,
        places: &Arc<Places>,
        clock: &Clock,
        alerts: &Alerts,
        status: &StatusBoard,
    ) -> Result<Self, CallerError> {
        let caller = |receiver: &CallbackConfig| {
            Ok::<Arc<dyn Call>, CallerError>(Arc::new(Caller::new(receiver.clone(), clock.clone())?))
        };
        Self::with(store, places, clock, alerts, status, caller)
    }

    /// As [`Callback::new`], with somebody else to make the calls.
    pub(super) fn with<E>(
        store: &Arc<dyn Store>,
        places: &Arc<Places>,
        clock: &Clock,
        alerts: &Alerts,
        status: &StatusBoard,
        mut caller: impl FnMut(&CallbackConfig) -> Result<Arc<dyn Call>, E>,
    ) -> Result<Self, E> {
        let (mut lanes, mut watchers) = (Vec::new(), Vec::new());
        let mut wakes = Vec::new();
        let receivers = Receivers::of(places, clock);
        for task in &places.tasks {
            let mut of_task = Vec::new();
            for (destination, config) in task.config.destinations.iter().enumerate() {
                let (receiver, seat, calls) = receivers.seat(&task.config.name, config);
                let looks = Arc::new(Notify::new());
                let waits = Arc::new(Mutex::new(Learner::new(config.confirm, None, clock.now())));
                let names = (task.config.name.clone(), config.name.clone());
                let guard = Arc::new(Guard::new(store.clone(), names.0, names.1));
                // Versions are not looked at.
                let wake = if config.is_event() { calls.clone() } else { looks.clone() };
                of_task.push(Suspects { wake, waits: waits.clone(), guard: guard.clone() });
                let (place, names) =
                    (config.callback.place(), (task.config.name.clone(), config.name.clone()));
                let voice = Arc::new(Voice::new(names.0, names.1, place, status.clone()));
                let policy = Policy {
                    retry: config.retry.clone(),
                    confirm: config.confirm,
                    verify: config.verify,
                    sending: task.config.callbacks && config.callbacks,
                };
                watchers.push(Watcher {
                    store: store.clone(),
                    places: task.clone(),
                    destination,
                    policy: policy.clone(),
                    clock: clock.clone(),
                    waits,
                    guard: guard.clone(),
                    alerts: alerts.clone(),
                    stopped: Arc::default(),
                    hot: Arc::new(Mutex::new(Hot::new(hot_limit(config.confirm.hot, LEAST), false))),
                    wake: looks.clone(),
                    calls: calls.clone(),
                    status: status.clone(),
                    voice: voice.clone(),
                });
                lanes.push(Lane {
                    store: store.clone(),
                    places: task.clone(),
                    destination,
                    caller: caller(&config.callback)?,
                    receiver,
                    seat,
                    turn: Arc::default(),
                    policy,
                    clock: clock.clone(),
                    guard,
                    wake: calls,
                    looks,
                    alerts: alerts.clone(),
                    failing: Arc::new(AtomicBool::new(true)),
                    status: status.clone(),
                    voice,
                    spoilt: Arc::default(),
                });
            }
            wakes.push(of_task);
        }
        let (store, status) = (store.clone(), status.clone());
        let (receivers, alerts) = (receivers.all(), alerts.clone());
        for receiver in &receivers {
            let mut of: Vec<&Lane> = lanes.iter().filter(|l| Arc::ptr_eq(&l.receiver, receiver)).collect();
            of.sort_by_key(|lane| lane.seat);
            receiver.guarded_by(of.into_iter().map(|lane| lane.guard.clone()).collect());
        }
        let places = places.clone();
        Ok(Self { lanes, watchers, receivers, places, wakes: Arc::new(wakes), store, status, alerts })
    }

    /// For whoever makes deliveries.
    pub(super) fn wakes(&self) -> Wakes {
        self.wakes.clone()
    }

    /// The guards of all destinations and whom these call, for whoever may let a storm pass.
    pub(super) fn guards(&self) -> Vec<(Arc<Guard>, Arc<Receiver>)> {
        self.lanes.iter().map(|lane| (lane.guard.clone(), lane.receiver.clone())).collect()
    }

    /// What wakes lanes and watchers.
    pub fn bells(&self) -> Vec<Arc<Notify>> {
        let (calls, looks) = (self.lanes.iter().map(|l| &l.wake), self.watchers.iter().map(|w| &w.wake));
        calls.chain(looks).cloned().collect()
    }

    /// Works until the stop and waits for open calls.
    pub async fn run(self, stop: Stop) {
        for receiver in &self.receivers {
            receiver.recall(&self.store, &self.status).await;
        }
        let lanes =
            self.lanes.iter().map(|lane| again(&stop, &self.alerts, || lane.clone().run(stop.clone())));
        let watchers = self
            .watchers
            .iter()
            .map(|watcher| again(&stop, &self.alerts, || watcher.clone().run(stop.clone())));
        let strays = strays::watch(&self.store, &self.places, &self.status, &stop);
        tokio::join!(join_all(lanes), join_all(watchers), strays);
    }
}

/// A panic ends what its lane had in hand (the leases give that back), not what the others have.
async fn again<F: Future<Output = ()>>(stop: &Stop, alerts: &Alerts, run: impl Fn() -> F) {
    while AssertUnwindSafe(run()).catch_unwind().await.is_err() {
        error!(part = "callback", "a lane panicked; it is started again, please report this with the log");
        alerts.raise_process(&What::Restarted { part: "callback".to_owned() });
        tokio::select! {
            () = stop.intake.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}
