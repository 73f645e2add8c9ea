//! One lane: the deliveries of one (task, destination), worked off at the receiver's pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

mod attempt;
mod edited;
mod fresh;
mod pace;
mod parcel;
mod people;
mod spoilt;

use super::Stop;
use super::guard::Guard;
use super::look::Claim;
use super::places::TaskPlaces;
use super::receiver::{Admitted, Receiver, Room};
use super::status::StatusBoard;
use super::voice::{Before, Voice};
use crate::base::clock::{Clock, UnixMs};
use crate::config::CallbackConfig;
use crate::deliver::Call;
use crate::model::Delivery;
use crate::notify::Alerts;
use crate::outbox::Policy;
use crate::store::{ClaimRequest, Settlement, Store, StoreError, Work};
use pace::{Rate, Reads};
pub(in crate::engine) use parcel::Parcel;
use parcel::pack;
pub(super) use spoilt::Spoilt;

/// What was read longer ago is read again before it is sent (invariant 3).
const FRESH: Duration = Duration::from_secs(2);
/// A claim outlives its look, its wait and its call by so much.
const LEASE: Duration = Duration::from_secs(120);
/// How often is looked whether calls may go on.
const PAUSED: Duration = Duration::from_millis(200);
/// Most calls that have ended and are not durable yet; more with a greater concurrency.
const UNSETTLED: usize = 64;
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
    /// Whom it calls, and the lane's number there.
    pub(super) receiver: Arc<Receiver>,
    pub(super) seat: usize,
    /// Counts claims.
    pub(super) turn: Arc<AtomicU64>,
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
    pub(super) spoilt: Arc<Spoilt>,
}

/// What a refill brought.
pub(super) enum Refill {
    /// Messages to send, when ([`Clock::elapsed`]) their rows were read, and how long it took to read how many; no
    /// messages if all claimed were settled by looking.
    Ready(Duration, Option<(usize, Duration)>, Vec<Parcel>),
    /// Nothing is due before this pause is over.
    Nothing(Duration),
}

impl Lane {
    /// Works until the stop, then waits for what is open.
    pub(super) async fn run(self, stop: Stop) {
        let concurrency = self.receiving().concurrency.max(1);
        let batch = self.receiving().batch.unwrap_or(1);
        let mut calls: FuturesUnordered<BoxFuture<'_, Vec<Settlement>>> = FuturesUnordered::new();
        // A call that has ended makes room for the next one, before what became of it is durable.
        let mut settling: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        let unsettled = UNSETTLED.max(concurrency);
        let mut ready: VecDeque<(Duration, Parcel)> = VecDeque::new();
        let mut refill: Option<BoxFuture<'_, Refill>> = None;
        // Nothing was due while there still was something to send: it is not asked again before that is gone.
        let mut dry = false;
        let mut rate = Rate::new(concurrency);
        let mut reads = Reads::default();
        // What an earlier run that panicked was at.
        self.receiver.rest(self.seat);
        loop {
            let mut turn = PAUSED;
            if self.guard.is_paused() {
                self.return_all(ready.drain(..)).await;
            }
            while calls.len() < concurrency && settling.len() < unsettled && !ready.is_empty() {
                match self.receiver.admit(self.seat) {
                    Admitted::Now(pass) => {
                        let Some((read_at, next)) = ready.pop_front() else { break };
                        if self.is_fresh(read_at) || next.is_unread() {
                            calls.push(self.attempt(next, pass, &stop).boxed());
                        } else {
                            drop(pass);
                            self.return_all(std::iter::once((read_at, next)).chain(ready.drain(..))).await;
                        }
                    }
                    Admitted::Later(pause) => {
                        turn = pause;
                        break;
                    }
                    Admitted::Shut => self.return_all(ready.drain(..)).await,
                }
            }
            let has_room = calls.len() < concurrency && settling.len() < unsettled;
            dry &= !ready.is_empty();
            let wants = if ready.is_empty() {
                calls.len() < concurrency
            } else {
                ready.len() < rate.soon(concurrency)
            };
            if refill.is_none() && wants && !dry {
                let rows = rate.expected().saturating_mul(batch);
                refill = Some(self.refill(reads.fit(rows)).boxed());
            }
            tokio::select! {
                biased;
                () = stop.intake.cancelled() => break,
                Some(settlements) = calls.next() => {
                    rate.count();
                    settling.push(self.settle(settlements, &stop).boxed());
                }
                Some(()) = settling.next() => {
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
                        ready.extend(list.into_iter().map(|parcel| (read_at, parcel)));
                    }
                    Refill::Nothing(pause) => {
                        dry = !ready.is_empty();
                        // One place waits for a wake-up at a time.
                        refill = (!dry).then(|| self.wait(pause).boxed());
                    }
                },
                // Who is not let in waits for that; with room for nothing more, for a call to end.
                () = self.wait_for_turn(turn), if !ready.is_empty() && has_room => {}
            }
        }
        drop(refill);
        self.return_all(ready).await;
        while let Some(settlements) = calls.next().await {
            settling.push(self.settle(settlements, &stop).boxed());
        }
        while settling.next().await.is_some() {}
    }

    fn receiving(&self) -> &CallbackConfig {
        &self.places.config.destinations[self.destination].callback
    }

    async fn wait_for_turn(&self, pause: Duration) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Gives back what was to be sent, unchanged.
    async fn return_all(&self, parcels: impl IntoIterator<Item = (Duration, Parcel)>) {
        let claims: Vec<Claim> = parcels.into_iter().flat_map(|(_, parcel)| parcel.claims()).collect();
        self.receiver.rest(self.seat);
        if claims.is_empty() {
            return;
        }
        self.give_back_due(claims, UnixMs::MIN, None).await;
        // Whoever is just asking what is due may not see them.
        self.wake.notify_one();
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

    /// Claims what is due and can be sent soon, looks at both sides, settles what needs no call.
    pub(super) async fn step(&self, limit: usize) -> Result<Refill, StoreError> {
        let step = async {
            Ok(match self.take_on(limit).await? {
                Refill::Ready(read_at, took, list) => Refill::Ready(read_at, took, self.prepare(list).await?),
                nothing @ Refill::Nothing(_) => nothing,
            })
        };
        let step = step.await;
        if !matches!(&step, Ok(Refill::Ready(_, _, list)) if !list.is_empty()) {
            self.receiver.rest(self.seat);
        }
        step
    }

    async fn take_on(&self, limit: usize) -> Result<Refill, StoreError> {
        let (task, destination) = (&self.places.config, &self.places.config.destinations[self.destination]);
        if self.guard.is_paused() {
            return Ok(Refill::Nothing(PAUSED));
        }
        let batch = destination.callback.batch;
        let rows = batch.unwrap_or(1);
        let some = |calls: usize| calls.saturating_mul(rows).clamp(1, limit.max(1));
        let (limit, works, longest) = match self.receiver.room(self.seat, limit.div_ceil(rows)) {
            Room::For(calls) => (some(calls), &[Work::Call][..], IDLE),
            Room::Few(calls) => (some(calls), &[Work::Fresh, Work::Call][..], IDLE),
            Room::Probe => (1, &[Work::Fresh, Work::Call][..], IDLE),
            Room::Fresh(pause) => (1, &[Work::Fresh][..], pause),
            Room::None(pause) => return Ok(Refill::Nothing(pause)),
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut claimed = Vec::new();
        for work in works {
            let request = ClaimRequest {
                task: task.name.clone(),
                destination: destination.name.clone(),
                work: *work,
                limit,
                turn,
                now: self.clock.now(),
                lease: LEASE.saturating_add(destination.callback.timeout),
            };
            claimed = self.store.claim(request).await?;
            self.status.store_works();
            if !claimed.is_empty() {
                break;
            }
        }
        if claimed.is_empty() {
            let work = works.last().copied().unwrap_or(Work::Call);
            let due = self.store.next_due(&task.name, &destination.name, work).await?;
            let pause = due.map_or(IDLE, |due| {
                Duration::from_millis(due.saturating_sub(self.clock.now()).clamp(1, 60_000).unsigned_abs())
            });
            return Ok(Refill::Nothing(pause.min(longest)));
        }
        let (edited, claimed): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|d| d.edited.is_some());
        if !edited.is_empty() {
            return Ok(self.edited_first(edited, claimed).await);
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
                // What `look` returns of a single row is as fresh as it can be.
                let read_at = if rows == 1 { ended } else { began };
                let (single, ready) = self.spoilt.part(sorted.ready);
                let single = single.into_iter().flat_map(|r| pack(vec![r], batch, &self.policy.retry));
                let mut parcels: Vec<Parcel> = single.collect();
                parcels.extend(pack(ready, batch, &self.policy.retry));
                Ok(Refill::Ready(read_at, Some((rows, ended.saturating_sub(began))), parcels))
            }
            Err((error, pause)) => {
                self.give_back(claims, pause, Some(error)).await;
                Ok(Refill::Nothing(pause))
            }
        }
    }

    pub(super) async fn give_back(&self, claims: Vec<Claim>, pause: Duration, note: Option<String>) {
        let due = self.clock.now().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.give_back_due(claims, due, note).await;
    }

    pub(super) async fn give_back_due(&self, claims: Vec<Claim>, due: UnixMs, note: Option<String>) {
        if claims.is_empty() {
            return;
        }
        if let Err(e) = self.store.release(claims, due, note).await {
            // The lease gives them back by itself.
            self.status.store_failed(&e);
        }
    }
}

pub(super) fn claim(d: &Delivery) -> Claim {
    (d.id, d.claim)
}
