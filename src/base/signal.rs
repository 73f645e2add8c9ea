//! Signals as values; the only file that knows them.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook_tokio::Signals;

/// The same signal again within this time is its echo: `timeout` and some supervisors signal a process and then its
/// whole group. A person who means it a second time is slower.
const ECHO: Duration = Duration::from_millis(50);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// TERM, INT or QUIT: finish what is open, keep the rest, end. The second one means at once.
    Stop,
    /// HUP: look at the configuration file again.
    Reload,
}

/// Signals of this process from now on.
pub struct Requests {
    signals: Signals,
    last: Option<(i32, Instant)>,
}

impl Requests {
    /// Starts to listen; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { signals: Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP])?, last: None })
    }

    /// The next request. Cancel safe.
    pub async fn next(&mut self) -> Request {
        loop {
            // The stream only ends with its handle, which lives as long as it does.
            let Some(signal) = self.signals.next().await else { return Request::Stop };
            let now = Instant::now();
            if is_echo(self.last, signal, now) {
                continue;
            }
            self.last = Some((signal, now));
            return if signal == SIGHUP { Request::Reload } else { Request::Stop };
        }
    }
}

/// Whether a signal only repeats the last one that counted.
fn is_echo(last: Option<(i32, Instant)>, signal: i32, now: Instant) -> bool {
    last.is_some_and(|(before, at)| before == signal && now.duration_since(at) < ECHO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_the_same_signal_at_once() {
        let then = Instant::now();
        let after = |ms| then + Duration::from_millis(ms);
        assert!(!is_echo(None, SIGTERM, then));
        assert!(is_echo(Some((SIGTERM, then)), SIGTERM, after(5)));
        assert!(!is_echo(Some((SIGTERM, then)), SIGTERM, after(50)));
        assert!(!is_echo(Some((SIGTERM, then)), SIGINT, after(5)));
    }

    #[tokio::test]
    async fn an_echo_is_not_heard() {
        use rustix::process::{Signal, getpid, kill_process};
        let mut requests = Requests::listen().unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        assert_eq!(requests.next().await, Request::Reload);
        kill_process(getpid(), Signal::HUP).unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
        assert_eq!(requests.next().await, Request::Stop);
    }
}
