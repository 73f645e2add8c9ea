//! How many rows one read asks for: as many as take about 200 ms and 8 MiB, however wide the rows and slow the servers.

use std::time::Duration;

const GOAL: Duration = Duration::from_millis(200);
const LEAST: usize = 100;
const MOST: usize = 5_000;
/// Half of what a read holds at most, so that a few rows wider than those before do not cut it.
const GOAL_BYTES: f64 = (8 << 20) as f64;

/// Rows per read, adapted to how long the last one took and how wide its rows were.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rows: usize,
}

/// What one read of a source was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCost {
    /// Rows read.
    pub rows: usize,
    /// Bytes they take in memory.
    pub bytes: usize,
    /// Time it took.
    pub took: Duration,
    /// Whether there was more to read: a read that came to an end tells nothing about the time.
    pub more: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: 2000 }
    }
}

impl Pace {
    /// Rows to ask for now.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Learns from a read. One that came to an end says nothing about what a longer one would cost.
    pub fn learn(&mut self, read: ReadCost) {
        let full = read.rows >= self.rows;
        if full {
            let factor = GOAL.as_secs_f64() / read.took.as_secs_f64().max(0.001);
            let wish = self.rows as f64 * factor.clamp(0.5, 2.0);
            self.rows = whole_lists(wish as usize).clamp(LEAST, MOST);
        }
        if full || read.more {
            let width = read.bytes as f64 / read.rows.max(1) as f64;
            let fit = (GOAL_BYTES / width.max(1.0)) as usize;
            self.rows = whole_lists(self.rows.min(fit)).max(1);
        }
    }

    /// A statement ran into its time limit: ask for half.
    pub fn halve(&mut self) {
        self.rows = (self.rows / 2).max(self.rows.min(LEAST));
    }
}

/// Keys are looked up a thousand to a statement: many rows are as many as fill their last one.
fn whole_lists(rows: usize) -> usize {
    const LIST: usize = 1000;
    if rows < LIST { rows } else { (rows + LIST / 2) / LIST * LIST }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(pace: Pace, width: usize, took: Duration) -> ReadCost {
        ReadCost { rows: pace.rows(), bytes: pace.rows() * width, took, more: true }
    }

    #[test]
    fn settles_near_the_goal() {
        let mut pace = Pace::default();
        for _ in 0..50 {
            let took = Duration::from_micros(pace.rows() as u64 * 40);
            pace.learn(full(pace, 100, took));
        }
        assert!((4500..5500).contains(&pace.rows()), "{}", pace.rows());
    }

    #[test]
    fn stays_within_its_bounds_and_ignores_short_reads() {
        let mut pace = Pace::default();
        pace.learn(ReadCost { rows: 1, bytes: 1 << 30, took: Duration::from_secs(9), more: false });
        assert_eq!(pace.rows(), 2000);
        for _ in 0..20 {
            pace.learn(full(pace, 100, Duration::from_secs(9)));
        }
        assert_eq!(pace.rows(), LEAST);
        for _ in 0..20 {
            pace.learn(full(pace, 100, Duration::ZERO));
        }
        assert_eq!(pace.rows(), MOST);
    }

    #[test]
    fn many_rows_fill_whole_statements() {
        let mut pace = Pace::default();
        for millis in [300, 150, 190, 110, 90, 170, 400, 130] {
            pace.learn(full(pace, 100, Duration::from_millis(millis)));
            assert!(pace.rows() < 1000 || pace.rows() % 1000 == 0, "{}", pace.rows());
        }
    }

    #[test]
    fn wide_rows_are_asked_for_in_small_numbers() {
        let mut pace = Pace::default();
        // The read was cut: fewer rows than asked for, and more behind them.
        pace.learn(ReadCost { rows: 16, bytes: 16 << 20, took: Duration::from_millis(50), more: true });
        assert_eq!(pace.rows(), 8);
        pace.learn(full(pace, 1 << 20, Duration::from_millis(20)));
        assert_eq!(pace.rows(), 8, "time for more, but no room");
        pace.halve();
        assert_eq!(pace.rows(), 8, "so few are never too many for the time limit");
        pace.learn(full(pace, 64 << 20, Duration::from_millis(20)));
        assert_eq!(pace.rows(), 1);
        for _ in 0..20 {
            pace.learn(full(pace, 100, Duration::ZERO));
        }
        assert_eq!(pace.rows(), MOST, "narrow rows again");
    }
}
