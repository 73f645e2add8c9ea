//! Which stories are shown, so that people can follow them although several begin every second.

use std::time::{Duration, Instant};

use super::ledger::Story;

/// Stories shown at a time, each in a line of its own…
pub(super) const SLOTS: usize = 6;
/// …and left there for so long after its end, to be read.
const STAY: Duration = Duration::from_millis(2500);

/// Which stories are shown: each keeps its line until it has ended and could be read.
#[derive(Debug, Default)]
pub(super) struct Slots {
    lines: [Option<u64>; SLOTS],
    ended: [Option<Instant>; SLOTS],
}

impl Slots {
    /// What each line shows now.
    pub(super) fn step<'a>(&mut self, stories: &'a [Story]) -> Vec<Option<&'a Story>> {
        let find = |number: u64| stories.iter().find(|s| s.number == number);
        for at in 0..SLOTS {
            match self.lines[at].map(find) {
                Some(Some(story)) if story.healed.is_none() => continue,
                Some(Some(_)) => {
                    let since = *self.ended[at].get_or_insert_with(Instant::now);
                    if since.elapsed() < STAY {
                        continue;
                    }
                }
                Some(None) | None => {}
            }
            let fresh = |s: &&Story| s.healed.is_none() && !self.lines.contains(&Some(s.number));
            if let Some(story) = stories.iter().rev().find(fresh) {
                self.lines[at] = Some(story.number);
                self.ended[at] = None;
            }
        }
        self.lines.iter().map(|line| line.and_then(find)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ledger::{Ledger, Spoil};

    #[test]
    fn a_story_keeps_its_line_until_it_was_read() {
        let ledger = Ledger::default();
        let spoil = |id| assert!(ledger.changed(0, id, true) && ledger.spoiled(0, id, "v", Spoil::LostRow));
        let mut slots = Slots::default();
        spoil(1);
        assert_eq!(slots.step(&ledger.stories())[0].map(|s| s.id), Some(1));
        (2..20).for_each(spoil);
        let ids = |slots: &mut Slots| -> Vec<i64> {
            slots.step(&ledger.stories()).into_iter().flatten().map(|s| s.id).collect()
        };
        let first = ids(&mut slots);
        assert_eq!((first.len(), first[0]), (SLOTS, 1));
        ledger.repaired(0);
        assert_eq!(ids(&mut slots), first, "it stays to be read");
        slots.ended[0] = Instant::now().checked_sub(STAY);
        assert_ne!(ids(&mut slots)[0], 1, "and makes room");
    }
}
