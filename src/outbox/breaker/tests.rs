use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const S: Duration = Duration::from_secs(1);

fn config() -> BreakerConfig {
    BreakerConfig { window: 60 * S, tries: 10, share: 0.7, pause: 30 * S, max: 300 * S }
}

fn id(n: u128) -> DeliveryId {
    DeliveryId(Uuid::from_u128(n))
}

fn breaker(concurrency: usize) -> Breaker {
    Breaker::new(Some(config()), concurrency)
}

/// A call that is begun and ends now.
fn call(b: &mut Breaker, n: u128, verdict: Verdict, now: Duration) -> Option<Change> {
    b.record(b.epoch(), &ended(&[id(n)], verdict), now)
}

fn ended(of: &[DeliveryId], verdict: Verdict) -> Ended<'_> {
    Ended { of, fresh: true, verdict, asked: None }
}

/// The same of a delivery that has failed before.
fn again(b: &mut Breaker, n: u128, verdict: Verdict, now: Duration) -> Option<Change> {
    b.record(b.epoch(), &Ended { fresh: false, ..ended(&[id(n)], verdict) }, now)
}

/// Opened at second 10 by ten deliveries that failed.
fn opened(concurrency: usize) -> Breaker {
    let mut b = breaker(concurrency);
    for n in 1..=9 {
        assert_eq!(call(&mut b, n, Verdict::Down, S * n as u32), None);
    }
    let change = call(&mut b, 10, Verdict::Down, 10 * S);
    assert_eq!(change, Some(Change::Opened { pause: 30 * S, failed: 10, of: 10 }));
    b
}

#[test]
fn ten_deliveries_that_fail_open_it_and_pauses_grow_until_it_works() {
    let mut b = opened(4);
    assert_eq!((b.capacity(), b.is_open()), (0, true));
    let mut now = 10 * S;
    for (pause, next) in [(30, 60), (60, 120), (120, 240), (240, 300), (300, 300)] {
        assert_eq!(b.probe(0, now), Probe::At(now + pause * S), "not before its time");
        now += pause * S;
        assert_eq!(b.probe(0, now), Probe::Now);
        assert_eq!(b.probe(1, now), Probe::Taken, "one call at a time");
        assert_eq!(call(&mut b, 1, Verdict::Down, now), Some(Change::StillOpen { pause: next * S }));
    }
    now += 300 * S;
    assert_eq!(b.probe(1, now), Probe::Now);
    b.unprobe(1);
    assert_eq!(b.probe(0, now), Probe::Now, "who has nothing to call leaves it to others");
    assert_eq!(call(&mut b, 2, Verdict::Works, now), Some(Change::Ramping));
    // 1, 2, 4 calls at a time.
    let mut changes = Vec::new();
    let mut capacities = Vec::new();
    for n in 0..7 {
        capacities.push(b.capacity());
        changes.extend(call(&mut b, n, Verdict::Works, now));
    }
    assert_eq!(capacities, [1, 2, 2, 4, 4, 4, 4]);
    assert_eq!(changes, [Change::Closed]);
    assert_eq!((b.capacity(), b.is_closed()), (4, true));
}

#[test]
fn two_failures_while_few_are_let_in_open_it_again() {
    let mut b = opened(64);
    assert_eq!(b.probe(0, 40 * S), Probe::Now);
    call(&mut b, 1, Verdict::Works, 40 * S);
    assert_eq!(call(&mut b, 2, Verdict::Down, 41 * S), None, "that may be the row's own");
    assert_eq!(call(&mut b, 3, Verdict::Down, 41 * S), Some(Change::StillOpen { pause: 60 * S }));
    assert_eq!(b.probe(0, 101 * S), Probe::Now);
    call(&mut b, 1, Verdict::Works, 101 * S);
    for n in 0..7 {
        assert_eq!(call(&mut b, n, Verdict::Works, 102 * S), None);
    }
    assert_eq!(b.capacity(), 8);
    for n in 0..2 {
        assert_eq!(call(&mut b, n, Verdict::Down, 102 * S), None, "two of eight may be the rows' own");
    }
    assert_eq!(call(&mut b, 3, Verdict::Down, 102 * S), Some(Change::StillOpen { pause: 120 * S }));
}

#[test]
fn fifty_rows_that_have_failed_before_open_nothing_when_they_fail_again() {
    for verdict in [Verdict::Down, Verdict::Refuses] {
        let mut b = breaker(4);
        for round in 0..50_u32 {
            for n in 0..50 {
                assert_eq!(again(&mut b, n, verdict, 600 * S * round), None);
            }
        }
        // Nor do they while few are let in.
        let mut b = opened(4);
        assert_eq!(b.probe(0, 40 * S), Probe::Now);
        assert_eq!(call(&mut b, 1, Verdict::Works, 40 * S), Some(Change::Ramping));
        for n in 0..50 {
            assert_eq!(again(&mut b, n, Verdict::Down, 41 * S), None);
        }
    }
}

/// A receiver that is down while nothing new is found is spared too, but that is not sure.
#[test]
fn a_great_many_that_have_failed_before_open_it_and_what_is_fresh_may_try_at_once() {
    let open = |b: &mut Breaker| {
        let change = (0..100).find_map(|n| again(b, n, Verdict::Down, 5 * S));
        assert_eq!(change, Some(Change::Opened { pause: 30 * S, failed: 100, of: 100 }));
        // The pause grows while there is nothing else to try with.
        for (at, next) in [(35, 60), (95, 120), (215, 240), (455, 300)] {
            assert_eq!(b.probe(0, at * S), Probe::Now);
            assert_eq!(again(b, 1, Verdict::Down, at * S), Some(Change::StillOpen { pause: next * S }));
        }
    };
    let mut b = breaker(4);
    open(&mut b);
    assert_eq!(b.probe(0, 456 * S), Probe::Fresh(755 * S));
    assert_eq!(call(&mut b, 200, Verdict::Works, 456 * S), Some(Change::Ramping));

    let mut b = breaker(4);
    open(&mut b);
    for n in 200..202 {
        assert_eq!(b.probe(0, 456 * S), Probe::Fresh(if n == 200 { 755 } else { 486 } * S));
        assert_eq!(call(&mut b, n, Verdict::Down, 456 * S), Some(Change::StillOpen { pause: 30 * S }));
    }
    assert_eq!(b.probe(0, 456 * S), Probe::At(486 * S), "two of them make it sure");
    assert_eq!(b.probe(0, 486 * S), Probe::Now);
    assert_eq!(again(&mut b, 1, Verdict::Down, 486 * S), Some(Change::StillOpen { pause: 60 * S }));
    assert_eq!(
        b.probe(0, 487 * S),
        Probe::Fresh(546 * S),
        "it may be back, and that row may fail all the same"
    );
    assert_eq!(call(&mut b, 202, Verdict::Down, 487 * S), Some(Change::StillOpen { pause: 60 * S }));
    assert_eq!(b.probe(0, 488 * S), Probe::At(547 * S));
}

#[test]
fn a_row_of_its_own_opens_nothing_however_often_it_fails() {
    let mut b = breaker(4);
    for second in 0..3600 {
        assert_eq!(call(&mut b, 1, Verdict::Down, S * second), None);
        assert_eq!(call(&mut b, 2, Verdict::Refuses, S * second), None);
    }
    assert!(b.is_closed());
}

#[test]
fn rows_that_are_refused_open_it_only_if_nothing_is_taken() {
    let mut b = breaker(4);
    for n in 0..9 {
        assert_eq!(call(&mut b, n, Verdict::Refuses, S), None);
    }
    let all = Some(Change::Opened { pause: 30 * S, failed: 10, of: 10 });
    assert_eq!(call(&mut b, 9, Verdict::Refuses, S), all);
    // It answers: it is asked again and again after the same pause.
    for round in 1..10_u32 {
        assert_eq!(b.probe(0, S * 40 * round), Probe::Now);
        let still = Some(Change::StillOpen { pause: 30 * S });
        assert_eq!(call(&mut b, 1, Verdict::Refuses, S * 40 * round), still);
    }

    let mut b = breaker(4);
    call(&mut b, 0, Verdict::Works, S);
    for n in 1..1000 {
        assert_eq!(call(&mut b, n, Verdict::Refuses, 2 * S), None, "one was taken");
    }
}

#[test]
fn one_that_was_down_and_refuses_a_row_is_back() {
    let mut b = opened(4);
    assert_eq!(b.probe(0, 40 * S), Probe::Now);
    assert_eq!(call(&mut b, 1, Verdict::Refuses, 40 * S), Some(Change::Ramping));
}

#[test]
fn a_receiver_that_asks_for_time_gets_it_within_bounds() {
    for (asked, pause) in [(0, 1), (3, 3), (120, 120), (86_400, 300)] {
        let mut b = breaker(4);
        let change = b.record(0, &Ended { asked: Some(asked * S), ..ended(&[id(1)], Verdict::Down) }, 5 * S);
        assert_eq!(change, Some(Change::Asked { pause: pause * S }));
        assert_eq!(b.probe(0, 5 * S), Probe::At((5 + pause) * S));
    }
    let mut never = Breaker::new(None, 4);
    assert_eq!(never.record(0, &Ended { asked: Some(S), ..ended(&[id(1)], Verdict::Down) }, S), None);
}

#[test]
fn what_was_begun_before_says_nothing_afterwards() {
    let mut b = breaker(4);
    let before = b.epoch();
    for n in 0..10 {
        call(&mut b, n, Verdict::Down, S);
    }
    assert!(b.is_open());
    for verdict in [Verdict::Works, Verdict::Down] {
        assert_eq!(b.record(before, &ended(&[id(20)], verdict), 2 * S), None);
        assert!(b.is_open());
    }
}

#[test]
fn it_goes_on_after_a_restart_with_one_call_at_once() {
    let mut b = breaker(4);
    b.reopen(120 * S, 7 * S);
    assert_eq!(b.probe(0, 7 * S), Probe::Now);
    assert_eq!(call(&mut b, 1, Verdict::Down, 8 * S), Some(Change::StillOpen { pause: 240 * S }));
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Ends { of: u128, verdict: Verdict, asked: Option<u64> },
}

fn event() -> impl Strategy<Value = Event> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Works), 2 => Just(Verdict::Refuses), 6 => Just(Verdict::Down)
    ];
    let asked = prop_oneof![30 => Just(None), 1 => (0..1000_u64).prop_map(Some)];
    prop_oneof![
        1 => (0..40_000_u64).prop_map(Event::Wait),
        4 => (0..40_u128, verdict, asked).prop_map(|(of, verdict, asked)| Event::Ends { of, verdict, asked }),
    ]
}

proptest! {
    /// Against a plain list of everything that happened since it was last closed.
    #[test]
    fn it_opens_for_cause_and_closes_when_it_works(
        events in prop::collection::vec(event(), 1..400), concurrency in 1..40_usize,
    ) {
        let mut b = breaker(concurrency);
        let mut now = 1000 * S;
        let mut seen: Vec<(Duration, u128, Verdict)> = Vec::new();
        for event in events {
            let Event::Ends { of, verdict, asked } = event else {
                let Event::Wait(ms) = event else { unreachable!() };
                now += Duration::from_millis(ms);
                continue;
            };
            if b.is_open() {
                match b.probe(0, now) {
                    Probe::Now => {}
                    Probe::At(at) => {
                        prop_assert!(at > now && at - now <= 300 * S);
                        continue;
                    }
                    Probe::Taken | Probe::Fresh(_) => prop_assert!(false, "nobody else asks, all are fresh"),
                }
            }
            let (was_closed, asked) = (b.is_closed(), asked.map(Duration::from_secs).filter(|_| verdict == Verdict::Down));
            seen.push((now, of, verdict));
            match b.record(b.epoch(), &Ended { asked, ..ended(&[id(of)], verdict) }, now) {
                Some(Change::Opened { pause, failed, of }) => {
                    prop_assert!(was_closed && pause == 30 * S);
                    let window: Vec<_> = seen.iter().filter(|(at, ..)| now - *at < 60 * S).collect();
                    let bad: Vec<_> = window.iter().filter(|(.., v)| *v != Verdict::Works).collect();
                    let down = bad.iter().filter(|(.., v)| *v == Verdict::Down).count();
                    let mut several: Vec<_> = bad.iter().map(|(_, of, _)| of).collect();
                    several.sort_unstable();
                    several.dedup();
                    prop_assert!(window.len() as u64 >= of && of >= 10 && failed as usize <= bad.len());
                    prop_assert!(several.len() >= SEVERAL);
                    prop_assert!(failed as f64 >= 0.7 * of as f64 || failed == of);
                    prop_assert!(down as u64 >= failed || failed == of);
                }
                Some(Change::StillOpen { pause } | Change::Asked { pause }) => {
                    prop_assert!(pause >= LEAST && pause <= 300 * S);
                }
                Some(Change::Ramping) => prop_assert_eq!(b.capacity(), 1),
                Some(Change::Closed) => prop_assert_eq!(b.capacity(), concurrency),
                None => {}
            }
            if !b.is_closed() || !was_closed {
                seen.clear();
            }
            prop_assert!(b.capacity() <= concurrency);
        }
        // Whatever was before: when everything works it is closed after one pause and as many calls as the ramp has.
        now += 300 * S;
        let mut calls = 0;
        while !b.is_closed() {
            if b.is_open() {
                prop_assert_eq!(b.probe(0, now), Probe::Now);
            }
            call(&mut b, 1, Verdict::Works, now);
            calls += 1;
            prop_assert!(calls <= 2 * concurrency + 1);
        }
        // And when nothing does, an hour costs few calls.
        let mut calls = 0;
        for second in 0..3600 {
            let now = now + S * second;
            for n in 0..10 {
                if !b.is_open() || b.probe(0, now) == Probe::Now {
                    call(&mut b, n, Verdict::Down, now);
                    calls += 1;
                }
            }
        }
        prop_assert!(calls <= 10 + 16, "{} calls", calls);
    }
}
