//! Says elsewhere that all is well, so that somebody notices when nothing is said any more.

use reqwest::{Client, Url};

use super::SendError;
use super::http::{client, get};
use crate::base::secret::Secret;

/// Calls the URL of `heartbeat`.
#[derive(Clone)]
pub struct Heartbeat {
    client: Client,
    url: Secret<Url>,
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heartbeat")
    }
}

impl Heartbeat {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// If the TLS set-up of this machine cannot be read.
    pub fn new(url: Secret<Url>) -> Result<Self, SendError> {
        Ok(Self { client: client()?, url })
    }

    /// One beat.
    ///
    /// # Errors
    /// If nobody answered, or not with 2xx.
    pub async fn beat(&self) -> Result<(), SendError> {
        get(&self.client, self.url.expose()).await.map(drop)
    }
}
