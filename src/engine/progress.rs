//! What the manager remembers of the quick feeds: where each destination of each stands.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Counts;
use super::runs::Book;
use crate::base::clock::ms;
use crate::model::{DestinationName, Feed, Position, RowId, RunId, TaskName};
use crate::scan::{self, Pace};
use crate::store::{Cursor, Facts};

/// How often progress of a long catch-up is logged.
const PROGRESS: Duration = Duration::from_secs(10);
/// How old what is kept of a feed may be that finds nothing new.
const FRESH: Duration = Duration::from_secs(5);

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
    /// What is kept of its passes.
    pub(super) book: Book,
    /// Its last look failed.
    pub(super) fails: bool,
    /// What is kept of what it covers.
    pub(super) facts: Facts,
    kept: Option<Instant>,
    /// When it last was at the tip.
    tip: Option<Instant>,
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
        book: Book,
        cursor: Option<&Cursor>,
        facts: Option<Facts>,
        start_id: Option<RowId>,
        now: i64,
    ) -> Self {
        Self {
            plan: scan::Lane {
                position: cursor.map(|c| c.position.clone()),
                at_tip: false,
                due: now,
                busy: false,
                alone: false,
            },
            name,
            // A saved cursor keeps the `-s` it was made under; see `scan::begin`.
            start_id: cursor.map_or(start_id, |c| c.start_id),
            book,
            fails: false,
            facts: facts.unwrap_or_default(),
            kept: None,
            tip: None,
            pass: Pass::new(true),
        }
    }

    /// Whether it has caught up: a look that has just begun does not take it back.
    pub(super) fn catches_up(&mut self, more: bool) -> bool {
        if !more {
            self.tip = Some(Instant::now());
        }
        self.tip.is_some_and(|at| at.elapsed() < PROGRESS)
    }

    /// Whether these facts are worth keeping: times alone only now and then.
    pub(super) fn is_news(&self, facts: &Facts) -> bool {
        let timeless = |facts: &Facts| Facts { settled_at: None, ..facts.clone() };
        self.kept.is_none_or(|at| at.elapsed() >= FRESH) || timeless(&self.facts) != timeless(facts)
    }

    /// They are kept.
    pub(super) fn keep(&mut self, task: &TaskName, facts: Facts, run: RunId) {
        if let Some(ids) = facts.unreadable.as_deref().filter(|_| facts.unreadable != self.facts.unreadable) {
            warn!(%task, destination = %self.name, ids, %run,
                "the update times of these rows cannot be read, they are left to the sweep");
        }
        (self.facts, self.kept) = (facts, Some(Instant::now()));
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one read")]
    pub(super) fn advance(
        &mut self,
        task: &TaskName,
        feed: Feed,
        next: Position,
        more: bool,
        (counts, run): (Counts, RunId),
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
                info!(%task, destination = %self.name, %feed, rows = self.pass.counts.rows, rows_per_s,
                    %run, "catching up");
            }
            return;
        }
        self.plan.due = now.saturating_add(ms(interval));
        let c = self.pass.counts;
        let took_ms = u64::try_from(self.pass.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.pass.first {
            info!(%task, destination = %self.name, %feed, rows = c.rows, same = c.same, missing = c.missing,
                differs = c.differs, ambiguous = some(c.ambiguous), not_comparable = some(c.not_comparable),
                too_large = some(c.too_large), rows_per_s = rate(&self.pass), took_ms, %run,
                "caught up");
        } else {
            debug!(%task, destination = %self.name, %feed, rows = c.rows, same = c.same, took_ms, %run, "looked");
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
