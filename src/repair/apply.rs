//! Carries out a plan: in small transactions, each row with a mark of its own, the way back durable before each commit.

mod exchange;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::entry::Entry;
use super::file::{File, FileError};
use super::limits::Caps;
use super::one::{Done, Target};
use super::rows::{Outcome, Report, Told};
use super::undo::Undo;
use crate::config::Dsn;
use crate::sql::catalog::Table;
use crate::sql::write::{Act, Facts, Failed, FailedKind, Session};
use crate::sql::{Database, Limits, PlaceError};

/// Rows of one transaction, the time after which it ends, and bytes of values that it may hold.
const BATCH: usize = 100;
const LONGEST: Duration = Duration::from_millis(500);
const HEAVIEST: usize = 16 << 20;
/// How often a connection is opened and a transaction begun, and how often a row is tried that somebody else has locked or
/// that breaks the connection.
const TRIES: u32 = 5;
const LOCKED: u32 = 3;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Look and count, write nothing.
    pub dry_run: bool,
    /// Delete rows that only the copy has.
    pub delete: bool,
    /// Write although triggers are set off.
    pub triggers: bool,
    /// How much may be written.
    pub caps: Caps,
    /// Where the way back is written.
    pub undo: PathBuf,
    /// The time, for the undo file.
    pub made: String,
}

/// Asks a repair to end after the transaction that it is in.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is told while it goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something that people should know before.
    Note(String),
    /// A row that was not written.
    Row(Told),
    /// So many rows are done, of so many.
    Done(u64, u64),
}

/// Why a repair did not come to its end; what was told, and the undo file, stand.
#[derive(Debug, Error)]
pub enum Failure {
    /// The database.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The plan or the undo file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The plan is not for this table as it is, or is too large; nothing was written.
    #[error("{0}")]
    Unfit(String),
}

/// Carries out `file` at the table `table` of `dsn`.
///
/// # Errors
/// The file or the table cannot be used, or the database fails.
pub async fn apply(
    file: &mut File,
    (dsn, table): (&Dsn, &str),
    options: &Options,
    stop: &Stop,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Report, Failure> {
    let limits = Limits { connections: 2, ..Limits::default() };
    let database = Database::connect(dsn, limits.clone());
    let table = Table::resolve(&database, table).await?;
    file.header.fits(database.place(), &table).map_err(Failure::Unfit)?;
    let facts = Facts::read(&database, &table).await?;
    if let Some(why) = &facts.unfit {
        return Err(Failure::Unfit(why.clone()));
    }
    facts.untold.iter().for_each(|note| tell(Event::Note(note.clone())));
    let key: Option<Vec<usize>> = file.header.key.iter().map(|name| table.find(name)).collect();
    let key = key.ok_or_else(|| Failure::Unfit("the key's columns are not there any more".to_owned()))?;

    let index = file.index(&table, &facts)?;
    if index.torn {
        tell(Event::Note(
            "the end of the file was cut off; what was there was never made durable".to_owned(),
        ));
    }
    if let Some(written) = index.written.filter(|written| *written != index.entries.len() as u64) {
        tell(Event::Note(format!("{} of {written} rows are in the file", index.entries.len())));
    }
    let undoes = file.is_undo();
    let wanted = |act: Act| act != Act::Delete || options.delete || undoes;
    let rows = index.entries.iter().filter(|(_, act)| wanted(*act)).count() as u64;
    if let Some(why) = options.caps.exceeded(&database, &table, rows).await? {
        return Err(Failure::Unfit(why));
    }
    database.close().await;

    let writes = !options.dry_run;
    let undo = if writes && rows > 0 {
        Some(Undo::open(&options.undo, &file.header, options.made.clone(), &table, &facts)?)
    } else {
        None
    };
    let report = Report { undo: undo.is_some().then(|| options.undo.clone()), ..Report::default() };
    let target = Target::new((table, facts), key, undoes, writes, options.triggers);
    let session = Session::open(dsn, &limits, writes).await?;
    let mut work = Work { file, target, session, undo, dsn, limits, stop, tell, report };
    work.report.tally.planned = index.entries.len() as u64;
    let mut list = Vec::with_capacity(index.entries.len());
    for (at, act) in index.entries {
        if wanted(act) { list.push(at) } else { work.leave(at)? }
    }
    if undoes {
        // What was done last is taken back first.
        list.reverse();
    }
    work.all(list).await?;
    Ok(work.report)
}

struct Work<'a> {
    file: &'a mut File,
    target: Target,
    session: Session,
    undo: Option<Undo>,
    dsn: &'a Dsn,
    limits: Limits,
    stop: &'a Stop,
    tell: &'a mut (dyn FnMut(Event) + Send),
    report: Report,
}

/// Rows of one transaction and how they went.
#[derive(Default)]
struct Batch {
    rows: Vec<(u64, Entry, Done)>,
    undo: Vec<Entry>,
}

impl Work<'_> {
    fn leave(&mut self, at: u64) -> Result<(), Failure> {
        let entry = self.file.entry(&self.target.table, at)?;
        self.ended(&entry, Outcome::Left, "only the copy has it; --delete takes it away".to_owned());
        Ok(())
    }

    fn ended(&mut self, entry: &Entry, outcome: Outcome, reason: String) {
        self.report.tally.count(entry.act, outcome);
        if !matches!(outcome, Outcome::Applied | Outcome::Already) {
            let key = entry.key_text(&self.target.table);
            (self.tell)(Event::Row(Told { act: entry.act.as_str(), key, outcome, reason }));
        }
    }

    /// Every row once, and those that stood in each other's way again as long as that helps.
    async fn all(&mut self, list: Vec<u64>) -> Result<(), Failure> {
        let mut later = self.pass(list).await?;
        while !later.is_empty() && !self.report.stopped {
            let (tried, applied) = (later.len(), self.report.tally.applied());
            later = self.pass(later).await?;
            if later.len() == tried && self.report.tally.applied() == applied {
                break;
            }
        }
        if !later.is_empty() && !self.report.stopped {
            self.together(later).await?;
        }
        Ok(())
    }

    /// Returns what may go when others have been written.
    async fn pass(&mut self, list: Vec<u64>) -> Result<Vec<u64>, Failure> {
        let mut queue: VecDeque<u64> = list.into();
        let (mut later, mut size, mut tries) = (Vec::new(), BATCH, 0);
        while !queue.is_empty() {
            if self.stop.is_asked() {
                self.report.stopped = true;
                break;
            }
            match self.batch(&queue, size).await? {
                Ok(batch) => {
                    (size, tries) = ((size * 2).min(BATCH), 0);
                    for (at, entry, done) in batch.rows {
                        queue.pop_front();
                        if done.later {
                            later.push(at);
                        } else {
                            self.ended(&entry, done.outcome, done.reason);
                        }
                    }
                    let tally = self.report.tally;
                    (self.tell)(Event::Done(tally.planned - tally.unseen(), tally.planned));
                }
                Err(failed) if failed.kind == FailedKind::Fatal => return Err(failed.error.into()),
                Err(failed) => {
                    if failed.kind == FailedKind::Lost || self.session.rollback().await.is_err() {
                        self.reopen().await?;
                    }
                    // One by one, so that only the row that is to blame is left.
                    let alone = std::mem::replace(&mut size, 1) == 1;
                    let again = matches!(failed.kind, FailedKind::Passing | FailedKind::Lost);
                    tries += 1;
                    if alone && (!again || tries >= LOCKED) {
                        let at = queue.pop_front().unwrap_or_default();
                        let entry = self.file.entry(&self.target.table, at)?;
                        self.ended(
                            &entry,
                            Outcome::Refused,
                            format!("the database says no: {}", failed.error.message),
                        );
                        tries = 0;
                    } else if again {
                        tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                    }
                }
            }
        }
        Ok(later)
    }

    /// One transaction over the first rows of the queue. `Err` inside: nothing of it was done.
    async fn batch(&mut self, queue: &VecDeque<u64>, size: usize) -> Result<Result<Batch, Failed>, Failure> {
        let (mut batch, began, mut weight) = (Batch::default(), Instant::now(), 0);
        if let Err(failed) = self.begin().await? {
            return Ok(Err(failed));
        }
        for at in queue.iter().take(size) {
            let entry = self.file.entry(&self.target.table, *at)?;
            match self.target.one(&mut self.session, &entry).await {
                Ok(mut done) => {
                    let undo = done.undo.take();
                    weight += entry.weight() + undo.as_ref().map_or(0, Entry::weight);
                    batch.undo.extend(undo);
                    batch.rows.push((*at, entry, done));
                }
                Err(failed) => return Ok(Err(failed)),
            }
            if began.elapsed() > LONGEST || weight > HEAVIEST {
                break;
            }
        }
        Ok(self.commit(&batch.undo).await?.map(|()| batch))
    }

    /// Begins a transaction. Who is not let in by then is kept out by no single row.
    async fn begin(&mut self) -> Result<Result<(), Failed>, Failure> {
        if !self.session.writes() {
            return Ok(Ok(()));
        }
        for _ in 1..TRIES {
            match self.session.begin().await {
                Err(failed) if failed.kind == FailedKind::Passing => {}
                other => return Ok(other),
            }
        }
        match self.session.begin().await {
            Err(failed) if failed.kind == FailedKind::Passing => Err(failed.error.into()),
            other => Ok(other),
        }
    }

    /// Makes a transaction durable, its way back before it.
    async fn commit(&mut self, back: &[Entry]) -> Result<Result<(), Failed>, Failure> {
        if !self.session.writes() {
            return Ok(Ok(()));
        }
        if let Some(undo) = self.undo.as_mut().filter(|_| !back.is_empty()) {
            undo.keep(&self.target.table, &self.target.facts, back)?;
        }
        Ok(self.session.commit().await)
    }

    async fn reopen(&mut self) -> Result<(), Failure> {
        let mut pause = Duration::from_millis(200);
        for _ in 0..TRIES {
            match Session::open(self.dsn, &self.limits, self.session.writes()).await {
                Ok(session) => {
                    self.session = session;
                    return Ok(());
                }
                Err(e) if !e.kind.is_passing() => return Err(e.into()),
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.session = Session::open(self.dsn, &self.limits, self.session.writes()).await?;
        Ok(())
    }
}
