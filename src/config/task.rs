//! Tasks as the rest of the program sees them: every default filled in, every name checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{BreakerConfig, CallbackConfig, ChannelConfig, ColumnConfig, RetryPolicy, Rule, Schedule};
use crate::base::secret::Secret;
use crate::model::{DestinationName, TaskName};

/// One source and its destinations.
#[derive(Clone, Debug)]
pub struct TaskConfig {
    /// Unique name; a legacy file is one task named `main`.
    pub name: TaskName,
    /// Where rows are true.
    pub source: SourceConfig,
    /// The copies, at least one.
    pub destinations: Vec<DestinationConfig>,
    /// `false`: findings are kept, nothing is sent, whatever a destination says. The file makes it so when
    /// `callbacks` is off for every destination, `--dry-run` always.
    pub callbacks: bool,
    /// Who is told about this task; `None`: those of the top level.
    pub notify: Option<Vec<ChannelConfig>>,
}

/// Where rows are true, and how they are walked.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Database to read.
    pub dsn: Dsn,
    /// Table as written; may carry a schema (`sales.order`), resolved against the catalogue.
    pub table: String,
    /// Integer key column; `None`: the table's integer primary key.
    pub id: Option<String>,
    /// Column whose value finds the same row at the destinations.
    pub by_column: String,
    /// Pause between looks of the insert feed; `None`: the feed is off.
    pub insert: Option<Duration>,
    /// The update feed; `None`: off.
    pub update: Option<UpdateConfig>,
    /// How long transactions may stay open where the database does not tell which ones are.
    pub settle: Duration,
    /// A row for which it holds counts as absent (`deletedWhen`).
    pub deleted_when: Option<Rule>,
    /// Zone of wall-clock columns; `None`: the server's own default zone.
    pub zone: Option<chrono_tz::Tz>,
    /// Feeds read whole rows, for event destinations.
    pub whole: bool,
}

/// The update feed of a source.
#[derive(Clone, Debug)]
pub struct UpdateConfig {
    /// Column that tells when a row was last written.
    pub column: String,
    /// Pause between looks.
    pub interval: Duration,
    /// How far each look reaches back behind the last finished one (`updateScanSecond`).
    pub window: Duration,
    /// How the time is written in a text column; `None`: `%Y-%m-%d %H:%M:%S`, fractions allowed.
    pub layout: Option<TimeLayout>,
    /// Where a first start begins.
    pub start: Start,
}

/// A time layout (PHP or Go as written), already translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLayout {
    /// As written in the file.
    pub written: String,
    /// Date and time (or a date alone) in chrono's `strftime` notation.
    pub strftime: String,
}

/// Where the update feed begins when there is no saved progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The database's now minus the window.
    Now,
    /// The smallest update time in the table.
    Beginning,
    /// A given time, as written: `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]` in the zone of the column (UTC for instants).
    At(chrono::NaiveDateTime),
}

/// One copy, and who is told when it disagrees; or whom every version is told that a scan reads.
#[derive(Clone, Debug)]
pub struct DestinationConfig {
    /// Unique within the task: `name`, else made of the database and table (`db2.user`, then `db2.user-2` …), or of the
    /// source's table (`user.events`).
    pub name: DestinationName,
    /// The table that must agree; `None`: an event destination, there is nothing to compare.
    pub copy: Option<CopyConfig>,
    /// Of an event destination: only versions for which it holds are told (`where`).
    pub filter: Option<Rule>,
    /// The receiver.
    pub callback: CallbackConfig,
    /// When failed attempts are made again.
    pub retry: RetryPolicy,
    /// When calls to a receiver that fails as a whole are stopped; `None`: never.
    pub breaker: Option<BreakerConfig>,
    /// When a difference is believed.
    pub confirm: Confirm,
    /// How long the copy is looked at after a 2xx; `None`: a 2xx ends the delivery.
    pub verify: Option<Duration>,
    /// How often the whole table is gone through; `None`: never.
    pub sweep: Option<Duration>,
    /// When all rows are compared as fast as that goes; `None`: never.
    pub audit: Option<AuditConfig>,
    /// Whether rows that only the copy has are called back (type 3).
    pub delete: bool,
    /// `"callbacks"`: `false`: findings are kept, nothing is sent to this receiver.
    pub callbacks: bool,
    /// How long its ended deliveries and their attempts are kept.
    pub keep: Duration,
}

impl DestinationConfig {
    /// Whether there is nothing to compare: every version of a row that a scan reads is told.
    pub fn is_event(&self) -> bool {
        self.copy.is_none()
    }
}

/// A table that must agree with the source.
#[derive(Clone, Debug)]
pub struct CopyConfig {
    /// Database to look at.
    pub dsn: Dsn,
    /// Table as written.
    pub table: String,
    /// Column that holds the source's `byColumn` value.
    pub by_column: String,
    /// The columns that must agree, in the order of the file.
    pub columns: Vec<ColumnConfig>,
}

/// When a copy is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// When.
    pub schedule: Schedule,
    /// Zone of its times; `None`: that of the machine.
    pub zone: Option<chrono_tz::Tz>,
}

/// When a difference is believed (DESIGN section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The least time for which the source row must have stood still; zero: differences are believed at once.
    pub floor: Duration,
    /// The most that is learned from copies that follow late.
    pub lag: Duration,
    /// A copy that showed no version seen in this time, while its source moved, is stuck.
    pub hot: Duration,
}

/// A database to connect to, whatever notation it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dsn {
    /// Which engine.
    pub engine: Engine,
    /// Host name or address; ignored with a socket and by SQLite.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Unix socket instead of TCP (PostgreSQL: its folder).
    pub socket: Option<PathBuf>,
    /// User name; empty if none is given.
    pub user: String,
    /// Password.
    pub password: Option<Secret<String>>,
    /// Database name; for SQLite the file.
    pub database: String,
    /// How TLS is used.
    pub tls: Tls,
    /// Certificate authority file for verifying the server.
    pub ca: Option<PathBuf>,
    /// Time to wait for a connection.
    pub connect_timeout: Duration,
}

impl Dsn {
    /// `engine host:port/database`, without user or password: what logs and messages show.
    pub fn place(&self) -> String {
        match (self.engine, &self.socket) {
            (Engine::Sqlite, _) => format!("sqlite {}", self.database),
            (engine, Some(socket)) => format!("{engine} {}/{}", socket.display(), self.database),
            (engine, None) => format!("{engine} {}:{}/{}", self.host, self.port, self.database),
        }
    }
}

/// Database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        })
    }
}

/// How TLS is used on a database connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Never.
    Off,
    /// If the server offers it (no certificate check).
    Preferred,
    /// Always, without checking the certificate (`tls=skip-verify`, `sslmode=require`).
    Required,
    /// Always, with the certificate's authority checked (`sslmode=verify-ca`).
    VerifyCa,
    /// Always, with authority and name checked (`tls=true`, `sslmode=verify-full`).
    VerifyFull,
}
