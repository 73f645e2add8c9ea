//! Messages that a person wrote: sent as they are, without a look at either side first.
//!
//! Nobody knows which source row such a message is about ([`Sent::UNREAD`]). If its attempt fails, the next one looks
//! first, as any other does, and sends the same bytes only if nothing has changed on either side.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::super::look::Ready;
use super::{Lane, Refill, claim, pack};
use crate::base::clock::UnixMs;
use crate::model::{Delivery, Sent};
use crate::store::Prepared;

/// How long a message waits where nothing may be sent.
const IDLE: Duration = Duration::from_secs(10);

impl Lane {
    /// What is to be sent of a claim that holds edited deliveries; the others are given back and claimed again at once.
    pub(super) async fn edited_first(&self, edited: Vec<Delivery>, others: Vec<Delivery>) -> Refill {
        self.give_back_due(others.iter().map(claim).collect(), UnixMs::MIN, None).await;
        if !self.policy.sending {
            self.give_back(edited.iter().map(claim).collect(), IDLE, None).await;
            return Refill::Nothing(Duration::from_millis(1));
        }
        let (now, batch) = (self.clock.now(), self.receiving().batch);
        let ready = edited.into_iter().filter_map(|delivery| ready(delivery, batch.is_some(), now)).collect();
        let parcels = pack(ready, batch, &self.policy.retry);
        Refill::Ready(self.clock.elapsed(), None, parcels)
    }
}

fn ready(mut delivery: Delivery, in_list: bool, now: UnixMs) -> Option<Ready> {
    let body = delivery.edited.take()?;
    // Nobody knows what became of it: it is that message still.
    let known = delivery.sent.is_some_and(|sent| sent.is_unread()) && !delivery.renew;
    let stored = delivery.body.take_if(|_| known);
    let new = stored.is_none();
    // In a list, what is no JSON would spoil all of it.
    let body = stored.unwrap_or(body);
    let body = if in_list && serde_json::from_slice::<IgnoredAny>(&body).is_err() {
        serde_json::to_vec(&String::from_utf8_lossy(&body)).ok()?.into()
    } else {
        body
    };
    let (revision, attempt) = (delivery.revision + i64::from(new), delivery.attempts + 1);
    let prepared = Prepared {
        id: delivery.id,
        claim: delivery.claim,
        revision,
        body,
        sent: Sent { kind: delivery.kind, row: Sent::UNREAD },
        differs: None,
        fingerprint: delivery.fingerprint,
        batch: None,
        attempt,
        now,
    };
    Some(Ready { delivery, prepared })
}
