//! A database's clock that is set back while transactions are open.
//!
//! Their beginnings then lie ahead of the clock, and once it gets there again they look as if they had begun only just
//! now. So until no open transaction may be one of them, all that began where the clock has been twice count as begun
//! before it was set.

use chrono::{NaiveDateTime, TimeDelta};

use crate::sql::horizon::Horizon;

/// Clocks are corrected by less than this all the time; what settles has as much of a margin.
const LITTLE: TimeDelta = TimeDelta::seconds(1);

/// What a feed remembers of the database's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct SetBack {
    /// The last reading.
    last: Option<NaiveDateTime>,
    /// Where the clock has been twice.
    twice: Option<(NaiveDateTime, NaiveDateTime)>,
}

impl SetBack {
    /// What is known if both are: they have read the same clock.
    pub(super) fn both(&self, other: &Self) -> Self {
        let twice = match (self.twice, other.twice) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Self { last: self.last.max(other.last), twice }
    }

    /// What a reading says, in the light of those before.
    pub(super) fn straighten(&mut self, mut horizon: Horizon) -> Horizon {
        let now = horizon.now.utc;
        let before = self.last.replace(now);
        if let Some(ahead) = before.into_iter().chain(horizon.oldest).max().filter(|at| *at > now + LITTLE) {
            let (low, high) = self.twice.unwrap_or((now, ahead));
            self.twice = Some((low.min(now), high.max(ahead)));
        }
        if let (Some((low, high)), Some(oldest)) = (self.twice, horizon.oldest)
            && oldest <= high
        {
            horizon.oldest = Some(oldest.min(low));
        } else {
            self.twice = None;
        }
        horizon
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::clock::Now;

    fn at(seconds: i64) -> NaiveDateTime {
        crate::model::form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::seconds(seconds)
    }

    #[test]
    fn what_began_where_the_clock_has_been_twice_began_before_it_was_set() {
        let mut clock = SetBack::default();
        let mut read = |now, oldest: Option<i64>| {
            let now = Now { utc: at(now), wall: at(now) };
            let behind = TimeDelta::zero();
            let horizon = Horizon {
                now,
                oldest: oldest.map(at),
                told: true,
                elsewhere: false,
                behind,
                one_writer: false,
            };
            clock.straighten(horizon).oldest
        };
        assert_eq!(read(100, None), None);
        assert_eq!(read(105, Some(104)), Some(at(104)));
        // By 25 seconds.
        assert_eq!(read(80, Some(104)), Some(at(80)));
        assert_eq!(read(103, Some(60)), Some(at(60)), "an older one is what it is");
        assert_eq!(read(120, Some(104)), Some(at(80)), "it looks sound, and was open all the time");
        assert_eq!(read(121, Some(105)), Some(at(80)), "nobody knows on which side this one began");
        assert_eq!(read(122, Some(106)), Some(at(106)));
        assert_eq!(read(123, Some(105)), Some(at(105)), "that is over");
        // Seen by a transaction alone, as after a restart.
        assert_eq!(read(90, Some(200)), Some(at(90)));
        assert_eq!(read(150, Some(200)), Some(at(90)));
        assert_eq!(read(260, Some(200)), Some(at(90)));
        assert_eq!(read(261, None), None);
        assert_eq!(read(262, Some(200)), Some(at(200)));
    }
}
