//! What has been said of a kind of trouble, so that ten thousand deliveries with one cause are not ten thousand lines:
//! the first at once, then a count at growing intervals, and one line when it is over. No clock, no I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Pauses between lines about one kind; the last one repeats.
const PAUSES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];
/// Kinds told apart; what is beyond them is one kind.
const MOST: usize = 50;
const OTHERS: &str = "others";
/// A kind that has not happened for so long is a new one when it comes again.
const FORGOTTEN: Duration = Duration::from_secs(1200);

/// What is to be said now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<D> {
    /// It has gone on.
    Still {
        /// The kind.
        kind: String,
        /// How often since the last line about it.
        count: u64,
        /// How often in all.
        total: u64,
        /// For how long.
        lasted: Duration,
        /// What was told of it last.
        detail: D,
    },
    /// It is over.
    Over {
        /// The kind.
        kind: String,
        /// How often in all.
        total: u64,
        /// For how long.
        lasted: Duration,
    },
}

/// Kinds of trouble of one (task, destination).
#[derive(Clone, Debug)]
pub(super) struct Said<D> {
    kinds: BTreeMap<String, Kind<D>>,
}

#[derive(Clone, Debug)]
struct Kind<D> {
    began: Instant,
    /// When it happened last.
    last: Instant,
    detail: D,
    /// When the last line about it was due or written, and how long the next pause is, by its place in [`PAUSES`].
    line: Instant,
    pause: usize,
    unsaid: u64,
    total: u64,
    /// How often it happened since something has worked.
    streak: u64,
    /// Something has worked since it happened last.
    works: bool,
    /// The last line said that it is over.
    over: bool,
}

impl<D> Default for Said<D> {
    fn default() -> Self {
        Self { kinds: BTreeMap::new() }
    }
}

impl<D: Clone> Kind<D> {
    fn over(&mut self, kind: &str, now: Instant) -> Line<D> {
        (self.over, self.line, self.unsaid) = (true, now, 0);
        Line::Over { kind: kind.to_owned(), total: self.total, lasted: now - self.began }
    }

    fn still(&mut self, kind: &str, now: Instant) -> Line<D> {
        let count = std::mem::take(&mut self.unsaid);
        (self.over, self.line, self.pause) = (false, now, (self.pause + 1).min(PAUSES.len() - 1));
        let (total, lasted) = (self.total, now - self.began);
        Line::Still { kind: kind.to_owned(), count, total, lasted, detail: self.detail.clone() }
    }
}

impl<D: Clone> Said<D> {
    /// It has happened. Returns whether that is to be said at once.
    pub(super) fn happened(&mut self, kind: &str, detail: D, now: Instant) -> bool {
        let full = self.kinds.len() >= MOST && !self.kinds.contains_key(kind);
        let kind = if full { OTHERS } else { kind };
        if let Some(known) = self.kinds.get_mut(kind) {
            (known.unsaid, known.total) = (known.unsaid + 1, known.total + 1);
            (known.last, known.detail, known.works, known.streak) = (now, detail, false, known.streak + 1);
            return false;
        }
        let new = Kind {
            began: now,
            last: now,
            detail,
            line: now,
            pause: 0,
            unsaid: 0,
            total: 1,
            streak: 1,
            works: false,
            over: false,
        };
        self.kinds.insert(kind.to_owned(), new);
        true
    }

    /// What these kinds are about has worked. Returns what is to be said at once: that it is over, where it happened more
    /// than once in a row. Where both happen in turns it is over when it has not happened for a whole pause.
    pub(super) fn works(&mut self, of: impl Fn(&str) -> bool, now: Instant) -> Vec<Line<D>> {
        let mut lines = Vec::new();
        for (kind, known) in self.kinds.iter_mut().filter(|(kind, known)| !known.works && of(kind)) {
            known.works = true;
            if std::mem::take(&mut known.streak) > 1 && !known.over {
                lines.push(known.over(kind, now));
            }
        }
        lines
    }

    /// What is due to be said.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Line<D>> {
        let mut lines = Vec::new();
        self.kinds.retain(|kind, known| {
            if now < known.line + PAUSES[known.pause] {
                return true;
            }
            match (known.unsaid > 0, known.works) {
                (true, _) => lines.push(known.still(kind, now)),
                (false, true) if known.over => return false,
                (false, true) => {
                    lines.push(known.over(kind, now));
                    return false;
                }
                // Quiet, and nobody knows whether it is over.
                (false, false) => {
                    (known.line, known.pause) = (now, 0);
                    return now - known.last < FORGOTTEN;
                }
            }
            true
        });
        lines
    }

    /// All that has not been said, at the end.
    pub(super) fn rest(&mut self, now: Instant) -> Vec<Line<D>> {
        let unsaid = self.kinds.iter_mut().filter(|(_, known)| known.unsaid > 0);
        unsaid.map(|(kind, known)| known.still(kind, now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn counts(lines: &[Line<u32>]) -> Vec<(u64, u64, u32)> {
        let still = |line: &Line<u32>| match line {
            Line::Still { count, total, detail, .. } => Some((*count, *total, *detail)),
            Line::Over { .. } => None,
        };
        lines.iter().filter_map(still).collect()
    }

    #[test]
    fn ten_thousand_failures_are_a_handful_of_lines() {
        let (mut said, began) = (Said::default(), Instant::now());
        let (mut first, mut lines) = (0, Vec::new());
        for n in 0..10_000_u32 {
            let now = began + S * n / 10;
            first += u32::from(said.happened("503", n, now));
            lines.extend(said.due(now));
        }
        assert_eq!(first, 1, "the first is said at once");
        assert_eq!(counts(&lines), [(100, 101, 100), (600, 701, 700), (6000, 6701, 6700)]);
        let over = said.works(|_| true, began + S * 1000);
        let lasted = S * 1000;
        assert_eq!(over, [Line::Over { kind: "503".to_owned(), total: 10_000, lasted }]);
        assert_eq!(said.works(|_| true, began + S * 1001), [], "said once");
    }

    #[test]
    fn what_fails_and_works_in_turns_is_said_now_and_then() {
        let (mut said, began) = (Said::default(), Instant::now());
        let mut lines = 0;
        for n in 0..6000_u32 {
            let now = began + S * n / 10;
            lines += usize::from(said.happened("503", n, now));
            lines += said.works(|_| true, now).len() + said.due(now).len();
        }
        assert!((3..10).contains(&lines), "{lines}");
        // It stays over.
        assert_eq!(said.due(began + S * 2000).len(), 1, "the rest");
        assert!(matches!(said.due(began + S * 3000)[..], [Line::Over { total: 6000, .. }]));
        assert!(said.kinds.is_empty());
        assert!(said.happened("503", 1, began + S * 3001), "and is new when it comes again");
    }

    #[test]
    fn what_nobody_says_is_over_is_forgotten_and_kinds_are_told_apart() {
        let (mut said, began) = (Said::default(), Instant::now());
        assert!(said.happened("a", 1, began));
        assert!(said.happened("b", 1, began));
        assert!(!said.happened("a", 2, began));
        assert_eq!(counts(&said.rest(began)), [(1, 2, 2)], "nothing is lost at the end");
        assert_eq!(said.works(|kind| kind == "c", began), []);
        for n in 0..200 {
            assert_eq!(said.due(began + S * 10 * n), []);
        }
        assert!(said.kinds.is_empty());
    }

    #[test]
    fn kinds_are_bounded() {
        let (mut said, now) = (Said::default(), Instant::now());
        let first = (0..1000_u32).filter(|n| said.happened(&n.to_string(), *n, now)).count();
        assert_eq!(first, MOST + 1);
    }
}
