//! Runs the named tasks and notices when one ends.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::{Id, JoinSet};
use tracing::{error, warn};

use super::Stop;
use crate::notify::{Alerts, What};

/// The kinds of tasks, as named in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Plans looks and writes cursors.
    Manager,
    /// Reads, looks up, compares.
    Scanner(usize),
    /// Works deliveries off.
    Callback,
    /// Tells people.
    Notifier,
    /// Compares whole tables at certain times.
    Auditor,
    /// Retention and expired claims.
    Janitor,
    /// The control socket.
    Admin,
    /// Does with deliveries what people ask for.
    Clerk,
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("manager"),
            Self::Scanner(n) => write!(f, "scanner-{n}"),
            Self::Callback => f.write_str("callback"),
            Self::Notifier => f.write_str("notifier"),
            Self::Auditor => f.write_str("auditor"),
            Self::Janitor => f.write_str("janitor"),
            Self::Admin => f.write_str("admin"),
            Self::Clerk => f.write_str("clerk"),
        }
    }
}

type Start = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Starts tasks, restarts those that end before they should, and waits for all of them at the end.
pub struct Supervisor {
    stop: Stop,
    starts: HashMap<TaskKind, Start>,
    running: JoinSet<()>,
    kinds: HashMap<Id, TaskKind>,
    restarts: Arc<AtomicU64>,
    alerts: Alerts,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("tasks", &self.kinds).finish_non_exhaustive()
    }
}

/// Time for recording what was cut off.
const LAST_WRITES: Duration = Duration::from_millis(250);
/// Pause before a task that ended by itself is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// A supervisor without tasks; who is to hear of those that end is told by `alerts`.
    pub fn new(stop: Stop, alerts: Alerts) -> Self {
        Self {
            stop,
            starts: HashMap::new(),
            running: JoinSet::new(),
            kinds: HashMap::new(),
            restarts: Arc::default(),
            alerts,
        }
    }

    /// How often a task had to be started again; for status.
    pub fn restarts(&self) -> Arc<AtomicU64> {
        self.restarts.clone()
    }

    /// Starts a task; `start` makes it anew from stored state whenever it is called.
    pub fn start<F>(&mut self, kind: TaskKind, start: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.starts.insert(kind, Box::new(move || start().boxed()));
        self.spawn(kind, Duration::ZERO);
    }

    fn spawn(&mut self, kind: TaskKind, pause: Duration) {
        let task = self.starts[&kind]();
        let stop = self.stop.intake.clone();
        let handle = self.running.spawn(async move {
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
            }
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                error!(part = %kind, panic = words, "a task panicked; it is started again");
            }
        });
        self.kinds.insert(handle.id(), kind);
    }

    /// Watches until the stop, restarting what ends before it. Cancel safe.
    pub async fn watch(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(e) => e.id(),
            };
            let Some(kind) = self.kinds.remove(&id) else { continue };
            if self.stop.intake.is_cancelled() {
                continue;
            }
            self.restarts.fetch_add(1, Ordering::Relaxed);
            warn!(part = %kind, "a task ended by itself; it is started again");
            self.alerts.raise_process(&What::Restarted { part: kind.to_string() });
            self.spawn(kind, RESTART_PAUSE);
        }
    }

    /// Waits for the tasks to end by themselves after the stop. After `grace` calls `cut`, which must make what is
    /// still open end; whatever has not ended shortly after that is aborted. Returns whether `cut` was not needed.
    pub async fn drain(&mut self, grace: Duration, cut: impl FnOnce()) -> bool {
        if tokio::time::timeout(grace, self.watch()).await.is_ok() {
            return true;
        }
        cut();
        let _ = tokio::time::timeout(LAST_WRITES, self.watch()).await;
        self.running.shutdown().await;
        false
    }
}
