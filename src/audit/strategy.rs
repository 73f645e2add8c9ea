//! Which way a table is compared: its rows are read, or both servers digest them. Chosen by measuring.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::MutexGuard;

/// How a table is to be compared, or was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// What is faster, by what the first stretches take.
    #[default]
    Auto,
    /// All rows are read and compared here.
    Stream,
    /// The servers digest stretches, and only the rows of those that differ are read.
    Digest,
}

/// How a table was compared in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// [`Strategy::Auto`]: both by turns; the table was at its end before there was a choice.
    pub strategy: Strategy,
    /// Why so, for people.
    pub why: String,
}

/// Trials of each way until there is a choice, and at most.
const TRIALS: [u32; 2] = [3, 7];
/// A trial that takes longer than this says enough.
const LONG: f64 = 0.1;
/// What is a little slower is not left for it.
const SLACK: f64 = 1.1;
/// How much of what was measured before counts beside a stretch.
const MEMORY: f64 = 0.5;
/// How much longer reading a row is thought to take than digesting it, before one was read.
const GUESS: f64 = 3.0;
/// Pieces that a stretch is split into.
pub(super) const PIECES: usize = 8;
/// What a further statement costs, in seconds.
const STATEMENT: f64 = 0.002;

/// What one row takes, in seconds; what was measured last counts most.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    rows: f64,
    took: f64,
    times: u32,
    longest: f64,
}

impl Rate {
    fn learn(&mut self, rows: u64, took: f64) {
        self.rows = self.rows * MEMORY + rows as f64;
        self.took = self.took * MEMORY + took;
        self.times += 1;
        self.longest = self.longest.max(took);
    }

    fn per_row(&self) -> Option<f64> {
        (self.rows > 0.0).then(|| self.took / self.rows)
    }

    fn is_known(&self) -> bool {
        self.times >= TRIALS[1] || (self.times >= TRIALS[0] && self.longest >= LONG)
    }
}

#[derive(Debug, Default)]
struct Known {
    /// Rows of both sides, read and compared.
    read: Rate,
    /// A digest of both sides.
    digest: Rate,
    /// The same with what it led to: splitting, and reading what differs.
    led: Rate,
    next: u32,
    chosen: Option<Chosen>,
}

/// Chooses for one table.
#[derive(Debug)]
pub(super) struct Choice {
    known: Mutex<Known>,
    asked: Strategy,
    turn: tokio::sync::Mutex<()>,
}

impl Choice {
    /// `hindered`: why digests do not apply.
    pub(super) fn new(asked: Strategy, hindered: Option<&str>) -> Self {
        let said = |strategy, why: &str| Some(Chosen { strategy, why: why.to_owned() });
        let chosen = match (asked, hindered) {
            (Strategy::Stream, _) => said(Strategy::Stream, "as asked for"),
            (_, Some(why)) => said(Strategy::Stream, why),
            (Strategy::Digest, None) => said(Strategy::Digest, "as asked for"),
            (Strategy::Auto, None) => None,
        };
        Self {
            known: Mutex::new(Known { chosen, ..Known::default() }),
            asked,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the next stretch is to be digested.
    pub(super) fn digests(&self) -> bool {
        self.with(|known| match &known.chosen {
            Some(chosen) => chosen.strategy == Strategy::Digest,
            None => {
                known.next += 1;
                // A small table is at its end before anything is to be gained.
                let first = known.next <= TRIALS[0];
                let by_turns = known.led.is_known() || known.next.is_multiple_of(2);
                !first && (known.read.is_known() || !by_turns)
            }
        })
    }

    /// As long as there is no choice, stretches are compared one after the other: beside others none can be measured.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let guard = self.turn.lock().await;
        self.with(|known| known.chosen.is_none()).then_some(guard)
    }

    /// So many rows were read and compared.
    pub(super) fn read(&self, rows: u64, took: Duration) {
        self.with(|known| {
            known.read.learn(rows, took.as_secs_f64());
            known.choose();
        });
    }

    /// So many rows were digested.
    pub(super) fn digested(&self, rows: u64, took: Duration) {
        self.with(|known| known.digest.learn(rows, took.as_secs_f64()));
    }

    /// A stretch of so many rows was compared by digests, with all that it took.
    pub(super) fn compared(&self, rows: u64, took: Duration) {
        self.with(|known| {
            known.led.learn(rows, took.as_secs_f64());
            known.choose();
            if self.asked == Strategy::Auto {
                known.give_up();
            }
        });
    }

    /// Digests cannot be had after all.
    pub(super) fn fail(&self, why: String) {
        self.with(|known| known.chosen = Some(Chosen { strategy: Strategy::Stream, why }));
    }

    /// Whether a stretch that differs is split rather than read: then all of it is digested once more, and a piece is read.
    pub(super) fn splits(&self, rows: u64) -> bool {
        self.with(|known| {
            let digest = known.digest.per_row().unwrap_or_default();
            let read = known.read.per_row().unwrap_or(digest * GUESS);
            let (rows, pieces) = (rows as f64, PIECES as f64);
            rows >= pieces * 2.0 && rows * read > rows * digest + rows / pieces * read + pieces * STATEMENT
        })
    }

    /// What came of it.
    pub(super) fn end(&self) -> Chosen {
        self.with(|known| {
            let tried = known.led.times > 0;
            known.chosen.clone().unwrap_or_else(|| Chosen {
                strategy: if tried { Strategy::Auto } else { Strategy::Stream },
                why: "the table was at its end before the faster way was known".to_owned(),
            })
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn choose(&mut self) {
        let (Some(read), Some(led)) = (self.read.per_row(), self.led.per_row()) else { return };
        if self.chosen.is_some() || !self.read.is_known() || !self.led.is_known() {
            return;
        }
        let strategy = if led < read { Strategy::Digest } else { Strategy::Stream };
        self.chosen = Some(Chosen { strategy, why: measured(read, led) });
    }

    /// Where much differs, digests only come on top.
    fn give_up(&mut self) {
        let (Some(read), Some(led)) = (self.read.per_row(), self.led.per_row()) else { return };
        let digesting = self.chosen.as_ref().is_some_and(|chosen| chosen.strategy == Strategy::Digest);
        if digesting && led > read * SLACK {
            let why = format!("too much differs for digests: {}", measured(read, led));
            self.chosen = Some(Chosen { strategy: Strategy::Stream, why });
        }
    }
}

fn measured(read: f64, led: f64) -> String {
    format!("measured: {:.1} µs to read a row, {:.1} µs to digest it", read * 1e6, led * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a table whose rows take so many microseconds each, until a choice is made.
    fn measure(choice: &Choice, read: u64, led: u64) {
        let mut rows = 2000;
        for _ in 0..20 {
            if choice.digests() {
                choice.digested(rows, Duration::from_micros(rows * led));
                choice.compared(rows, Duration::from_micros(rows * led));
            } else {
                choice.read(rows, Duration::from_micros(rows * read));
            }
            rows = (rows * 2).min(100_000);
        }
    }

    #[test]
    fn what_is_faster_is_chosen() {
        for (read, led, wanted) in [(3, 5, Strategy::Stream), (50, 5, Strategy::Digest)] {
            let choice = Choice::new(Strategy::Auto, None);
            measure(&choice, read, led);
            assert_eq!(choice.end().strategy, wanted, "{:?}", choice.end());
            assert_eq!(choice.digests(), wanted == Strategy::Digest);
        }
        let small = Choice::new(Strategy::Auto, None);
        assert!(!small.digests() && small.end().strategy == Strategy::Stream, "a small table is read");
    }

    #[test]
    fn what_is_asked_for_holds_where_it_can() {
        let (stream, digest) = (Choice::new(Strategy::Stream, None), Choice::new(Strategy::Digest, None));
        measure(&stream, 50, 1);
        measure(&digest, 1, 50);
        assert_eq!((stream.end().strategy, digest.end().strategy), (Strategy::Stream, Strategy::Digest));
        let hindered = Choice::new(Strategy::Digest, Some("it is a float"));
        assert_eq!(hindered.end(), Chosen { strategy: Strategy::Stream, why: "it is a float".to_owned() });
        digest.fail("no MD5".to_owned());
        assert!(!digest.digests());
    }

    #[test]
    fn digests_are_left_where_much_differs() {
        let choice = Choice::new(Strategy::Auto, None);
        measure(&choice, 50, 5);
        for _ in 0..4 {
            choice.compared(50_000, Duration::from_micros(50_000 * 80));
        }
        assert_eq!(choice.end().strategy, Strategy::Stream);
        assert!(choice.end().why.starts_with("too much differs"), "{:?}", choice.end());
    }

    #[test]
    fn a_stretch_is_split_where_reading_it_takes_longer() {
        let choice = Choice::new(Strategy::Digest, None);
        choice.digested(100_000, Duration::from_micros(400_000));
        assert!(choice.splits(100_000), "nothing was read so far");
        choice.read(10_000, Duration::from_micros(40_000));
        assert!(!choice.splits(100_000), "reading is as fast as digesting");
        choice.read(100_000, Duration::from_secs(5));
        assert!(choice.splits(100_000));
        assert!(!choice.splits(300), "a few rows are read at once");
    }
}
