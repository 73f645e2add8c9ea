//! What the feeds did: the operation log.
//!
//! A run is one pass of a feed at one destination. One that opened a delivery, failed, took a minute or more, or is the
//! first one since a start, has a row of its own; the others of an hour share one, in which they are counted. So a daemon
//! that finds nothing writes one row an hour for each feed, and a row of its own is never far from a delivery or a failure.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Committed, DeliveryId, DeliveryKind, DestinationName, Feed, RowId, RunId, State, StoreError, TaskName,
    UnixMs,
};
use crate::model::Counts;

/// One pass of a feed at one destination, or the uneventful ones of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id; the deliveries that it opened carry it, and the lines of the log that are about it.
    pub id: RunId,
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// The feed; `None`: of a version that did not keep it.
    pub feed: Option<Feed>,
    /// Where it began, for people: `id 7`, or a time on the update column's clock; `None`: at the beginning, or by key.
    pub from: Option<String>,
    /// Where it arrived.
    pub to: Option<String>,
    /// How it ended.
    pub result: RunResult,
    /// Passes that share this row: 1, if it is none of the uneventful ones.
    pub passes: u64,
    /// Rows looked at, by verdict.
    pub counts: Counts,
    /// Deliveries that it opened.
    pub opened: u64,
    /// Open deliveries whose difference had become another one.
    pub changed: u64,
    /// Dead deliveries that it saw to agree.
    pub healed: u64,
    /// Tries that failed: the first one ended it, the others came in vain until something worked.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<RunError>,
    /// The last of them.
    pub last_error: Option<RunError>,
    /// When it began, Unix ms.
    pub started: UnixMs,
    /// When it ended, or was last heard of, Unix ms.
    pub ended: UnixMs,
}

impl Run {
    /// One that has just begun.
    pub fn begin(task: TaskName, destination: DestinationName, feed: Feed, started: UnixMs) -> Self {
        Self {
            id: RunId(uuid::Uuid::now_v7()),
            task,
            destination,
            feed: Some(feed),
            from: None,
            to: None,
            result: RunResult::Running,
            passes: 1,
            counts: Counts::default(),
            opened: 0,
            changed: 0,
            healed: 0,
            errors: 0,
            first_error: None,
            last_error: None,
            started,
            ended: started,
        }
    }

    /// The run with what a commit has found out.
    #[must_use]
    pub fn with(&self, committed: Committed) -> Self {
        Self {
            opened: self.opened + committed.opened,
            changed: self.changed + committed.changed,
            healed: self.healed + committed.healed,
            ..self.clone()
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunResult {
    /// It has not.
    Running,
    /// It has read what there was, and compared it.
    Ok,
    /// A place could not be used.
    Failed,
    /// The daemon ended before it did.
    CutOff,
}

impl RunResult {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::Running, Self::Ok, Self::Failed, Self::CutOff];

    /// The word in the state and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::CutOff => "cut-off",
        }
    }

    /// The inverse of [`RunResult::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == word)
    }
}

/// A failure of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// When, Unix ms.
    pub at: UnixMs,
    /// Word of its class.
    pub class: String,
    /// Word of the group that it belongs to.
    pub group: String,
    /// What was met, where, and what to do next; one line, no secret, no row data.
    pub message: String,
}

/// What a commit says of the pass that it is a step of.
#[derive(Clone, Debug)]
pub struct RunStep {
    /// The pass with this step, but without what the commit finds out: what became of its findings.
    pub run: Run,
    /// What is kept instead if the pass has opened nothing: the row that it shares with others, with it counted in.
    /// `None`: the pass goes on, or has a row of its own in any case.
    pub quiet: Option<Run>,
    /// A row that is to be kept with it: that of a run which had failed until now.
    pub before: Option<Run>,
}

impl RunStep {
    /// The run under which it is kept.
    pub fn id(&self, committed: Committed) -> RunId {
        match &self.quiet {
            Some(quiet) if self.run.opened + committed.opened == 0 => quiet.id,
            _ => self.run.id,
        }
    }
}

/// Which runs to show.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this task.
    pub task: Option<TaskName>,
    /// With this result.
    pub result: Option<RunResult>,
    /// Not those that ended before, Unix ms.
    pub since: Option<UnixMs>,
    /// Not those that began later, Unix ms.
    pub until: Option<UnixMs>,
    /// The oldest first, and only those behind this one; else the newest first, and only those before it.
    pub oldest_first: bool,
    /// Where the last page ended.
    pub page: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

/// A delivery, as its run sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its place in the order of all deliveries, for the next page.
    pub seq: i64,
    /// Its id.
    pub id: DeliveryId,
    /// The destination.
    pub destination: DestinationName,
    /// What was wrong.
    pub kind: DeliveryKind,
    /// Where it is now.
    pub state: State,
    /// The row, by the source's integer key.
    pub row: RowId,
    /// When it was found, Unix ms.
    pub found_at: UnixMs,
    /// When it ended, Unix ms.
    pub ended_at: Option<UnixMs>,
}

/// A call for a delivery of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// When it began, Unix ms.
    pub began: UnixMs,
    /// Its number.
    pub number: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// `accepted`, a class of error, or `unknown`.
    pub outcome: String,
    /// HTTP status.
    pub status: Option<i64>,
}

/// Shows the operation log.
#[async_trait]
pub trait Runs: Send + Sync {
    /// A page of runs; their ids ascend with the time at which they began.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;

    /// The runs whose id lies between two, at most three.
    async fn runs_between(&self, first: RunId, last: RunId) -> Result<Vec<Run>, StoreError>;

    /// Deliveries that a run has opened, as far as they are kept, in the order in which they were found, behind the place
    /// `after`; at most 1000.
    async fn opened_by(&self, run: RunId, after: i64) -> Result<Vec<Opened>, StoreError>;

    /// The calls made for a delivery, by its place in the order of all deliveries.
    async fn calls_of(&self, seq: i64) -> Result<Vec<Called>, StoreError>;
}
