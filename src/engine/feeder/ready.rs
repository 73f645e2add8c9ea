//! Versions that are due: they go out as they were read, nothing is read again.

use crate::base::clock::UnixMs;
use crate::engine::look::{Ready, Sorted, Watched};
use crate::model::{Delivery, Sent, State};
use crate::outbox::{Next, Policy, after_claim};
use crate::store::{Prepared, Settlement, Transition};

/// Makes messages of claimed versions.
pub(in crate::engine) fn ready(claimed: Vec<Delivery>, policy: &Policy, now: UnixMs) -> Sorted {
    let mut sorted = Sorted::default();
    for mut delivery in claimed {
        match (after_claim(&delivery, policy, now), delivery.body.take()) {
            (Next::Send { revision }, Some(body)) => {
                let attempt = delivery.attempts + 1;
                let prepared = Prepared {
                    id: delivery.id,
                    claim: delivery.claim,
                    revision,
                    body,
                    sent: Sent { kind: delivery.kind, row: delivery.fingerprint },
                    differs: None,
                    fingerprint: delivery.fingerprint,
                    batch: None,
                    attempt,
                    now,
                };
                sorted.ready.push(Ready { delivery, prepared });
            }
            (Next::Settle { to, due, note }, _) => {
                sorted.settled.push(settlement(&delivery, to, (due, now), note));
            }
            (Next::Send { .. }, None) => unreachable!("what has no message is not sent"),
        }
    }
    sorted
}

/// There is nothing to look at: whatever waits for a look is to be called.
pub(in crate::engine) fn unlooked(claimed: &[Delivery], now: UnixMs) -> Watched {
    let settled = claimed.iter().map(|d| {
        let to = Transition {
            state: State::Main,
            tries: d.tries,
            looks: d.looks,
            unhealed: d.unhealed,
            renew: d.renew,
            acked_at: d.acked_at,
        };
        settlement(d, to, (now, now), None)
    });
    Watched { settled: settled.collect(), lessons: Vec::new(), left: Vec::new() }
}

fn settlement(
    d: &Delivery,
    to: Transition,
    (due, now): (UnixMs, UnixMs),
    note: Option<&'static str>,
) -> Settlement {
    Settlement {
        id: d.id,
        claim: d.claim,
        to,
        seen: None,
        watch: None,
        due,
        attempt: None,
        note: note.map(str::to_owned),
        evidence: None,
        now,
    }
}
