//! What deliveries are in that people are told of.

/// What open deliveries are in that people are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plight {
    /// Their quick tries failed; they are tried slowly. What is slow because its copy was not fixed is not among them.
    Failing,
    /// Calls for them failed, and they are to be called again.
    Refused,
    /// They wait for a person, though one row carries their key.
    Dead,
    /// Several rows carry their key.
    Ambiguous,
    /// Calls for them were accepted, and their copies were not fixed.
    Unhealed,
}
