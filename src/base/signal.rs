//! Signals as values; the only file that knows them.

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook_tokio::Signals;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// TERM, INT or QUIT: finish what is open, keep the rest, end. The second one means at once.
    Stop,
    /// HUP: look at the configuration file again.
    Reload,
}

/// Signals of this process from now on.
pub struct Requests(Signals);

impl Requests {
    /// Starts to listen; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self(Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP])?))
    }

    /// The next request. Cancel safe.
    pub async fn next(&mut self) -> Request {
        match self.0.next().await {
            Some(SIGHUP) => Request::Reload,
            // The stream only ends with its handle, which lives as long as it does.
            Some(_) | None => Request::Stop,
        }
    }
}
