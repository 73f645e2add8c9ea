//! What need not be kept any more.

use crate::base::clock::UnixMs;

/// What is deleted: deliveries and runs that ended, and attempts that began, before a time, also those of open deliveries.
///
/// What is remembered stays without its message until it is seen to agree, or has not been seen for a quarter of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// What ended before this, Unix ms.
    pub ended: UnixMs,
    /// The same for deliveries alone: more than these are not wished.
    pub beyond: UnixMs,
    /// The same for suspects that healed without a call: where copies are late, most are.
    pub passing: UnixMs,
    /// At most so many of each kind.
    pub limit: usize,
}

impl Prune {
    /// All alike.
    pub fn before(ended: UnixMs, limit: usize) -> Self {
        Self { ended, beyond: ended, passing: ended, limit }
    }
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Deliveries.
    pub deliveries: u64,
    /// Whether there is more to delete.
    pub more: bool,
}
