//! How many rows a stretch has, so that it takes about as long as is wished.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The first stretches.
const FIRST: usize = 2_000;
/// Bounds, whatever is measured.
const BOUNDS: std::ops::RangeInclusive<usize> = 100..=100_000;
/// Bytes of rows that a stretch should have on a side.
const BYTES: usize = 4 << 20;

/// Learns from stretch to stretch.
#[derive(Debug)]
pub(super) struct Size {
    rows: AtomicUsize,
    goal: Duration,
}

impl Size {
    pub(super) fn new(goal: Duration) -> Self {
        Self { rows: AtomicUsize::new(FIRST), goal }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// A stretch of `rows` took so long and weighed so much at its heavier side.
    pub(super) fn learn(&self, rows: usize, took: Duration, bytes: usize) {
        if rows == 0 {
            return;
        }
        let by_time = self.goal.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let by_weight = BYTES as f64 / bytes.max(1) as f64;
        // Not too fast: one slow answer says little.
        let fit = rows as f64 * by_time.min(by_weight).clamp(0.5, 2.0);
        self.rows.store((fit as usize).clamp(*BOUNDS.start(), *BOUNDS.end()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_becomes_as_long_as_is_wished() {
        let size = Size::new(Duration::from_millis(500));
        // 10 000 rows a second, 100 bytes each.
        for _ in 0..20 {
            let rows = size.rows();
            size.learn(rows, Duration::from_micros(rows as u64 * 100), rows * 100);
        }
        assert!((4_500..=5_500).contains(&size.rows()), "{}", size.rows());
        // Rows of 100 KB.
        for _ in 0..20 {
            let rows = size.rows();
            size.learn(rows, Duration::from_micros(rows as u64 * 100), rows * 100_000);
        }
        assert_eq!(size.rows(), 100);
    }
}
