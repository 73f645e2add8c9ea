//! One call, from the durable message to the durable result.

use std::collections::HashSet;
use std::time::Duration;

use tracing::debug;

use super::{Lane, Parcel};
use crate::base::clock::{UnixMs, ms};
use crate::deliver::Answer;
use crate::engine::Stop;
use crate::engine::look::Ready;
use crate::engine::receiver::Pass;
use crate::model::{Attempt, AttemptOutcome, DeliveryId};
use crate::outbox::{Answered, Change, Verdict, after_attempt, together, verdict};
use crate::store::{Prepared, Settlement, StoreError};

/// A row with which a receiver was asked in vain is due so long after that: those that wait already come first.
const BEHIND: Duration = Duration::from_millis(200);

impl Lane {
    /// Makes messages durable before any of their bytes is sent; returns those that may be.
    pub(super) async fn prepare(&self, parcels: Vec<Parcel>) -> Result<Vec<Parcel>, StoreError> {
        let messages = parcels.iter().flat_map(|parcel| &parcel.items).map(|ready| ready.prepared.clone());
        let messages: Vec<Prepared> = messages.collect();
        if messages.is_empty() {
            return Ok(parcels);
        }
        let held: HashSet<DeliveryId> = match self.store.prepare(messages).await {
            Ok(held) => held.into_iter().collect(),
            Err(e) => {
                let claims = parcels.iter().flat_map(Parcel::claims).collect();
                self.give_back(claims, Duration::from_secs(1), None).await;
                return Err(e);
            }
        };
        // Too slow: somebody else has it, or will. A batch goes whole or not at all.
        let holds = |parcel: &Parcel| parcel.items.iter().all(|ready| held.contains(&ready.delivery.id));
        let (whole, lost): (Vec<_>, Vec<_>) = parcels.into_iter().partition(holds);
        let claims: Vec<_> = lost.iter().flat_map(Parcel::claims).collect();
        if !claims.is_empty() {
            debug!(task = %self.places.config.name, lost = claims.len(), "claims ran out before their calls");
        }
        self.give_back_due(claims, UnixMs::MIN, None).await;
        Ok(whole)
    }

    /// Makes the call of a parcel that is durable; returns what became of it, to be settled.
    pub(in crate::engine) async fn attempt(
        &self,
        parcel: Parcel,
        pass: Pass,
        stop: &Stop,
    ) -> Vec<Settlement> {
        let message = parcel.message(self.receiving().batch);
        let began = self.clock.now();
        let answer = tokio::select! {
            biased;
            answer = self.caller.call(&message) => answer,
            () = stop.delivery.cancelled() => AttemptOutcome::Unknown.into(),
        };
        let of: Vec<DeliveryId> = parcel.items.iter().map(|ready| ready.delivery.id).collect();
        let fresh = parcel.items.iter().any(|ready| ready.delivery.tries == 0);
        let probes = pass.probes();
        let said = said(&answer).clone();
        let change = pass.ended(&of, fresh, &said);
        // A call that only asked whether the receiver works again spends no try of its row.
        let spared = match (probes, verdict(&said), change) {
            // Nothing is taken on before the pause is over; if the receiver is back by then, the row is due as well.
            (true, Some(Verdict::Down | Verdict::Refuses), Some((Change::StillOpen { .. }, _))) => {
                Some(BEHIND)
            }
            _ => None,
        };
        let settlements = self.settlements(parcel, answer, began, spared).await;
        if let Some(change) = change {
            self.receiver.tell(change, &said, &self.store, &self.status).await;
        }
        settlements
    }

    /// What the call made of each member; says so to people.
    async fn settlements(
        &self,
        parcel: Parcel,
        answer: Answer,
        began: UnixMs,
        spared: Option<Duration>,
    ) -> Vec<Settlement> {
        let Answer { outcome, items, took } = answer;
        let now = self.clock.now();
        let mut outcomes = items.map(Vec::into_iter);
        let mut settlements = Vec::with_capacity(parcel.items.len());
        let whole = outcomes.is_none();
        let several = parcel.items.len() > 1;
        let mut parks = false;
        for Ready { delivery, prepared } in parcel.items {
            let outcome = outcomes.as_mut().and_then(Iterator::next).unwrap_or_else(|| outcome.clone());
            let mut answered = after_attempt(&delivery, &outcome, &self.policy, now);
            if let Some(pause) = spared {
                // As if we had been stopped, but others are asked with first.
                let unspent = after_attempt(&delivery, &AttemptOutcome::Unknown, &self.policy, now);
                answered = Answered { due: now.saturating_add(ms(pause)), ..unspent };
            }
            if whole && several {
                let (then, alone) = together(&delivery, answered, &self.policy, now);
                answered = then;
                if alone {
                    self.spoilt.add(delivery.id);
                }
            } else if !several && outcome != AttemptOutcome::Unknown {
                self.spoilt.remove(delivery.id);
            }
            parks |= answered.parks;
            let next_s = f64::from(u32::try_from(answered.due.saturating_sub(now)).unwrap_or(0)) / 1000.0;
            self.voice.called(&delivery, prepared.attempt, &outcome, took, answered.to.state, next_s);
            self.tell_people(&delivery, &outcome, answered.to.state, answered.entered_slow);
            let note = match &outcome {
                AttemptOutcome::Failed { class, detail, .. } => Some(format!("{}: {detail}", class.as_str())),
                _ => None,
            };
            let (number, revision) = (prepared.attempt, prepared.revision);
            settlements.push(Settlement {
                id: delivery.id,
                claim: delivery.claim,
                to: answered.to,
                seen: None,
                watch: None,
                due: answered.due,
                attempt: Some(Attempt { number, revision, began, took, outcome }),
                note,
                evidence: None,
                now,
            });
        }
        if whole && let Some(latest) = settlements.iter().map(|s| s.due).max() {
            // What failed together comes again together.
            settlements.iter_mut().for_each(|s| s.due = latest);
        }
        if parks {
            self.park().await;
        }
        settlements
    }

    /// The receiver answered 410.
    async fn park(&self) {
        let receiver = self.receiving().place();
        let why = format!(
            "the receiver {receiver} answered 410 Gone; what waits for it is kept, and nothing is sent until `cupid resume` \
             says that it is there again"
        );
        // It is gone for all who call it.
        for guard in self.receiver.guards() {
            match guard.park(&why).await {
                Ok(_) => self.status.parked(&guard.task, &guard.destination, Some(&why)),
                Err(e) => self.status.store_failed(&e),
            }
        }
    }

    /// Repeats until the result is durable: an answer that was given must not be forgotten because a disk is full.
    pub(in crate::engine) async fn settle(&self, settlements: Vec<Settlement>, stop: &Stop) {
        loop {
            match self.store.settle(settlements.clone()).await {
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

/// What a call says of its receiver: one that takes none of a list of items fails, whatever it answers for all of them.
fn said(answer: &Answer) -> &AttemptOutcome {
    let items = answer.items.as_deref().unwrap_or_default();
    if items.iter().any(|item| !matches!(item, AttemptOutcome::Failed { .. })) {
        return &answer.outcome;
    }
    let refused = items.iter().find(|item| verdict(item) == Some(Verdict::Refuses));
    refused.or_else(|| items.first()).unwrap_or(&answer.outcome)
}
