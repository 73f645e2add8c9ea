//! Tells people. What they get is few and says what to do next; never row data.

mod mail;
mod pushbear;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::config::NotifyConfig;
use crate::model::{DestinationName, ErrorClass, TaskName};

/// One deadline over a whole message, from connect to acceptance.
const DEADLINE: Duration = Duration::from_secs(20);

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
    fn subject(&self) -> String {
        let plain = |s: &str| s.chars().filter(|c| !c.is_control()).collect::<String>();
        format!(
            "[cupid] {} → {}: callbacks fail",
            plain(self.task.as_str()),
            plain(self.destination.as_str())
        )
    }

    fn text(&self) -> String {
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

/// Why people could not be told.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct NotifyError(String);

/// A way to tell people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// For the log.
    fn name(&self) -> &str;

    /// Tells them; done within [`DEADLINE`].
    async fn tell(&self, alert: &Alert) -> Result<(), NotifyError>;
}

/// The configured channels.
///
/// # Errors
/// If one cannot be set up: an address that is none, TLS roots that cannot be read.
pub fn open(config: &NotifyConfig) -> Result<Vec<Box<dyn Channel>>, NotifyError> {
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    if let Some(smtp) = &config.smtp {
        channels.push(Box::new(mail::Mail::new(smtp)?));
    }
    if let Some((key, url)) = &config.pushbear {
        channels.push(Box::new(pushbear::Pushbear::new(key.clone(), url.clone())?));
    }
    Ok(channels)
}
