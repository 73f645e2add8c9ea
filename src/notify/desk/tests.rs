use proptest::prelude::*;

use super::*;
use crate::model::{DestinationName, TaskName};

const WECOM: Limits = Limits { burst: 3, period: Duration::from_secs(4), digests: true };
/// An arbitrary time.
const START: UnixMs = 1_790_000_000_000;

fn cause(event: Event, n: u8) -> Cause {
    Cause::at(event, &TaskName::new("t"), &DestinationName::new(format!("d{n}")))
}

fn facts() -> Facts {
    Facts { error: Some("http_5xx (503)".to_owned()), ..Facts::default() }
}

/// Lets time go by, everything that is sent being taken; returns it with its time.
fn pass(desk: &mut Desk, from: UnixMs, to: UnixMs) -> Vec<(UnixMs, Vec<Notice>)> {
    let mut sent = Vec::new();
    let mut now = from;
    loop {
        while let Some(notices) = desk.take(now) {
            desk.answered(&notices, now);
            sent.push((now, notices));
        }
        match desk.next() {
            Some(at) if at <= to => now = at.max(now + 1),
            _ => return sent,
        }
    }
}

#[test]
fn ten_thousand_failures_are_a_handful_of_messages() {
    let mut desk = Desk::new(WECOM);
    let failing = cause(Event::Failing, 1);
    let mut sent = Vec::new();
    // One every 10 ms: a hundred seconds.
    for n in 0..10_000 {
        let now = START + n * 10;
        desk.raise(&failing, 1, &facts(), now);
        sent.extend(pass(&mut desk, now, now + 9));
    }
    let end = START + 100_000;
    sent.extend(pass(&mut desk, end, end + 3_600_000));
    desk.clear(&failing, end + 3_600_000);
    sent.extend(pass(&mut desk, end + 3_600_000, end + 7_200_000));
    let told: Vec<(i64, u64, bool)> = sent
        .iter()
        .flat_map(|(at, notices)| {
            notices.iter().map(move |n| ((at - START) / 1000, n.count, n.until.is_some()))
        })
        .collect();
    assert_eq!(
        told,
        [(2, 201, false), (602, 10_000, false), (2_402, 10_000, false), (3_705, 10_000, true)],
        "{told:?}"
    );
}

#[test]
fn who_was_not_told_hears_no_recovery() {
    let mut desk = Desk::new(WECOM);
    desk.raise(&cause(Event::Unreachable, 1), 1, &facts(), START);
    desk.clear(&cause(Event::Unreachable, 1), START + 1_000);
    assert!(pass(&mut desk, START, START + 86_400_000).is_empty());
}

#[test]
fn an_end_while_the_beginning_is_on_its_way_is_said() {
    let mut desk = Desk::new(WECOM);
    let cause = cause(Event::State, 1);
    desk.raise(&cause, 1, &facts(), START);
    let notices = desk.take(START + GATHER).unwrap();
    desk.clear(&cause, START + GATHER + 1);
    desk.answered(&notices, START + GATHER + 2);
    let sent = pass(&mut desk, START + GATHER + 2, START + 600_000);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1[0].until.is_some());
    // Nobody heard of it: nobody hears that it is over.
    let mut desk = Desk::new(WECOM);
    desk.raise(&cause, 1, &facts(), START);
    desk.take(START + GATHER).unwrap();
    desk.clear(&cause, START + GATHER + 1);
    desk.failed(false, None, START + GATHER + 2);
    assert!(pass(&mut desk, START + GATHER + 2, START + 600_000).is_empty());
}

#[test]
fn what_comes_and_goes_is_said_less_and_less() {
    let mut desk = Desk::new(WECOM);
    let cause = cause(Event::Unreachable, 1);
    let mut sent = 0;
    // Ten seconds away, ten seconds there, for an hour.
    for round in 0..180 {
        let now = START + round * 20_000;
        desk.raise(&cause, 1, &facts(), now);
        sent += pass(&mut desk, now, now + 9_999).len();
        desk.clear(&cause, now + 10_000);
        sent += pass(&mut desk, now + 10_000, now + 19_999).len();
    }
    assert!((4..=12).contains(&sent), "{sent} messages");
}

#[test]
fn many_at_once_are_one_message_and_so_is_what_an_outage_held_back() {
    let mut desk = Desk::new(WECOM);
    for n in 0..30 {
        desk.raise(&cause(Event::Unreachable, n), 1, &facts(), START);
    }
    let sent = pass(&mut desk, START, START + 60_000);
    assert_eq!(sent.iter().map(|(_, notices)| notices.len()).collect::<Vec<_>>(), [30]);
    // Two are two messages, but not after an outage.
    let mut desk = Desk::new(WECOM);
    desk.raise(&cause(Event::Dead, 1), 1, &facts(), START);
    desk.raise(&cause(Event::Dead, 2), 1, &facts(), START);
    assert_eq!(desk.take(START + GATHER).unwrap().len(), 1);
    desk.failed(false, None, START + GATHER);
    assert_eq!(desk.next(), Some(START + GATHER + PAUSE));
    assert!(desk.take(START + GATHER + PAUSE - 1).is_none());
    assert_eq!(desk.take(START + GATHER + PAUSE).unwrap().len(), 2);
    // The service says how long; after that it is left alone for longer each time.
    desk.failed(false, Some(Duration::from_secs(3_600)), START);
    assert_eq!(desk.next(), Some(START + 3_600_000));
}

/// A service that refuses one message for good is told the others.
#[test]
fn what_is_refused_for_good_holds_up_nobody_else() {
    let single = Limits { burst: 10, period: Duration::from_secs(1), digests: false };
    let mut desk = Desk::new(single);
    desk.raise(&cause(Event::Dead, 1), 1, &facts(), START);
    assert_eq!(desk.take(START + GATHER).unwrap()[0].cause, cause(Event::Dead, 1));
    desk.failed(true, None, START + GATHER);
    desk.raise(&cause(Event::Dead, 2), 1, &facts(), START + 3_000);
    let sent = pass(&mut desk, START + 3_000, START + 60_000);
    assert_eq!(sent[0].1[0].cause, cause(Event::Dead, 2));
    assert_eq!(sent.len(), 1, "and the refused one is left alone");
    let sent = pass(&mut desk, START + 60_000, START + 3 * REFUSED);
    assert!(sent.iter().any(|(_, n)| n[0].cause == cause(Event::Dead, 1)), "for a while");
    // Of a digest nobody knows what was refused: each is told alone.
    let mut desk = Desk::new(WECOM);
    for n in 0..6 {
        desk.raise(&cause(Event::Dead, n), 1, &facts(), START);
    }
    let (mut now, mut told) = (START, BTreeSet::new());
    for _ in 0..40 {
        now = now.max(desk.next().unwrap());
        let Some(notices) = desk.take(now) else { break };
        if notices.iter().any(|n| n.cause == cause(Event::Dead, 3)) {
            desk.failed(true, None, now);
        } else {
            told.extend(notices.iter().map(|n| n.cause.clone()));
            desk.answered(&notices, now);
        }
        if told.len() == 5 {
            break;
        }
    }
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(now - START < REFUSED, "soon");
}

#[test]
fn what_ends_by_being_quiet() {
    let mut desk = Desk::new(WECOM);
    desk.raise(&cause(Event::NotFixed, 1), 3, &facts(), START);
    desk.raise(&cause(Event::Restarted, 1), 1, &facts(), START);
    let sent = pass(&mut desk, START, START + 86_400_000);
    let told: Vec<_> = sent.iter().flat_map(|(_, n)| n).map(|n| (n.cause.event, n.until.is_some())).collect();
    assert_eq!(told, [(Event::NotFixed, false), (Event::Restarted, false), (Event::NotFixed, true)]);
}

#[test]
fn a_restart_says_nothing_twice_and_forgets_nothing() {
    let mut desk = Desk::new(WECOM);
    desk.raise(&cause(Event::Blocked, 1), 1, &facts(), START);
    assert_eq!(pass(&mut desk, START, START + 5_000).len(), 1);
    desk.raise(&cause(Event::Dead, 2), 7, &facts(), START + 5_000);
    let text = desk.news().unwrap();
    assert!(desk.news().is_none());
    let mut desk = Desk::new(WECOM);
    desk.recall(&text, START + 60_000);
    desk.raise(&cause(Event::Blocked, 1), 1, &facts(), START + 61_000);
    let sent = pass(&mut desk, START + 61_000, START + 70_000);
    assert_eq!(sent.len(), 1, "what was not told before");
    assert_eq!((sent[0].1[0].cause.event, sent[0].1[0].count), (Event::Dead, 7));
    desk.clear(&cause(Event::Blocked, 1), START + 70_000);
    assert_eq!(pass(&mut desk, START + 70_000, START + 80_000).len(), 1, "its end is said");
    for text in ["", "[]", "{}", "[[1]]", "[[[\"new\",null,null],[],[],null,null]]"] {
        Desk::new(WECOM).recall(text, START);
    }
}

/// Nothing happens while cupid is down, or while nobody calls.
#[test]
fn quiet_is_counted_only_while_somebody_looks() {
    let mut desk = Desk::new(WECOM);
    let cause = cause(Event::NotFixed, 1);
    desk.raise(&cause, 3, &facts(), START);
    assert_eq!(pass(&mut desk, START, START + 5_000).len(), 1);
    let text = desk.news().unwrap();
    let mut desk = Desk::new(WECOM);
    let back = START + 7_200_000;
    desk.recall(&text, back);
    assert!(pass(&mut desk, back, back + 1_700_000).is_empty());
    assert!(!desk.ends_soon(&cause, back + 1_700_000));
    assert!(desk.ends_soon(&cause, back + 1_790_000));
    // Some still wait.
    desk.raise(&cause, 0, &Facts::default(), back + 1_790_000);
    assert!(pass(&mut desk, back, back + 3_500_000).is_empty(), "and nobody is told again that it lasts");
    assert_eq!(desk.count(&cause), Some(3));
    let sent = pass(&mut desk, back + 3_500_000, back + 7_200_000);
    assert_eq!(sent.iter().map(|(_, n)| n[0].until.is_some()).collect::<Vec<_>>(), [true]);
    assert_eq!(desk.count(&cause), None);
}

#[test]
fn what_is_no_longer_configured_is_left_once() {
    let mut desk = Desk::new(WECOM);
    for n in 1..=3 {
        desk.raise(&cause(Event::Unreachable, n), 1, &facts(), START);
    }
    assert_eq!(pass(&mut desk, START, START + 60_000).len(), 3);
    desk.raise(&cause(Event::Dead, 1), 1, &facts(), START + 60_000);
    let text = desk.news().unwrap();
    let mut desk = Desk::new(WECOM);
    desk.recall(&text, START + 61_000);
    desk.leave(|cause| *cause.destination.as_ref().unwrap() != DestinationName::new("d1"), START + 61_000);
    let sent = pass(&mut desk, START + 61_000, START + 500_000);
    let told: Vec<_> = sent.iter().flat_map(|(_, n)| n).map(|n| (n.cause.clone(), n.facts.left)).collect();
    assert_eq!(told, [(cause(Event::Unreachable, 1), true)], "and who was not told hears nothing");
    // Configured again, and wrong again.
    desk.raise(&cause(Event::Unreachable, 1), 1, &facts(), START + 500_000);
    assert!(!pass(&mut desk, START + 500_000, START + 510_000)[0].1[0].facts.left);
}

#[test]
fn that_something_is_not_configured_is_no_reason_to_leave_what_says_so() {
    let mut desk = Desk::new(WECOM);
    let facts = Facts { error: Some(NO_DESTINATION.to_owned()), ..Facts::default() };
    desk.raise(&cause(Event::Blocked, 1), 1, &facts, START);
    assert_eq!(pass(&mut desk, START, START + 5_000).len(), 1);
    desk.leave(|_| false, START + 5_000);
    assert!(pass(&mut desk, START + 5_000, START + 60_000).is_empty());
    assert!(desk.holds(&cause(Event::Blocked, 1)));
}

#[derive(Clone, Debug)]
enum Step {
    Raise(u8, u64),
    Clear(u8),
    Wait(i64),
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..8, 1_u64..50).prop_map(|(n, count)| Step::Raise(n, count)),
        (0_u8..8).prop_map(Step::Clear),
        (1_i64..120_000).prop_map(Step::Wait),
        Just(Step::Fail),
    ]
}

proptest! {
    /// Whatever happens: the rate holds, each end has a beginning before it, nothing that lasts goes untold, counts never
    /// exceed what happened.
    #[test]
    fn promises_hold(steps in proptest::collection::vec(step(), 1..120)) {
        let mut desk = Desk::new(WECOM);
        let mut now = START;
        let mut sent: Vec<UnixMs> = Vec::new();
        let mut told: BTreeSet<Cause> = BTreeSet::new();
        let mut open: BTreeMap<Cause, u64> = BTreeMap::new();
        let mut total: BTreeMap<Cause, u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Raise(n, count) => {
                    let cause = cause(Event::Failing, n);
                    desk.raise(&cause, count, &facts(), now);
                    *open.entry(cause.clone()).or_default() += count;
                    *total.entry(cause).or_default() += count;
                }
                Step::Clear(n) => {
                    desk.clear(&cause(Event::Failing, n), now);
                    open.remove(&cause(Event::Failing, n));
                }
                Step::Fail => {
                    if desk.take(now).is_some() {
                        sent.push(now);
                        desk.failed(false, None, now);
                    }
                }
                Step::Wait(time) => {
                    for (at, notices) in pass(&mut desk, now, now + time) {
                        sent.push(at);
                        for notice in notices {
                            prop_assert!(notice.count <= total[&notice.cause]);
                            if notice.until.is_some() {
                                prop_assert!(told.remove(&notice.cause), "an end without a beginning");
                            } else {
                                told.insert(notice.cause);
                            }
                        }
                    }
                    now += time;
                }
            }
        }
        for (at, _) in pass(&mut desk, now, now + 2 * LONGEST_PAUSE).into_iter().flat_map(|(at, notices)| {
            notices.into_iter().map(move |n| (at, n))
        }).map(|(at, n)| {
            if n.until.is_some() { told.remove(&n.cause) } else { told.insert(n.cause) };
            (at, ())
        }) {
            sent.push(at);
        }
        let open: BTreeSet<Cause> = open.into_keys().collect();
        prop_assert_eq!(&told, &open, "told is what lasts");
        sent.dedup();
        for (i, at) in sent.iter().enumerate() {
            let minute = sent[i..].iter().take_while(|later| **later < at + 60_000).count();
            prop_assert!(minute <= 20, "{} in a minute", minute);
        }
    }
}
