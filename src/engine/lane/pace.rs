//! How much a lane takes on at once.

use std::time::{Duration, Instant};

use super::{FRESH, MOST};

/// How many rows can be read at once, so that the first of them is still fresh when the last one is read.
#[derive(Debug)]
pub(super) struct Reads {
    most: usize,
}

impl Default for Reads {
    fn default() -> Self {
        Self { most: MOST }
    }
}

impl Reads {
    pub(super) fn fit(&self, wish: usize) -> usize {
        wish.min(self.most)
    }

    pub(super) fn learn(&mut self, rows: usize, took: Duration) {
        let goal = FRESH / 2;
        if took > goal {
            let fit = rows as f64 * goal.as_secs_f64() / took.as_secs_f64();
            self.most = (fit as usize).clamp(1, self.most);
        } else if rows >= self.most && took < goal / 2 {
            self.most = (self.most * 2).min(MOST);
        }
    }
}

/// Part of the time for which rows stay fresh that one claim is for: what is confirmed meanwhile waits for its end.
const AT_ONCE: f64 = 0.25;

/// How long, in seconds, it takes to read the next rows, or about.
const SOON: f64 = 0.05;

/// What the receiver is expected to accept within half a second.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    least: usize,
    since: Instant,
    done: u32,
}

impl Rate {
    pub(super) fn new(concurrency: usize) -> Self {
        Self { per_second: 50.0, least: concurrency * 2, since: Instant::now(), done: 0 }
    }

    /// What goes out while the next rows are read; none where calls take their time: rows would be old when it is their turn.
    pub(super) fn soon(&self, concurrency: usize) -> usize {
        let quick = self.per_second > 4.0 * concurrency as f64;
        if quick { (self.per_second * SOON) as usize } else { 0 }
    }

    pub(super) fn count(&mut self) {
        self.done += 1;
        let elapsed = self.since.elapsed().as_secs_f64();
        if elapsed > 0.25 {
            self.per_second = 0.5 * self.per_second + 0.5 * (f64::from(self.done) / elapsed);
            (self.since, self.done) = (Instant::now(), 0);
        }
    }

    pub(super) fn expected(&self) -> usize {
        ((self.per_second * FRESH.as_secs_f64() * AT_ONCE) as usize).clamp(self.least.min(MOST), MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_to_read_is_read_in_smaller_parts_and_at_last_alone() {
        let mut reads = Reads::default();
        assert_eq!(reads.fit(300), 300);
        reads.learn(300, Duration::from_secs(3));
        assert_eq!(reads.fit(300), 100);
        reads.learn(100, Duration::from_millis(900));
        assert_eq!(reads.fit(300), 100);
        reads.learn(100, Duration::from_secs(500));
        assert_eq!(reads.fit(300), 1);
        reads.learn(1, Duration::from_secs(5));
        assert_eq!(reads.fit(300), 1);
        (0..20).for_each(|_| reads.learn(reads.most, Duration::from_millis(5)));
        assert_eq!(reads.fit(5000), MOST);
    }
}
