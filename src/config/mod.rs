//! The configuration: the file as written becomes a checked [`Config`], or a report of every problem in it.
//!
//! Only [`Config`] and its parts are passed on; nobody above this module sees JSON.
//!
//! ```text
//! load ─► read (typed values, by the table in keys) ─► check (file → Config) ─► Loaded ─► explain
//!              └──────────────── problem, mask ──────────────────────────────► Report
//! ```

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
mod problem;
mod read;
mod reference;
mod rule;
mod runtime;
mod schema;
mod secrets;
mod section;
mod task;
mod template;
mod zone;

pub use column::{ColumnConfig, ColumnPolicy, Tolerance, Trim};
pub(crate) use duration::{parse as parse_duration, show as show_duration};
pub(crate) use env::UNSET;
pub use explain::explain;
pub use load::{Loaded, load, load_names, parse};
pub use notify::{ChannelConfig, ChannelKind, NotifyConfig, Robot, SmtpConfig, SmtpSecurity, WebhookConfig};
pub use problem::{Problem, Report, Severity};
pub use reference::{Lang, reference};
pub use rule::Rule;
pub use runtime::{Config, LogConfig, LogFormat, LogLevel, StateConfig};
pub use schema::schema;
pub use task::{
    BodyForm, CallbackConfig, Confirm, DestinationConfig, Dsn, Engine, RetryPolicy, SourceConfig, Start,
    TaskConfig, Then, TimeLayout, Tls, UpdateConfig, ValueForm,
};
pub use template::Template;

#[cfg(test)]
mod tests;
