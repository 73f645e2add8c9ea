//! What the engine says when something needs people.

use crate::model::{DestinationName, ErrorClass, Event, TaskName};

/// Something at one destination that needs people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// How often since the last alert about the same.
    pub count: u64,
    /// What it is.
    pub what: What,
}

/// What needs people. Nothing of a row, and nobody else's words: what is told is made of these alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Callbacks used up their quick tries.
    Failing {
        /// Why the last of them failed.
        class: ErrorClass,
        /// HTTP status, if there was an answer.
        status: Option<u16>,
    },
    /// Deliveries wait for a person.
    Dead {
        /// Class of what keeps the last of them from being sent.
        class: Option<&'static str>,
    },
    /// The receiver said yes and the copy still differs.
    NotFixed,
    /// Several rows carry one key, at the source or at the copy.
    Ambiguous,
    /// Rows change more often than can be followed.
    Hot,
    /// The task cannot go on until a person acts.
    Blocked {
        /// Class of the error.
        class: &'static str,
    },
    /// Rows that agreed before are gone from the copy: nothing is sent any more.
    Emptied {
        /// Rows asked for.
        looked: usize,
        /// Those that are missing.
        missing: usize,
    },
    /// The receiver says that it is gone: nothing is sent to it any more.
    Gone,
    /// Copies that followed, late or not, do not follow any more.
    StoppedFollowing {
        /// When the first of those that were waited for in vain was believed lost, Unix ms.
        since: i64,
    },
    /// Looks at a table are late.
    Lag,
    /// The state cannot be written.
    State,
    /// A database cannot be reached.
    Unreachable {
        /// Class of the error.
        class: &'static str,
    },
    /// The disk with the state is nearly full.
    Disk {
        /// What is left, in MiB.
        free: u64,
        /// Its size, in MiB.
        of: u64,
    },
    /// Memory is nearly used up.
    Memory {
        /// What is left, in MiB.
        free: u64,
        /// What there is, in MiB.
        of: u64,
    },
    /// File descriptors are nearly used up.
    Descriptors {
        /// What is left.
        free: u64,
        /// What there is.
        of: u64,
    },
    /// The configuration was changed, and cannot be used.
    Reload,
    /// An audit ended with differences, or could not compare everything.
    Audit {
        /// Why not everything was compared: the class of the error, or `incomplete`.
        class: Option<&'static str>,
    },
    /// A part of the daemon ended and was started again.
    Restarted {
        /// Its name.
        part: String,
    },
}

impl What {
    /// The event.
    pub fn event(&self) -> Event {
        match self {
            Self::Failing { .. } => Event::Failing,
            Self::Dead { .. } => Event::Dead,
            Self::NotFixed => Event::NotFixed,
            Self::Ambiguous => Event::Ambiguous,
            Self::Hot => Event::Hot,
            Self::Blocked { .. } => Event::Blocked,
            Self::Emptied { .. } => Event::Emptied,
            Self::Gone => Event::Gone,
            Self::StoppedFollowing { .. } => Event::StoppedFollowing,
            Self::Lag => Event::Lag,
            Self::State => Event::State,
            Self::Unreachable { .. } => Event::Unreachable,
            Self::Disk { .. } => Event::Disk,
            Self::Memory { .. } => Event::Memory,
            Self::Descriptors { .. } => Event::Descriptors,
            Self::Reload => Event::Reload,
            Self::Audit { .. } => Event::Audit,
            Self::Restarted { .. } => Event::Restarted,
        }
    }

    /// The class of the last error, or the part it is about.
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::Failing { class, status: Some(status) } => Some(format!("{} ({status})", class.as_str())),
            Self::Failing { class, status: None } => Some(class.as_str().to_owned()),
            Self::Dead { class: Some(class) }
            | Self::Audit { class: Some(class) }
            | Self::Blocked { class }
            | Self::Unreachable { class } => Some((*class).to_owned()),
            Self::Restarted { part } => Some(part.clone()),
            _ => None,
        }
    }

    /// Since when, if that is not when it was first said, Unix ms.
    pub(super) fn since(&self) -> Option<i64> {
        match self {
            Self::StoppedFollowing { since } => Some(*since),
            _ => None,
        }
    }

    /// So much of so much.
    pub(super) fn extent(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Emptied { missing, looked } if looked > 0 => Some((missing as u64, looked as u64)),
            Self::Disk { free, of } | Self::Memory { free, of } | Self::Descriptors { free, of } => {
                Some((free, of))
            }
            _ => None,
        }
    }
}
