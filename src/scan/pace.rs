//! How many rows one read asks for: as many as take about 200 ms, however wide the rows and slow the servers.

use std::time::Duration;

const GOAL: Duration = Duration::from_millis(200);
const LEAST: usize = 100;
const MOST: usize = 10_000;

/// Rows per read, adapted to how long the last one took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rows: usize,
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

    /// Learns from a read of `rows` that took `took`; short reads say nothing.
    pub fn learn(&mut self, rows: usize, took: Duration) {
        if rows < self.rows {
            return;
        }
        let factor = GOAL.as_secs_f64() / took.as_secs_f64().max(0.001);
        let wish = self.rows as f64 * factor.clamp(0.5, 2.0);
        self.rows = (wish as usize).clamp(LEAST, MOST);
    }

    /// A statement ran into its time limit: ask for half.
    pub fn halve(&mut self) {
        self.rows = (self.rows / 2).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_near_the_goal() {
        let mut pace = Pace::default();
        for _ in 0..50 {
            let took = Duration::from_micros(pace.rows() as u64 * 40);
            pace.learn(pace.rows(), took);
        }
        assert!((4500..5500).contains(&pace.rows()), "{}", pace.rows());
    }

    #[test]
    fn stays_within_its_bounds_and_ignores_short_reads() {
        let mut pace = Pace::default();
        pace.learn(1, Duration::from_secs(9));
        assert_eq!(pace.rows(), 2000);
        for _ in 0..20 {
            pace.learn(pace.rows(), Duration::from_secs(9));
        }
        assert_eq!(pace.rows(), LEAST);
        for _ in 0..20 {
            pace.learn(pace.rows(), Duration::ZERO);
        }
        assert_eq!(pace.rows(), MOST);
    }
}
