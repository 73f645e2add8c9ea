//! What became of the rows of a plan.

use serde::Serialize;

use crate::sql::write::Act;

/// How it ended for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written; in a dry run it would be.
    Applied,
    /// It was so already.
    Already,
    /// It has changed since the plan was made.
    Stale,
    /// It cannot be written, or would not be what it should.
    Refused,
    /// A row that only the copy has; nobody said that those are to be deleted.
    Left,
}

impl Outcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Already => "already",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Left => "left",
        }
    }
}

/// A row that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `insert`, `update` or `delete`.
    pub act: &'static str,
    /// Columns of the key at the copy; NULL is `None`.
    pub key: Vec<(Box<str>, Option<String>)>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

/// Rows by how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Rows of the file.
    pub planned: u64,
    /// Written.
    pub inserted: u64,
    /// Written.
    pub updated: u64,
    /// Taken away.
    pub deleted: u64,
    /// So already.
    pub already: u64,
    /// Changed since the plan was made.
    pub stale: u64,
    /// Not written, for a reason that was told.
    pub refused: u64,
    /// Rows that only the copy has, and were to be left.
    pub left: u64,
}

impl Tally {
    /// Rows that were written.
    pub fn applied(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    /// Rows that are still not as the plan wants them.
    pub fn open(&self) -> u64 {
        self.stale + self.refused + self.left
    }

    /// Rows that nobody has come to.
    pub fn unseen(&self) -> u64 {
        self.planned - self.applied() - self.already - self.open()
    }

    pub(super) fn count(&mut self, act: Act, outcome: Outcome) {
        match (outcome, act) {
            (Outcome::Applied, Act::Insert) => self.inserted += 1,
            (Outcome::Applied, Act::Update) => self.updated += 1,
            (Outcome::Applied, Act::Delete) => self.deleted += 1,
            (Outcome::Already, _) => self.already += 1,
            (Outcome::Stale, _) => self.stale += 1,
            (Outcome::Refused, _) => self.refused += 1,
            (Outcome::Left, _) => self.left += 1,
        }
    }
}

/// What came of a plan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Counts.
    pub tally: Tally,
    /// Somebody asked it to stop before the end.
    pub stopped: bool,
    /// Where the way back is written, if there is one.
    pub undo: Option<std::path::PathBuf>,
}
