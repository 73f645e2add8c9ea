//! When very many differences at once are no differences of rows, but of the whole copy: truncated, or another table
//! (DESIGN section 10). No clock, no I/O.

use std::collections::VecDeque;

use crate::base::clock::UnixMs;

/// One in so many of the rows that were seen to agree may be confirmed within [`WITHIN`] before some of those rows are
/// asked for, and never more than [`MANY`].
const SHARE: usize = 100;
const MANY: usize = 1000;
const WITHIN: i64 = 60_000;
/// No more missing rows than this are taken for a copy that is gone: so few are soon called back.
const FEW: usize = 20;

/// Counts what is confirmed at one destination.
#[derive(Clone, Debug, Default)]
pub struct Storm {
    confirmed: VecDeque<(UnixMs, usize)>,
}

/// Rows that were seen to agree before, looked up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Those that the source still has.
    pub looked: usize,
    /// Those of them that the copy no longer has.
    pub missing: usize,
}

impl Asked {
    /// Whether the copy as a whole is gone: more than 30 % are missing.
    pub fn is_storm(self) -> bool {
        self.missing > FEW && self.missing * 10 > self.looked * 3
    }

    /// Whether the copy is back: what is still missing is what is missing on any day. A table that is being restored is
    /// not back before its last rows are.
    pub fn is_over(self) -> bool {
        self.looked <= FEW || self.missing <= (self.looked / 100).max(1)
    }
}

impl Storm {
    /// Whether so many more would be so many that rows which agreed before must be asked for first; `agreed` is how many
    /// did. New rows count here, as nobody knows yet which are; rows that agreed decide.
    pub fn asks(&mut self, more: usize, agreed: usize, now: UnixMs) -> bool {
        while self.confirmed.front().is_some_and(|(at, _)| !(now - WITHIN..=now).contains(at)) {
            self.confirmed.pop_front();
        }
        let most = (agreed / SHARE).clamp(1, MANY);
        more > 0 && agreed > FEW && self.confirmed.iter().map(|(_, n)| n).sum::<usize>() + more >= most
    }

    /// So many were confirmed.
    pub fn count(&mut self, more: usize, now: UnixMs) {
        if more > 0 {
            self.confirmed.push_back((now, more));
        }
    }

    /// Rows that agreed still do: counting starts again.
    pub fn passed(&mut self) {
        self.confirmed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_within_a_minute_is_asked_about() {
        let mut storm = Storm::default();
        assert!(!storm.asks(0, 100_000, 0));
        assert!(!storm.asks(999, 100_000, 0));
        assert!(storm.asks(1000, 100_000, 0), "before they are let through");
        assert!(storm.asks(1000, 100_000_000, 0), "a thousand always are");
        storm.count(999, 0);
        assert!(storm.asks(1, 100_000, 1000));
        assert!(!storm.asks(0, 100_000, 1000));
        assert!(!storm.asks(999, 100_000, 61_000), "a minute later");
        storm.count(900, 61_000);
        storm.passed();
        assert!(!storm.asks(999, 100_000, 61_001));
    }

    #[test]
    fn fewer_than_one_in_a_hundred_of_a_small_copy_are_let_through_unasked() {
        for agreed in [21, 50, 99, 100, 500, 1000, 30_000] {
            let mut storm = Storm::default();
            let mut through = 0;
            while !storm.asks(1, agreed, 0) {
                storm.count(1, 0);
                through += 1;
            }
            assert!(through * 100 < agreed, "{through} of {agreed}");
        }
        assert!(!Storm::default().asks(20, 20, 0), "too few to tell");
    }

    #[test]
    fn a_third_that_is_gone_is_a_storm() {
        assert!(!Asked { looked: 200, missing: 60 }.is_storm());
        assert!(Asked { looked: 200, missing: 61 }.is_storm());
        assert!(Asked { looked: 21, missing: 21 }.is_storm());
        assert!(!Asked { looked: 20, missing: 20 }.is_storm(), "too few to tell");
        assert!(!Asked { looked: 30, missing: 12 }.is_storm(), "soon called back");
        assert!(Asked { looked: 5, missing: 5 }.is_over());
        assert!(!Asked { looked: 200, missing: 3 }.is_over(), "still being restored");
        assert!(Asked { looked: 200, missing: 2 }.is_over());
        assert!(Asked { looked: 30, missing: 1 }.is_over() && !Asked { looked: 30, missing: 2 }.is_over());
    }
}
