//! What can go wrong with the state.

use thiserror::Error;

/// A failed call to the store.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct StoreError {
    /// What to do about it.
    pub kind: StoreErrorKind,
    /// What was met, where, and the next step.
    pub message: String,
    /// The driver's error, for the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The classes of [`StoreError`], by what a caller does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another process holds the state.
    Locked,
    /// The file is damaged: refused, never recreated.
    Corrupt,
    /// Written by a newer version: refused, untouched.
    Newer,
    /// Disk full, read-only or failing: work stops until it is gone.
    Unwritable,
    /// Anything else.
    Other,
}

impl StoreErrorKind {
    /// The word of its class in logs; all are of the group `system`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "state_locked",
            Self::Corrupt => "state_corrupt",
            Self::Newer => "state_newer",
            Self::Unwritable => "state_unwritable",
            Self::Other => "state_other",
        }
    }
}

impl StoreError {
    /// An error without a driver's error behind it.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}
