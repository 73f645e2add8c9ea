//! Whose turn it is at a receiver that several lanes share, and when the next call may begin. No clock, no I/O.

use std::time::Duration;

/// A lane that has not asked for so long wants nothing.
const ACTIVE: Duration = Duration::from_secs(5);
/// Calls that are due within this time may begin together: timers are no finer.
const GRAIN: Duration = Duration::from_millis(10);

/// A rate limit without bursts: one call in each period.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    period: Duration,
    next: Duration,
}

impl Slots {
    /// One call in each `period`; zero: as many as one likes.
    pub fn new(period: Duration) -> Self {
        Self { period, next: Duration::ZERO }
    }

    /// How many calls may begin within this time; `None`: there is no limit.
    pub fn within(&self, time: Duration, now: Duration) -> Option<usize> {
        let wait = self.next.saturating_sub(now);
        (!self.period.is_zero()).then(|| match time.checked_sub(wait) {
            Some(left) => {
                usize::try_from(left.as_nanos() / self.period.as_nanos()).unwrap_or(usize::MAX - 1) + 1
            }
            None => 0,
        })
    }

    /// How long until the next call may begin.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.period.is_zero() { Duration::ZERO } else { self.next.saturating_sub(now) }
    }

    /// A call begins.
    pub fn take(&mut self, now: Duration) {
        // What a coarse timer missed is made up for, if that is not seen.
        let slack = if self.period < GRAIN { GRAIN } else { Duration::ZERO };
        self.next = self.next.max(now.saturating_sub(slack)) + self.period;
    }

    /// The call that was begun last was not made.
    pub fn give_back(&mut self) {
        self.next = self.next.saturating_sub(self.period);
    }
}

/// Shares out what there is among the lanes that ask for it: whoever was served least comes first.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    lanes: Vec<Wants>,
}

#[derive(Clone, Copy, Debug)]
struct Wants {
    lane: usize,
    asked: Duration,
    served: u64,
}

impl Turns {
    /// How many of `calls` a lane may take on now, so that the others get as many.
    pub fn share(&mut self, lane: usize, calls: usize, now: Duration) -> usize {
        self.lanes.retain(|other| other.lane == lane || now.saturating_sub(other.asked) < ACTIVE);
        let mine = match self.lanes.iter_mut().find(|wants| wants.lane == lane) {
            Some(mine) => {
                mine.asked = now;
                *mine
            }
            None => {
                let served = self.lanes.iter().map(|other| other.served).min().unwrap_or(0);
                let mine = Wants { lane, asked: now, served };
                self.lanes.push(mine);
                mine
            }
        };
        let count = self.lanes.len();
        let before = |other: &&Wants| (other.served, other.lane) < (mine.served, lane);
        let place = self.lanes.iter().filter(before).count();
        if calls >= count { calls / count } else { usize::from(place < calls) }
    }

    /// A call of this lane begins.
    pub fn served(&mut self, lane: usize) {
        if let Some(wants) = self.lanes.iter_mut().find(|wants| wants.lane == lane) {
            wants.served += 1;
        }
    }

    /// The lane wants nothing now.
    pub fn rest(&mut self, lane: usize) {
        self.lanes.retain(|other| other.lane != lane);
    }

    /// How many want something.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_keep_their_distance_and_nothing_is_saved_up() {
        let mut slots = Slots::new(100 * MS);
        let mut begun = Vec::new();
        for now in 5000..10_000 {
            if slots.wait(now * MS).is_zero() {
                slots.take(now * MS);
                begun.push(now);
            }
        }
        assert_eq!(begun.len(), 50);
        assert!(begun.windows(2).all(|w| w[1] - w[0] == 100), "{begun:?}");
        assert_eq!(slots.within(1000 * MS, 20_000 * MS), Some(11));
        slots.take(20_000 * MS);
        assert_eq!(slots.within(99 * MS, 20_000 * MS), Some(0));
        slots.give_back();
        assert_eq!(slots.wait(20_000 * MS), Duration::ZERO);
        assert_eq!(Slots::new(Duration::ZERO).within(MS, MS), None);
    }

    #[test]
    fn a_fast_rate_is_kept_with_a_coarse_timer() {
        let mut slots = Slots::new(MS / 5);
        let mut begun = 0;
        for now in 1000..2000 {
            while slots.wait(now * MS).is_zero() {
                slots.take(now * MS);
                begun += 1;
            }
        }
        assert!((5000..=5060).contains(&begun), "{begun}");
    }

    proptest! {
        /// However little there is to share, lanes that ask alike get alike.
        #[test]
        fn nobody_is_left_out(lanes in 1..8_usize, calls in 1..20_usize, rounds in 1..50_usize) {
            let mut turns = Turns::default();
            let mut got = vec![0; lanes];
            for lane in 0..lanes {
                turns.share(lane, 0, Duration::ZERO);
            }
            for round in 0..rounds {
                let now = MS * u32::try_from(round).unwrap();
                let shares: Vec<usize> = (0..lanes).map(|lane| turns.share(lane, calls, now)).collect();
                for (lane, share) in shares.into_iter().enumerate() {
                    for _ in 0..share {
                        turns.served(lane);
                    }
                    got[lane] += share;
                }
            }
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            prop_assert!(most - least <= calls.div_ceil(lanes), "{got:?}");
            prop_assert!(got.iter().sum::<usize>() <= rounds * calls, "{got:?}");
        }
    }

    #[test]
    fn one_call_at_a_time_goes_round() {
        let mut turns = Turns::default();
        let now = Duration::ZERO;
        for lane in 0..3 {
            turns.share(lane, 0, now);
        }
        let mut served = Vec::new();
        for _ in 0..9 {
            let mut asks = (0..3).rev();
            let lane = asks.find(|lane| turns.share(*lane, 1, now) > 0).unwrap();
            assert!(asks.all(|other| turns.share(other, 1, now) == 0), "one at a time");
            turns.served(lane);
            served.push(lane);
        }
        assert_eq!(served, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        turns.rest(0);
        turns.rest(1);
        assert_eq!(turns.share(2, 10, now), 10);
        assert_eq!(turns.share(0, 10, now), 5);
        assert_eq!(turns.share(0, 10, 6000 * MS), 10, "who has not asked for long wants nothing");
    }
}
