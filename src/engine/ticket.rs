//! What goes from the manager to the scanners, and what comes back.

use std::time::Duration;

use crate::base::clock::UnixMs;
use crate::model::{Feed, Finding, Key, Position, RowId, RunId, Verdict};
use crate::scan::ReadCost;
use crate::source::Coverage;
use crate::sql::PlaceError;

/// One read of one feed, for one or more destinations.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Which life of the manager handed it out; outcomes of earlier lives are dropped.
    pub generation: u64,
    /// The pass it belongs to.
    pub run: RunId,
    /// Index of the task.
    pub task: usize,
    /// The feed to read.
    pub feed: Feed,
    /// Where to read from; `None`: only find out where to start.
    pub from: Option<Position>,
    /// `-s`, if it decides where this starts.
    pub start_id: Option<RowId>,
    /// Indexes of the destinations served.
    pub destinations: Vec<usize>,
    /// Rows to ask for.
    pub limit: usize,
}

/// What came of a ticket at one destination. Each is sent as soon as it is known, so that a slow destination does not
/// hold up the others.
#[derive(Debug)]
pub struct Outcome {
    /// The ticket.
    pub ticket: Ticket,
    /// Index of the destination.
    pub destination: usize,
    /// What came of it.
    pub result: Result<Scanned, PlaceError>,
}

/// A read that worked.
#[derive(Debug)]
pub struct Scanned {
    /// `Source::identity`.
    pub identity: String,
    /// Where the cursor goes once `findings` are durable.
    pub next: Position,
    /// Whether more is known to wait behind it.
    pub more: bool,
    /// What must be acted on.
    pub findings: Vec<Finding>,
    /// Rows that agree, by key.
    pub agreed: Vec<(Key, RowId)>,
    /// Those of their keys that are remembered at the destination.
    pub remembered: Vec<Key>,
    /// When the look began, Unix ms.
    pub looked: UnixMs,
    /// What was looked at.
    pub counts: Counts,
    /// What the feed knows of its own limits.
    pub coverage: Coverage,
    /// What the read of the source was like.
    pub read: ReadCost,
    /// How long all of it took.
    pub took: Duration,
}

/// Rows looked at, by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Rows read from the source.
    pub rows: u64,
    /// The copy agrees.
    pub same: u64,
    /// Not at the destination.
    pub missing: u64,
    /// There, with other values.
    pub differs: u64,
    /// Several rows for the key.
    pub ambiguous: u64,
    /// At the destination only.
    pub extra: u64,
    /// Key NULL or not expressible at the destination.
    pub not_comparable: u64,
    /// A row or its key too large to be compared.
    pub too_large: u64,
}

impl Counts {
    /// Counts one row.
    pub fn see(&mut self, verdict: &Verdict) {
        self.rows += 1;
        self.count(verdict);
    }

    /// Counts a verdict over a row that is counted already.
    pub(super) fn count(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Same => &mut self.same,
            Verdict::Missing => &mut self.missing,
            Verdict::Differs(_) => &mut self.differs,
            Verdict::Ambiguous(_) => &mut self.ambiguous,
            Verdict::TooLarge => &mut self.too_large,
            Verdict::Extra => &mut self.extra,
            Verdict::NotComparable => &mut self.not_comparable,
        } += 1;
    }

    /// Adds what another look saw.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.same += other.same;
        self.missing += other.missing;
        self.differs += other.differs;
        self.ambiguous += other.ambiguous;
        self.extra += other.extra;
        self.not_comparable += other.not_comparable;
        self.too_large += other.too_large;
    }
}
