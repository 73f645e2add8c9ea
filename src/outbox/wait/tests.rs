use super::*;

const NOW: UnixMs = 1_000_000_000;
const SECOND: i64 = 1000;

fn settings() -> Confirm {
    Confirm { floor: Duration::from_secs(1), lag: Duration::from_secs(60), hot: Duration::from_secs(60) }
}

/// A replicator under load, scanned every two seconds: of `each` suspects of a scan, the first `lost` never heal, the
/// others after `lag(found)`; each is looked at on the grid of looks and believed when its wait is over.
struct Play {
    learner: Learner,
    open: Vec<(UnixMs, Option<UnixMs>, UnixMs)>,
    /// Found, believed, and whether the copy was only late.
    believed: Vec<(UnixMs, UnixMs, bool)>,
    now: UnixMs,
}

impl Play {
    fn new() -> Self {
        Self {
            learner: Learner::new(settings(), None, NOW),
            open: Vec::new(),
            believed: Vec::new(),
            now: NOW,
        }
    }

    fn run(&mut self, seconds: i64, each: usize, lost: usize, lag: impl Fn(usize) -> Option<i64>) {
        let end = self.now + seconds * SECOND;
        while self.now < end {
            if self.now % (2 * SECOND) == 0 {
                for n in 0..each {
                    let heals = if n < lost { None } else { lag(n).map(|lag| self.now + lag) };
                    self.open.push((self.now, heals, self.now));
                }
                self.learner.found(each, self.now);
            }
            self.now += 100;
            let now = self.now;
            let mut open = std::mem::take(&mut self.open);
            open.retain_mut(|(found, heals, looked)| {
                // Looks come at growing distance.
                if (now - *looked) * 3 < (*looked - *found) || now - *found < 300 {
                    return true;
                }
                if heals.is_some_and(|at| at <= now) {
                    self.learner.healed(*found, *found, *looked, now);
                    return false;
                }
                *looked = now;
                if now - *found >= ms(self.learner.wait(*found, now)) {
                    self.learner.in_vain(now);
                    self.believed.push((*found, now, heals.is_some()));
                    return false;
                }
                true
            });
            self.open = open;
        }
    }

    fn late(&self) -> usize {
        self.believed.iter().filter(|(_, _, late)| *late).count()
    }

    fn lost(&self) -> Vec<i64> {
        self.believed.iter().filter(|(_, _, late)| !late).map(|(found, at, _)| at - found).collect()
    }
}

#[test]
fn without_copies_that_follow_late_the_floor_holds() {
    let mut play = Play::new();
    play.run(120, 40, 40, |_| None);
    assert!(play.lost().iter().all(|waited| *waited < 1500), "{:?}", play.lost());
    assert_eq!(play.learner.usual(play.now), settings().floor);
}

#[test]
fn late_copies_are_waited_for_and_lost_ones_are_told() {
    let mut play = Play::new();
    play.run(120, 200, 10, |n| Some(i64::try_from(n).unwrap() * 4));
    assert_eq!(play.late(), 0);
    assert!(play.lost().len() > 500);
    assert!(play.lost().iter().all(|waited| *waited < 3500), "{:?}", play.lost().iter().max());
}

#[test]
fn a_jump_of_the_lag_is_waited_out_and_learned() {
    let mut play = Play::new();
    play.run(60, 200, 10, |_| Some(500));
    assert_eq!(play.late(), 0);
    play.run(60, 200, 10, |_| Some(20 * SECOND));
    let late = play.late();
    println!("{late} believed too early");
    assert!(late <= 200, "{late} called back too early in the first seconds");
    play.run(120, 200, 10, |_| Some(500));
    assert_eq!(play.late(), late, "none afterwards");
    let waits = play.lost();
    assert!(
        waits.iter().all(|waited| *waited <= 70 * SECOND),
        "lost ones are told within the limit: {waits:?}"
    );
    assert!(waits.len() > 850, "{}", waits.len());
}

#[test]
fn a_replicator_that_stops_is_worked_off() {
    let mut play = Play::new();
    play.run(60, 200, 2, |_| Some(500));
    play.run(180, 200, 0, |_| None);
    let waits = play.lost();
    assert!(waits.len() > 100 * 85, "{}", waits.len());
    let (since, count) = play.learner.stopped().unwrap();
    assert!((NOW + 58 * SECOND..NOW + 70 * SECOND).contains(&since), "{}", since - NOW);
    assert!(count > 100 * 80, "{count}");
    assert_eq!(play.learner.usual(play.now), settings().floor);
    let last: Vec<i64> = waits.iter().rev().take(1000).copied().collect();
    assert!(last.iter().all(|waited| *waited < 2 * SECOND), "{last:?}");
}

#[test]
fn what_was_lost_at_once_and_is_over_does_not_mean_that_copies_have_stopped() {
    let mut play = Play::new();
    play.run(60, 100, 0, |_| Some(500));
    play.run(2, 100, 100, |_| None);
    // Nothing happens for a while.
    play.run(300, 0, 0, |_| None);
    assert_eq!(play.lost().len(), 100);
    assert_eq!(play.learner.stopped(), None);
}

#[test]
fn copies_that_never_followed_have_not_stopped() {
    let mut play = Play::new();
    play.run(300, 40, 40, |_| None);
    assert!(play.lost().len() > 5000);
    assert_eq!(play.learner.stopped(), None);
}

#[test]
fn a_lost_batch_is_told_when_the_next_ones_follow() {
    let mut play = Play::new();
    play.run(60, 100, 0, |_| Some(500));
    play.run(2, 100, 100, |_| None);
    play.run(60, 100, 0, |_| Some(500));
    let waits = play.lost();
    assert_eq!(waits.len(), 100);
    assert!(waits.iter().all(|waited| *waited < 12 * SECOND), "{:?}", waits.iter().max());
}

#[test]
fn what_was_learned_survives_a_restart_for_a_while() {
    let learner = Learner::new(settings(), Some(Duration::from_secs(7)), NOW);
    assert_eq!(learner.usual(NOW + SECOND), Duration::from_secs(7));
    assert_eq!(learner.usual(NOW + 400 * SECOND), settings().floor);
    let learner = Learner::new(settings(), Some(Duration::from_secs(3600)), NOW);
    assert_eq!(learner.usual(NOW), settings().lag, "never more than `lag`");
}

#[test]
fn zero_means_no_wait_whatever_was_seen() {
    let confirm = Confirm { floor: Duration::ZERO, ..settings() };
    let mut learner = Learner::new(confirm, Some(Duration::from_secs(9)), NOW);
    learner.found(1, NOW);
    learner.healed(NOW, NOW, NOW + 2000, NOW + 3000);
    assert_eq!(learner.wait(NOW, NOW + 3000), Duration::ZERO);
}

#[test]
fn a_look_that_came_late_teaches_nothing() {
    let mut learner = Learner::new(settings(), None, NOW);
    learner.found(1, NOW);
    learner.healed(NOW, NOW, NOW, NOW + 30 * SECOND);
    assert_eq!(learner.usual(NOW + 30 * SECOND), settings().floor);
}
