//! Looks at both sides of claimed deliveries and decides what each becomes.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use super::pair::{Looked, Pair};
use crate::base::clock::UnixMs;
use crate::config::{CallbackConfig, ValueForm};
use crate::deliver::{Changed, Message, body, extra_body};
use crate::diff::digest;
use crate::model::{Class, Column, Delivery, DeliveryKind, Row, Sent, State, Value, Verdict, real_text};
use crate::outbox::{Learner, Next, Policy, Seen, Step, Watch, after_look, after_watch};
use crate::sql::PlaceError;
use crate::store::{Prepared, Settlement};

/// A delivery whose attempt stands at the door.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    pub(super) prepared: Prepared,
    pub(super) message: Message,
}

/// What a look made of claimed deliveries.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) ready: Vec<Ready>,
    pub(super) settled: Vec<Settlement>,
}

/// Reads both sides once for all of `claimed`, suspects and acknowledged ones, and decides; nothing is sent from here.
pub(super) async fn watch(
    pair: &Pair,
    claimed: Vec<Delivery>,
    policy: &Policy,
    learner: &Mutex<Learner>,
    since: UnixMs,
    now: impl Fn() -> UnixMs,
) -> Result<Vec<Settlement>, PlaceError> {
    let wanted: Vec<_> = claimed.iter().map(|d| (d.row, &d.key)).collect();
    let looked = pair.look(&wanted).await?;
    let mut learner = learner.lock().unwrap_or_else(PoisonError::into_inner);
    let settled = claimed.iter().zip(&looked).map(|(d, looked)| {
        let (now, seen) = (now(), seen(looked));
        let mut watch = d.watch.as_deref().and_then(Watch::read);
        let next = if d.state == State::Suspect {
            let step = suspect(d, seen, looked, &mut watch, policy, &mut learner, (since, now));
            after_watch(d, seen, step, now)
        } else {
            after_look(d, seen, policy, now)
        };
        let Next::Settle { to, due, note } = next else {
            unreachable!("an acknowledged message is not sent again")
        };
        let seen =
            matches!(seen, Seen::Disagrees(_) | Seen::Ambiguous | Seen::TooLarge | Seen::NotComparable)
                .then_some(looked.fingerprint);
        Settlement {
            id: d.id,
            claim: d.claim,
            to,
            seen,
            watch: watch.map(|watch| watch.bytes()),
            due,
            attempt: None,
            note: note.map(str::to_owned),
            now,
        }
    });
    Ok(settled.collect())
}

fn suspect(
    d: &Delivery,
    seen: Seen,
    looked: &Looked,
    watch: &mut Option<Watch>,
    policy: &Policy,
    learner: &mut Learner,
    (since, now): (UnixMs, UnixMs),
) -> Step {
    if matches!(seen, Seen::Agrees | Seen::Gone) {
        if let (Seen::Agrees, None, Some(watch)) = (seen, d.sent, watch.as_ref()) {
            learner.healed(d.found_at, watch.stood(), watch.looked(), now);
        }
        return Step::Wait(now);
    }
    let watch = watch.get_or_insert_with(|| Watch::begin(&looked.witness, now));
    // A row that moved since it was found is as late as those that were found when it moved.
    let wait = learner.wait(d.found_at.max(watch.stood()), now);
    let step = watch.look(&looked.witness, &policy.confirm, wait, d.found_at, since, now);
    if step == Step::Confirmed {
        learner.in_vain(now);
    }
    step
}

/// Reads both sides once for all of `claimed` and decides.
pub(super) async fn look(
    pair: &Pair,
    claimed: Vec<Delivery>,
    policy: &Policy,
    receiver: &CallbackConfig,
    now: impl Fn() -> UnixMs,
) -> Result<Sorted, PlaceError> {
    let wanted: Vec<_> = claimed.iter().map(|d| (d.row, &d.key)).collect();
    let looked = pair.look(&wanted).await?;
    let mut sorted = Sorted::default();
    for (delivery, looked) in claimed.into_iter().zip(looked) {
        let now = now();
        let seen = match seen(&looked) {
            Seen::Disagrees(_) if is_past(&delivery, &looked, policy) => Seen::Moved,
            seen => seen,
        };
        match (after_look(&delivery, seen, policy, now), seen) {
            (Next::Send { revision }, Seen::Disagrees(sent)) => {
                sorted.ready.push(ready(pair, delivery, looked, revision, sent, receiver, now));
            }
            (Next::Settle { to, due, note }, _) => {
                let note = note.map(str::to_owned);
                let seen = matches!(
                    seen,
                    Seen::Disagrees(_) | Seen::Ambiguous | Seen::TooLarge | Seen::NotComparable
                )
                .then_some(looked.fingerprint);
                let (id, claim) = (delivery.id, delivery.claim);
                let watch = None;
                sorted.settled.push(Settlement { id, claim, to, seen, watch, due, attempt: None, note, now });
            }
            (Next::Send { .. }, _) => unreachable!("only a copy that disagrees is called back"),
        }
    }
    Ok(sorted)
}

/// Whether what was confirmed is no longer what is there, on either side.
fn is_past(delivery: &Delivery, looked: &Looked, policy: &Policy) -> bool {
    let confirmed = delivery.watch.as_deref().and_then(Watch::read);
    !policy.confirm.floor.is_zero() && confirmed.is_some_and(|watch| watch.is_past(&looked.witness))
}

fn seen(looked: &Looked) -> Seen {
    let kind = match &looked.verdict {
        None => return Seen::Gone,
        Some(Verdict::NotComparable) => return Seen::NotComparable,
        Some(Verdict::Same) => return Seen::Agrees,
        Some(Verdict::Ambiguous(_)) => return Seen::Ambiguous,
        Some(Verdict::TooLarge) => return Seen::TooLarge,
        Some(Verdict::Missing) => DeliveryKind::Missing,
        Some(Verdict::Differs(_)) => DeliveryKind::Differs,
        Some(Verdict::Extra) => DeliveryKind::Extra,
    };
    // A message is about the source's row; where there is none, about the copy's.
    let row = looked.row.as_deref().or(looked.copy.as_deref()).unwrap_or_default();
    Seen::Disagrees(Sent { kind, row: digest(&[row]) })
}

fn ready(
    pair: &Pair,
    delivery: Delivery,
    looked: Looked,
    revision: i64,
    sent: Sent,
    receiver: &CallbackConfig,
    now: UnixMs,
) -> Ready {
    let row = looked.row.unwrap_or_default();
    // A revision that was sent before goes out byte for byte as it was.
    let stored = delivery.body.clone().filter(|_| revision == delivery.revision);
    let bytes = stored.unwrap_or_else(|| {
        write(pair, &row, looked.copy.as_ref(), looked.verdict.as_ref(), sent.kind, receiver)
    });
    let attempt = delivery.attempts + 1;
    let prepared = Prepared {
        id: delivery.id,
        claim: delivery.claim,
        revision,
        body: bytes.clone(),
        sent,
        fingerprint: looked.fingerprint,
        attempt,
        now,
    };
    let message =
        Message { task: delivery.task.clone(), delivery: delivery.id, revision, attempt, body: bytes };
    Ready { delivery, prepared, message }
}

fn write(
    pair: &Pair,
    row: &Row,
    copy: Option<&Row>,
    verdict: Option<&Verdict>,
    kind: DeliveryKind,
    receiver: &CallbackConfig,
) -> Box<[u8]> {
    if let (DeliveryKind::Extra, Some(copy)) = (kind, copy) {
        let columns = std::iter::once(pair.destination.key_column()).chain(pair.destination.columns());
        let named: Vec<_> =
            columns.zip(copy).map(|(c, v)| (&*c.name, shown(c, v, receiver.values))).collect();
        return extra_body(named.iter().map(|(name, value)| (*name, &**value)), receiver.values);
    }
    let columns = pair.source.columns();
    let pairs: Vec<_> = match (verdict, copy) {
        (Some(Verdict::Differs(list)), Some(copy)) => list
            .iter()
            .map(|i| {
                let (at, values) = (pair.source_column(*i), receiver.values);
                let des = &pair.destination.columns()[*i];
                (&columns[at], shown(&columns[at], &row[at], values), shown(des, &copy[i + 1], values))
            })
            .collect(),
        _ => Vec::new(),
    };
    let changed: Vec<Changed<'_>> =
        pairs.iter().map(|(column, src, des)| Changed { column: &column.name, src, des }).collect();
    let named: Vec<_> =
        columns.iter().zip(row).map(|(c, v)| (&*c.name, shown(c, v, receiver.values))).collect();
    body(kind, named.iter().map(|(name, value)| (*name, &**value)), &changed, receiver.body, receiver.values)
}

/// A value as a callback shows it, where the database's own text form is another than the value's.
fn shown<'v>(column: &Column, value: &'v Value, form: ValueForm) -> Cow<'v, Value> {
    match value {
        Value::F64(x) if column.class == Class::Dynamic && form == ValueForm::Text => {
            Cow::Owned(Value::text(real_text(*x)))
        }
        value => Cow::Borrowed(value),
    }
}
