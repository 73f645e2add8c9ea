//! The file that takes a repair back. What it says is durable before the rows that it is about are.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::file::{File, FileError};
use super::header::Header;
use super::text;
use crate::sql::catalog::Table;
use crate::sql::write::Facts;

/// An undo file that is being written.
pub(super) struct Undo {
    path: PathBuf,
    file: BufWriter<fs::File>,
}

/// A file that did not exist, which only its owner may read: it holds rows.
pub(super) fn create(path: &Path) -> Result<fs::File, FileError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|e| {
        let message = if e.kind() == std::io::ErrorKind::AlreadyExists {
            "it exists already, and may still be needed; name another file, or remove it".to_owned()
        } else {
            format!("it cannot be made: {e}")
        };
        FileError::new(path, None, message)
    })
}

/// A file that nobody else writes, as long as it is open.
fn alone(path: &Path, file: fs::File) -> Result<fs::File, FileError> {
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(FileError::new(path, None, "another repair is writing it; wait for its end")),
    }
}

/// Makes the name of a file durable.
pub(super) fn settle_folder(path: &Path) {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // Not every file system lets a folder be opened; those keep names otherwise.
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

impl Undo {
    /// Opens the file that takes back `plan`: a new one, or, when a repair goes on, the one that it has begun.
    pub(super) fn open(
        path: &Path,
        plan: &Header,
        made: String,
        table: &Table,
        facts: &Facts,
    ) -> Result<Self, FileError> {
        if path.exists() {
            return Self::go_on(path, plan, table, facts);
        }
        let file = BufWriter::new(alone(path, create(path)?)?);
        let mut undo = Self { path: path.to_owned(), file };
        undo.write_all(&text::head(&plan.undo(made), table.engine))?;
        undo.sync()?;
        settle_folder(path);
        Ok(undo)
    }

    fn go_on(path: &Path, plan: &Header, table: &Table, facts: &Facts) -> Result<Self, FileError> {
        let failed = |e: std::io::Error| FileError::new(path, None, format!("it cannot be written: {e}"));
        let mut file = alone(path, OpenOptions::new().write(true).open(path).map_err(failed)?)?;
        let mut known = File::open(path)?;
        if known.header.undoes.as_deref() != Some(&*plan.id) {
            let message = "it exists already and takes back another repair; name another file with --undo";
            return Err(FileError::new(path, None, message));
        }
        let index = known.index(table, facts)?;
        // What was cut off is about rows that were never made durable.
        file.set_len(index.end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Writes the way back of some rows and makes it durable.
    pub(super) fn keep(&mut self, table: &Table, facts: &Facts, entries: &[Entry]) -> Result<(), FileError> {
        for entry in entries {
            let lines = text::entry(table, facts, entry, true);
            let lines = lines.ok_or_else(|| self.failed("a value is too large to be kept"))?;
            for line in lines {
                self.write_all(&line)?;
                self.write_all("\n")?;
            }
            self.write_all("\n")?;
        }
        self.sync()
    }

    fn write_all(&mut self, text: &str) -> Result<(), FileError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| self.failed(&format!("it cannot be written: {e}")))
    }

    fn sync(&mut self) -> Result<(), FileError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|e| self.failed(&format!("it cannot be written: {e}")))
    }

    fn failed(&self, message: &str) -> FileError {
        FileError::new(&self.path, None, message)
    }
}
