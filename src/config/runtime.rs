//! The parts of the configuration that belong to the process rather than to a task.

use std::path::PathBuf;
use std::time::Duration;

use super::{NotifyConfig, TaskConfig};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Absolute path of the file.
    pub path: PathBuf,
    /// Name of the instance: the file's `name`, else its stem and eight hex digits of its absolute path.
    pub name: String,
    /// Where progress is kept.
    pub state: StateConfig,
    /// Logging.
    pub log: LogConfig,
    /// `workerNumber`, at least 3: one manager, one callback task, the rest scanners.
    pub workers: usize,
    /// How long a stop may drain.
    pub stop: Duration,
    /// How long finished deliveries and their attempts are kept.
    pub keep: Duration,
    /// How many of them at most; `None`: all.
    pub keep_at_most: Option<u64>,
    /// Who is told when people are needed.
    pub notify: NotifyConfig,
    /// The tasks, at least one, in the order of the file.
    pub tasks: Vec<TaskConfig>,
}

/// The state folder and how it was chosen.
#[derive(Clone, Debug)]
pub struct StateConfig {
    /// Absolute folder.
    pub dir: PathBuf,
    /// For the log: `state`, `cacheFilePath`, `$STATE_DIRECTORY` or `folder of the configuration`.
    pub origin: String,
    /// Remark worth one log line, for example that `$STATE_DIRECTORY` won over a temporary folder.
    pub note: Option<String>,
}

impl StateConfig {
    /// The state database of a configuration called `name`.
    pub fn database(&self, name: &str) -> PathBuf {
        self.dir.join(format!("cupid-{name}.db"))
    }
}

/// Where and how is logged.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Folder of the rolling file; `None`: standard output only.
    pub dir: Option<PathBuf>,
    /// Remark worth one log line, as in [`StateConfig::note`].
    pub note: Option<String>,
    /// Least severity written.
    pub level: LogLevel,
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Daily files kept.
    pub days: usize,
}

/// Severities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
