//! The real daemon: a process of its own, told to stop when the demo ends in whatever way.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::file;
use crate::admin;

/// How often is looked whether it has come or gone.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest path of a Unix socket, in bytes, that every system takes.
const LONGEST_SOCKET: usize = 103;
/// Variables by which a service manager would lead it elsewhere.
const FOREIGN: [&str; 3] = ["STATE_DIRECTORY", "LOGS_DIRECTORY", "NOTIFY_SOCKET"];

/// What it says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Differences found, whatever became of them.
    pub(super) found: u64,
    /// Callbacks answered, well or badly.
    pub(super) calls: u64,
    /// Of these, badly.
    pub(super) failed: u64,
    /// Differences after which the copy was seen to agree.
    pub(super) healed: u64,
    /// Deliveries that are not finished.
    pub(super) open: u64,
}

impl Said {
    fn read(answer: &Value) -> Self {
        let number = |name: &str| answer["status"][name].as_u64().unwrap_or(0);
        let waiting = answer["waiting"].as_array().into_iter().flatten();
        let open = waiting.filter_map(|w| w["count"].as_u64()).sum();
        let (healed, failed) = (number("healed"), number("failed"));
        Self { found: healed + open, calls: number("accepted") + failed, failed, healed, open }
    }
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    socket: PathBuf,
    errors: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts this very program on the configuration and waits until it answers.
    ///
    /// Has to be called on the main thread: the kernel watches the thread that starts a process.
    pub(super) async fn start(config: &Path, database: &Path) -> Result<Self> {
        let socket = admin::path_beside(database);
        if socket.as_os_str().len() > LONGEST_SOCKET {
            bail!("{} is too long for a socket's path; set TMPDIR to a shorter folder", socket.display());
        }
        let errors = config.with_file_name("errors.txt");
        let mut command = Command::new(std::env::current_exe()?);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.arg("-c").arg(config).args(["-s", "1", "--parent", &std::process::id().to_string()]);
        // A group of its own: Ctrl-C is for the demo, which lets the daemon finish its work.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&errors)?);
        let child = command.spawn().context("cupid cannot be started")?;
        let mut daemon = Self { child, socket, errors, ended: None };
        let began = Instant::now();
        while daemon.said().await.is_none() {
            daemon.must_run()?;
            if began.elapsed() > PATIENCE {
                bail!("cupid does not answer on {}; see {}", daemon.socket.display(), daemon.log().display());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(daemon)
    }

    /// What it counts, from its control socket; `None` if it does not answer.
    pub(super) async fn said(&self) -> Option<Said> {
        let answer = admin::ask(&self.socket, &json!({ "verb": "status" })).await.ok()?;
        answer["status"].is_object().then(|| Said::read(&answer))
    }

    /// # Errors
    /// If it has ended.
    pub(super) fn must_run(&mut self) -> Result<()> {
        let Some(status) = self.gone()? else { return Ok(()) };
        let said = std::fs::read_to_string(&self.errors).unwrap_or_default();
        bail!("cupid has ended by itself ({status}); see {}\n{}", self.log().display(), said.trim())
    }

    fn log(&self) -> PathBuf {
        self.errors.with_file_name(file::LOG)
    }

    fn gone(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Tells it to stop, waits, and says whether it ended well.
    pub(super) async fn stop(mut self) -> Result<bool> {
        if let (None, Some(pid)) = (self.gone()?, i32::try_from(self.child.id()).ok().and_then(Pid::from_raw))
        {
            kill_process(pid, Signal::TERM)?;
        }
        let began = Instant::now();
        loop {
            if let Some(status) = self.gone()? {
                let _ = std::fs::remove_file(&self.errors);
                return Ok(status.success());
            }
            if began.elapsed() > PATIENCE {
                bail!("cupid was told to stop and still ran after {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.gone(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Makes this process stop when the process `parent`, which started it, ends. `false`: it is gone already.
pub(in crate::cli) fn end_with(parent: i32) -> bool {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_is_what_healed_and_what_waits() {
        let answer = json!({
            "status": { "accepted": 7, "failed": 2, "healed": 5 },
            "waiting": [{ "state": "verify", "count": 2 }, { "state": "retry", "count": 1 }],
        });
        assert_eq!(Said::read(&answer), Said { found: 8, calls: 9, failed: 2, healed: 5, open: 3 });
    }
}
