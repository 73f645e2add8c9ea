use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1000;
const NOW: UnixMs = 1_000_000;

fn settings() -> Confirm {
    Confirm { floor: Duration::from_secs(1), lag: Duration::from_secs(60), hot: Duration::from_secs(8) }
}

/// A row of three columns; `version` tells the source's rows apart.
fn witness(version: u64, source: [u32; 3], copy: Option<[u32; 3]>) -> Witness {
    let differs = (0..3).filter(|i| copy.is_none_or(|copy| copy[*i] != source[*i])).collect();
    Witness { version, source: source.to_vec(), copy: copy.map(|copy| copy.to_vec()), differs }
}

/// Looks whenever it is due until `end`; both sides are functions of the time since the finding. Returns when it was
/// confirmed or stuck first.
fn play(end: i64, at: impl Fn(i64) -> Witness) -> Option<(i64, Step)> {
    play_by(&settings(), end, at)
}

fn play_by(settings: &Confirm, end: i64, at: impl Fn(i64) -> Witness) -> Option<(i64, Step)> {
    let first = at(0);
    let mut watch = Watch::begin(&first, NOW);
    let mut now = first_look(1, settings.floor, NOW);
    while now - NOW < end {
        let seen = at(now - NOW);
        if seen.differs.is_empty() {
            return None;
        }
        watch = Watch::read(&watch.bytes()).unwrap();
        match watch.look(&seen, settings, settings.floor, NOW, NOW, now) {
            Step::Wait(due) => {
                assert!(due > now && due <= now + settings.floor.as_millis() as i64 + SECOND, "{now} {due}");
                now = due;
            }
            step => return Some((now - NOW, step)),
        }
    }
    None
}

#[test]
fn a_row_that_stands_still_is_confirmed_after_the_wait_and_not_before() {
    let lost = play(60 * SECOND, |_| witness(2, [1, 2, 3], Some([1, 2, 9])));
    assert_eq!(lost, Some((SECOND, Step::Confirmed)));
    let missing = play(60 * SECOND, |_| witness(2, [1, 2, 3], None));
    assert_eq!(missing, Some((SECOND, Step::Confirmed)));
}

#[test]
fn each_new_version_starts_the_wait_anew() {
    let change = |t: i64| if t < 900 { 1 } else { 2 };
    let lost = play(60 * SECOND, |t| witness(change(t), [1, 2, 3], Some([1, 2, 9])));
    let (at, Step::Confirmed) = lost.unwrap() else { panic!() };
    assert!((1900..2500).contains(&at), "{at}");
}

/// A counter that moves ten times a second and a copy that shows what it was a while ago.
#[test]
fn a_row_that_keeps_moving_is_no_difference_while_its_copy_follows() {
    let counter = |t: i64| u32::try_from(1000 + t / 100).unwrap();
    for lag in [150, 400, 799, 1700] {
        let follows = play(300 * SECOND, |t| {
            witness(counter(t).into(), [1, 2, counter(t)], Some([1, 2, counter(t - lag)]))
        });
        assert_eq!(follows, None, "{lag}");
    }
}

#[test]
fn a_copy_that_stands_still_under_a_moving_source_is_stuck() {
    let counter = |t: i64| u32::try_from(1000 + t / 100).unwrap();
    let frozen = |t: i64| witness(counter(t).into(), [1, 2, counter(t)], Some([1, 2, 990]));
    let (at, Step::Stuck) = play(300 * SECOND, frozen).unwrap() else { panic!() };
    assert!((8 * SECOND..26 * SECOND).contains(&at), "{at}");
    let absent = |t: i64| witness(counter(t).into(), [1, 2, counter(t)], None);
    let (at, Step::Stuck) = play(300 * SECOND, absent).unwrap() else { panic!() };
    assert!((8 * SECOND..18 * SECOND).contains(&at), "{at}");
}

/// `hot` is about rows that never stand still. It does not shorten the wait of those that do.
#[test]
fn a_row_that_stands_still_is_given_its_time_however_short_hot_is() {
    for (hot, wait) in [(10, 20), (60, 300), (120, 150), (8, 60)] {
        let s = Duration::from_secs;
        let settings = Confirm { floor: s(wait), lag: s(600), hot: s(hot) };
        let wait = i64::try_from(wait).unwrap() * SECOND;
        let late = play_by(&settings, 2 * wait, |t| {
            witness(2, [1, 2, 3], Some(if t < wait * 9 / 10 { [1, 2, 9] } else { [1, 2, 3] }))
        });
        assert_eq!(late, None, "{settings:?}");
        let lost = |t: i64| witness(if t < wait / 30 { 1 } else { 2 }, [1, 2, 3], Some([1, 2, 9]));
        let (at, Step::Confirmed) = play_by(&settings, 2 * wait, lost).unwrap() else {
            panic!("{settings:?}")
        };
        assert!(at >= wait, "{settings:?} {at}");
    }
}

/// One column moves and is followed, another was lost: a hot counter hides nothing.
#[test]
fn a_lost_column_beside_a_hot_one_is_stuck() {
    let counter = |t: i64| u32::try_from(1000 + t / 100).unwrap();
    let half = |t: i64| witness(counter(t).into(), [1, 7, counter(t)], Some([1, 2, counter(t - 300)]));
    let (at, Step::Stuck) = play(300 * SECOND, half).unwrap() else { panic!() };
    assert!((8 * SECOND..11 * SECOND).contains(&at), "{at}");
}

#[test]
fn a_pause_in_watching_proves_nothing_about_what_moved() {
    let mut watch = Watch::begin(&witness(1, [1, 7, 3], Some([1, 2, 3])), NOW);
    let later = NOW + 3600 * SECOND;
    let step =
        watch.look(&witness(2, [1, 7, 4], Some([1, 2, 3])), &settings(), settings().floor, NOW, NOW, later);
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
}

#[test]
fn zero_believes_at_once() {
    let seen = witness(1, [1, 2, 3], None);
    let mut watch = Watch::begin(&seen, NOW);
    assert_eq!(first_look(1, Duration::ZERO, NOW), NOW);
    assert_eq!(watch.look(&seen, &settings(), Duration::ZERO, NOW, NOW, NOW), Step::Confirmed);
}

#[test]
fn what_was_confirmed_is_past_when_both_sides_have_moved() {
    let watch = Watch::begin(&witness(1, [1, 2, 3], Some([1, 2, 9])), NOW);
    assert!(!watch.is_past(&witness(1, [1, 2, 3], Some([1, 2, 9]))));
    assert!(!watch.is_past(&witness(2, [1, 2, 4], Some([1, 2, 9]))), "the copy is where it was: still lost");
    assert!(!watch.is_past(&witness(1, [1, 2, 3], Some([1, 2, 8]))), "the source is what was confirmed");
    assert!(
        watch.is_past(&witness(2, [1, 2, 4], Some([1, 2, 3]))),
        "the copy has caught up with what was confirmed"
    );
}

#[test]
fn a_clock_that_was_set_starts_the_wait_anew() {
    let seen = witness(1, [1, 2, 3], None);
    let mut watch = Watch::begin(&seen, NOW);
    let hour = 3600 * SECOND;
    for now in [NOW + hour, NOW - hour] {
        let step = watch.look(&seen, &settings(), settings().floor, NOW, now, now);
        assert!(matches!(step, Step::Wait(due) if due <= now + SECOND), "{step:?}");
    }
    let now = NOW - hour;
    assert_eq!(watch.look(&seen, &settings(), settings().floor, NOW, now, now + SECOND), Step::Confirmed);
}

#[test]
fn memory_is_bounded() {
    let mut watch = Watch::begin(&witness(0, [0; 3], None), NOW);
    for n in 1..1000 {
        let seen = witness(n.into(), [n; 3], Some([n, 0, 0]));
        watch.look(&seen, &settings(), settings().floor, NOW, NOW, NOW + i64::from(n));
    }
    assert!(watch.bytes().len() < 4096, "{}", watch.bytes().len());
}

proptest! {
    /// A copy that shows, after at most `lag`, what the source showed is never believed to differ, however the source
    /// moves, as long as it does not return to a version it had.
    #[test]
    fn no_copy_that_follows_is_believed_to_differ(
        pauses in proptest::collection::vec(1_i64..1500, 1..200),
        lag in 0_i64..900,
    ) {
        let version = |t: i64| {
            let mut at = 0;
            let past = pauses.iter().take_while(|pause| { at += **pause; at <= t }).count();
            u32::try_from(past).unwrap()
        };
        let first = version(0);
        prop_assert_eq!(first, 0);
        let seen = play(400_000, |t| {
            let (now, then) = (version(t), version(t - lag));
            witness(now.into(), [1, now + 1, now + 1], Some([1, then + 1, then + 1]))
        });
        // What stands still longer than the wait has been followed by then.
        prop_assert_eq!(seen, None);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Watch::read(&bytes);
    }
}
