//! A plan or undo file: read entry by entry, so that it may be larger than memory, and checked as a whole before anything
//! is done.

use std::fs;
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::entry::Entry;
use super::header::{Header, VERSION};
use super::text::{self, END, ENTRY, HEAD};
use crate::sql::catalog::Table;
use crate::sql::write::{Act, Facts};

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct FileError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl FileError {
    pub(super) fn new(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// An opened file.
pub struct File {
    path: PathBuf,
    reader: BufReader<fs::File>,
    /// What it says of itself.
    pub header: Header,
    /// Line and byte at which the entries begin.
    begin: (usize, u64),
}

/// Where the entries of a file are.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Byte of each, and what it does.
    pub(super) entries: Vec<(u64, Act)>,
    /// Byte behind the last whole one.
    pub(super) end: u64,
    /// Whether something behind it was cut off.
    pub(super) torn: bool,
    /// How many were written, if that is known.
    pub(super) written: Option<u64>,
}

impl File {
    /// Opens a file and reads what it says of itself.
    ///
    /// # Errors
    /// It cannot be read or is none of cupid's.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |line, message: String| FileError::new(path, line, message);
        let file = fs::File::open(path).map_err(|e| failed(None, format!("it cannot be read: {e}")))?;
        let mut reader = BufReader::new(file);
        let (mut number, mut at) = (0, 0);
        loop {
            let mut line = Vec::new();
            let read = reader.read_until(b'\n', &mut line).map_err(|e| failed(None, e.to_string()))?;
            number += 1;
            at += read as u64;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if let Some(json) = line.strip_prefix(HEAD) {
                let version = serde_json::from_str::<serde_json::Value>(json).ok();
                let version = version.and_then(|json| json["version"].as_u64());
                if version.is_some_and(|version| version != u64::from(VERSION)) {
                    return Err(failed(
                        Some(number),
                        "it was written by another version of cupid; use that one".to_owned(),
                    ));
                }
                let header = serde_json::from_str(json).map_err(|e| {
                    failed(Some(number), format!("the line was changed and says nothing now: {e}"))
                })?;
                return Ok(Self { path: path.to_owned(), reader, header, begin: (number, at) });
            }
            if read == 0 || !(line.is_empty() || line.starts_with("--")) {
                let message = "this is no plan of cupid diff --plan and no undo file of cupid repair";
                return Err(failed(None, message.to_owned()));
            }
        }
    }

    /// Whether it takes a repair back.
    pub fn is_undo(&self) -> bool {
        self.header.undoes.is_some()
    }

    /// Reads everything and checks that each entry is as it was written.
    pub(super) fn index(&mut self, table: &Table, facts: &Facts) -> Result<Index, FileError> {
        let undo = self.is_undo();
        let mut lines = Lines::new(&self.path, &mut self.reader, self.begin)?;
        let mut index = Index { end: lines.at, ..Index::default() };
        while let Some(line) = lines.next()? {
            let begin = lines.began;
            if let Some(json) = line.text.strip_prefix(ENTRY) {
                if !line.whole {
                    index.torn = true;
                    break;
                }
                let number = lines.number;
                let entry = Entry::decode(table, json).map_err(|e| lines.wrong(number, &e))?;
                let wanted = text::entry(table, facts, &entry, undo).unwrap_or_default();
                let mut torn = false;
                for wanted in wanted.iter().skip(1) {
                    match lines.next()? {
                        Some(line) if line.whole && line.text == *wanted => {}
                        Some(line) if line.whole || !undo => return Err(lines.edited(number)),
                        None if !undo => return Err(lines.edited(number)),
                        _ => torn = true,
                    }
                }
                if torn {
                    index.torn = true;
                    break;
                }
                index.entries.push((begin, entry.act));
            } else if let Some(json) = line.text.strip_prefix(END) {
                let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
                index.written = json["entries"].as_u64();
            } else if !(line.text.is_empty() || line.text.starts_with("--")) {
                if undo && !line.whole {
                    index.torn = true;
                    break;
                }
                let message = "a statement that cupid did not write; it carries out `-- cupid:` lines only";
                return Err(lines.wrong(lines.number, message));
            }
            if line.whole {
                index.end = lines.at;
            }
        }
        if !undo && index.written.is_none() {
            let message = "the end is missing: the plan was not written to its end; run cupid diff again";
            return Err(FileError::new(&self.path, None, message));
        }
        Ok(index)
    }

    /// The entry that begins at a byte.
    pub(super) fn entry(&mut self, table: &Table, at: u64) -> Result<Entry, FileError> {
        let mut lines = Lines::new(&self.path, &mut self.reader, (0, at))?;
        let line = lines.next()?.map(|line| line.text).unwrap_or_default();
        let json = line.strip_prefix(ENTRY);
        let entry = json.ok_or_else(|| "it was changed while it was carried out".to_owned());
        entry.and_then(|json| Entry::decode(table, json)).map_err(|e| FileError::new(&self.path, None, e))
    }
}

/// Lines with their places.
struct Lines<'a> {
    path: &'a Path,
    reader: &'a mut BufReader<fs::File>,
    number: usize,
    /// Byte at which the last line began, and the one behind it.
    began: u64,
    at: u64,
}

struct Line {
    text: String,
    /// Whether its end was there.
    whole: bool,
}

impl<'a> Lines<'a> {
    fn new(
        path: &'a Path,
        reader: &'a mut BufReader<fs::File>,
        (number, at): (usize, u64),
    ) -> Result<Self, FileError> {
        let sought = reader.seek(SeekFrom::Start(at));
        sought.map_err(|e: io::Error| FileError::new(path, None, e.to_string()))?;
        Ok(Self { path, reader, number, began: at, at })
    }

    fn next(&mut self) -> Result<Option<Line>, FileError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        let read = read.map_err(|e| FileError::new(self.path, Some(self.number + 1), e.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        (self.began, self.at) = (self.at, self.at + read as u64);
        let whole = bytes.ends_with(b"\n");
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) if !whole => String::new(),
            Err(_) => return Err(self.wrong(self.number, "this is not UTF-8; the file was changed")),
        };
        Ok(Some(Line { text: text.trim_end_matches(['\r', '\n']).to_owned(), whole }))
    }

    fn wrong(&self, line: usize, message: &str) -> FileError {
        FileError::new(self.path, Some(line), message)
    }

    fn edited(&self, line: usize) -> FileError {
        let message = "the statement beneath is not what this line says: one of them was changed. Delete all lines of the row to \
                       leave it out; to run changed statements use the database's own client";
        self.wrong(line, message)
    }
}
