//! The configuration: the file as written becomes a checked [`Config`], or a report of every problem in it.
//!
//! Only [`Config`] and its parts are passed on; nobody above this module sees JSON.

mod runtime;
mod task;

pub use runtime::{
    Config, LogConfig, LogFormat, LogLevel, NotifyConfig, SmtpConfig, SmtpSecurity, StateConfig,
};
pub use task::{
    BodyForm, CallbackConfig, DestinationConfig, Dsn, Engine, RetryPolicy, SourceConfig, Start, TaskConfig,
    Then, TimeLayout, Tls, UpdateConfig, ValueForm,
};
