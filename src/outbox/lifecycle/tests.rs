use proptest::prelude::*;

use super::*;
use crate::model::ErrorClass;

const NOW: UnixMs = 1_000_000;
const ROW: [u8; 16] = [1; 16];
const OTHER: [u8; 16] = [2; 16];

fn delivery(state: State) -> Delivery {
    let (kind, fingerprint, found_at) = (DeliveryKind::Missing, ROW, NOW);
    Delivery { kind, state, fingerprint, found_at, ..Delivery::sample() }
}

/// A delivery whose revision 1 was sent and acknowledged at `NOW`.
fn acknowledged() -> Delivery {
    Delivery {
        revision: 1,
        body: Some(Box::new([0])),
        sent: Some(SENT),
        renew: false,
        acked_at: Some(NOW),
        ..delivery(State::Verify)
    }
}

fn policy() -> Policy {
    Policy {
        retry: RetryPolicy::fixed(Duration::from_secs(10), 3, Then::Every(Duration::from_secs(600))),
        confirm: Confirm {
            floor: Duration::from_secs(1),
            lag: Duration::from_secs(60),
            hot: Duration::from_secs(60),
        },
        verify: Some(Duration::from_secs(30)),
        sending: true,
    }
}

const SENT: Sent = Sent { kind: DeliveryKind::Missing, row: ROW };
const DIFFERS: Seen = Seen::Disagrees(SENT);
const MOVED: Seen = Seen::Disagrees(Sent { kind: DeliveryKind::Missing, row: OTHER });
const HALF_MENDED: Seen = Seen::Disagrees(Sent { kind: DeliveryKind::Differs, row: ROW });
const REFUSED: AttemptOutcome = AttemptOutcome::Failed {
    class: ErrorClass::Connect,
    status: None,
    detail: String::new(),
    answer: None,
    retry_after: None,
};

/// One malformed row gives 400 for the whole list: that says nothing about the others yet.
#[test]
fn nothing_is_given_up_for_a_failure_that_may_be_of_another() {
    let only_what_time_cures = Some(vec![ErrorClass::Connect, ErrorClass::Http5xx]);
    let refused = AttemptOutcome::Failed {
        class: ErrorClass::Http4xx,
        status: Some(400),
        detail: String::new(),
        answer: None,
        retry_after: None,
    };
    for (tries, then, on, outcome) in [
        (0, Then::Dead, None, &refused),
        (1, Then::Dead, only_what_time_cures.clone(), &refused),
        (3, Then::Every(Duration::from_secs(600)), only_what_time_cures, &refused),
        (0, Then::Every(Duration::from_secs(600)), None, &REFUSED),
    ] {
        let mut policy = policy();
        (policy.retry.tries, policy.retry.then, policy.retry.on) = (tries, then, on);
        let d = delivery(State::Main);
        let alone = after_attempt(&d, outcome, &policy, NOW);
        assert!(matches!(alone.to.state, State::Dead | State::Slow), "its own");
        let (answered, goes_alone) = together(&d, alone, &policy, NOW);
        assert!(goes_alone && !answered.entered_slow);
        assert_eq!((answered.to.state, answered.to.tries, answered.due), (State::Retry, 1, NOW + 10_000));
    }
    // What is tried again quickly stays together, and 410 is about the receiver.
    let gone = AttemptOutcome::Failed {
        class: ErrorClass::Http4xx,
        status: Some(410),
        detail: String::new(),
        answer: None,
        retry_after: None,
    };
    for outcome in [&REFUSED, &gone] {
        let (d, policy) = (delivery(State::Main), policy());
        let alone = after_attempt(&d, outcome, &policy, NOW);
        assert_eq!(together(&d, alone.clone(), &policy, NOW), (alone, false));
    }
}

#[test]
fn an_equal_look_heals_whatever_the_state() {
    for state in State::ALL.into_iter().filter(|s| s.is_open()) {
        let Next::Settle { to, .. } = after_look(&delivery(state), Seen::Agrees, &policy(), NOW) else {
            panic!("an agreeing copy is never called back");
        };
        assert_eq!(to.state, State::Healed);
    }
}

#[test]
fn a_row_that_is_gone_is_not_called_back() {
    let next = after_look(&delivery(State::Main), Seen::Gone, &policy(), NOW);
    assert!(matches!(next, Next::Settle { to: Transition { state: State::Healed, .. }, .. }));
}

#[test]
fn four_failures_then_every_ten_minutes_for_ever() {
    let mut d = delivery(State::Main);
    let mut waits = Vec::new();
    let mut told = 0;
    for _ in 0..6 {
        let answered = after_attempt(&d, &REFUSED, &policy(), NOW);
        waits.push((answered.to.state, (answered.due - NOW) / 1000));
        told += u32::from(answered.entered_slow);
        (d.state, d.tries) = (answered.to.state, answered.to.tries);
    }
    let (quick, slow) = ((State::Retry, 10), (State::Slow, 600));
    assert_eq!(waits, [quick, quick, quick, slow, slow, slow]);
    assert_eq!(told, 1, "people are told once per stay in the slow lane");
}

#[test]
fn then_dead_waits_for_a_person() {
    let policy = Policy { retry: RetryPolicy { tries: 0, then: Then::Dead, ..policy().retry }, ..policy() };
    assert_eq!(after_attempt(&delivery(State::Main), &REFUSED, &policy, NOW).to.state, State::Dead);
}

#[test]
fn looks_grow_to_the_limit_and_only_the_last_one_fails() {
    let mut d = acknowledged();
    let mut at = Vec::new();
    let mut now = NOW + 1000;
    loop {
        let Next::Settle { to, due, note } = after_look(&d, DIFFERS, &policy(), now) else {
            panic!("sent too soon")
        };
        at.push((now - NOW) / 1000);
        if to.state != State::Verify {
            assert_eq!((to.state, to.unhealed, to.renew), (State::Retry, 1, true));
            assert_eq!((due - now) / 1000, 60);
            assert_eq!(note, Some("acknowledged but not fixed"));
            break;
        }
        (d.looks, now) = (to.looks, due);
    }
    assert_eq!(at, [1, 2, 4, 8, 16, 30]);
}

#[test]
fn looks_that_findings_brought_forward_do_not_fail_it_early() {
    let mut d = acknowledged();
    for now in (NOW + 10)..(NOW + 100) {
        let Next::Settle { to, due, .. } = after_look(&d, DIFFERS, &policy(), now) else { panic!() };
        assert_eq!(to.state, State::Verify);
        assert!(due > now && due <= NOW + 30_000);
        d.looks = to.looks;
    }
}

#[test]
fn an_unhealed_copy_gets_a_new_message_later_and_later() {
    let mut pauses = Vec::new();
    let mut d = acknowledged();
    for _ in 0..5 {
        let last = NOW + 30_000;
        let Next::Settle { to, due, .. } = after_look(&d, DIFFERS, &policy(), last) else { panic!() };
        pauses.push((due - last) / 1000);
        assert!(to.renew);
        let again = Delivery { state: to.state, renew: to.renew, unhealed: to.unhealed, ..d.clone() };
        assert_eq!(after_look(&again, DIFFERS, &policy(), due), Next::Send { revision: d.revision + 1 });
        d.unhealed = to.unhealed;
    }
    assert_eq!(pauses, [60, 300, 600, 600, 600]);
}

#[test]
fn a_source_that_moved_on_is_confirmed_anew_without_a_failure() {
    for now in [NOW, NOW + 30_000] {
        let Next::Settle { to, .. } = after_look(&acknowledged(), MOVED, &policy(), now) else { panic!() };
        assert_eq!((to.state, to.unhealed, to.renew), (State::Suspect, 0, false));
    }
}

#[test]
fn what_was_confirmed_is_confirmed_anew_when_both_sides_have_moved() {
    for state in [State::Main, State::Retry, State::Slow] {
        let next = after_look(&delivery(state), Seen::Moved, &policy(), NOW);
        assert!(
            matches!(next, Next::Settle { to: Transition { state: State::Suspect, .. }, .. }),
            "{state:?}"
        );
    }
}

#[test]
fn a_row_that_nobody_can_judge_is_not_healed() {
    let dead =
        |next| matches!(next, Next::Settle { to: Transition { state: State::Dead, .. }, note: Some(_), .. });
    for state in [State::Main, State::Retry, State::Verify] {
        assert!(dead(after_look(&delivery(state), Seen::NotComparable, &policy(), NOW)), "{state:?}");
    }
    assert!(dead(after_watch(&delivery(State::Suspect), Seen::NotComparable, Step::Confirmed, NOW)));
}

#[test]
fn a_suspect_becomes_what_its_look_says() {
    let d = delivery(State::Suspect);
    let to = |seen, step| match after_watch(&d, seen, step, NOW) {
        Next::Settle { to, due, .. } => (to.state, due),
        Next::Send { .. } => panic!("suspects are not sent"),
    };
    assert_eq!(to(DIFFERS, Step::Wait(NOW + 5)), (State::Suspect, NOW + 5));
    assert_eq!(to(DIFFERS, Step::Confirmed), (State::Main, NOW));
    assert_eq!(to(DIFFERS, Step::Stuck), (State::Main, NOW));
    assert_eq!(to(Seen::Agrees, Step::Confirmed).0, State::Healed);
    assert_eq!(to(Seen::Gone, Step::Wait(NOW)).0, State::Healed);
    assert_eq!(to(Seen::Ambiguous, Step::Wait(NOW + 5)).0, State::Suspect);
    assert_eq!(to(Seen::Ambiguous, Step::Confirmed).0, State::Dead);
}

#[test]
fn a_copy_that_is_half_mended_is_looked_at_on() {
    let next = after_look(&acknowledged(), HALF_MENDED, &policy(), NOW);
    assert!(matches!(next, Next::Settle { to: Transition { state: State::Verify, .. }, .. }));
    let failed = Delivery { state: State::Retry, acked_at: None, ..acknowledged() };
    assert_eq!(after_look(&failed, HALF_MENDED, &policy(), NOW), Next::Send { revision: 2 });
}

#[test]
fn retries_of_an_unchanged_row_keep_their_revision() {
    let d = Delivery { state: State::Retry, acked_at: None, ..acknowledged() };
    assert_eq!(after_look(&d, DIFFERS, &policy(), NOW), Next::Send { revision: 1 });
    assert_eq!(after_look(&d, MOVED, &policy(), NOW), Next::Send { revision: 2 });
}

#[test]
fn without_verify_a_2xx_is_the_end() {
    let policy = Policy { verify: None, ..policy() };
    let answered = after_attempt(
        &delivery(State::Main),
        &AttemptOutcome::Accepted { status: 204, answer: None },
        &policy,
        NOW,
    );
    assert_eq!(answered.to.state, State::Delivered);
    // A difference that arrived meanwhile, but turned out to be the row just sent, is not sent again.
    let reopened = Delivery { state: State::Main, ..acknowledged() };
    let next = after_look(&reopened, DIFFERS, &policy, NOW);
    assert!(matches!(next, Next::Settle { to: Transition { state: State::Delivered, .. }, .. }));
}

#[test]
fn our_own_stop_spends_no_try_and_keeps_the_message() {
    let d = Delivery { tries: 2, state: State::Retry, renew: false, ..delivery(State::Retry) };
    let answered = after_attempt(&d, &AttemptOutcome::Unknown, &policy(), NOW);
    assert_eq!((answered.to.tries, answered.to.state, answered.to.renew), (2, State::Retry, false));
}

/// Acknowledged, changed at the source, sent anew, and that failed: the newer message has still to be delivered.
#[test]
fn an_acknowledgement_does_not_outlive_its_message() {
    for (verify, outcome) in [
        (None, REFUSED),
        (None, AttemptOutcome::Unknown),
        (policy().verify, REFUSED),
        (policy().verify, AttemptOutcome::Unknown),
    ] {
        let policy = Policy { verify, ..policy() };
        let d = Delivery { state: State::Main, ..acknowledged() };
        assert_eq!(after_look(&d, MOVED, &policy, NOW), Next::Send { revision: 2 });
        let Answered { to, .. } = after_attempt(&d, &outcome, &policy, NOW);
        let Seen::Disagrees(sent) = MOVED else { panic!() };
        let (state, tries, renew, acked_at) = (to.state, to.tries, to.renew, to.acked_at);
        let d = Delivery { state, tries, renew, acked_at, revision: 2, sent: Some(sent), ..d };
        assert_eq!(after_look(&d, MOVED, &policy, NOW), Next::Send { revision: 2 }, "{outcome:?} {verify:?}");
    }
}

#[test]
fn nothing_is_sent_when_sending_is_off() {
    let policy = Policy { sending: false, ..policy() };
    for state in [State::Main, State::Retry, State::Slow] {
        let next = after_look(&delivery(state), DIFFERS, &policy, NOW);
        assert!(matches!(next, Next::Settle { due, .. } if due > NOW), "{state:?}");
    }
}

proptest! {
    /// A revision never goes back, and grows by one exactly when the message is not the stored one.
    #[test]
    fn revisions_only_grow(revision in 0_i64..1000, sent in proptest::option::of(0_u8..3), renew: bool, now_row in 0_u8..3) {
        let d = Delivery {
            revision,
            sent: sent.map(|b| Sent { kind: DeliveryKind::Differs, row: [b; 16] }),
            body: sent.map(|_| Box::from([0_u8])),
            renew,
            ..delivery(State::Retry)
        };
        let seen = Seen::Disagrees(Sent { kind: DeliveryKind::Differs, row: [now_row; 16] });
        let Next::Send { revision: next } = after_look(&d, seen, &policy(), NOW) else { panic!("must send") };
        let same = sent == Some(now_row) && !renew;
        prop_assert_eq!(next, if same { revision } else { revision + 1 });
    }
}

/// Nobody has read the row that a person's message is about: the copy has all of `verify`, then the source's row is sent.
#[test]
fn what_a_person_wrote_is_verified_to_the_end() {
    let sent = Sent { kind: DeliveryKind::Missing, row: Sent::UNREAD };
    let d = Delivery { sent: Some(sent), ..acknowledged() };
    let to = |now| match after_look(&d, DIFFERS, &policy(), now) {
        Next::Settle { to, note, .. } => (to.state, to.renew, note),
        Next::Send { .. } => panic!("an acknowledged message is not sent again"),
    };
    assert_eq!(to(NOW + 1000), (State::Verify, false, None));
    assert_eq!(to(NOW + 30_000), (State::Retry, true, Some(NOT_FIXED)));
    let again = Delivery { state: State::Retry, renew: true, ..d };
    assert_eq!(after_look(&again, DIFFERS, &policy(), NOW), Next::Send { revision: 2 });
}

#[test]
fn a_version_is_sent_as_it_was_read() {
    let read = Delivery { body: Some(Box::new([7])), revision: 4, ..delivery(State::Main) };
    let sent = Delivery { revision: 5, renew: false, tries: 1, ..read.clone() };
    let events = Policy { verify: None, ..policy() };
    assert_eq!(after_claim(&read, &events, NOW), Next::Send { revision: 5 });
    assert_eq!(after_claim(&sent, &events, NOW), Next::Send { revision: 5 }, "the same again");
    let again = Delivery { renew: true, ..sent.clone() };
    assert_eq!(after_claim(&again, &events, NOW), Next::Send { revision: 6 }, "replayed");
    let quiet = Policy { sending: false, ..events.clone() };
    let Next::Settle { to, due, note: None } = after_claim(&read, &quiet, NOW) else { panic!("it is kept") };
    assert_eq!((to.state, due > NOW), (State::Main, true));
    let Next::Settle { to, .. } = after_claim(&Delivery { body: None, ..read }, &events, NOW) else {
        panic!("there is nothing to send")
    };
    assert_eq!(to.state, State::Dead);
    let accepted = AttemptOutcome::Accepted { status: 200, answer: None };
    assert_eq!(after_attempt(&sent, &accepted, &events, NOW).to.state, State::Delivered);
}
