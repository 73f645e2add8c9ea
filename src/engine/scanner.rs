//! Reads a feed once and compares what it read with each destination. Writes nothing.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep};

use super::feeder::Fed;
use super::pair::{Compared, Pair};
use super::standing::seen_to_agree;
use super::ticket::Scanned;
use super::{Outcome, Places, Stop, Ticket};
use crate::base::chain::chain;
use crate::base::clock::{Clock, UnixMs};
use crate::model::{DatabaseClass, DestinationName, Feed, Key, Position, row_size};
use crate::scan::ReadCost;
use crate::source::{Batch, Coverage};
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::Store;

/// After so long a read no longer keeps its scanner from the next ticket.
const PATIENCE: Duration = Duration::from_millis(500);

/// One of the N scanners; they share one queue of tickets.
#[derive(Clone)]
pub struct Scanner {
    places: Arc<Places>,
    tickets: Arc<Mutex<mpsc::Receiver<Ticket>>>,
    outcomes: mpsc::Sender<Outcome>,
    clock: Clock,
    /// Only asked what is remembered.
    store: Arc<dyn Store>,
}

/// A read that worked, on its way to the destinations.
pub(super) struct Read {
    identity: String,
    batch: Arc<Batch>,
    cost: ReadCost,
    /// When it began, Unix ms.
    looked: UnixMs,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").finish_non_exhaustive()
    }
}

impl Scanner {
    /// A scanner that works off `tickets`.
    pub fn new(
        places: Arc<Places>,
        tickets: Arc<Mutex<mpsc::Receiver<Ticket>>>,
        outcomes: mpsc::Sender<Outcome>,
        clock: Clock,
        store: Arc<dyn Store>,
    ) -> Self {
        Self { places, tickets, outcomes, clock, store }
    }

    /// Works until the stop. One read at a time; look-ups at the destinations go on beside the next read, and so does a
    /// read that takes long, so that a slow place delays only itself. There are never more than there are feeds.
    pub async fn run(self, stop: Stop) {
        let mut reading: Option<BoxFuture<'_, (Ticket, Result<Read, PlaceError>)>> = None;
        let mut patience = Box::pin(sleep(PATIENCE));
        let mut slow = FuturesUnordered::new();
        let mut comparing: FuturesUnordered<BoxFuture<'_, Outcome>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.intake.cancelled() => return,
                ticket = async { self.tickets.lock().await.recv().await }, if reading.is_none() => match ticket {
                    Some(ticket) => {
                        reading = Some(self.read(ticket).boxed());
                        patience.as_mut().reset(Instant::now() + PATIENCE);
                    }
                    None => return,
                },
                () = &mut patience, if reading.is_some() => slow.extend(reading.take()),
                Some((ticket, read)) = slow.next() => {
                    for outcome in self.spread(ticket, read) {
                        comparing.push(outcome);
                    }
                }
                (ticket, read) = async {
                    match reading.as_mut() {
                        Some(read) => read.await,
                        None => pending().await,
                    }
                } => {
                    reading = None;
                    for outcome in self.spread(ticket, read) {
                        comparing.push(outcome);
                    }
                }
                Some(outcome) = comparing.next() => {
                    if self.outcomes.send(outcome).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    pub(super) async fn read(&self, ticket: Ticket) -> (Ticket, Result<Read, PlaceError>) {
        let result = caught(self.read_batch(&ticket)).await;
        (ticket, result)
    }

    async fn read_batch(&self, ticket: &Ticket) -> Result<Read, PlaceError> {
        let task = &self.places.tasks[ticket.task];
        let source = task.source().await?;
        let identity = source.identity().to_owned();
        let looked = self.clock.now();
        let began = Instant::now();
        let batch = match &ticket.from {
            // Its keys are read at the destination.
            _ if ticket.feed == Feed::Extra => Batch {
                rows: Vec::new(),
                next: Position::new(""),
                more: false,
                coverage: Coverage::default(),
            },
            Some(from) => source.read(ticket.feed, from, ticket.limit).await.map_err(|e| task.hold(e))?,
            None => {
                let next = source.start(ticket.feed, ticket.start_id).await?;
                Batch { rows: Vec::new(), next, more: true, coverage: Coverage::default() }
            }
        };
        let bytes = batch.rows.iter().map(|row| row_size(&row.values)).sum();
        let cost = ReadCost { rows: batch.rows.len(), bytes, took: began.elapsed(), more: batch.more };
        Ok(Read { identity, batch: Arc::new(batch), cost, looked })
    }

    /// One outcome for each destination of the ticket.
    pub(super) fn spread(
        &self,
        ticket: Ticket,
        read: Result<Read, PlaceError>,
    ) -> Vec<BoxFuture<'_, Outcome>> {
        let destinations = ticket.destinations.clone();
        match read {
            Ok(read) => {
                let read = Arc::new(read);
                destinations
                    .into_iter()
                    .map(|destination| self.compare(ticket.clone(), destination, read.clone()).boxed())
                    .collect()
            }
            Err(error) => {
                let error = Arc::new(error);
                destinations
                    .into_iter()
                    .map(|destination| {
                        let result = Err(again(&error));
                        let outcome = Outcome { ticket: ticket.clone(), destination, result };
                        std::future::ready(outcome).boxed()
                    })
                    .collect()
            }
        }
    }

    async fn compare(&self, ticket: Ticket, destination: usize, read: Arc<Read>) -> Outcome {
        let result = caught(self.compare_batch(&ticket, destination, &read)).await;
        Outcome { ticket, destination, result }
    }

    async fn compare_batch(
        &self,
        ticket: &Ticket,
        destination: usize,
        read: &Read,
    ) -> Result<Scanned, PlaceError> {
        let task = &self.places.tasks[ticket.task];
        if task.is_event(destination) {
            return self.feed(ticket, destination, read).await;
        }
        // Even an empty batch needs the destination: "agrees" is never said of a place that was not reached.
        let pair = task.pair(destination).await?;
        let name = &task.config.destinations[destination].name;
        let began = Instant::now();
        if ticket.feed == Feed::Extra {
            let (task, from) = (&task.config.name, ticket.from.as_ref());
            let walked =
                pair.walk(task, name, from, (ticket.limit, ticket.meant), || self.clock.now()).await?;
            let (next, more, mut compared) = walked;
            let remembered = self.remembered(&pair, ticket, name, &mut compared).await?;
            let Compared { findings, counts, agreed, unfit } = compared;
            let looked = read.looked;
            let (identity, took) = (read.identity.clone(), began.elapsed());
            let rows = usize::try_from(counts.rows).unwrap_or(usize::MAX);
            let read = ReadCost { rows, bytes: 0, took, more };
            let coverage = Coverage::default();
            let met = Vec::new();
            return Ok(Scanned {
                identity,
                next,
                more,
                findings,
                versions: None,
                fit: Vec::new(),
                agreed,
                unfit,
                remembered,
                looked,
                counts,
                met,
                coverage,
                read,
                took,
            });
        }
        let mut compared =
            pair.compare(&task.config.name, name, &read.batch.rows, || self.clock.now()).await?;
        let remembered = self.remembered(&pair, ticket, name, &mut compared).await?;
        let Compared { findings, counts, agreed, unfit } = compared;
        let met = read.batch.rows.iter().filter(|_| ticket.feed == Feed::Sweep).map(|row| row.id).collect();
        Ok(Scanned {
            identity: read.identity.clone(),
            next: read.batch.next.clone(),
            more: read.batch.more,
            findings,
            versions: None,
            fit: Vec::new(),
            agreed,
            unfit,
            remembered,
            looked: read.looked,
            counts,
            met,
            coverage: read.batch.coverage.clone(),
            read: read.cost,
            took: read.cost.took + began.elapsed(),
        })
    }

    /// What a batch means to a destination that has nothing to compare.
    async fn feed(&self, ticket: &Ticket, destination: usize, read: &Read) -> Result<Scanned, PlaceError> {
        let task = &self.places.tasks[ticket.task];
        let feeder = task.feeder(destination).await?;
        let names = (&task.config.name, &task.config.destinations[destination].name);
        let began = Instant::now();
        let fed = feeder.feed(&*self.store, names, ticket.feed, &read.batch.rows).await?;
        let Fed { versions, counts, fit, unfit } = fed;
        Ok(Scanned {
            identity: read.identity.clone(),
            next: read.batch.next.clone(),
            more: read.batch.more,
            findings: Vec::new(),
            versions: Some(versions),
            fit,
            agreed: Vec::new(),
            unfit,
            remembered: Vec::new(),
            looked: read.looked,
            counts,
            met: Vec::new(),
            coverage: read.batch.coverage.clone(),
            read: read.cost,
            took: read.cost.took + began.elapsed(),
        })
    }

    async fn remembered(
        &self,
        pair: &Pair,
        ticket: &Ticket,
        destination: &DestinationName,
        compared: &mut Compared,
    ) -> Result<Vec<Key>, PlaceError> {
        let task = &self.places.tasks[ticket.task].config.name;
        seen_to_agree(&*self.store, pair, (task, destination), compared, self.clock.now()).await
    }
}

/// The same failure for another destination that shared the read.
fn again(e: &PlaceError) -> PlaceError {
    let message = match &e.source {
        Some(cause) if !e.message.contains(&cause.to_string()) => {
            format!("{}: {}", e.message, chain(cause.as_ref()))
        }
        _ => e.message.clone(),
    };
    PlaceError::new(e.kind, e.place.clone(), message).of_class(e.class)
}

/// A panic harms the rows it was about: their lanes are told, and try again later.
async fn caught<T>(work: impl Future<Output = Result<T, PlaceError>>) -> Result<T, PlaceError> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(_) => {
            let message =
                "reading or comparing panicked; please report this with the lines of the log before it";
            Err(PlaceError::new(PlaceErrorKind::Other, "cupid itself", message)
                .of_class(DatabaseClass::Internal))
        }
    }
}
