//! One channel with its desk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::{ChannelConfig, Config};
use crate::model::TaskName;
use crate::notify::{self, Channel, Desk, SendError, Writer};

/// One channel with what it is to tell.
pub struct Line {
    /// As in the log: the channel's name, that of the task before it if it is the task's own.
    pub(super) name: String,
    pub(super) config: ChannelConfig,
    pub(super) task: Option<TaskName>,
    pub(super) fallback: Option<usize>,
    pub(super) channel: Box<dyn Channel>,
    desk: Mutex<Desk>,
    pub(super) wake: Notify,
}

impl Line {
    /// The channels of a configuration, those of the top level first.
    ///
    /// # Errors
    /// The name of a channel that cannot be set up, and why.
    pub fn all(config: &Config) -> Result<Vec<Self>, (String, SendError)> {
        let mut lines = Vec::new();
        let of_tasks = config.tasks.iter().filter_map(|t| Some((Some(&t.name), t.notify.as_ref()?)));
        for (task, channels) in std::iter::once((None, &config.notify.channels)).chain(of_tasks) {
            let first = lines.len();
            for config in channels {
                let name = task.map_or_else(|| config.name.clone(), |task| format!("{task}/{}", config.name));
                let channel = notify::open(config).map_err(|e| (name.clone(), e))?;
                let place =
                    |other: &String| channels.iter().position(|c| c.name == *other).map(|at| first + at);
                lines.push(Self {
                    name,
                    task: task.cloned(),
                    fallback: config.fallback.as_ref().and_then(place),
                    desk: Mutex::new(Desk::new(channel.limits())),
                    config: config.clone(),
                    channel,
                    wake: Notify::new(),
                });
            }
        }
        Ok(lines)
    }

    /// The channel's name, that of the task before it if it is the task's own.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> &'static str {
        self.config.kind.as_str()
    }

    /// Sends a test message, and returns what was answered.
    ///
    /// # Errors
    /// If it was not accepted.
    pub async fn test(&self, writer: &Writer) -> Result<String, SendError> {
        self.channel.send(&writer.test(self.config.language)).await
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("name", &self.name).finish_non_exhaustive()
    }
}
