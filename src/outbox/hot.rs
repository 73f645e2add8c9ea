//! Rows that never stand still while their copy follows: there is nothing to report of them, and nobody can say that they
//! agree. They are counted and aged, and people hear of it when one has been like that for long.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::{UnixMs, ms};
use crate::model::DeliveryId;

/// Rows kept at most.
const MOST: usize = 100_000;
/// A row that was not looked at for so long is no longer one of them, in milliseconds.
const FORGET: i64 = 300_000;
/// People hear of it after so many times `hot`.
const TIMES: u32 = 10;
/// And not before this.
pub const LEAST: Duration = Duration::from_secs(600);

/// The age at which people hear of a row.
pub fn hot_limit(hot: Duration, least: Duration) -> Duration {
    hot.saturating_mul(TIMES).max(least)
}

/// The hot rows of a destination.
#[derive(Clone, Debug)]
pub struct Hot {
    limit: Duration,
    /// When each was found, and looked at last.
    rows: HashMap<DeliveryId, (UnixMs, UnixMs)>,
    told: bool,
}

/// What people should hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The oldest is older than the limit.
    Over {
        /// Rows that are hot.
        rows: u64,
        /// Age of the oldest.
        age: Duration,
    },
    /// None is any more.
    Back,
}

impl Hot {
    /// None yet. `told`: people have heard of one that was too old.
    pub fn new(limit: Duration, told: bool) -> Self {
        Self { limit, rows: HashMap::new(), told }
    }

    /// A suspect was looked at; `hot`: its source row has gone on moving for long enough since it was found.
    pub fn see(&mut self, id: DeliveryId, hot: bool, found: UnixMs, now: UnixMs) {
        if !hot {
            self.rows.remove(&id);
        } else if self.rows.len() < MOST || self.rows.contains_key(&id) {
            self.rows.insert(id, (found, now));
        }
    }

    /// How many there are, and since when the oldest is.
    pub fn count(&mut self, now: UnixMs) -> Option<(u64, UnixMs)> {
        self.rows.retain(|_, (_, looked)| now.saturating_sub(*looked) < FORGET);
        let oldest = self.rows.values().map(|(found, _)| *found).min()?;
        Some((self.rows.len() as u64, oldest))
    }

    /// What people should hear now: each of it once.
    pub fn turn(&mut self, now: UnixMs) -> Option<Turn> {
        let over = self.count(now).filter(|(_, oldest)| now.saturating_sub(*oldest) >= ms(self.limit));
        match (over, self.told) {
            (Some((rows, oldest)), false) => {
                self.told = true;
                let age = Duration::from_millis(now.saturating_sub(oldest).unsigned_abs());
                Some(Turn::Over { rows, age })
            }
            (None, true) => {
                self.told = false;
                Some(Turn::Back)
            }
            _ => None,
        }
    }

    /// Whether people have heard of one that is too old.
    pub fn is_told(&self) -> bool {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> DeliveryId {
        DeliveryId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn people_hear_of_it_after_ten_times_hot_and_not_before_ten_minutes() {
        let s = Duration::from_secs;
        assert_eq!(hot_limit(s(60), LEAST), s(600));
        assert_eq!(hot_limit(s(90), LEAST), s(900));
        assert_eq!(hot_limit(s(1), LEAST), s(600));
        assert_eq!(hot_limit(Duration::MAX, LEAST), Duration::MAX);
    }

    #[test]
    fn each_is_told_once_and_so_is_the_end() {
        let mut hot = Hot::new(Duration::from_millis(500), false);
        assert_eq!((hot.count(0), hot.turn(0)), (None, None));
        hot.see(id(1), true, 100, 200);
        hot.see(id(2), true, 150, 200);
        hot.see(id(3), false, 0, 200);
        assert_eq!((hot.count(200), hot.turn(599)), (Some((2, 100)), None));
        assert_eq!(hot.turn(600), Some(Turn::Over { rows: 2, age: Duration::from_millis(500) }));
        assert_eq!(hot.turn(700), None, "once, also when the next one comes of age");
        hot.see(id(1), false, 100, 700);
        assert_eq!(hot.turn(700), None, "the other is too old by now");
        hot.see(id(2), false, 150, 800);
        assert_eq!((hot.turn(800), hot.turn(801)), (Some(Turn::Back), None));
    }

    #[test]
    fn what_nobody_looks_at_any_more_is_not_hot() {
        let mut hot = Hot::new(Duration::from_millis(1), true);
        hot.see(id(1), true, 0, 0);
        assert_eq!(hot.turn(FORGET - 1), None);
        assert_eq!(hot.turn(FORGET), Some(Turn::Back));
    }
}
