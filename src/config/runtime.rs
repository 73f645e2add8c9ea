//! The parts of the configuration that belong to the process rather than to a task.

use std::path::PathBuf;
use std::time::Duration;

use super::TaskConfig;
use crate::base::secret::Secret;

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
    /// Who is told when callbacks keep failing.
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

/// Who is told when callbacks keep failing.
#[derive(Clone, Debug, Default)]
pub struct NotifyConfig {
    /// Mail.
    pub smtp: Option<SmtpConfig>,
    /// `pushbearSendKey`, and the base URL it is sent to.
    pub pushbear: Option<(Secret<String>, url::Url)>,
}

/// A mail channel.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Server name.
    pub host: String,
    /// Server port.
    pub port: u16,
    /// Encryption.
    pub security: SmtpSecurity,
    /// Account, if the server wants one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret<String>>,
    /// Sender address.
    pub from: String,
    /// Receivers' addresses, at least one.
    pub to: Vec<String>,
}

/// How a mail connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Not at all (`smtp://`).
    None,
    /// STARTTLS, required (`smtp+starttls://`).
    StartTls,
    /// TLS from the first byte (`smtps://`).
    Tls,
}
