//! What went wrong at a place, classified once, at the driver's edge. Above it nobody looks at driver codes.

use thiserror::Error;

use crate::model::DatabaseClass;

/// What a message says to start with where its task is not known: who shows it puts the name in.
pub const RESTART_TASK: &str = "--restart TASK";

/// A failed conversation with a database.
#[derive(Debug, Error)]
#[error("{place}: {message}")]
pub struct PlaceError {
    /// What to do about it.
    pub kind: PlaceErrorKind,
    /// What it is, for people and for counting.
    pub class: DatabaseClass,
    /// Which database, without credentials (`Dsn::place`).
    pub place: String,
    /// What was met, what was expected and what to do next; one line, no secret, no row data.
    pub message: String,
    /// The driver's error, for the log, if it says more than the message.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PlaceError {
    /// An error that no driver reported, of the class that is usual for its kind.
    pub fn new(kind: PlaceErrorKind, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, class: kind.usual(), place: place.into(), message: message.into(), source: None }
    }

    /// The same of another class.
    #[must_use]
    pub fn of_class(self, class: DatabaseClass) -> Self {
        Self { class, ..self }
    }

    /// The same failure for somebody else who waits for it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.kind, self.place.clone(), self.message.clone()).of_class(self.class)
    }
}

/// The kinds of [`PlaceError`], by what a caller does with them. What people are told is the class.
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

    /// The class of an error of this kind of which nothing else is known.
    fn usual(self) -> DatabaseClass {
        match self {
            Self::Unreachable => DatabaseClass::Connect,
            Self::Transient => DatabaseClass::Lost,
            Self::TooSlow => DatabaseClass::StatementTimeout,
            Self::Denied => DatabaseClass::Permission,
            Self::Missing => DatabaseClass::Schema,
            Self::Anew => DatabaseClass::IdsAnew,
            Self::Held => DatabaseClass::InDoubt,
            Self::Other => DatabaseClass::Other,
        }
    }
}
