use uuid::Uuid;

use super::*;

mod beside;

const S: Duration = Duration::from_secs(1);

fn receiver(lanes: usize, concurrency: usize, period: Duration) -> (Arc<Receiver>, Clock) {
    let clock = Clock::manual(1_700_000_000_000);
    let limits = Limits { concurrency, period, breaker: Some(BreakerConfig::default()) };
    let member = |n: usize| Member {
        task: TaskName::new(format!("t{n}")),
        destination: DestinationName::new("d"),
        wake: Arc::new(Notify::new()),
    };
    let members = (0..lanes).map(member).collect();
    (Arc::new(Receiver::new("http://r/".to_owned(), &limits, members, clock.clone())), clock)
}

fn admitted(r: &Arc<Receiver>, lane: usize) -> Option<Pass> {
    match r.admit(lane) {
        Admitted::Now(pass) => Some(pass),
        _ => None,
    }
}

fn id(n: u128) -> DeliveryId {
    DeliveryId(Uuid::from_u128(n))
}

fn accepted() -> AttemptOutcome {
    AttemptOutcome::Accepted { status: 200, answer: None }
}

fn refused(status: u16, retry_after: Option<Duration>) -> AttemptOutcome {
    let class = crate::model::ErrorClass::Http5xx;
    AttemptOutcome::Failed { class, status: Some(status), detail: String::new(), answer: None, retry_after }
}

/// Ten deliveries fail.
fn shut(r: &Arc<Receiver>) -> Change {
    let mut last = None;
    for n in 0..10 {
        last = admitted(r, 0).unwrap().ended(&[id(n)], true, &refused(500, None)).map(|c| c.0);
    }
    last.unwrap()
}

#[test]
fn lanes_of_one_endpoint_share_its_calls_by_turns() {
    let (r, _) = receiver(3, 2, Duration::ZERO);
    // The first wants a lot, and was first.
    let mut open = vec![(0, admitted(&r, 0).unwrap()), (0, admitted(&r, 0).unwrap())];
    for lane in [0, 1, 2] {
        assert!(admitted(&r, lane).is_none(), "two are open");
    }
    let mut served = Vec::new();
    for _ in 0..12 {
        drop(open.remove(0));
        let next = (0..3).find_map(|lane| Some((lane, admitted(&r, lane)?))).expect("one is free");
        assert!(admitted(&r, next.0).is_none());
        served.push(next.0);
        open.push(next);
    }
    for lane in 0..3 {
        assert_eq!(served.iter().filter(|of| **of == lane).count(), 4, "{served:?}");
    }
    // Who gives up is not waited for.
    r.rest(0);
    r.rest(1);
    drop(open);
    assert!(admitted(&r, 2).is_some());
}

#[test]
fn a_rate_is_shared_and_what_was_not_called_is_given_back() {
    let (r, clock) = receiver(2, 8, S);
    assert_eq!(r.room(0, 100), Room::For(2));
    assert!(matches!(r.room(1, 100), Room::For(1)));
    let pass = admitted(&r, 0).unwrap();
    assert!(matches!(r.admit(1), Admitted::Later(pause) if pause == S));
    drop(pass);
    let pass = admitted(&r, 1).expect("the call was not made");
    assert_eq!(pass.ended(&[id(1)], true, &accepted()).map(|c| c.0), None);
    assert!(matches!(r.admit(0), Admitted::Later(pause) if pause == S));
    assert_eq!(r.room(0, 100), Room::For(1), "the other was served last");
    assert_eq!(r.room(1, 100), Room::None(S / 2));
    clock.advance(S);
    assert!(admitted(&r, 0).is_some());
}

#[test]
fn while_it_is_shut_one_lane_may_try_one_row() {
    let (r, clock) = receiver(2, 4, Duration::ZERO);
    let late = admitted(&r, 1).unwrap();
    assert!(matches!(shut(&r), Change::Opened { .. }));
    assert!(matches!(r.admit(0), Admitted::Shut));
    assert_eq!(r.room(0, 100), Room::None(30 * S));
    clock.advance(30 * S);
    assert_eq!((r.room(1, 100), r.room(0, 100)), (Room::Probe, Room::None(ASK)));
    assert!(matches!(r.admit(0), Admitted::Shut));
    let probe = admitted(&r, 1).expect("also while a call from before hangs");
    assert!(matches!(r.admit(1), Admitted::Shut), "one");
    assert_eq!(late.ended(&[id(50)], true, &accepted()).map(|c| c.0), None, "that says nothing any more");
    assert_eq!(
        probe.ended(&[id(1)], true, &refused(500, None)).map(|c| c.0),
        Some(Change::StillOpen { pause: 60 * S })
    );
    clock.advance(60 * S);
    // Whoever finds nothing to call leaves it to the other.
    assert_eq!(r.room(1, 100), Room::Probe);
    r.rest(1);
    assert_eq!(r.room(0, 100), Room::Probe);
    let probe = admitted(&r, 0).unwrap();
    assert!(probe.probes());
    assert_eq!(probe.ended(&[id(1)], true, &accepted()).map(|c| c.0), Some(Change::Ramping));
    assert_eq!(r.room(0, 100), Room::Few(8), "few are let in, few are read");
    let pass = admitted(&r, 0).unwrap();
    assert!(admitted(&r, 1).is_none(), "one at first");
    assert_eq!(pass.ended(&[id(1)], true, &accepted()).map(|c| c.0), None);
    let two = [admitted(&r, 1).unwrap(), admitted(&r, 0).unwrap()];
    assert!(admitted(&r, 0).is_none());
    let changes: Vec<_> =
        two.into_iter().map(|pass| pass.ended(&[id(2)], true, &accepted()).map(|c| c.0)).collect();
    assert_eq!(changes, [None, None]);
    let changes: Vec<_> = (0..4)
        .map(|_| {
            admitted(&r, 0)
                .or_else(|| admitted(&r, 1))
                .unwrap()
                .ended(&[id(3)], true, &accepted())
                .map(|c| c.0)
        })
        .collect();
    assert_eq!(changes, [None, None, None, Some(Change::Closed)]);
}

#[test]
fn a_probe_that_tells_nothing_is_made_by_another() {
    let (r, clock) = receiver(2, 4, Duration::ZERO);
    shut(&r);
    clock.advance(30 * S);
    assert_eq!(r.room(0, 1), Room::Probe);
    assert_eq!(admitted(&r, 0).unwrap().ended(&[id(1)], true, &AttemptOutcome::Unknown), None);
    assert_eq!(r.room(1, 1), Room::Probe);
}

#[test]
fn a_receiver_that_asks_is_left_alone() {
    let (r, clock) = receiver(1, 4, Duration::ZERO);
    let change = admitted(&r, 0).unwrap().ended(&[id(1)], true, &refused(503, Some(7 * S))).map(|c| c.0);
    assert_eq!(change, Some(Change::Asked { pause: 7 * S }));
    assert_eq!(r.room(0, 1), Room::None(7 * S));
    clock.advance(7 * S);
    assert_eq!(r.room(0, 1), Room::Probe);
}

/// Else it would claim, look at both sides and give back, again and again until the call ends.
#[test]
fn while_the_call_that_asks_is_open_nobody_takes_on_anything() {
    let (r, clock) = receiver(2, 4, Duration::ZERO);
    shut(&r);
    clock.advance(30 * S);
    assert_eq!(r.room(0, 100), Room::Probe);
    let probe = admitted(&r, 0).unwrap();
    for _ in 0..100 {
        for lane in [0, 1] {
            assert_eq!(r.room(lane, 100), Room::None(ASK));
            assert!(matches!(r.admit(lane), Admitted::Shut));
            r.rest(lane);
        }
        clock.advance(S / 10);
    }
    // It was cut off and has told nothing: another may try.
    drop(probe);
    assert_eq!(r.room(1, 100), Room::Probe);
}
