//! Tells people. What they get is few and says what to do next; never row data.
//!
//! ```text
//! engine ── Alerts (put together by cause) ──► Desk of each channel (what, when) ── notices ──► Writer ──► Channel
//! ```
//!
//! What is sent when is decided by [`Desk`], which does nothing else; the engine's notifier does what it says.

mod alert;
mod bucket;
mod desk;
mod dingtalk;
mod discord;
mod feishu;
mod heartbeat;
mod http;
mod inbox;
mod mail;
mod message;
mod notice;
mod open;
mod pagerduty;
mod pushbear;
mod pushplus;
mod serverchan;
mod sign;
mod slack;
mod teams;
mod telegram;
mod text;
mod webhook;
mod wecom;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::model::ErrorClass;

pub use alert::{Alert, What};
pub use bucket::Bucket;
pub use desk::{Desk, Limits};
pub use heartbeat::Heartbeat;
pub use inbox::{Alerts, Signal};
pub use message::{Message, Writer};
pub use notice::{Cause, Facts, Notice, Waiting};
pub use open::{open, place};

/// Class of what waits for a destination that is not in the configuration.
pub const NO_DESTINATION: &str = "no such destination";

/// One deadline over a whole message, from connect to acceptance.
const DEADLINE: Duration = Duration::from_secs(20);

/// Why people could not be told. Never holds a secret.
#[derive(Clone, Debug, Error)]
#[error("{text}")]
pub struct SendError {
    /// One line for people.
    pub text: String,
    /// How long the channel should be left alone, if the service says so.
    pub after: Option<Duration>,
    /// What it is, for counting.
    pub class: ErrorClass,
    /// The same message would be refused again until somebody changes something; another one may pass.
    pub lasting: bool,
}

/// A way to tell people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// How often it may be used.
    fn limits(&self) -> Limits;

    /// Tells them within [`DEADLINE`]; returns what was answered, for people.
    async fn send(&self, message: &Message) -> Result<String, SendError>;
}
