//! The only place where concrete parts meet: a checked configuration becomes a running daemon, and ends again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tracing::{error, info, warn};

use crate::admin::ControlSocket;
use crate::base::chain::chain;
use crate::base::clock::Clock;
use crate::config::{Config, TaskConfig};
use crate::deliver::CallerError;
use crate::engine::{
    Auditor, Callback, Clerk, ControlHandle, Janitor, Keep, Longest, Manager, Notifier, Places, Scanner,
    StatusBoard, Stop, Supervisor, TaskKind,
};
use crate::model::{Feed, RowId, TaskName};
use crate::notify::{Alerts, SendError};
use crate::scan::{Begin, begin};
use crate::sql::PlaceError;
use crate::sql::probe::{Checked, Level};
use crate::store::local::LocalStore;
use crate::store::{Cursor, Store, StoreError};

/// How long the start waits for places to answer; who answers later is waited for by its own task.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// Outcomes on their way to the manager.
const OUTCOMES: usize = 64;
/// Time for keeping what people are still to be told.
const LAST_ALERTS: Duration = Duration::from_millis(500);

/// What the command line decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-s`.
    pub start_id: Option<RowId>,
    /// `--task`: the task that a different `-s` is for.
    pub task: Option<TaskName>,
    /// `--restart`: tasks that begin again.
    pub restart: Vec<TaskName>,
    /// `--strict`: any problem of a place ends the start.
    pub strict: bool,
}

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StoreError),
    /// Places are not as the configuration says.
    #[error("no task can start")]
    Places(Vec<(TaskName, PlaceError)>),
    /// A different `-s` would restart several tasks.
    #[error(
        "saved progress of these tasks was made under another `-s`: {0}; name the one to start again with `--task NAME`, \
         or leave `-s` away to go on"
    )]
    StartId(String),
    /// `--task` or `--restart` names no task.
    #[error("there is no task `{0}` in the configuration; its tasks are: {1}")]
    NoSuchTask(TaskName, String),
    /// A channel cannot be set up.
    #[error("the channel `{0}` of `notify` cannot be used: {1}")]
    Notify(String, SendError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Http(#[from] CallerError),
}

/// Built, connected as far as possible, and idle.
#[derive(Debug)]
pub struct App {
    config: Config,
    store: Arc<LocalStore>,
    places: Arc<Places>,
    begins: HashMap<TaskName, Begin>,
    clock: Clock,
    status: StatusBoard,
    alerts: Alerts,
    notifier: Notifier,
    callback: Callback,
    clerk: Clerk,
    control: Option<Arc<ControlSocket>>,
}

/// A running daemon.
#[derive(Debug)]
pub struct Running {
    supervisor: Supervisor,
    stop: Stop,
    grace: Duration,
    store: Arc<LocalStore>,
    places: Arc<Places>,
    notifier: Notifier,
}

impl App {
    /// Opens the state, looks at the places once, and sets everything up.
    ///
    /// # Errors
    /// See [`BuildError`]. A server that cannot be reached is not an error: it is waited for.
    pub async fn build(config: Config, options: Options, clock: Clock) -> Result<Self, BuildError> {
        known(&config, options.task.iter().chain(&options.restart))?;
        let store = Arc::new(LocalStore::open(&config.state.database(&config.name)).await?);
        let mut cursors = store.cursors().await?;
        cursors
            .retain(|c| config.tasks.iter().any(|t| t.name == c.task) && !options.restart.contains(&c.task));
        let begins = begins(&config, &cursors, &options)?;
        let left =
            |c: &&Cursor| c.feed == Feed::Insert && matches!(begins.get(&c.task), Some(Begin::Restart(_)));
        let kept: Vec<Cursor> = cursors.iter().filter(|c| !left(c)).cloned().collect();
        let places = Arc::new(Places::new(&config, &kept));
        first_look(&places, &cursors, options.strict).await?;
        // Only now: a start that fails must not have thrown progress away.
        for task in &options.restart {
            info!(%task, "saved progress is left, the task begins again");
            store.forget_cursors(task, None).await?;
        }
        for task in &config.tasks {
            for destination in &task.destinations {
                if !destination.is_event() {
                    store.end_events(&task.name, &destination.name).await?;
                    continue;
                }
                let closed = store.begin_events(&task.name, &destination.name, clock.now()).await?;
                if closed > 0 {
                    warn!(task = %task.name, destination = %destination.name, closed,
                        "the destination no longer compares, what was open there is closed");
                }
            }
        }

        let status = StatusBoard::new(clock.clone());
        let alerts = Alerts::default();
        let shared: Arc<dyn Store> = store.clone();
        let notifier = Notifier::new(&config, alerts.clone(), shared.clone(), status.clone(), clock.clone())
            .map_err(|(name, e)| BuildError::Notify(name, e))?;
        let callback = Callback::new(&shared, &places, &clock, &alerts, &status)?;
        let clerk = Clerk::new(store.clone(), clock.clone(), callback.bells());
        tell_of_parked(&config, &store).await?;
        let database = config.state.database(&config.name);
        let control = ControlHandle::new(status.clone(), shared, &callback, clerk.clone());
        let control = match ControlSocket::bind(&database, control) {
            Ok(socket) => Some(Arc::new(socket)),
            Err(e) => {
                warn!(error = %e, "no control socket, `cupid status` reads the state instead");
                None
            }
        };
        Ok(Self { config, store, places, begins, clock, status, alerts, notifier, callback, clerk, control })
    }

    /// Where what needs people is put.
    pub fn alerts(&self) -> Alerts {
        self.alerts.clone()
    }

    /// Starts all tasks.
    pub fn spawn(self) -> Running {
        let stop = Stop::default();
        let mut supervisor = Supervisor::new(stop.clone(), self.alerts.clone());
        let alerts = self.alerts;
        let store: Arc<dyn Store> = self.store.clone();
        let scanners = self.config.workers.saturating_sub(2).max(1);
        let (tickets, waiting) = mpsc::channel(scanners);
        let (outcomes, done) = mpsc::channel(OUTCOMES);
        let (waiting, done) = (Arc::new(Mutex::new(waiting)), Arc::new(Mutex::new(done)));
        let begins = Arc::new(Mutex::new(self.begins));

        let token = stop.clone();
        let notifier = self.notifier.clone();
        supervisor.start(TaskKind::Notifier, move || notifier.clone().run(token.clone()));

        let token = stop.clone();
        let callback = self.callback.clone();
        supervisor.start(TaskKind::Callback, move || callback.clone().run(token.clone()));

        for n in 1..=scanners {
            let scanner = Scanner::new(
                self.places.clone(),
                waiting.clone(),
                outcomes.clone(),
                self.clock.clone(),
                self.store.clone(),
            );
            let token = stop.clone();
            supervisor.start(TaskKind::Scanner(n), move || scanner.clone().run(token.clone()));
        }

        let (clerk, token, board) = (self.clerk, stop.clone(), self.status.clone());
        supervisor.start(TaskKind::Clerk, move || clerk.clone().run(token.clone(), board.clone()));

        let longest = Longest::of(self.config.tasks.iter().flat_map(|t| &t.destinations));
        let (clock, status) = (self.clock.clone(), self.status.clone());
        let keeps = Keep::of(&self.config.tasks);
        let janitor = Janitor::new(store.clone(), clock, self.config.keep, longest, status)
            .keeping(keeps, self.config.keep_at_most);
        let token = stop.clone();
        supervisor.start(TaskKind::Janitor, move || janitor.clone().run(token.clone()));

        let auditor = Auditor::new(
            store.clone(),
            self.places.clone(),
            self.clock.clone(),
            &self.callback,
            alerts,
            self.status.clone(),
        );
        let token = stop.clone();
        supervisor.start(TaskKind::Auditor, move || auditor.clone().run(token.clone()));

        if let Some(control) = self.control {
            let token = stop.clone();
            supervisor.start(TaskKind::Admin, move || {
                let (control, token) = (control.clone(), token.clone());
                async move { control.run(token).await }
            });
        }

        let (places, token) = (self.places.clone(), stop.clone());
        let (clock, status, callback) = (self.clock, self.status, self.callback);
        supervisor.start(TaskKind::Manager, move || {
            let manager = Manager::new(
                store.clone(),
                places.clone(),
                clock.clone(),
                begins.clone(),
                tickets.clone(),
                done.clone(),
                &callback,
                status.clone(),
            );
            manager.run(token.clone())
        });
        Running {
            supervisor,
            stop,
            grace: self.config.stop,
            store: self.store,
            places: self.places,
            notifier: self.notifier,
        }
    }
}

impl Running {
    /// Watches the tasks; never ends by itself. Cancel safe.
    pub async fn watch(&mut self) {
        self.supervisor.watch().await;
        // All tasks gone without a stop would be a bug; the caller's stop still has to be waited for.
        std::future::pending::<()>().await;
    }

    /// Stops in order: no new work; open calls get the grace period; what is still open then is recorded as of
    /// unknown outcome; the state is closed. Returns whether every call could finish.
    pub async fn drain(mut self) -> bool {
        self.stop.intake.cancel();
        let cut = self.stop.delivery.clone();
        let clean = self.supervisor.drain(self.grace, || cut.cancel()).await;
        // With it goes the socket: once the state is closed the next daemon may bind its own.
        drop(self.supervisor);
        // What people should know of the last calls; a disk that does not answer must not hold up the end.
        let _ = tokio::time::timeout(LAST_ALERTS, self.notifier.end()).await;
        // A database that does not answer must not hold up the end; nothing was written there.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.places.close()).await;
        // Last, as it gives up the lock: whoever waits for that finds nobody here.
        self.store.close().await;
        clean
    }
}

/// The task names given on the command line must exist.
fn known<'a>(config: &Config, mut named: impl Iterator<Item = &'a TaskName>) -> Result<(), BuildError> {
    match named.find(|name| config.tasks.iter().all(|task| task.name != **name)) {
        None => Ok(()),
        Some(unknown) => {
            let tasks: Vec<&str> = config.tasks.iter().map(|task| task.name.as_str()).collect();
            Err(BuildError::NoSuchTask(unknown.clone(), tasks.join(", ")))
        }
    }
}

/// Deliveries of a destination that is no longer in the configuration wait until it is there again.
async fn tell_of_parked(config: &Config, store: &LocalStore) -> Result<(), StoreError> {
    for lane in store.counts().await? {
        let ours =
            |t: &TaskConfig| t.name == lane.task && t.destinations.iter().any(|d| d.name == lane.destination);
        if !config.tasks.iter().any(ours) {
            warn!(task = %lane.task, destination = %lane.destination, state = lane.state.as_str(), waiting = lane.count,
                "parked, the destination is not in the configuration; see `cupid queue`");
        }
    }
    Ok(())
}

fn begins(
    config: &Config,
    cursors: &[Cursor],
    options: &Options,
) -> Result<HashMap<TaskName, Begin>, BuildError> {
    let saved: Vec<_> = config
        .tasks
        .iter()
        .map(|task| {
            let of_task = |c: &&Cursor| c.task == task.name && c.feed == Feed::Insert;
            (task.name.clone(), cursors.iter().filter(of_task).map(|c| c.start_id).collect())
        })
        .collect();
    let begins = begin(&saved, options.start_id, options.task.as_ref()).map_err(|tasks| {
        let names: Vec<&str> = tasks.iter().map(TaskName::as_str).collect();
        BuildError::StartId(names.join(", "))
    })?;
    Ok(saved.into_iter().map(|(name, _)| name).zip(begins).collect())
}

/// Problems of a place end the start if no task can start and none has saved progress, or with `--strict`.
async fn first_look(places: &Places, cursors: &[Cursor], strict: bool) -> Result<(), BuildError> {
    let looks = places.tasks.iter().map(|task| async move {
        let pairs = (0..task.config.destinations.len()).map(|i| tokio::time::timeout(FIRST_LOOK, task.open(i)));
        let (mut able, mut reached) = (false, true);
        let mut problems = Vec::new();
        for result in join_all(pairs).await {
            match result {
                Err(_) => (able, reached) = (true, false),
                Ok(Ok(_)) => able = true,
                Ok(Err(e)) if e.kind.is_passing() => {
                    (able, reached) = (true, false);
                    warn!(task = %task.config.name, error = %chain(&e), "a database cannot be reached yet, it is waited for");
                }
                Ok(Err(e)) => problems.push((task.config.name.clone(), e)),
            }
        }
        if problems.is_empty() && reached {
            // What is legal but slow or doubtful is said once, at the start.
            let probed = tokio::time::timeout(FIRST_LOOK, task.probe()).await.unwrap_or_default();
            for (place, found) in probed {
                for Checked { message, .. } in found.iter().filter(|c| c.level == Level::Warning) {
                    warn!(task = %task.config.name, place, remark = message, "remark on a place");
                }
            }
        }
        (able, problems)
    });
    let looked = join_all(looks).await;
    let any_able = looked.iter().any(|(able, _)| *able);
    let mut problems: Vec<_> = looked.into_iter().flat_map(|(_, problems)| problems).collect();
    if problems.is_empty() {
        return Ok(());
    }
    problems.dedup_by(|(a, x), (b, y)| a == b && x.to_string() == y.to_string());
    if strict || (!any_able && cursors.is_empty()) {
        return Err(BuildError::Places(problems));
    }
    for (task, e) in &problems {
        error!(%task, error = %chain(e), "blocked, the task starts by itself when the cause is gone");
    }
    Ok(())
}
