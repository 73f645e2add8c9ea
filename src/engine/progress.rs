//! What the manager remembers of the quick feeds: where each destination of each stands.

use std::time::{Duration, Instant};

use tracing::{debug, info};

use super::Counts;
use crate::base::clock::ms;
use crate::model::{DestinationName, Feed, Position, RowId, RunId, TaskName};
use crate::scan::{self, Pace};
use crate::store::Cursor;

/// How often progress of a long catch-up is logged.
const PROGRESS: Duration = Duration::from_secs(10);

/// One feed of one task.
pub(super) struct FeedState {
    pub(super) task: usize,
    pub(super) feed: Feed,
    pub(super) interval: Duration,
    pub(super) pace: Pace,
    pub(super) lanes: Vec<LaneState>,
}

/// One destination of a feed.
pub(super) struct LaneState {
    pub(super) plan: scan::Lane,
    pub(super) name: DestinationName,
    pub(super) start_id: Option<RowId>,
    pub(super) run: Option<RunId>,
    /// Its last look failed.
    pub(super) fails: bool,
    pass: Pass,
}

/// What the pass that runs now has seen, for the log.
struct Pass {
    began: Instant,
    said: Instant,
    counts: Counts,
    first: bool,
}

impl Pass {
    fn new(first: bool) -> Self {
        Self { began: Instant::now(), said: Instant::now(), counts: Counts::default(), first }
    }
}

impl FeedState {
    /// Ascending in the order in which feeds are served: those that have never run, then by when they became due.
    pub(super) fn waits_since(&self) -> (bool, i64) {
        let free = || self.lanes.iter().filter(|lane| !lane.plan.busy);
        let due = free().map(|lane| lane.plan.due).min().unwrap_or(i64::MAX);
        (free().all(|lane| lane.plan.position.is_some()), due)
    }
}

impl FeedState {
    /// Where others go on without a destination, nothing is remembered for it: it is read for again from what has
    /// settled when it can be reached.
    pub(super) fn forget_behind(&mut self) {
        if !self.lanes.iter().any(|lane| lane.plan.at_tip) {
            return;
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.fails && !lane.plan.busy) {
            lane.plan.position = lane.plan.position.take().map(|at| Position::new(at.as_str()));
        }
    }
}

impl LaneState {
    pub(super) fn new(
        name: DestinationName,
        cursor: Option<&Cursor>,
        start_id: Option<RowId>,
        now: i64,
    ) -> Self {
        Self {
            plan: scan::Lane {
                position: cursor.map(|c| c.position.clone()),
                at_tip: false,
                due: now,
                busy: false,
            },
            name,
            // A saved cursor keeps the `-s` it was made under; see `scan::begin`.
            start_id: cursor.map_or(start_id, |c| c.start_id),
            run: None,
            fails: false,
            pass: Pass::new(true),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one read")]
    pub(super) fn advance(
        &mut self,
        task: &TaskName,
        feed: Feed,
        next: Position,
        more: bool,
        counts: Counts,
        interval: Duration,
        now: i64,
    ) {
        self.plan.position = Some(next);
        (self.plan.at_tip, self.fails) = (!more, false);
        self.pass.counts.add(counts);
        if more {
            self.plan.due = now;
            if self.pass.said.elapsed() >= PROGRESS {
                self.pass.said = Instant::now();
                let rows_per_s = rate(&self.pass);
                info!(%task, destination = %self.name, %feed, rows = self.pass.counts.rows, rows_per_s, "catching up");
            }
            return;
        }
        self.plan.due = now.saturating_add(ms(interval));
        self.run = None;
        let c = self.pass.counts;
        let took_ms = u64::try_from(self.pass.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.pass.first {
            info!(%task, destination = %self.name, %feed, rows = c.rows, same = c.same, missing = c.missing,
                differs = c.differs, ambiguous = some(c.ambiguous), not_comparable = some(c.not_comparable),
                too_large = some(c.too_large), rows_per_s = rate(&self.pass), took_ms, "caught up");
        } else {
            debug!(%task, destination = %self.name, %feed, rows = c.rows, same = c.same, took_ms, "looked");
        }
        self.pass = Pass::new(false);
    }
}

/// What is not there is not said.
fn some(rows: u64) -> Option<u64> {
    (rows > 0).then_some(rows)
}

fn rate(pass: &Pass) -> u64 {
    (pass.counts.rows as f64 / pass.began.elapsed().as_secs_f64().max(0.001)) as u64
}
