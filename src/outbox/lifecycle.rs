//! From a delivery and what was just seen or answered to what comes next. No clock, no I/O.

use std::time::Duration;

use super::Step;
use super::schedule::{asked, jittered, quick_pause};
use crate::base::clock::{UnixMs, ms};
use crate::config::{Confirm, RetryPolicy, Then};
use crate::model::{AttemptOutcome, Delivery, DeliveryKind, Sent, State};
use crate::store::Transition;

/// The first look after a 2xx; later ones come at doubled distance from the 2xx.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Pauses before the next callback when a 2xx did not heal the copy; the last one repeats.
const UNHEALED: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(600)];
/// Why a delivery goes on after a receiver said yes.
pub const NOT_FIXED: &str = "acknowledged but not fixed";
const GONE: &str = "gone at the source";
/// Why a delivery waits for a person.
pub const NOT_COMPARABLE: &str = "`deletedWhen` cannot be worked out for this row; it is not compared";
/// The same.
pub const TOO_LARGE: &str = "the row is too large to be compared and sent; it is never called back";
/// The same.
pub const AMBIGUOUS: &str = "several rows carry this key; it is never called back";
const NO_MESSAGE: &str = "its message is not kept any more; nothing can be sent";
/// How often a difference is looked at again while nothing may be sent (`--dry-run`).
const IDLE_LOOK: Duration = Duration::from_secs(10);

/// The settings of a destination that decide over its deliveries.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When failed attempts are made again.
    pub retry: RetryPolicy,
    /// When differences are believed.
    pub confirm: Confirm,
    /// How long the copy is looked at after a 2xx; `None`: a 2xx is the end.
    pub verify: Option<Duration>,
    /// `false`: nothing is sent (`--dry-run`, `"callbacks": "off"`).
    pub sending: bool,
}

/// What a look at both sides showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The copy agrees.
    Agrees,
    /// The source row is gone, or carries another key now.
    Gone,
    /// Several rows carry the key.
    Ambiguous,
    /// A row is too large to be compared and sent.
    TooLarge,
    /// `deletedWhen` cannot be worked out for the row: nobody can say whether the copy agrees.
    NotComparable,
    /// The copy disagrees, and both sides have moved since that was confirmed: it may only be late.
    Moved,
    /// The copy disagrees.
    Disagrees(
        /// What a message would say now.
        Sent,
    ),
}

/// What to do after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make the attempt, as this revision; the stored bytes are sent again if it is the stored one.
    Send {
        /// Revision to send.
        revision: i64,
    },
    /// Nothing to send now.
    Settle {
        /// What the delivery becomes.
        to: Transition,
        /// When it is due again, Unix ms.
        due: UnixMs,
        /// Why, for people.
        note: Option<&'static str>,
    },
}

/// What an attempt makes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What the delivery becomes.
    pub to: Transition,
    /// When it is due again, Unix ms.
    pub due: UnixMs,
    /// Whether it entered the slow lane just now: people are told.
    pub entered_slow: bool,
    /// Whether nothing may be sent to the receiver any more until a person says so.
    pub parks: bool,
}

fn keep(d: &Delivery) -> Transition {
    Transition {
        state: d.state,
        tries: d.tries,
        looks: d.looks,
        unhealed: d.unhealed,
        renew: d.renew,
        acked_at: d.acked_at,
    }
}

/// Distance of look number `n` (from 0) from the 2xx: 1 s, 2 s, 4 s … and last `verify`.
fn look_distance(n: u32, verify: Duration) -> Duration {
    FIRST_LOOK.saturating_mul(1 << n.min(20)).min(verify)
}

/// Decides after a look at a suspect; `step` is what [`super::Watch`] made of it.
pub fn after_watch(d: &Delivery, seen: Seen, step: Step, now: UnixMs) -> Next {
    let to = |state, due, note| Next::Settle { to: Transition { state, ..keep(d) }, due, note };
    match (seen, step) {
        (Seen::Agrees, _) => to(State::Healed, now, None),
        (Seen::Gone, _) => to(State::Healed, now, Some(GONE)),
        (_, Step::Wait(due)) => to(State::Suspect, due, None),
        (Seen::Ambiguous, _) => to(State::Dead, now, Some(AMBIGUOUS)),
        (Seen::TooLarge, _) => to(State::Dead, now, Some(TOO_LARGE)),
        (Seen::NotComparable, _) => to(State::Dead, now, Some(NOT_COMPARABLE)),
        (_, Step::Confirmed) => to(State::Main, now, None),
        (_, Step::Stuck) => {
            to(State::Main, now, Some("the source keeps changing and the copy does not follow"))
        }
    }
}

/// Decides after both sides of a confirmed or an acknowledged delivery were read.
pub fn after_look(d: &Delivery, seen: Seen, policy: &Policy, now: UnixMs) -> Next {
    let end = |state, note| Next::Settle { to: Transition { state, ..keep(d) }, due: now, note };
    let now_to_say = match seen {
        Seen::Agrees => return end(State::Healed, None),
        Seen::Gone => return end(State::Healed, Some(GONE)),
        Seen::Ambiguous => return end(State::Dead, Some(AMBIGUOUS)),
        Seen::TooLarge => return end(State::Dead, Some(TOO_LARGE)),
        Seen::NotComparable => return end(State::Dead, Some(NOT_COMPARABLE)),
        Seen::Moved => return end(State::Suspect, None),
        Seen::Disagrees(sent) => sent,
    };
    debug_assert!(now_to_say.kind != DeliveryKind::Ambiguous, "ambiguous keys are Seen::Ambiguous");
    // While an acknowledged message works, only the source counts: a copy that is being mended may well go from
    // missing to different. What a person wrote is taken to be about what is there.
    let unchanged = d.sent.is_some_and(|sent| sent.row == now_to_say.row || sent.is_unread());

    if d.state == State::Verify {
        return match policy.verify {
            Some(verify) if unchanged => still_different(d, verify, policy, now),
            // The source moved on: another difference, to be confirmed anew.
            _ => end(State::Suspect, None),
        };
    }
    if !policy.sending {
        return Next::Settle { to: keep(d), due: now.saturating_add(ms(IDLE_LOOK)), note: None };
    }
    if policy.verify.is_none() && d.acked_at.is_some() && unchanged && !d.renew {
        return end(State::Delivered, None);
    }
    let same_message = d.sent == Some(now_to_say) && !d.renew && d.body.is_some();
    Next::Send { revision: if same_message { d.revision } else { d.revision + 1 } }
}

/// Decides what to do with a version that is due at an event destination: it is sent as it was read.
pub fn after_claim(d: &Delivery, policy: &Policy, now: UnixMs) -> Next {
    if !policy.sending {
        return Next::Settle { to: keep(d), due: now.saturating_add(ms(IDLE_LOOK)), note: None };
    }
    if d.body.is_none() {
        let to = Transition { state: State::Dead, ..keep(d) };
        return Next::Settle { to, due: now, note: Some(NO_MESSAGE) };
    }
    Next::Send { revision: if d.renew { d.revision + 1 } else { d.revision } }
}

/// Acknowledged, the source stands still, and the copy still differs: only the last look counts as a failure.
fn still_different(d: &Delivery, verify: Duration, policy: &Policy, now: UnixMs) -> Next {
    let acked = d.acked_at.unwrap_or(now);
    if now < acked.saturating_add(ms(verify)) {
        let looks = d.looks + 1;
        let due = acked.saturating_add(ms(look_distance(looks, verify)));
        return Next::Settle { to: Transition { looks, ..keep(d) }, due: due.max(now), note: None };
    }
    let unhealed = d.unhealed + 1;
    let step = usize::try_from(unhealed - 1).unwrap_or(usize::MAX).min(UNHEALED.len() - 1);
    let state = match &policy.retry.then {
        Then::Dead if unhealed > policy.retry.tries => State::Dead,
        _ if step + 1 < UNHEALED.len() => State::Retry,
        _ => State::Slow,
    };
    // What is dead is due since it is.
    let pause = if state == State::Dead { Duration::ZERO } else { UNHEALED[step] };
    Next::Settle {
        to: Transition { state, unhealed, looks: 0, renew: true, ..keep(d) },
        due: now.saturating_add(ms(pause)),
        note: Some(NOT_FIXED),
    }
}

fn seed(d: &Delivery) -> u64 {
    xxhash_rust::xxh3::xxh3_64(d.id.0.as_bytes()).wrapping_add(u64::from(d.attempts))
}

/// Decides after an attempt.
pub fn after_attempt(d: &Delivery, outcome: &AttemptOutcome, policy: &Policy, now: UnixMs) -> Answered {
    let open = |to, due| Answered { to, due, entered_slow: false, parks: false };
    match outcome {
        // Interrupted by our own end: spends no try, comes again with the same id.
        AttemptOutcome::Unknown => {
            let state = if d.state == State::Verify { State::Main } else { d.state };
            open(Transition { state, renew: false, acked_at: None, ..keep(d) }, now)
        }
        AttemptOutcome::Accepted { .. } => {
            let to = Transition { tries: 0, looks: 0, renew: false, acked_at: Some(now), ..keep(d) };
            match policy.verify {
                None => open(Transition { state: State::Delivered, ..to }, now),
                Some(verify) => open(
                    Transition { state: State::Verify, ..to },
                    now.saturating_add(ms(look_distance(0, verify))),
                ),
            }
        }
        // The receiver says that it is gone for good: nothing is sent to it until a person says so.
        AttemptOutcome::Failed { status: Some(410), .. } => {
            let state = if d.state == State::Verify { State::Main } else { d.state };
            let to = Transition { state, renew: false, acked_at: None, ..keep(d) };
            Answered { parks: true, ..open(to, now) }
        }
        AttemptOutcome::Failed { class, retry_after, .. } => {
            let tries = d.tries + 1;
            // That an older message was acknowledged says nothing about this one.
            let to = Transition { tries, renew: false, acked_at: None, ..keep(d) };
            if !policy.retry.repeats(*class) {
                return open(Transition { state: State::Dead, ..to }, now);
            }
            let seed = seed(d);
            if tries <= policy.retry.tries {
                let pause = asked(quick_pause(&policy.retry, tries, seed), *retry_after);
                return open(Transition { state: State::Retry, ..to }, now.saturating_add(ms(pause)));
            }
            match policy.retry.then {
                Then::Dead => open(Transition { state: State::Dead, ..to }, now),
                Then::Every(pause) => {
                    let pause = asked(jittered(pause, policy.retry.jitter, seed), *retry_after);
                    Answered {
                        to: Transition { state: State::Slow, ..to },
                        due: now.saturating_add(ms(pause)),
                        entered_slow: d.state != State::Slow,
                        parks: false,
                    }
                }
            }
        }
    }
}

/// What a failure of several deliveries in one call makes of one of them.
///
/// `alone` is what it would be if the failure were its own. It may be that of another, so before it is given up or tried
/// slowly it is called alone. Returns whether it must be.
pub fn together(d: &Delivery, alone: Answered, policy: &Policy, now: UnixMs) -> (Answered, bool) {
    let ends = alone.to.state == State::Dead || (alone.to.state == State::Slow && alone.entered_slow);
    if !ends {
        return (alone, false);
    }
    let pause = quick_pause(&policy.retry, 1, seed(d));
    let to = Transition { state: State::Retry, ..alone.to };
    let due = now.saturating_add(ms(pause));
    (Answered { to, due, entered_slow: false, parks: alone.parks }, true)
}

#[cfg(test)]
mod tests;
