//! From a difference to an entry of a plan.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::entry::{Entry, Fields};
use super::file::FileError;
use super::header::{Header, Place};
use super::undo::{create, settle_folder};
use super::{decide, text};
use crate::config::{ColumnPolicy, Engine};
use crate::diff::ColumnRule;
use crate::model::{Column, DeliveryKind, Row, Value};
use crate::sql::catalog::Table;
use crate::sql::write::{Act, Facts, held};
use crate::sql::{Database, PlaceError};

/// A difference with the rows of both sides, each with the key's columns first, then the compared ones.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What is wrong.
    pub kind: DeliveryKind,
    /// The key, as people are shown it.
    pub key: &'a [(Box<str>, Option<String>)],
    /// The source's row.
    pub source: Option<&'a Row>,
    /// The copy's.
    pub copy: Option<&'a Row>,
}

/// Why a difference is not in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left(pub String);

/// Writes a plan.
pub struct Planner {
    path: PathBuf,
    file: BufWriter<std::fs::File>,
    table: Table,
    facts: Facts,
    key: Vec<Pair>,
    compared: Vec<Pair>,
    filtered: bool,
    entries: u64,
    left: u64,
}

/// A column of the source and the one of the copy.
struct Pair {
    to: usize,
    rule: ColumnRule,
}

/// The tables of a plan.
pub(crate) struct Layout<'a> {
    pub(crate) source: Place,
    pub(crate) copy: &'a Table,
    /// Columns of the source with the places of those of the copy.
    pub(crate) key: Vec<(&'a Column, usize)>,
    pub(crate) compared: Vec<(&'a Column, usize)>,
    /// Only rows that meet a condition were looked at.
    pub(crate) filtered: bool,
}

impl Planner {
    /// Begins a plan in a new file.
    ///
    /// # Errors
    /// The copy cannot be asked what it lets be written.
    pub(crate) async fn create(
        path: &Path,
        database: &Database,
        layout: &Layout<'_>,
        made: String,
    ) -> Result<Result<Self, FileError>, PlaceError> {
        let table = layout.copy.clone();
        let facts = Facts::read(database, &table).await?;
        Ok(Self::begin(path, database.place(), layout, table, facts, made))
    }

    fn begin(
        path: &Path,
        place: &str,
        layout: &Layout<'_>,
        table: Table,
        facts: Facts,
        made: String,
    ) -> Result<Self, FileError> {
        let failed = |message: String| FileError::new(path, None, message);
        if let Some(why) = &facts.unfit {
            return Err(failed(format!("no plan can be made: {why}")));
        }
        let pairs = |list: &[(&Column, usize)]| -> Result<Vec<Pair>, FileError> {
            list.iter()
                .map(|(from, to)| {
                    let rule = ColumnRule::new((0, from), (0, &table.columns[*to]), &ColumnPolicy::default());
                    let rule = rule.map_err(|why| failed(why.join("; ")))?;
                    Ok(Pair { to: *to, rule })
                })
                .collect()
        };
        let (key, compared) = (pairs(&layout.key)?, pairs(&layout.compared)?);
        for (at, pair) in compared.iter().enumerate() {
            if compared[..at].iter().any(|other| other.to == pair.to) {
                let name = &table.columns[pair.to].name;
                return Err(failed(format!("no plan can be made: {name} is compared with several columns")));
            }
        }
        let columns: Vec<usize> = key.iter().map(|pair| pair.to).collect();
        let mut header = Header::new(made, (place, &table), &columns);
        header.source = Some(layout.source.clone());
        header.compared = compared.iter().map(|pair| table.columns[pair.to].name.to_string()).collect();
        let file = BufWriter::new(create(path)?);
        let path = path.to_owned();
        let mut planner =
            Self { path, file, table, facts, key, compared, filtered: layout.filtered, entries: 0, left: 0 };
        planner.write(&text::head(&header, planner.table.engine))?;
        Ok(planner)
    }

    /// Adds a difference, or tells why it cannot be planned.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, seen: &Seen<'_>) -> Result<Option<Left>, FileError> {
        let entry = self.entry(seen);
        let lines = entry.and_then(|entry| {
            let lines = text::entry(&self.table, &self.facts, &entry, false);
            lines.ok_or_else(|| "the row is too large".to_owned())
        });
        match lines {
            Ok(lines) => {
                self.entries += 1;
                self.write(&lines.join("\n"))?;
                self.write("\n\n")?;
                Ok(None)
            }
            Err(why) => {
                self.left += 1;
                let key = seen
                    .key
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")));
                let key = key.collect::<Vec<_>>().join(" ");
                let words = format!("not planned: {key}: {why}");
                let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                self.write(&format!("-- {words}\n\n"))?;
                Ok(Some(Left(why)))
            }
        }
    }

    /// Ends the plan; how many rows are in it, and how many differences are not.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<(u64, u64), FileError> {
        let end = serde_json::json!({ "entries": self.entries, "not_planned": self.left });
        self.write(&format!("{}{end}\n", text::END))?;
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|e| FileError::new(&self.path, None, format!("it cannot be written: {e}")))?;
        settle_folder(&self.path);
        Ok((self.entries, self.left))
    }

    fn write(&mut self, text: &str) -> Result<(), FileError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| FileError::new(&self.path, None, format!("it cannot be written: {e}")))
    }

    fn entry(&self, seen: &Seen<'_>) -> Result<Entry, String> {
        let entry = match (seen.kind, seen.source, seen.copy) {
            (DeliveryKind::Missing, Some(source), None) => self.missing(source)?,
            (DeliveryKind::Differs, Some(source), Some(copy)) => self.differs(source, copy)?,
            (DeliveryKind::Extra, ..) if self.filtered => {
                return Err("only rows that meet --where were looked at, and the source may have this one as it is there \
                            not to meet it"
                    .to_owned());
            }
            (DeliveryKind::Extra, None, Some(copy)) => Entry {
                act: Act::Delete,
                key: self.of_copy(copy).0,
                old: self.of_copy(copy).1,
                new: Fields::new(),
                follows: Fields::new(),
            },
            (DeliveryKind::Ambiguous, ..) => return Err("several rows carry this key".to_owned()),
            _ => return Err("the rows are not known".to_owned()),
        };
        // Triggers are for those to decide who carry it out.
        decide::barred(&self.table, &self.facts, &entry, true).map_or(Ok(entry), Err)
    }

    fn missing(&self, source: &Row) -> Result<Entry, String> {
        let mut entry = Entry {
            act: Act::Insert,
            key: Fields::new(),
            old: Fields::new(),
            new: Fields::new(),
            follows: Fields::new(),
        };
        for (pair, value) in self.key.iter().zip(source) {
            entry.key.push((pair.to, self.held(pair, value)?));
        }
        for (pair, value) in self.compared.iter().zip(&source[self.key.len()..]) {
            if self.key.iter().any(|key| key.to == pair.to) {
                continue;
            }
            let fields = if self.facts.generated[pair.to] { &mut entry.follows } else { &mut entry.new };
            fields.push((pair.to, self.held(pair, value)?));
        }
        let given = |at: &usize| entry.key.iter().chain(&entry.new).any(|(column, _)| column == at);
        let wanting = (0..self.table.columns.len()).find(|at| !given(at) && !self.facts.optional[*at]);
        if let Some(at) = wanting {
            return Err(format!(
                "{} of the copy has no default, may not be NULL and is not compared, so nobody knows what to put there",
                self.table.columns[at].name
            ));
        }
        Ok(entry)
    }

    fn differs(&self, source: &Row, copy: &Row) -> Result<Entry, String> {
        let (key, old) = self.of_copy(copy);
        let mut entry = Entry { act: Act::Update, key, old, new: Fields::new(), follows: Fields::new() };
        let values = self.compared.iter().zip(source[self.key.len()..].iter().zip(&copy[self.key.len()..]));
        for (pair, (from, to)) in values {
            if agrees(pair, from, to) {
                continue;
            }
            if self.key.iter().any(|key| key.to == pair.to) {
                return Err(format!(
                    "{} is a part of the key, which is not changed",
                    self.table.columns[pair.to].name
                ));
            }
            let value = self.held(pair, from)?;
            if self.facts.generated[pair.to] { &mut entry.follows } else { &mut entry.new }
                .push((pair.to, value));
        }
        if let ([], [(at, _), ..]) = (&entry.new[..], &entry.follows[..]) {
            return Err(format!(
                "only {} differs, which the server computes from columns that agree",
                self.table.columns[*at].name
            ));
        }
        Ok(entry)
    }

    /// The key of a row of the copy, and what is compared of it.
    fn of_copy(&self, row: &Row) -> (Fields, Fields) {
        let fields = |pairs: &[Pair], values: &[Value]| -> Fields {
            pairs.iter().zip(values).map(|(pair, value)| (pair.to, value.clone())).collect()
        };
        (fields(&self.key, row), fields(&self.compared, &row[self.key.len()..]))
    }

    /// A value of the source as the copy holds it.
    fn held(&self, pair: &Pair, value: &Value) -> Result<Value, String> {
        let column = &self.table.columns[pair.to];
        let held = held(self.table.engine, column, value).filter(|held| agrees(pair, value, held));
        held.ok_or_else(|| {
            let nul = matches!(value, Value::Text(text) if text.contains('\0'));
            let what =
                if nul && self.table.engine == Engine::Postgres { "a text with a NUL" } else { "this value" };
            format!("{} cannot hold {what} exactly ({})", column.name, column.declared)
        })
    }
}

fn agrees(pair: &Pair, source: &Value, copy: &Value) -> bool {
    pair.rule.agrees(std::slice::from_ref(source), std::slice::from_ref(copy))
}
