//! The way of a whole table.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{StreamExt as _, TryStreamExt as _, unfold};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::join::Candidate;
use super::resolve::Tables;
use super::row::{Difference, Rows, Tally};
use super::second::{self, Batch};
use super::side::{Edge, Side};
use super::size::Size;
use super::strategy::{Choice, Chosen, Strategy};
use crate::model::{Row, Value};
use crate::sql::PlaceError;

/// Candidates that may wait for their second look.
const WAITING: usize = 50_000;

/// How hard it works.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How long reading a stretch should take.
    pub chunk_time: Duration,
    /// Stretches at once.
    pub parallel: usize,
    /// How long a difference must stand before it is believed.
    pub confirm: Duration,
    /// Whether rows are read, or digested by the servers.
    pub strategy: Strategy,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            chunk_time: Duration::from_millis(500),
            parallel: 2,
            confirm: Duration::from_secs(1),
            strategy: Strategy::Auto,
        }
    }
}

impl Pace {
    /// For a destination whose differences are believed after `floor`; a copy without lag is given a second as well.
    pub fn of(floor: Duration) -> Self {
        let least = Self::default();
        Self { confirm: floor.max(least.confirm), ..least }
    }
}

/// What is told while it goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key on which the tables disagree.
    Found(Difference),
    /// Its rows, if they are wanted.
    Rows(Box<Rows>),
    /// Rows read or digested, of both sides together.
    Read(u64),
    /// How the table was compared; told at the end.
    Chosen(Chosen),
    /// So many stretches with a row that is too large to be digested; they were read. Told at the end, if there are any.
    Undigested(u64),
}

/// Compares two tables from end to end.
///
/// # Errors
/// A database cannot be asked, or says no; what was told before that stands.
pub async fn audit(tables: &Tables, pace: &Pace, events: &mpsc::Sender<Event>) -> Result<Tally, PlaceError> {
    let (found, batches) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(WAITING));
    let walk = async {
        let size = || Size::new(pace.chunk_time);
        let choice = Choice::new(pace.strategy, tables.without_digests());
        let run = Run { tables, size: size(), digest_size: size(), choice, found, room, events };
        let mut tally = run.pass(&tables.source, pace.parallel, Pass::Both).await?;
        if !tables.alike {
            let extra = run.pass(&tables.copy_keys, pace.parallel, Pass::Extra).await?;
            tally.rows_copy = extra.rows_copy;
            tally.unread += extra.unread;
        }
        tally.null_key = tables.source.keyless().await? + tables.copy.keyless().await?;
        let _ = events.send(Event::Chosen(run.choice.end())).await;
        drop(run);
        Ok(tally)
    };
    let settle = second::settle(tables, pace.confirm, batches, events);
    let (walked, settled) = tokio::try_join!(walk, settle)?;
    Ok(Tally {
        rows_source: walked.rows_source,
        rows_copy: walked.rows_copy,
        null_key: walked.null_key,
        same: walked.same + settled.same,
        digested: walked.digested,
        unread: walked.unread,
        ..settled
    })
}

/// Which rows a pass looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Walks the source: what is missing or differs, and by the way what only the copy has.
    Both,
    /// Walks the copy: only what the source does not have.
    Extra,
}

pub(super) struct Run<'a> {
    pub(super) tables: &'a Tables,
    size: Size,
    pub(super) digest_size: Size,
    pub(super) choice: Choice,
    found: mpsc::UnboundedSender<Batch>,
    room: Arc<Semaphore>,
    events: &'a mpsc::Sender<Event>,
}

/// What one stretch brought.
#[derive(Default)]
pub(super) struct Part {
    rows: [u64; 2],
    same: u64,
    digested: u64,
    unread: u64,
    /// Stretches whose digest could not be made.
    pub(super) undigested: u64,
}

impl Part {
    /// So many rows of either side have the same digest.
    pub(super) fn agree(&mut self, rows: u64) {
        self.add(Self { rows: [rows; 2], same: rows, digested: rows, ..Self::default() });
    }

    pub(super) fn add(&mut self, other: Self) {
        for (rows, more) in self.rows.iter_mut().zip(other.rows) {
            *rows += more;
        }
        self.same += other.same;
        self.digested += other.digested;
        self.unread += other.unread;
        self.undigested += other.undigested;
    }
}

impl Run<'_> {
    async fn pass(&self, walked: &Side, parallel: usize, pass: Pass) -> Result<Tally, PlaceError> {
        // Where the next stretch begins; `None`: there is none.
        let stretches = unfold(Some(Edge::None), async |low: Option<Edge>| {
            let low = low?;
            let digested = self.choice.digests();
            let size = if digested { &self.digest_size } else { &self.size };
            match walked.edge(&low, size.rows().saturating_sub(1)).await {
                Ok(high) => {
                    let next = high.is_some().then(|| high.clone());
                    Some((Ok((low, high, digested)), next))
                }
                Err(e) => Some((Err(e), None)),
            }
        });
        let mut sum = Part::default();
        let mut parts = stretches
            .map_ok(async |(low, high, digested)| {
                let _turn = self.choice.turn().await;
                if digested { self.digested(low, high).await } else { self.stretch(pass, low, high).await }
            })
            .try_buffered(parallel.max(1))
            .boxed();
        while let Some(part) = parts.try_next().await? {
            let _ = self.events.send(Event::Read(part.rows[0] + part.rows[1])).await;
            sum.add(part);
        }
        if sum.undigested > 0 {
            let _ = self.events.send(Event::Undigested(sum.undigested)).await;
        }
        let [rows_source, rows_copy] = sum.rows;
        let Part { same, digested, unread, .. } = sum;
        Ok(Tally { rows_source, rows_copy, same, digested, unread, ..Tally::default() })
    }

    pub(super) async fn stretch(&self, pass: Pass, low: Edge, high: Edge) -> Result<Part, PlaceError> {
        let mut part = Part::default();
        let mut open = vec![(low, high)];
        while let Some((low, high)) = open.pop() {
            let began = Instant::now();
            let (tables, alike) = (self.tables, self.tables.alike);
            let (walked, other) = match pass {
                Pass::Both if alike => {
                    let (source, copy) =
                        tokio::try_join!(tables.source.rows(&low, &high), tables.copy.rows(&low, &high))?;
                    (source, Some(copy))
                }
                Pass::Both => (tables.source.rows(&low, &high).await?, None),
                Pass::Extra => (tables.copy_keys.rows(&low, &high).await?, None),
            };
            let cut = if walked.cut { Some((pass, walked.rows.len())) } else { None };
            let cut = cut.or_else(|| {
                other.as_ref().filter(|other| other.cut).map(|other| (Pass::Extra, other.rows.len()))
            });
            if let Some((side, rows)) = cut {
                // More than there is room for: in halves.
                let side = if side == Pass::Both { &tables.source } else { &tables.copy };
                let middle = side.edge(&low, (rows / 2).saturating_sub(1)).await?;
                if middle.is_none() || same_edge(&middle, &high) || same_edge(&middle, &low) {
                    part.unread += 1;
                } else {
                    open.push((middle.clone(), high));
                    open.push((low, middle));
                }
                continue;
            }
            let weight = walked.size().max(other.as_ref().map_or(0, |other| other.size()));
            self.size.learn(walked.rows.len(), began.elapsed(), weight);
            match (pass, other) {
                (Pass::Both, Some(copy)) => {
                    let rows = walked.rows.len().max(copy.rows.len()) as u64;
                    self.both(&walked.rows, &copy.rows, &mut part).await;
                    self.choice.read(rows, began.elapsed());
                }
                (Pass::Both, None) => {
                    let copy = self.ask(&tables.copy, &walked.rows).await?;
                    self.both(&walked.rows, &copy, &mut part).await;
                }
                (Pass::Extra, _) => {
                    let source = self.ask(&tables.source, &walked.rows).await?;
                    part.rows[1] += walked.rows.len() as u64;
                    self.extra(&source, &walked.rows).await;
                }
            }
        }
        Ok(part)
    }

    /// The rows of the other side that carry the keys of these.
    async fn ask(&self, side: &Side, rows: &[Row]) -> Result<Vec<Row>, PlaceError> {
        let forms = &self.tables.matcher.forms;
        let form = forms.first().filter(|_| forms.len() == 1);
        let keys: Vec<Vec<Value>> = rows.iter().map(|row| row[..forms.len()].to_vec()).collect();
        side.look(&keys, form).await
    }

    async fn both(&self, source: &[Row], copy: &[Row], part: &mut Part) {
        let joined = self.tables.matcher.join(source, copy);
        part.rows[0] += source.len() as u64;
        part.rows[1] += copy.len() as u64;
        part.same += joined.same;
        self.send(joined.candidates).await;
    }

    async fn extra(&self, source: &[Row], copy: &[Row]) {
        let matcher = &self.tables.matcher;
        let there: std::collections::HashSet<_> = source.iter().filter_map(|row| matcher.key(row)).collect();
        let lone = copy.iter().filter_map(|row| {
            let key = matcher.key(row).filter(|key| !there.contains(key))?;
            Some(Candidate { key, values: row[..matcher.forms.len()].to_vec(), witness: None })
        });
        self.send(lone.collect()).await;
    }

    async fn send(&self, candidates: Vec<Candidate>) {
        if candidates.is_empty() {
            return;
        }
        let found = Instant::now();
        let many = u32::try_from(candidates.len().min(WAITING)).unwrap_or(u32::MAX);
        let Ok(_room) = self.room.clone().acquire_many_owned(many).await else { return };
        // If nobody looks again any more, that has failed and says so.
        let _ = self.found.send(Batch { found, candidates, _room });
    }
}

fn same_edge(a: &Edge, b: &Edge) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a[..] == b[..],
        _ => false,
    }
}
