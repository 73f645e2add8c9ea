//! What was looked at, and what is known of it: durable together with the cursors.

use super::{DestinationName, Feed, RowId, TaskName, UnixMs};
use crate::model::{Counts, DeliveryKind, Key, State, Unfit};

/// What one feed has looked at at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// The feed.
    pub feed: Feed,
    /// Looks at rows, by what they said: in a commit those to add, when read all of them. A row that is read twice is
    /// two looks.
    pub looks: Counts,
    /// When it last looked, Unix ms.
    pub looked_at: UnixMs,
    /// What holds now.
    pub facts: Facts,
}

/// What a feed knows of itself, as of its last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it has reached the end of what there was.
    pub caught_up: bool,
    /// Up to where no late commit can change anything any more, for people; `None`: nothing yet.
    pub settled: Option<String>,
    /// What was committed before this time, Unix ms, lies in what has settled; `None`: not known.
    pub settled_at: Option<UnixMs>,
    /// Whether the database shows all of its open transactions.
    pub told: bool,
    /// Whether the memory of what was seen is full.
    pub forgets: bool,
    /// Rows without an update time.
    pub uncovered: Option<u64>,
    /// Whether there are more of them than were counted.
    pub uncovered_more: bool,
    /// Ids of the first of them whose update time is a text that is no time, separated by commas.
    pub unreadable: Option<String>,
    /// How far the latest update time lay in the future, in seconds.
    pub ahead_s: Option<u64>,
    /// The insert feed's own count.
    pub counted: Option<Counted>,
    /// Rows read behind what has settled, each once.
    pub unsettled: u64,
}

/// Rows, each counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// All rows behind this id are counted; `None`: all.
    pub after: Option<RowId>,
    /// Up to this one; `None`: nothing has settled.
    pub upto: Option<RowId>,
    /// How many there are.
    pub rows: u64,
}

/// What a look at rows showed beside its findings.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When the rows were read, Unix ms: what was found later is not contradicted.
    pub at: UnixMs,
    /// Rows that agree.
    pub agreed: Vec<RowId>,
    /// Rows that no delivery can stand for.
    pub unfit: Vec<(RowId, Option<Key>, Unfit)>,
    /// A pass over everything is complete: what it has not met is no longer there.
    pub passed: Option<Pass>,
}

/// A complete pass over the source's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When it began, Unix ms.
    pub began: UnixMs,
    /// From which id on it went; `None`: over everything.
    pub from: Option<RowId>,
}

/// Rows of one destination that do not agree, or that nobody can say that of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Deliveries that are open, or were handed over or closed and whose rows have not been seen to agree since. Those
    /// that were healed are not among them.
    pub deliveries: Vec<Stands>,
    /// Rows that cannot be compared, by reason.
    pub unfit: Vec<(Unfit, u64)>,
    /// Whether there are more of these than are kept.
    pub unfit_more: bool,
}

/// Deliveries in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands {
    /// The state.
    pub state: State,
    /// What is wrong.
    pub kind: DeliveryKind,
    /// How many.
    pub count: u64,
    /// When the oldest was found, Unix ms.
    pub oldest: UnixMs,
}
