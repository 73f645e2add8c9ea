//! `cupid stop`: TERM to whoever holds the state, and wait.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::exit;
use crate::config::Config;
use crate::store::local::holder;

/// How often is looked whether the daemon is gone.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the daemon of this configuration.
pub(super) async fn stop(config: &Config, wait: u64) -> ExitCode {
    let database = config.state.database(&config.name);
    let Some(found) = holder(&database) else {
        println!("no daemon runs on {}", database.display());
        return ExitCode::SUCCESS;
    };
    let Some((number, pid)) = found.pid.and_then(|n| Some((n, Pid::from_raw(n)?))) else {
        eprintln!(
            "error: {} is locked, but the lock file names no process; find it with `fuser {}`",
            database.display(),
            database.with_extension("lock").display()
        );
        return ExitCode::from(exit::STATE);
    };
    if let Err(e) = kill_process(pid, Signal::TERM) {
        eprintln!(
            "error: process {number} cannot be told to stop: {e}; run this as the user that runs the daemon"
        );
        return ExitCode::from(exit::STATE);
    }
    let limit = Instant::now() + Duration::from_secs(wait);
    // A supervisor may have started the next one already.
    while holder(&database).is_some_and(|now| now.pid == found.pid) {
        if Instant::now() >= limit {
            eprintln!("error: process {number} was told to stop and still runs after {wait} s");
            return ExitCode::from(exit::STATE);
        }
        tokio::time::sleep(LOOK).await;
    }
    // The lock is let go shortly before the end.
    while runs(number) && Instant::now() < limit {
        tokio::time::sleep(LOOK).await;
    }
    println!("stopped (process {number})");
    ExitCode::SUCCESS
}

/// Whether a process has not ended yet; one that only its parent has not noticed yet has.
fn runs(number: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
