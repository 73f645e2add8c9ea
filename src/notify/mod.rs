//! Tells people. What they get is few and says what to do next; never row data.

mod alert;
mod mail;
mod pushbear;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::config::NotifyConfig;

pub use alert::{Alert, What};

/// One deadline over a whole message, from connect to acceptance.
const DEADLINE: Duration = Duration::from_secs(20);

/// Why people could not be told.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct NotifyError(String);

/// A way to tell people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// For the log.
    fn name(&self) -> &str;

    /// Tells them; done within [`DEADLINE`].
    async fn tell(&self, alert: &Alert) -> Result<(), NotifyError>;
}

/// The configured channels.
///
/// # Errors
/// If one cannot be set up: an address that is none, TLS roots that cannot be read.
pub fn open(config: &NotifyConfig) -> Result<Vec<Box<dyn Channel>>, NotifyError> {
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    if let Some(smtp) = &config.smtp {
        channels.push(Box::new(mail::Mail::new(smtp)?));
    }
    if let Some((key, url)) = &config.pushbear {
        channels.push(Box::new(pushbear::Pushbear::new(key.clone(), url.clone())?));
    }
    Ok(channels)
}
