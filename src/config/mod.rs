//! The configuration: the file as written becomes a checked [`Config`], or a report of every problem in it.
//!
//! Only [`Config`] and its parts are passed on; nobody above this module sees JSON.
//!
//! ```text
//! load ─► read (typed values, by the table in keys) ─► check (file → Config) ─► Loaded ─► explain
//!              └──────────────── problem, mask ──────────────────────────────► Report
//! ```

mod check;
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
mod problem;
mod read;
mod runtime;
mod task;
mod zone;

pub use load::{Loaded, load, parse};
pub use problem::{Problem, Report, Severity};
pub use runtime::{
    Config, LogConfig, LogFormat, LogLevel, NotifyConfig, SmtpConfig, SmtpSecurity, StateConfig,
};
pub use task::{
    BodyForm, CallbackConfig, DestinationConfig, Dsn, Engine, RetryPolicy, SourceConfig, Start, TaskConfig,
    Then, TimeLayout, Tls, UpdateConfig, ValueForm,
};

/// The effective configuration as a commented file: a configuration itself (but for secrets, which read `***`), each
/// value with the place it came from.
pub fn explain(loaded: &Loaded) -> String {
    loaded.outline.render()
}

#[cfg(test)]
mod tests;
