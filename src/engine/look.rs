//! Looks at both sides of claimed deliveries and decides what each becomes.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

mod differs;
mod whole;

use super::pair::{Looked, Pair};
use crate::base::clock::UnixMs;
use crate::config::{CallbackConfig, ValueForm};
use crate::deliver::{Changed, body, extra_body};
use crate::diff::digest;
use crate::model::{
    Class, Column, Delivery, DeliveryId, DeliveryKind, Evidence, Row, Sent, State, Value, Verdict, real_text,
};
use crate::outbox::{Learner, Lesson, Next, Policy, Seen, Step, Watch, after_look, after_watch};
use crate::sql::PlaceError;
use crate::store::{Prepared, Settlement};
use whole::Whole;

/// A delivery whose attempt stands at the door.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    pub(super) prepared: Prepared,
}

/// A delivery and the claim under which it is worked on.
pub(super) type Claim = (DeliveryId, i64);

/// What a look made of claimed deliveries.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) ready: Vec<Ready>,
    pub(super) settled: Vec<Settlement>,
    /// What there was no room to look at, to be given back as it was; never the first.
    pub(super) left: Vec<Claim>,
}

/// What a look made of what must not be called yet.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) settled: Vec<Settlement>,
    /// To be learned once it is settled.
    pub(super) lessons: Vec<Lesson>,
    /// What there was no room to look at, to be given back as it was; never the first.
    pub(super) left: Vec<Claim>,
}

/// Bytes of messages made by one look; those behind them wait for the next.
const MESSAGES: usize = 8 << 20;

/// Reads both sides once for all of `claimed`, suspects and acknowledged ones, and decides; nothing is sent from here.
pub(super) async fn watch(
    pair: &Pair,
    claimed: &[Delivery],
    policy: &Policy,
    learner: &Mutex<Learner>,
    since: UnixMs,
    now: impl Fn() -> UnixMs,
) -> Result<Watched, PlaceError> {
    let wanted: Vec<_> = claimed.iter().map(|d| (d.row, &d.key)).collect();
    // What is read of the source is as old as that, however long the copy takes to answer.
    let read_at = now();
    let looked = pair.look(&wanted).await?;
    let left = claimed.iter().zip(&looked).filter(|(_, looked)| looked.is_none());
    let left = left.map(|(d, _)| (d.id, d.claim)).collect();
    let learner = learner.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lessons = Vec::new();
    let looked = claimed.iter().zip(looked).filter_map(|(d, looked)| Some((d, looked?)));
    let settled = looked.map(|(d, mut looked)| {
        let (now, seen) = (now(), seen(&looked));
        let mut watch = d.watch.as_deref().and_then(Watch::read);
        let next = if d.state == State::Suspect {
            let step = suspect(d, seen, &looked, &mut watch, policy, &learner, (since, read_at));
            lessons.extend(lesson(d, seen, step, watch.as_ref(), now));
            after_watch(d, seen, step, now)
        } else {
            after_look(d, seen, policy, now)
        };
        let Next::Settle { to, due, note } = next else {
            unreachable!("an acknowledged message is not sent again")
        };
        Settlement {
            id: d.id,
            claim: d.claim,
            seen: difference(seen, &looked),
            evidence: evidence(d, to.state, &mut looked),
            to,
            watch: watch.map(|watch| watch.bytes()),
            due,
            attempt: None,
            note: note.map(str::to_owned),
            now,
        }
    });
    let settled = settled.collect();
    Ok(Watched { settled, lessons, left })
}

/// The digest of the difference, if there is one.
fn difference(seen: Seen, looked: &Looked) -> Option<[u8; 16]> {
    matches!(seen, Seen::Disagrees(_) | Seen::Ambiguous | Seen::TooLarge | Seen::NotComparable)
        .then_some(looked.fingerprint)
}

/// The rows that carry the key of a delivery that is put aside for that, unless they are known.
fn evidence(d: &Delivery, to: State, looked: &mut Looked) -> Option<Box<Evidence>> {
    let known = d.shown && d.fingerprint == looked.fingerprint;
    looked.evidence.take().filter(|_| to == State::Dead && !known)
}

fn suspect(
    d: &Delivery,
    seen: Seen,
    looked: &Looked,
    watch: &mut Option<Watch>,
    policy: &Policy,
    learner: &Learner,
    (since, now): (UnixMs, UnixMs),
) -> Step {
    if matches!(seen, Seen::Agrees | Seen::Gone) {
        return Step::Wait(now);
    }
    let watch = watch.get_or_insert_with(|| Watch::begin(&looked.witness, now));
    // A row that moved since it was found is as late as those that were found when it moved.
    let wait = learner.wait(d.found_at.max(watch.stood()), now);
    watch.look(&looked.witness, &policy.confirm, wait, d.found_at, since, now)
}

/// What a look at a suspect teaches: how long a copy needed to follow, or that it did not.
fn lesson(d: &Delivery, seen: Seen, step: Step, watch: Option<&Watch>, now: UnixMs) -> Option<Lesson> {
    match (seen, step, watch) {
        (Seen::Agrees, _, Some(watch)) if d.sent.is_none() => {
            Some(Lesson::Healed { found: d.found_at, stood: watch.stood(), looked: watch.looked(), now })
        }
        (Seen::Disagrees(_), Step::Confirmed, _) => Some(Lesson::InVain(now)),
        _ => None,
    }
}

/// Reads both sides once for all of `claimed` and decides.
pub(super) async fn look(
    pair: &Pair,
    claimed: Vec<Delivery>,
    policy: &Policy,
    receiver: &CallbackConfig,
    now: impl Fn() -> UnixMs,
) -> Result<Sorted, PlaceError> {
    let looked = whole::read(pair, &claimed).await?;
    let mut sorted = Sorted::default();
    let mut weighs = 0;
    let mut whole = Whole::of(claimed.iter().zip(&looked).map(|(d, looked)| (d.batch, looked.is_some())));
    for (mut delivery, looked) in claimed.into_iter().zip(looked) {
        let goes = whole.goes(delivery.batch, weighs < MESSAGES);
        let Some(mut looked) = looked.filter(|_| goes) else {
            sorted.left.push((delivery.id, delivery.claim));
            continue;
        };
        let now = now();
        let seen = match seen(&looked) {
            Seen::Disagrees(_) if is_past(&delivery, &looked, policy) => Seen::Moved,
            seen => seen,
        };
        if let Seen::Disagrees(sent) = seen {
            recognise(&mut delivery, &looked, sent);
        }
        match (after_look(&delivery, seen, policy, now), seen) {
            (Next::Send { revision }, Seen::Disagrees(sent)) => {
                let ready = ready(pair, delivery, looked, revision, sent, receiver, now);
                weighs += ready.prepared.body.len();
                sorted.ready.push(ready);
            }
            (Next::Settle { to, due, note }, _) => {
                let note = note.map(str::to_owned);
                let (id, claim) = (delivery.id, delivery.claim);
                let (seen, evidence) =
                    (difference(seen, &looked), evidence(&delivery, to.state, &mut looked));
                let (watch, attempt) = (None, None);
                sorted.settled.push(Settlement {
                    id,
                    claim,
                    to,
                    seen,
                    watch,
                    due,
                    attempt,
                    note,
                    evidence,
                    now,
                });
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

/// A message that a person wrote is about what is there as long as nothing has changed on either side.
fn recognise(delivery: &mut Delivery, looked: &Looked, now: Sent) {
    if delivery.sent.is_some_and(|sent| sent.is_unread()) && delivery.fingerprint == looked.fingerprint {
        delivery.sent = Some(now);
    }
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
    mut delivery: Delivery,
    looked: Looked,
    revision: i64,
    sent: Sent,
    receiver: &CallbackConfig,
    now: UnixMs,
) -> Ready {
    let row = looked.row.unwrap_or_default();
    // A revision that was sent before goes out byte for byte as it was.
    let stored = delivery.body.take().filter(|_| revision == delivery.revision);
    let bytes = stored.unwrap_or_else(|| {
        write(pair, &row, looked.copy.as_ref(), looked.verdict.as_ref(), sent.kind, receiver)
    });
    let prepared = Prepared {
        id: delivery.id,
        claim: delivery.claim,
        revision,
        body: bytes,
        sent,
        differs: differs::differs(
            pair,
            &row,
            (looked.copy.as_ref(), looked.stray.as_ref()),
            looked.verdict.as_ref(),
        ),
        fingerprint: looked.fingerprint,
        batch: None,
        attempt: delivery.attempts + 1,
        now,
    };
    Ready { delivery, prepared }
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
pub(super) fn shown<'v>(column: &Column, value: &'v Value, form: ValueForm) -> Cow<'v, Value> {
    match value {
        Value::F64(x) if column.class == Class::Dynamic && form == ValueForm::Text => {
            Cow::Owned(Value::text(real_text(*x)))
        }
        value => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Witness;

    /// Only what says something about how copies follow; and it is handed on, so that it counts when it is settled.
    #[test]
    fn a_look_teaches_how_long_copies_need_and_when_they_do_not_come() {
        let watch = Watch::begin(&Witness::default(), 2000);
        let sent = Sent { kind: DeliveryKind::Differs, row: [1; 16] };
        let disagrees = Seen::Disagrees(sent);
        let taught = |d: &Delivery, seen, step| lesson(d, seen, step, Some(&watch), 5000);
        let (d, wait) = (Delivery::sample(), Step::Wait(6000));
        let healed = Lesson::Healed { found: 1000, stood: 2000, looked: 2000, now: 5000 };
        assert_eq!(taught(&d, Seen::Agrees, wait), Some(healed));
        assert_eq!(taught(&d, disagrees, Step::Confirmed), Some(Lesson::InVain(5000)));
        assert_eq!(taught(&d, disagrees, wait), None);
        assert_eq!(taught(&d, Seen::Gone, wait), None);
        for never in [Seen::Ambiguous, Seen::TooLarge, Seen::NotComparable] {
            assert_eq!(taught(&d, never, Step::Confirmed), None, "{never:?} is not waited for");
        }
        let called = Delivery { sent: Some(sent), ..Delivery::sample() };
        assert_eq!(taught(&called, Seen::Agrees, wait), None, "a receiver has mended it");
    }

    #[test]
    fn an_ambiguous_key_is_shown_once() {
        let evidence_of = |d: &Delivery, to| {
            let mut looked = Looked {
                verdict: Some(Verdict::Ambiguous(2)),
                row: None,
                copy: None,
                fingerprint: [7; 16],
                witness: Witness::default(),
                evidence: Some(Box::default()),
                stray: None,
            };
            evidence(d, to, &mut looked).is_some()
        };
        assert!(evidence_of(&Delivery::sample(), State::Dead));
        assert!(!evidence_of(&Delivery::sample(), State::Suspect), "not yet believed");
        let shown = Delivery { shown: true, fingerprint: [7; 16], ..Delivery::sample() };
        assert!(!evidence_of(&shown, State::Dead));
        assert!(evidence_of(&Delivery { fingerprint: [6; 16], ..shown }, State::Dead), "other rows");
    }

    /// A person's message is taken for one about what is there as long as nothing has changed on either side.
    #[test]
    fn an_edited_message_is_recognised_by_what_differs() {
        let now = Sent { kind: DeliveryKind::Differs, row: [5; 16] };
        let unread = Sent { row: Sent::UNREAD, ..now };
        let other = Sent { row: [6; 16], ..now };
        for (sent, fingerprint, expected) in
            [(unread, [1; 16], now), (unread, [2; 16], unread), (other, [1; 16], other)]
        {
            let mut d = Delivery { sent: Some(sent), ..Delivery::sample() };
            let looked = Looked {
                verdict: Some(Verdict::Differs(vec![0])),
                row: None,
                copy: None,
                fingerprint,
                witness: Witness::default(),
                evidence: None,
                stray: None,
            };
            recognise(&mut d, &looked, now);
            assert_eq!(d.sent, Some(expected));
        }
    }
}
