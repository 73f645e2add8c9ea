//! What people are told.

use crate::model::{DestinationName, ErrorClass, TaskName};

/// Callbacks of one destination that entered the slow lane since people were last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// How many.
    pub count: u64,
    /// Why the last of them failed.
    pub class: ErrorClass,
    /// One line about that.
    pub detail: String,
}

impl Alert {
    /// Fixed words and configured names only, so that nothing from a row can end up in a mail header.
    pub(super) fn subject(&self) -> String {
        let plain = |s: &str| s.chars().filter(|c| !c.is_control()).collect::<String>();
        format!(
            "[cupid] {} → {}: callbacks fail",
            plain(self.task.as_str()),
            plain(self.destination.as_str())
        )
    }

    /// What happened and what to do next.
    pub(super) fn text(&self) -> String {
        format!(
            "Task {task}, destination {destination}: {count} callback(s) used up their quick tries and are now tried \
             every ten minutes until the receiver accepts them. Nothing is lost.\n\
             Last failure: {class}: {detail}\n\
             Next: look at the receiver. cupid goes on by itself when it answers 2xx again.\n",
            task = self.task,
            destination = self.destination,
            count = self.count,
            class = self.class.as_str(),
            detail = self.detail,
        )
    }
}
