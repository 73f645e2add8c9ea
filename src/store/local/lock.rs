//! One daemon per state: an advisory lock (`flock`) on a file beside the database, with the pid inside.
//!
//! SQLite's own exclusive mode is not used: the command line reads the state while a daemon runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::{StoreError, StoreErrorKind};

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

impl Lock {
    /// Takes the lock of `database`, or says who holds it.
    pub fn acquire(database: &Path) -> Result<Self, StoreError> {
        let path = path_of(database);
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who = read_pid(&mut file)
                    .map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                return Err(StoreError::new(
                    StoreErrorKind::Locked,
                    format!(
                        "{who} already runs on this state ({}); stop it first (`cupid stop -c FILE`), or give this \
                         configuration another `name` or `state`",
                        database.display()
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(unwritable(&path, e)),
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
    let mut file = OpenOptions::new().read(true).write(true).open(path_of(database)).ok()?;
    match file.try_lock() {
        Ok(()) => None,
        Err(_) => Some(Holder { pid: read_pid(&mut file) }),
    }
}
