//! What went wrong at a place, classified once, at the driver's edge. Above it nobody looks at driver codes.

use thiserror::Error;

/// What a message says to start with where its task is not known: who shows it puts the name in.
pub const RESTART_TASK: &str = "--restart TASK";

/// A failed conversation with a database.
#[derive(Debug, Error)]
#[error("{place}: {message}")]
pub struct PlaceError {
    /// What to do about it.
    pub kind: PlaceErrorKind,
    /// Which database, without credentials (`Dsn::place`).
    pub place: String,
    /// What was met, what was expected and what to do next; one line, no secret, no row data.
    pub message: String,
    /// The driver's error, for the log, if it says more than the message.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PlaceError {
    /// An error that no driver reported.
    pub fn new(kind: PlaceErrorKind, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, place: place.into(), message: message.into(), source: None }
    }
}

/// The classes of [`PlaceError`], by what a caller does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceErrorKind {
    /// Cannot be reached, restarts, refuses for lack of connections: waited for with growing pauses.
    Unreachable,
    /// A deadlock, lock wait or lost connection: the same call may succeed at once.
    Transient,
    /// A statement ran into its time limit: ask for less.
    TooSlow,
    /// Wrong password or missing right: the task is blocked until a person acts.
    Denied,
    /// Table, column or usable key is not there or not as needed: blocked.
    Missing,
    /// The ids of the source have begun anew: the whole task is blocked.
    Anew,
    /// What both sides say is in doubt: nothing goes on until it is as before or a person says that it is meant.
    Held,
    /// Anything else: blocked, with the database's own words.
    Other,
}

impl PlaceErrorKind {
    /// Whether waiting may help without a person.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::Transient | Self::TooSlow)
    }

    /// The word used in logs and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Transient => "transient",
            Self::TooSlow => "too_slow",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Anew => "anew",
            Self::Held => "held",
            Self::Other => "other",
        }
    }
}
