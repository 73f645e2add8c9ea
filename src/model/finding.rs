//! What a scan found.

use super::{DestinationName, Key, RowId, TaskName};

/// What one comparison of one key at one destination says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All mapped columns agree.
    Same,
    /// No row with this key at the destination.
    Missing,
    /// The row is there; these mapped columns (index into the column map) disagree.
    Differs(Vec<usize>),
    /// So many rows carry this key, at the source or at the destination, whichever has more.
    Ambiguous(usize),
    /// The row, the copy's row or the key is too large to be held and compared.
    TooLarge,
    /// The row is at the destination only.
    Extra,
    /// The key is NULL or cannot be expressed at the destination.
    NotComparable,
}

/// A difference that must be acted on: durable once committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The task that looked.
    pub task: TaskName,
    /// Where the copy disagrees.
    pub destination: DestinationName,
    /// The row, by the canonical value of `byColumn`.
    pub key: Key,
    /// The row, by the source's integer key.
    pub row: RowId,
    /// What is wrong.
    pub kind: super::DeliveryKind,
    /// Digest over the source's and the copy's row as they were compared: the same difference has the same one.
    pub fingerprint: [u8; 16],
    /// What confirming starts from if this opens a delivery; opaque to the store.
    pub watch: Box<[u8]>,
}

/// A version of a row that a scan has read for an event destination: durable once committed, and sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The row, by the canonical value of `byColumn`: versions of one key are told in order.
    pub key: Key,
    /// The row, by the source's integer key.
    pub row: RowId,
    /// The type of the message.
    pub kind: super::DeliveryKind,
    /// Digest of the whole row, its update time included: the same version, read again, has the same one.
    pub digest: [u8; 16],
    /// The message.
    pub body: Box<[u8]>,
}
