//! One channel with its desk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::{ChannelConfig, Config};
use crate::model::TaskName;
use crate::notify::{self, Bucket, Channel, Desk, SendError, Writer};

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
        let mut buckets = BTreeMap::new();
        let of_tasks = config.tasks.iter().filter_map(|t| Some((Some(&t.name), t.notify.as_ref()?)));
        for (task, channels) in std::iter::once((None, &config.notify.channels)).chain(of_tasks) {
            let first = lines.len();
            for config in channels {
                let name = task.map_or_else(|| config.name.clone(), |task| format!("{task}/{}", config.name));
                let channel = notify::open(config).map_err(|e| (name.clone(), e))?;
                let limits = channel.limits();
                let bucket =
                    buckets.entry(notify::place(config)).or_insert_with(|| Bucket::new(limits)).clone();
                let place =
                    |other: &String| channels.iter().position(|c| c.name == *other).map(|at| first + at);
                lines.push(Self {
                    name,
                    task: task.cloned(),
                    fallback: config.fallback.as_ref().and_then(place),
                    desk: Mutex::new(Desk::sharing(limits, bucket)),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{DestinationName, Event};
    use crate::notify::{Cause, Facts};

    /// However many channels name one robot, the service counts its messages together.
    #[test]
    fn one_robot_has_one_limit() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let file = r#"{
            "tasks": { "t": {
                "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" },
                "des": [ { "dsn": "sqlite:b.db", "table": "t", "byColumn": "k", "columns": { "k": "k" },
                           "callbackNotification": { "url": "127.0.0.1:1/" } } ],
                "notify": { "mine": { "wecom": "https://h/send?key=one" } }
            } },
            "notify": { "all": { "wecom": "https://h/send?key=one" }, "other": { "wecom": "https://h/send?key=two" } } }"#;
        let loaded = crate::config::parse(file, Path::new("/etc/c.json"), &|_| None).unwrap();
        let lines = Line::all(&loaded.config).unwrap();
        let now = 1_790_000_000_000;
        let mut sent = BTreeMap::new();
        for n in 0..20 {
            for line in &lines {
                let cause = Cause::at(Event::Dead, &TaskName::new("t"), &DestinationName::new(n.to_string()));
                line.desk().raise(&cause, 1, &Facts::default(), now);
                let taken = line.desk().take(now + 5_000);
                if let Some(notices) = taken {
                    line.desk().answered(&notices, now + 5_000);
                    *sent.entry(line.name().to_owned()).or_insert(0) += 1;
                }
            }
        }
        assert_eq!(sent["all"] + sent["t/mine"], sent["other"], "{sent:?}");
    }
}
