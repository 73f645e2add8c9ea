//! The configuration: the file as written becomes a checked [`Config`], or a report of every problem in it.
//!
//! Only [`Config`] and its parts are passed on; nobody above this module sees JSON.
//!
//! ```text
//! load ─► read (typed values, by the table in keys) ─► check (file → Config) ─► Loaded ─► explain
//!              └──────────────── problem, mask ──────────────────────────────► Report
//! ```

mod answer;
mod check;
mod column;
mod dsn;
mod duration;
mod env;
mod explain;
mod keys;
mod layout;
mod lexer;
mod load;
mod mask;
pub(crate) mod nearest;
mod notify;
mod numbers;
mod problem;
mod read;
mod receiver;
mod reference;
mod retry;
mod rule;
mod runtime;
mod schedule;
mod schema;
mod secrets;
mod section;
mod task;
mod template;
mod zone;

pub use answer::AnswerRule;
pub use column::{ColumnConfig, ColumnPolicy, Tolerance, Trim};
pub use dsn::TableUrl;
pub(crate) use duration::parse as parse_duration;
pub(crate) use env::UNSET;
pub use explain::explain;
pub use load::{Loaded, load, load_names, parse};
pub use notify::{ChannelConfig, ChannelKind, NotifyConfig, Robot, SmtpConfig, SmtpSecurity, WebhookConfig};
pub use problem::{Problem, Report, Severity};
pub use receiver::{Auth, BodyForm, BreakerConfig, CallbackConfig, CallbackTls, ValueForm};
pub use reference::{Lang, reference};
pub use retry::{LONGEST_ASKED, RetryPolicy, Then};
pub use rule::Rule;
pub use runtime::{Config, LogConfig, LogFormat, LogLevel, StateConfig};
pub use schedule::Schedule;
pub use schema::schema;
pub use task::{
    AuditConfig, Confirm, CopyConfig, DestinationConfig, Dsn, Engine, SourceConfig, Start, TaskConfig,
    TimeLayout, Tls, UpdateConfig,
};
pub use template::Template;

#[cfg(test)]
mod tests;
