//! Event destinations: what they are to be told, what they were told, and how long that is kept.

use super::{DestinationName, RowId, TaskName, UnixMs};
use crate::model::Version;

/// Versions of rows for an event destination, in the order in which they were read.
///
/// Each becomes a delivery of its own, unless it is the last one known of its row; those of a key go out one after the
/// other.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// The versions.
    pub list: Vec<Version>,
}

/// What an event destination was told of some rows.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// In the order in which they were asked for.
    pub rows: Vec<Last>,
    /// The insert feed has settled up to this row; `None`: it has settled nothing.
    pub inserted: Option<RowId>,
}

/// What is known of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// [`Version::digest`] of the last version; `None`: none is known.
    pub digest: Option<[u8; 16]>,
    /// Whether anything is known of its key.
    pub known: bool,
}

/// What is kept of an event destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Versions that are not delivered, dead ones too.
    pub versions: u64,
    /// Bytes of their messages.
    pub bytes: u64,
    /// Versions delivered since it began.
    pub delivered: u64,
}

/// A destination whose ended deliveries are not kept as long as others.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// Whether it is an event destination.
    pub events: bool,
    /// What ended before this was deleted earlier, Unix ms.
    pub from: UnixMs,
    /// What ended before this goes, Unix ms.
    pub before: UnixMs,
}
