//! One lane: the deliveries of one (task, destination), worked off at the receiver's pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tracing::debug;

mod people;

mod pace;

use super::Stop;
use super::guard::Guard;
use super::look::{Ready, Sorted, look};
use super::places::TaskPlaces;
use super::status::StatusBoard;
use super::voice::{Before, Voice};
use crate::base::chain::chain;
use crate::base::clock::{Clock, UnixMs};
use crate::deliver::Call;
use crate::model::{Attempt, AttemptOutcome, Delivery, DeliveryId};
use crate::notify::Alerts;
use crate::outbox::{Policy, after_attempt};
use crate::store::{ClaimRequest, Settlement, Store, StoreError, Work};
use pace::{Rate, Reads};

/// What was read longer ago is read again before it is sent (invariant 3).
const FRESH: Duration = Duration::from_secs(2);
/// A claim outlives its look, its wait and its call by so much.
const LEASE: Duration = Duration::from_secs(120);
/// How often is looked whether calls may go on.
const PAUSED: Duration = Duration::from_millis(200);
/// Longest wait without asking the store again.
const IDLE: Duration = Duration::from_secs(60);
/// Most deliveries looked at in one go.
const MOST: usize = 1000;

/// What a lane needs.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) store: Arc<dyn Store>,
    pub(super) places: Arc<TaskPlaces>,
    pub(super) destination: usize,
    pub(super) caller: Arc<dyn Call>,
    pub(super) policy: Policy,
    pub(super) clock: Clock,
    pub(super) guard: Arc<Guard>,
    pub(super) wake: Arc<Notify>,
    /// Something is to be looked at.
    pub(super) looks: Arc<Notify>,
    pub(super) alerts: Alerts,
    /// Whether people may believe that the receiver fails; true until it is known.
    pub(super) failing: Arc<AtomicBool>,
    pub(super) status: StatusBoard,
    pub(super) voice: Arc<Voice>,
}

/// What a refill brought.
pub(super) enum Refill {
    /// Messages to send, when ([`Clock::elapsed`]) their rows were read, and how long it took to read how many; no
    /// messages if all claimed were settled by looking.
    Ready(Duration, Option<(usize, Duration)>, Vec<Ready>),
    /// Nothing is due before this pause is over.
    Nothing(Duration),
}

impl Lane {
    /// Works until the stop, then waits for what is open.
    pub(super) async fn run(self, stop: Stop) {
        let concurrency = self.places.config.destinations[self.destination].callback.concurrency.max(1);
        let mut calls: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        let mut ready: VecDeque<(Duration, Ready)> = VecDeque::new();
        let mut refill: Option<BoxFuture<'_, Refill>> = None;
        let mut rate = Rate::new(concurrency);
        let mut reads = Reads::default();
        loop {
            if self.guard.is_paused() {
                let all = ready.drain(..).map(|(_, r)| claim(&r.delivery)).collect();
                self.give_back(all, Duration::ZERO, None).await;
            }
            while calls.len() < concurrency
                && let Some((read_at, next)) = ready.pop_front()
            {
                if self.is_fresh(read_at) {
                    calls.push(self.attempt(read_at, next, &stop).boxed());
                } else {
                    let stale = std::iter::once(next).chain(ready.drain(..).map(|(_, r)| r));
                    self.give_back(stale.map(|r| claim(&r.delivery)).collect(), Duration::ZERO, None).await;
                }
            }
            if refill.is_none() && ready.is_empty() && calls.len() < concurrency {
                refill = Some(self.refill(reads.fit(rate.expected())).boxed());
            }
            tokio::select! {
                biased;
                () = stop.intake.cancelled() => break,
                Some(()) = calls.next() => {
                    rate.count();
                    // What it became may be due before anything that was known when the wait began.
                    self.wake.notify_one();
                }
                got = async {
                    match refill.as_mut() {
                        Some(refill) => refill.await,
                        None => pending().await,
                    }
                } => match got {
                    Refill::Ready(read_at, took, list) => {
                        refill = None;
                        took.iter().for_each(|(rows, took)| reads.learn(*rows, *took));
                        ready.extend(list.into_iter().map(|r| (read_at, r)));
                    }
                    Refill::Nothing(pause) => refill = Some(self.wait(pause).boxed()),
                },
            }
        }
        drop(refill);
        self.give_back(ready.into_iter().map(|(_, r)| claim(&r.delivery)).collect(), Duration::ZERO, None)
            .await;
        while calls.next().await.is_some() {}
    }

    /// Waits for a wake-up or the next due time; then it is time to claim.
    async fn wait(&self, pause: Duration) -> Refill {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        Refill::Ready(self.clock.elapsed(), None, Vec::new())
    }

    async fn refill(&self, limit: usize) -> Refill {
        match self.step(limit).await {
            Ok(refill) => refill,
            Err(e) => {
                self.status.store_failed(&e);
                Refill::Nothing(Duration::from_secs(1))
            }
        }
    }

    /// Whether what was read then may be sent now.
    pub(super) fn is_fresh(&self, read_at: Duration) -> bool {
        self.clock.elapsed().saturating_sub(read_at) < FRESH
    }

    /// Claims what is due, looks at both sides, settles what needs no call.
    pub(super) async fn step(&self, limit: usize) -> Result<Refill, StoreError> {
        let (task, destination) = (&self.places.config, &self.places.config.destinations[self.destination]);
        if self.guard.is_paused() {
            return Ok(Refill::Nothing(PAUSED));
        }
        let request = ClaimRequest {
            task: task.name.clone(),
            destination: destination.name.clone(),
            work: Work::Call,
            limit,
            now: self.clock.now(),
            lease: LEASE.saturating_add(destination.callback.timeout),
        };
        let claimed = self.store.claim(request).await?;
        self.status.store_works();
        if claimed.is_empty() {
            let due = self.store.next_due(&task.name, &destination.name, Work::Call).await?;
            let pause = due.map_or(IDLE, |due| {
                Duration::from_millis(due.saturating_sub(self.clock.now()).clamp(1, 60_000).unsigned_abs())
            });
            return Ok(Refill::Nothing(pause));
        }
        let claims = claimed.iter().map(claim).collect();
        let (rows, before) = (claimed.len(), Before::of(&claimed));
        let began = self.clock.elapsed();
        match self.look(claimed).await {
            Ok(sorted) => {
                if !sorted.settled.is_empty() {
                    if let Err(e) = self.store.settle(sorted.settled.clone()).await {
                        self.give_back(claims, Duration::from_secs(1), None).await;
                        return Err(e);
                    }
                    self.voice.settled(&sorted.settled, &before);
                    self.tell_of(&sorted.settled);
                    self.looks.notify_one();
                }
                let rows = rows - sorted.left.len();
                self.give_back_due(sorted.left, UnixMs::MIN, None).await;
                let ended = self.clock.elapsed();
                // A single row cannot be read any sooner before it is sent than right before that.
                let read_at = if rows == 1 { ended } else { began };
                Ok(Refill::Ready(read_at, Some((rows, ended.saturating_sub(began))), sorted.ready))
            }
            Err((error, pause)) => {
                self.give_back(claims, pause, Some(error)).await;
                Ok(Refill::Nothing(pause))
            }
        }
    }

    async fn look(&self, claimed: Vec<Delivery>) -> Result<Sorted, (String, Duration)> {
        let config = &self.places.config;
        let looked = async {
            let pair = self.places.pair(self.destination).await?;
            let receiver = &config.destinations[self.destination].callback;
            self.places.recheck(self.destination, FRESH).await?;
            let sorted = look(&pair, claimed, &self.policy, receiver, || self.clock.now()).await?;
            // Of a source whose ids have begun anew, no row is gone and none is another.
            self.places.stands().await?;
            Ok(sorted)
        };
        let result = looked.await;
        match result {
            Ok(sorted) => {
                self.status.place_works(
                    &config.name,
                    "deliveries",
                    &config.destinations[self.destination].name,
                );
                Ok(sorted)
            }
            Err(e) => {
                let destination = &config.destinations[self.destination].name;
                let pause = self.status.place_failed(&config.name, "deliveries", destination, &e);
                if !e.kind.is_passing() {
                    self.places.doubt_destination(self.destination);
                    self.places.doubt_source();
                }
                Err((chain(&e).to_string(), pause))
            }
        }
    }

    pub(super) async fn give_back(
        &self,
        claims: Vec<(DeliveryId, i64)>,
        pause: Duration,
        note: Option<String>,
    ) {
        let due = self.clock.now().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.give_back_due(claims, due, note).await;
    }

    async fn give_back_due(&self, claims: Vec<(DeliveryId, i64)>, due: UnixMs, note: Option<String>) {
        if claims.is_empty() {
            return;
        }
        if let Err(e) = self.store.release(claims, due, note).await {
            // The lease gives them back by itself.
            self.status.store_failed(&e);
        }
    }

    /// One attempt from the durable message to the durable result.
    pub(super) async fn attempt(&self, read_at: Duration, ready: Ready, stop: &Stop) {
        let Ready { delivery, prepared, message } = ready;
        match self.store.prepare(vec![prepared.clone()]).await {
            Ok(held) if held.is_empty() => {
                // Too slow: somebody else has it, or will.
                debug!(task = %delivery.task, delivery = %delivery.id, "a claim ran out before its call");
                return;
            }
            // The disk was slow: what was read is read again.
            Ok(_) if !self.is_fresh(read_at) => {
                return self.give_back(vec![claim(&delivery)], Duration::ZERO, None).await;
            }
            Ok(_) => {}
            Err(e) => {
                self.status.store_failed(&e);
                self.give_back(vec![claim(&delivery)], Duration::from_secs(1), None).await;
                return;
            }
        }
        let began = self.clock.now();
        let (outcome, took) = tokio::select! {
            biased;
            answer = self.caller.call(&message) => answer,
            () = stop.delivery.cancelled() => (AttemptOutcome::Unknown, Duration::ZERO),
        };
        let now = self.clock.now();
        let answered = after_attempt(&delivery, &outcome, &self.policy, now);
        if answered.parks {
            self.park().await;
        }
        let next_s = f64::from(u32::try_from(answered.due.saturating_sub(now)).unwrap_or(0)) / 1000.0;
        self.voice.called(&delivery, prepared.attempt, &outcome, took, answered.to.state, next_s);
        self.tell_people(&delivery, &outcome, answered.to.state, answered.entered_slow);
        let note = match &outcome {
            AttemptOutcome::Failed { class, detail, .. } => Some(format!("{}: {detail}", class.as_str())),
            _ => None,
        };
        let attempt = Attempt { number: prepared.attempt, revision: prepared.revision, began, took, outcome };
        let settlement = Settlement {
            id: delivery.id,
            claim: delivery.claim,
            to: answered.to,
            seen: None,
            watch: None,
            due: answered.due,
            attempt: Some(attempt),
            note,
            evidence: None,
            now,
        };
        self.settle(settlement, stop).await;
    }

    /// The receiver answered 410.
    async fn park(&self) {
        let config = &self.places.config;
        let receiver = config.destinations[self.destination].callback.place();
        let why = format!(
            "the receiver {receiver} answered 410 Gone; what waits for it is kept, and nothing is sent until `cupid resume` \
             says that it is there again"
        );
        match self.guard.park(&why).await {
            Ok(_) => {
                let destination = &config.destinations[self.destination].name;
                self.status.parked(&config.name, destination, Some(&why));
            }
            Err(e) => self.status.store_failed(&e),
        }
    }

    /// Repeats until the result is durable: an answer that was given must not be forgotten because a disk is full.
    async fn settle(&self, settlement: Settlement, stop: &Stop) {
        loop {
            match self.store.settle(vec![settlement.clone()]).await {
                Ok(()) => {
                    self.looks.notify_one();
                    return self.status.store_works();
                }
                Err(e) => self.status.store_failed(&e),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                // The claim of a dead process is found at the next start, as of unknown outcome.
                () = stop.delivery.cancelled() => return,
            }
        }
    }
}

pub(super) fn claim(d: &Delivery) -> (DeliveryId, i64) {
    (d.id, d.claim)
}
