//! Tells people what needs them. What is sent when is decided by the desk of each channel ([`Desk`]); here it is done.
//! Channels do not wait for each other, and nobody in the engine waits for any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{info, warn};

mod line;
mod plights;
mod seen;
mod told;

pub use line::Line;
use plights::{Plights, is_meant};
use seen::{Seen, Turn};
use told::Told;

use super::conditions::{Conditions, scarce};
use super::{StatusBoard, Stop};
use crate::base::clock::{Clock, UnixMs, ms};
use crate::base::resources::Resources;
use crate::config::Config;
use crate::model::{DestinationName, Event, TaskName};
use crate::notify::{Alerts, Cause, Facts, Heartbeat, Notice, SendError, Signal, Waiting, What, Writer};
use crate::store::Store;

/// How often is looked at what is wrong.
const LOOK: Duration = Duration::from_secs(1);
/// How often at what the machine has left, and at what waits.
const COUNT: Duration = Duration::from_secs(10);
/// How often what is known is kept.
const KEEP: Duration = Duration::from_secs(2);
/// What an earlier process knew to be wrong must show by then, or it is over.
const FIRST: Duration = Duration::from_secs(60);
/// Between two beats.
const BEAT: Duration = Duration::from_secs(60);
/// Longest sleep of a channel.
const IDLE: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Clone)]
pub struct Notifier {
    lines: Arc<Vec<Line>>,
    /// Tasks with channels of their own.
    own: Arc<BTreeSet<TaskName>>,
    alerts: Alerts,
    store: Arc<dyn Store>,
    status: StatusBoard,
    writer: Writer,
    config: Arc<Config>,
    heartbeat: Option<Heartbeat>,
    told: Arc<Mutex<Told>>,
    keeping: Arc<tokio::sync::Mutex<()>>,
    clock: Clock,
    /// Desks go by a clock that nobody sets.
    began: (UnixMs, Instant),
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("channels", &self.lines.len()).finish_non_exhaustive()
    }
}

impl Notifier {
    /// A notifier for this configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// The name of a channel that cannot be set up, and why.
    pub fn new(
        config: &Config,
        alerts: Alerts,
        store: Arc<dyn Store>,
        status: StatusBoard,
        clock: Clock,
    ) -> Result<Self, (String, SendError)> {
        let heartbeat = config.notify.heartbeat.clone().map(Heartbeat::new).transpose();
        Ok(Self {
            lines: Arc::new(Line::all(config)?),
            own: Arc::new(
                config.tasks.iter().filter(|t| t.notify.is_some()).map(|t| t.name.clone()).collect(),
            ),
            alerts,
            store,
            status,
            writer: Writer::new(&config.path, &config.name, clock.clone()),
            config: Arc::new(config.clone()),
            heartbeat: heartbeat.map_err(|e| ("heartbeat".to_owned(), e))?,
            told: Arc::default(),
            keeping: Arc::default(),
            began: (clock.now(), Instant::now()),
            clock,
        })
    }

    fn now(&self) -> UnixMs {
        self.began.0 + ms(self.began.1.elapsed())
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop) {
        let lines = join_all(self.lines.iter().map(|line| self.work(line)));
        tokio::select! {
            () = stop.intake.cancelled() => {}
            () = async { tokio::join!(self.watch(), lines, self.beat()); } => {}
        }
        // What was being kept just now may not be.
        self.lines.iter().for_each(|line| line.desk().unkept());
        self.keep().await;
    }

    /// Keeps what happened while the others ended, for the next process to tell.
    pub async fn end(&self) {
        self.take_in(&mut Plights::default());
        self.keep().await;
    }

    /// Takes in what happens, and looks at what is wrong.
    async fn watch(&self) {
        self.recall().await;
        let began = Instant::now();
        let mut conditions = Conditions::new(&self.config.tasks);
        let mut seen =
            Seen::new(self.lines.iter().flat_map(|l| l.desk().open().cloned().collect::<Vec<_>>()));
        let mut plights = Plights::default();
        self.recall_told().await;
        // Whoever was started with it can use it.
        self.clear(&Cause::process(Event::Reload));
        let mut low = BTreeMap::new();
        let (mut counted, mut kept) = (None::<Instant>, Instant::now());
        loop {
            self.take_in(&mut plights);
            self.tell_unheard(&mut plights).await;
            let mut found = conditions.look(&self.status.snapshot(), self.clock.now());
            if counted.is_none_or(|at| at.elapsed() >= COUNT) {
                counted = Some(Instant::now());
                low = scarce(&Resources::read(&self.config.state.dir), &low.into_keys().collect());
                self.settle(&mut plights, &seen).await;
                self.recount_told().await;
            }
            found.extend(low.clone());
            let may_end = |cause: &Cause| match cause.event {
                // The way to the end of a table may take its time.
                Event::Lag => conditions.is_in_time(cause),
                _ => began.elapsed() >= FIRST,
            };
            self.compare(&found, seen.turn(found.keys(), may_end), &mut plights);
            if kept.elapsed() >= KEEP {
                self.keep().await;
                kept = Instant::now();
            }
            tokio::select! {
                () = self.alerts.news() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Takes in what was said since the last time.
    fn take_in(&self, plights: &mut Plights) {
        for (cause, signal) in self.alerts.take() {
            let Signal { count, facts, over } = signal;
            if count > 0 {
                plights.raised(&cause);
                self.note_raised(&cause, count);
                self.raise(&cause, count, &facts);
            }
            match (over, cause.event) {
                // One call was accepted; whether all are is seen by what waits.
                (true, Event::Failing) => plights.accepted(cause),
                (true, _) => self.clear(&cause),
                _ => {}
            }
        }
    }

    /// Tells what has begun and what is over.
    fn compare(&self, found: &BTreeMap<Cause, What>, turn: Turn, plights: &mut Plights) {
        for cause in turn.begun {
            plights.raised(&cause);
            self.raise(&cause, 1, &(&found[&cause]).into());
        }
        for cause in turn.ended {
            match cause.event {
                // The receiver takes calls again; what is still tried slowly is seen by what waits.
                Event::Failing => plights.accepted(cause),
                _ => self.clear(&cause),
            }
        }
    }

    fn hears(&self, line: &Line, cause: &Cause) -> bool {
        match (&line.task, &cause.task) {
            (Some(own), Some(task)) => own == task,
            (None, Some(task)) => !self.own.contains(task),
            (None, None) => true,
            // What is about the process is for the top level, if anybody is there.
            (Some(_), None) => self.lines.iter().all(|line| line.task.is_some()),
        }
    }

    fn raise(&self, cause: &Cause, count: u64, facts: &Facts) {
        let now = self.now();
        for line in self.lines.iter() {
            let mut desk = line.desk();
            let wants = self.hears(line, cause) && line.config.wants(cause.event);
            if wants || desk.holds(cause) {
                desk.raise(cause, count, facts, now);
                drop(desk);
                line.wake.notify_one();
            }
        }
    }

    fn clear(&self, cause: &Cause) {
        let now = self.now();
        for line in self.lines.iter() {
            line.desk().clear(cause, now);
            line.wake.notify_one();
        }
    }

    /// Sends what one channel is to tell.
    async fn work(&self, line: &Line) {
        let mut said = false;
        loop {
            let now = self.now();
            let taken = line.desk().take(now);
            if let Some(mut notices) = taken {
                self.count(&mut notices).await;
                let message = self.writer.write(line.config.language, &notices);
                let result = line.channel.send(&message).await;
                let is_told = result.is_ok();
                self.answered(line, &notices, result, &mut said);
                if is_told {
                    self.keep().await;
                }
                continue;
            }
            let pause = line.desk().next().map_or(IDLE, |at| {
                Duration::from_millis(at.saturating_sub(now).max(1).unsigned_abs()).min(IDLE)
            });
            tokio::select! {
                () = line.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn answered(&self, line: &Line, notices: &[Notice], result: Result<String, SendError>, said: &mut bool) {
        let (channel, now) = (line.name.as_str(), self.now());
        let first = notices.first().map_or("", |n| n.cause.event.as_str());
        match result {
            Ok(_) => {
                *said = false;
                line.desk().answered(notices, now);
                info!(channel, event = first, notices = notices.len(), "people were told");
            }
            Err(e) => {
                line.desk().failed(e.lasting, e.after, now);
                if !std::mem::replace(said, true) {
                    let (class, group) = (e.class.as_str(), e.class.group().as_str());
                    warn!(channel, event = first, class, group, error = %e, "people could not be told, it is tried again");
                }
                let other = line.fallback.and_then(|at| self.lines.get(at));
                for notice in notices.iter().filter(|n| n.until.is_none()) {
                    let Some(other) = other else { break };
                    let mut desk = other.desk();
                    if !desk.holds(&notice.cause) {
                        desk.raise(&notice.cause, notice.count, &notice.facts, now);
                        drop(desk);
                        other.wake.notify_one();
                    }
                }
            }
        }
    }

    /// Adds what waits.
    async fn count(&self, notices: &mut [Notice]) {
        // A digest does not say it.
        let [notice] = notices else { return };
        let (Some(task), Some(destination), None) =
            (&notice.cause.task, &notice.cause.destination, notice.until)
        else {
            return;
        };
        let Ok(standing) = self.store.standing(task, destination, None).await else { return };
        let meant = standing.deliveries.iter().filter(|stands| is_meant(notice.cause.event, stands));
        notice.waiting = meant
            .map(|stands| Waiting { count: stands.count, oldest: stands.oldest })
            .reduce(|a, b| Waiting { count: a.count + b.count, oldest: a.oldest.min(b.oldest) });
    }

    /// Goes on with what an earlier process knew.
    async fn recall(&self) {
        for line in self.lines.iter() {
            let text = self.store.recall(&nobody(), &nowhere(), &note(line)).await;
            let mut desk = line.desk();
            if let Ok(Some(text)) = text {
                desk.recall(&text, self.now());
            }
            desk.leave(|cause| self.is_configured(cause), self.now());
            desk.reset(self.now());
            drop(desk);
            line.wake.notify_one();
        }
    }

    fn is_configured(&self, cause: &Cause) -> bool {
        let task = |name: &TaskName| self.config.tasks.iter().find(|task| task.name == *name);
        match (&cause.task, &cause.destination) {
            (None, _) => true,
            (Some(name), None) => task(name).is_some(),
            (Some(name), Some(destination)) => {
                task(name).is_some_and(|task| task.destinations.iter().any(|d| d.name == *destination))
            }
        }
    }

    /// Writes down what has changed.
    async fn keep(&self) {
        // What another is writing is not kept yet.
        let _one = self.keeping.lock().await;
        let (taken, mut all) = (self.alerts.taken(), true);
        for line in self.lines.iter() {
            let Some(text) = line.desk().news() else { continue };
            let kept = self.store.remember(&nobody(), &nowhere(), &note(line), Some(text)).await;
            if kept.is_err() {
                // Others say that the state cannot be written; it is tried again with the next change.
                line.desk().unkept();
                all = false;
            }
        }
        if all {
            self.alerts.kept(taken);
            self.keep_told().await;
        }
    }

    /// Says elsewhere that all is well, every minute while it is.
    async fn beat(&self) {
        let Some(heartbeat) = &self.heartbeat else { return std::future::pending().await };
        let mut conditions = Conditions::new(&self.config.tasks);
        loop {
            let (status, round) = (self.status.snapshot(), self.status.since_round());
            if conditions.is_healthy(&status, round, self.clock.now()) {
                if let Err(e) = heartbeat.beat().await {
                    let (class, group) = (e.class.as_str(), e.class.group().as_str());
                    warn!(class, group, error = %e, "the heartbeat was not heard");
                }
                tokio::time::sleep(BEAT).await;
            } else {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// What is kept for the process is kept under no task.
fn nobody() -> TaskName {
    TaskName::new("")
}

fn nowhere() -> DestinationName {
    DestinationName::new("")
}

fn note(line: &Line) -> String {
    format!("alerts {}", line.name)
}
