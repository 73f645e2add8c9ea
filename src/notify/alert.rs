//! What people are told.

use crate::model::{DestinationName, ErrorClass, TaskName};

/// Something at one destination that needs people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// How often since people were last told.
    pub count: u64,
    /// What it is.
    pub what: What,
}

/// What needs people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Callbacks used up their quick tries.
    Failing {
        /// Why the last of them failed.
        class: ErrorClass,
        /// One line about that.
        detail: String,
    },
    /// The receiver said yes and the copy still differs.
    NotFixed,
    /// Several rows carry one key, at the source or at the copy.
    Ambiguous,
    /// Copies that followed, late or not, do not follow any more.
    StoppedFollowing {
        /// When the first of those that were waited for in vain was believed lost, Unix ms.
        since: i64,
    },
    /// Rows that agreed before are gone from the copy: nothing is sent any more.
    Emptied {
        /// Rows asked for.
        looked: usize,
        /// Those that are missing.
        missing: usize,
    },
    /// Rows that never stand still: the oldest is older than the limit, or none is any more.
    Hot {
        /// For how many seconds the oldest has been; `None`: it is over.
        oldest_s: Option<u64>,
    },
}

impl What {
    /// The kind, for telling each of them now and then only.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "failing",
            Self::NotFixed => "not fixed",
            Self::Ambiguous => "ambiguous",
            Self::StoppedFollowing { .. } => "stopped following",
            Self::Emptied { .. } => "emptied",
            Self::Hot { oldest_s: Some(_) } => "hot",
            Self::Hot { oldest_s: None } => "hot no more",
        }
    }
}

impl Alert {
    /// Fixed words and configured names only, so that nothing from a row can end up in a mail header.
    pub(super) fn subject(&self) -> String {
        let plain = |s: &str| s.chars().filter(|c| !c.is_control()).collect::<String>();
        let what = match self.what {
            What::Failing { .. } => "callbacks fail",
            What::NotFixed => "acknowledged but not fixed",
            What::Ambiguous => "several rows carry one key",
            What::StoppedFollowing { .. } => "the copy has stopped following",
            What::Emptied { .. } => "paused, the copy seems to be emptied",
            What::Hot { oldest_s: Some(_) } => "rows that never stand still",
            What::Hot { oldest_s: None } => "recovered: no row has been moving for too long",
        };
        format!("[cupid] {} → {}: {what}", plain(self.task.as_str()), plain(self.destination.as_str()))
    }

    /// What happened and what to do next.
    pub(super) fn text(&self) -> String {
        let Self { task, destination, count, what } = self;
        let what = match what {
            What::Failing { class, detail } => format!(
                "{count} callback(s) used up their quick tries and are now tried every ten minutes until the receiver \
                 accepts them. Nothing is lost.\n\
                 Last failure: {class}: {detail}\n\
                 Next: look at the receiver. cupid goes on by itself when it answers 2xx again.\n",
                class = class.as_str(),
            ),
            What::NotFixed => format!(
                "{count} callback(s) were acknowledged but not fixed: the receiver answered 2xx, and the copy still \
                 differs. They are sent again, as new messages, after 1 minute, 5 minutes, then every 10 minutes.\n\
                 Next: look at what the receiver does with them.\n"
            ),
            What::Ambiguous => format!(
                "{count} key(s) are carried by several rows, at the source or at the copy. They count as different and \
                 are never called back: nobody can say which row is meant.\n\
                 Next: remove the rows that are too many; cupid sees by itself when one is left. A unique index on \
                 `byColumn` keeps more from coming.\n"
            ),
            What::StoppedFollowing { since } => {
                let since = chrono::DateTime::from_timestamp_millis(*since)
                    .map_or_else(String::new, |at| at.format(" since %Y-%m-%d %H:%M:%S UTC").to_string());
                format!(
                    "the copy has stopped following: what it lacked used to arrive by itself, and{since} nothing has: \
                     {count} row(s) were waited for in vain. What is missing or different is called back as it is \
                     found.\n\
                     Next: look at what copies the rows.\n"
                )
            }
            What::Emptied { looked, missing } => format!(
                "{missing} of {looked} rows that agreed before, looked up as a sample, are missing: the copy was \
                 emptied, or is another table. Nothing is sent to this receiver; what is found is kept.\n\
                 Next: bring the rows back, and cupid goes on by itself; or, if it is meant, run\n\
                 cupid resume -c FILE --task {task} --destination {destination}\n"
            ),
            What::Hot { oldest_s: Some(oldest_s) } => format!(
                "{count} row(s) have not stood still since they were found to differ, the oldest for {oldest_s} s. \
                 Their copies follow, so nothing is called back for them, but nobody has seen them agree.\n\
                 Next: look at what keeps writing to them; cupid status -c FILE counts them.\n"
            ),
            What::Hot { oldest_s: None } => {
                "no row has been moving for too long any more: those that did have stood still and were judged.\n"
                    .to_owned()
            }
        };
        format!("Task {task}, destination {destination}: {what}")
    }
}
