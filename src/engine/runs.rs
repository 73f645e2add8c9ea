//! What is kept of the passes of one feed at one destination. No clock of its own, no I/O.
//!
//! A pass that opens nothing, is quick and has nothing special about it shares a row with the others of its hour; that is
//! decided when it ends, by the commit that knows what became of its findings. So an idle feed writes nothing of its own:
//! what is counted of it goes along with what is written of its coverage anyway.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::status::StatusBoard;
use super::ticket::Scanned;
use crate::base::chain::chain;
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, Feed, RunId, TaskName};
use crate::sql::{PlaceError, RESTART_TASK};
use crate::store::{Committed, Run, RunError, RunResult, RunStep};

/// Uneventful passes of so long share a row, in milliseconds.
const SHARED: i64 = 3_600_000;
/// A pass that took so long has a row of its own, in milliseconds.
const LONG: i64 = 60_000;
/// How often it is written down that a run still fails.
const REMIND: Duration = Duration::from_secs(60);
/// What is to be kept of runs waits so long for more.
const GATHER: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Book {
    task: TaskName,
    destination: DestinationName,
    feed: Feed,
    /// When the read that is under way was asked for, Unix ms.
    asked: UnixMs,
    /// Nothing has worked yet since the start, or since it last failed.
    first: bool,
    /// The pass under way.
    open: Option<Run>,
    /// Whether that is written down.
    open_kept: bool,
    /// The run that failed, as long as nothing works; when it was last written down; whether it has changed since.
    failing: Option<(Run, Instant, bool)>,
    /// The row that uneventful passes share, and whether it has changed since it was written down.
    quiet: Option<(Run, bool)>,
}

impl Book {
    pub(super) fn new(task: TaskName, destination: DestinationName, feed: Feed) -> Self {
        Self {
            task,
            destination,
            feed,
            asked: 0,
            first: true,
            open: None,
            open_kept: false,
            failing: None,
            quiet: None,
        }
    }

    /// A read has been asked for.
    pub(super) fn ask(&mut self, now: UnixMs) {
        self.asked = now;
    }

    fn begin(&self, started: UnixMs, from: Option<String>) -> Run {
        let run = Run::begin(self.task.clone(), self.destination.clone(), self.feed, started);
        Run { from, ..run }
    }

    /// What is to be kept of a read that worked. Changes nothing: the commit may fail.
    pub(super) fn step(&self, scanned: &Scanned, now: UnixMs) -> RunStep {
        let from = || self.begin(scanned.looked, scanned.coverage.from.clone());
        let mut run = self.open.clone().unwrap_or_else(from);
        run.counts.add(scanned.counts);
        run.to = scanned.coverage.to.clone().or(run.to);
        run.ended = now.max(run.started);
        if !scanned.more {
            run.result = RunResult::Ok;
        }
        let before = self.failing.as_ref().filter(|(.., owed)| *owed).map(|(run, ..)| run.clone());
        let uneventful = !scanned.more && !self.first && run.ended - run.started < LONG;
        RunStep { quiet: uneventful.then(|| self.shared(&run)), run, before }
    }

    /// The shared row with one more pass.
    fn shared(&self, pass: &Run) -> Run {
        let age = |run: &Run| pass.ended.saturating_sub(run.started);
        let goes_on = |(run, owed): &&(Run, bool)| *owed || (0..SHARED).contains(&age(run));
        let mut shared = match self.quiet.as_ref().filter(goes_on) {
            Some((run, _)) => run.clone(),
            None => Run { passes: 0, result: RunResult::Ok, ..self.begin(pass.started, pass.from.clone()) },
        };
        shared.passes += 1;
        shared.counts.add(pass.counts);
        shared.to = pass.to.clone().or(shared.to);
        shared.ended = pass.ended.max(shared.started);
        (shared.changed, shared.healed) = (shared.changed + pass.changed, shared.healed + pass.healed);
        shared
    }

    /// Whether a step has to be kept even if nothing else is.
    pub(super) fn is_news(&self, step: &RunStep) -> bool {
        // What is written down as under way must be written down as ended.
        let ends = step.run.result == RunResult::Ok && (step.quiet.is_none() || self.open_kept);
        self.failing.is_some() || ends
    }

    /// A step has been made; `kept`: it is durable. Returns the id under which it is kept.
    pub(super) fn go_on(&mut self, step: RunStep, committed: Committed, kept: bool) -> RunId {
        let id = step.id(committed);
        let RunStep { run, quiet, .. } = step;
        if kept {
            self.failing = None;
        }
        self.first &= run.result == RunResult::Running;
        match quiet {
            Some(quiet) if quiet.id == id => self.quiet = Some((quiet.with(committed), !kept)),
            _ => {}
        }
        let goes_on = run.result == RunResult::Running;
        self.open_kept = goes_on && (self.open_kept || kept);
        self.open = goes_on.then(|| run.with(committed));
        id
    }

    /// A read has failed. Returns the run that it belongs to, and whether that is to be written down now.
    pub(super) fn fail(&mut self, error: RunError) -> (Run, bool) {
        let now = error.at;
        let was_failing = self.failing.take();
        let before = was_failing.as_ref().map(|(_, at, _)| *at);
        let mut run = match was_failing {
            Some((run, ..)) => run,
            None => self.open.take().unwrap_or_else(|| self.begin(self.asked, None)),
        };
        self.open_kept = false;
        run.result = RunResult::Failed;
        run.errors += 1;
        run.first_error.get_or_insert_with(|| error.clone());
        run.last_error = Some(error);
        run.ended = now.max(run.started);
        let due = before.is_none_or(|at| at.elapsed() >= REMIND);
        let at = before.filter(|_| !due).unwrap_or_else(Instant::now);
        (self.first, self.failing) = (true, Some((run.clone(), at, !due)));
        (run, due)
    }

    /// The pass under way will not come to its end.
    pub(super) fn cut_off(&mut self) -> Option<Run> {
        self.open_kept = false;
        self.open.take().map(|run| Run { result: RunResult::CutOff, ..run })
    }

    /// The daemon ends: what has not been written down yet.
    pub(super) fn close(&mut self) -> Vec<Run> {
        let failing = self.failing.take().filter(|(.., owed)| *owed).map(|(run, ..)| run);
        let quiet = self.quiet.take().filter(|(_, owed)| *owed).map(|(run, _)| run);
        self.cut_off().into_iter().chain(failing).chain(quiet).collect()
    }
}

/// What was met, with the name of the task where the way out needs it.
pub(super) fn reason(task: &TaskName, e: &PlaceError) -> String {
    chain(e).to_string().replace(RESTART_TASK, &format!("--restart {task}"))
}

/// What is kept of it.
pub(super) fn failure(task: &TaskName, e: &PlaceError, at: UnixMs) -> RunError {
    let (class, group) = (e.class.as_str().to_owned(), e.class.group().as_str().to_owned());
    RunError { at, class, group, message: reason(task, e) }
}

impl StatusBoard {
    /// As [`StatusBoard::place_failed`], in a run of a feed.
    pub(super) fn run_failed(
        &self,
        task: &TaskName,
        feed: Feed,
        destination: &DestinationName,
        error: &PlaceError,
        run: RunId,
    ) -> Duration {
        self.failed(task, feed.as_str(), destination, error, Some(run))
    }

    /// As [`StatusBoard::place_works`], in a run of a feed.
    pub(super) fn run_works(&self, task: &TaskName, feed: Feed, destination: &DestinationName, run: RunId) {
        self.works(task, feed.as_str(), destination, Some(run));
    }
}

/// Runs that are to be written down beside any commit, the newest of each: many that fail at once are one write.
#[derive(Debug, Default)]
pub(super) struct Owed {
    runs: BTreeMap<RunId, Run>,
    since: Option<Instant>,
}

impl Owed {
    /// A run that failed, `due` or not; one that waits here is replaced in any case.
    pub(super) fn failed(&mut self, (run, due): (Run, bool)) {
        if due || self.runs.contains_key(&run.id) {
            self.add([run]);
        }
    }

    pub(super) fn add(&mut self, runs: impl IntoIterator<Item = Run>) {
        self.runs.extend(runs.into_iter().map(|run| (run.id, run)));
        if !self.runs.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// How long they still wait; `None`: there is none.
    pub(super) fn due(&self) -> Option<Duration> {
        self.since.map(|since| GATHER.saturating_sub(since.elapsed()))
    }

    pub(super) fn take(&mut self) -> Vec<Run> {
        self.since = None;
        std::mem::take(&mut self.runs).into_values().collect()
    }
}

#[cfg(test)]
mod tests;
