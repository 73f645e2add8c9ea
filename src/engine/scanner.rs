//! Reads a feed once and compares what it read with each destination. Writes nothing.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Mutex, mpsc};

use super::pair::Compared;
use super::ticket::{ScanError, Scanned};
use super::{Outcome, Places, Stop, Ticket};
use crate::base::chain::chain;
use crate::base::clock::Clock;
use crate::source::Batch;
use crate::sql::PlaceError;

/// One of the N scanners; they share one queue of tickets.
#[derive(Clone, Debug)]
pub struct Scanner {
    places: Arc<Places>,
    tickets: Arc<Mutex<mpsc::Receiver<Ticket>>>,
    outcomes: mpsc::Sender<Outcome>,
    clock: Clock,
}

/// A read that worked, on its way to the destinations.
struct Read {
    identity: String,
    batch: Arc<Batch>,
    took: Duration,
}

impl Scanner {
    /// A scanner that works off `tickets`.
    pub fn new(
        places: Arc<Places>,
        tickets: Arc<Mutex<mpsc::Receiver<Ticket>>>,
        outcomes: mpsc::Sender<Outcome>,
        clock: Clock,
    ) -> Self {
        Self { places, tickets, outcomes, clock }
    }

    /// Works until the stop. One read at a time; look-ups at the destinations go on beside the next read, so that a
    /// slow destination delays only itself.
    pub async fn run(self, stop: Stop) {
        let mut reading: Option<BoxFuture<'_, (Ticket, Result<Read, ScanError>)>> = None;
        let mut comparing: FuturesUnordered<BoxFuture<'_, Outcome>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.intake.cancelled() => return,
                ticket = async { self.tickets.lock().await.recv().await }, if reading.is_none() => match ticket {
                    Some(ticket) => reading = Some(self.read(ticket).boxed()),
                    None => return,
                },
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

    async fn read(&self, ticket: Ticket) -> (Ticket, Result<Read, ScanError>) {
        let result = self.read_batch(&ticket).await;
        (ticket, result)
    }

    async fn read_batch(&self, ticket: &Ticket) -> Result<Read, ScanError> {
        let source = self.places.tasks[ticket.task].source().await?;
        let identity = source.identity().to_owned();
        if let Some(saved) = ticket.identity.as_ref().filter(|saved| **saved != identity) {
            return Err(ScanError::Identity { saved: saved.clone(), found: identity });
        }
        let began = Instant::now();
        let batch = match &ticket.from {
            Some(from) => source.read(ticket.feed, from, ticket.limit).await?,
            None => {
                let next = source.start(ticket.feed, ticket.start_id).await?;
                Batch { rows: Vec::new(), next, more: true }
            }
        };
        Ok(Read { identity, batch: Arc::new(batch), took: began.elapsed() })
    }

    /// One outcome for each destination of the ticket.
    fn spread(&self, ticket: Ticket, read: Result<Read, ScanError>) -> Vec<BoxFuture<'_, Outcome>> {
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
                        let result = Err(error.again());
                        let outcome = Outcome { ticket: ticket.clone(), destination, result };
                        std::future::ready(outcome).boxed()
                    })
                    .collect()
            }
        }
    }

    async fn compare(&self, ticket: Ticket, destination: usize, read: Arc<Read>) -> Outcome {
        let result = self.compare_batch(&ticket, destination, &read).await;
        Outcome { ticket, destination, result }
    }

    async fn compare_batch(
        &self,
        ticket: &Ticket,
        destination: usize,
        read: &Read,
    ) -> Result<Scanned, ScanError> {
        let task = &self.places.tasks[ticket.task];
        // Even an empty batch needs the destination: "agrees" is never said of a place that was not reached.
        let pair = task.pair(destination).await?;
        let name = &task.config.destinations[destination].name;
        let Compared { findings, counts } =
            pair.compare(&task.config.name, name, &read.batch.rows, || self.clock.now()).await?;
        Ok(Scanned {
            identity: read.identity.clone(),
            next: read.batch.next.clone(),
            more: read.batch.more,
            findings,
            counts,
            read_took: read.took,
        })
    }
}

impl ScanError {
    /// The same failure for another destination that shared the read.
    fn again(&self) -> Self {
        match self {
            Self::Place(e) => {
                let message = match &e.source {
                    Some(cause) if !e.message.contains(&cause.to_string()) => {
                        format!("{}: {}", e.message, chain(cause.as_ref()))
                    }
                    _ => e.message.clone(),
                };
                Self::Place(PlaceError::new(e.kind, e.place.clone(), message))
            }
            Self::Identity { saved, found } => Self::Identity { saved: saved.clone(), found: found.clone() },
        }
    }
}
