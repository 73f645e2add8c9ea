//! One daemon per state: an advisory lock (`flock`) on a file beside the database, with the pid inside.
//!
//! SQLite's own exclusive mode is not used: the command line reads the state while a daemon runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::{StoreError, StoreErrorKind};

/// How long somebody else may have the lock before that is taken for a daemon.
const PATIENCE: Duration = Duration::from_millis(500);

/// The held lock; given back when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Who holds a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id, as written by the holder; `None` if it could not be read.
    pub pid: Option<i32>,
}

fn path_of(database: &Path) -> PathBuf {
    database.with_extension("lock")
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| unwritable(path, e))
}

fn unwritable(path: &Path, error: std::io::Error) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Unwritable,
        message: format!(
            "the state folder cannot be used: {}: {error}; give the user that runs cupid the right to write there, \
             or set `state` to a folder it may write",
            path.display()
        ),
        source: Some(Box::new(error)),
    }
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn held(file: &mut File, database: &Path) -> StoreError {
    let who = read_pid(file).map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    StoreError::new(
        StoreErrorKind::Locked,
        format!(
            "{who} already runs on this state ({}); stop it first, or give this configuration another `name` or `state`",
            database.display()
        ),
    )
}

impl Lock {
    /// Takes the lock of `database`, or says who holds it.
    pub async fn acquire(database: &Path) -> Result<Self, StoreError> {
        let path = path_of(database);
        let mut file = open(&path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Whoever asks for the holder takes the lock for an instant.
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(TryLockError::WouldBlock) => return Err(held(&mut file, database)),
                Err(TryLockError::Error(e)) => return Err(unwritable(&path, e)),
            }
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|e| unwritable(&path, e))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The pid of a process that is gone must not be taken for a holder's.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who holds the state of `database`; `None`: nobody. Does not create anything.
pub fn holder(database: &Path) -> Option<Holder> {
    let mut file = match File::open(path_of(database)) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        // It is there and cannot be asked: better take it for held than write beside a daemon.
        Err(_) => return Some(Holder { pid: None }),
    };
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(_) => Some(Holder { pid: read_pid(&mut file) }),
    }
}
