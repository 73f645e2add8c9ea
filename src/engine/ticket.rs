//! What goes from the manager to the scanners, and what comes back.

use std::time::Duration;

use crate::base::clock::UnixMs;
pub use crate::model::Counts;
use crate::model::{Feed, Finding, Key, Position, RowId, Unfit, Version};
use crate::scan::ReadCost;
use crate::source::Coverage;
use crate::sql::PlaceError;

/// One read of one feed, for one or more destinations.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Which life of the manager handed it out; outcomes of earlier lives are dropped.
    pub generation: u64,
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
    /// A person has said that rows of the copy may be unknown to the source, however many.
    pub meant: bool,
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
    /// What an event destination is to be told; `None`: it is a copy.
    pub versions: Option<Vec<Version>>,
    /// Rows of it that are told, or are not to be.
    pub fit: Vec<RowId>,
    /// Rows that agree, by key.
    pub agreed: Vec<(Key, RowId)>,
    /// Rows that no delivery can stand for.
    pub unfit: Vec<(RowId, Option<Key>, Unfit)>,
    /// Those of their keys that are remembered at the destination.
    pub remembered: Vec<Key>,
    /// When the look began, Unix ms.
    pub looked: UnixMs,
    /// What was looked at.
    pub counts: Counts,
    /// The rows that a sweep has met.
    pub met: Vec<RowId>,
    /// What the feed knows of its own limits.
    pub coverage: Coverage,
    /// What the read of the source was like.
    pub read: ReadCost,
    /// How long all of it took.
    pub took: Duration,
}
