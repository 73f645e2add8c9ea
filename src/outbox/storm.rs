//! When very many differences at once are no differences of rows, but of the whole copy: truncated, or another table
//! (DESIGN section 10). No clock, no I/O.

use std::collections::VecDeque;

use crate::base::clock::UnixMs;

/// Suspects that may be confirmed within [`WITHIN`] before rows that agreed are asked for.
const MANY: usize = 1000;
const WITHIN: i64 = 60_000;
/// Fewer rows than this tell nothing.
const LEAST: usize = 20;

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
        self.looked >= LEAST && self.missing * 10 > self.looked * 3
    }

    /// Whether the copy is back: what is still missing is what is missing on any day. A table that is being restored is
    /// not back before its last rows are.
    pub fn is_over(self) -> bool {
        self.looked < LEAST || self.missing * 100 <= self.looked
    }
}

impl Storm {
    /// Whether so many more would be so many that rows which agreed before must be asked for first.
    pub fn asks(&mut self, more: usize, now: UnixMs) -> bool {
        while self.confirmed.front().is_some_and(|(at, _)| !(now - WITHIN..=now).contains(at)) {
            self.confirmed.pop_front();
        }
        more > 0 && self.confirmed.iter().map(|(_, n)| n).sum::<usize>() + more > MANY
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
    fn a_thousand_within_a_minute_are_asked_about() {
        let mut storm = Storm::default();
        assert!(!storm.asks(0, 0));
        assert!(!storm.asks(1000, 0));
        assert!(storm.asks(1001, 0), "before they are let through");
        storm.count(1000, 0);
        assert!(storm.asks(1, 1000));
        assert!(!storm.asks(0, 1000));
        assert!(!storm.asks(1000, 61_000), "a minute later");
        storm.count(900, 61_000);
        storm.passed();
        assert!(!storm.asks(1000, 61_001));
    }

    #[test]
    fn a_third_that_is_gone_is_a_storm() {
        assert!(!Asked { looked: 200, missing: 60 }.is_storm());
        assert!(Asked { looked: 200, missing: 61 }.is_storm());
        assert!(!Asked { looked: 5, missing: 5 }.is_storm(), "too few to tell");
        assert!(Asked { looked: 5, missing: 5 }.is_over());
        assert!(!Asked { looked: 200, missing: 3 }.is_over(), "still being restored");
        assert!(Asked { looked: 200, missing: 2 }.is_over());
    }
}
