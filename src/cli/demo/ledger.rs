//! What really happened: who changed, spoiled, called for and repaired which row, and when.
//!
//! A row rests from its change until its copy is right again and cupid has seen it: the writer leaves it alone
//! meanwhile. So there is one story per spoiled row, and the number of spoiled rows is the number of differences cupid
//! has to find.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::tables::{TABLES, TableNo};

/// Stories kept for the picture.
const STORIES: usize = 200;
/// How long a row rests after a callback. cupid looks again a second after it, later on a busy machine, and what is
/// spoiled anew before that look belongs to the same delivery: the numbers could not be compared.
const REST: Duration = Duration::from_secs(15);

/// How the copier spoils a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoil {
    /// The new row never reaches the copy.
    LostRow,
    /// The change never reaches the copy.
    LostUpdate,
    /// Only half of the name reaches it.
    CutName,
    /// An empty text becomes NULL.
    EmptyToNull,
    /// Everything changes but the amount.
    OldAmount,
}

impl Spoil {
    #[cfg(test)]
    pub(super) const ALL: [Self; 5] =
        [Self::LostRow, Self::LostUpdate, Self::CutName, Self::EmptyToNull, Self::OldAmount];

    /// What people see in the picture.
    pub(super) fn words(self, table: TableNo) -> &'static str {
        match (self, table) {
            (Self::LostRow, _) => "new row dropped",
            (Self::LostUpdate, _) => "change dropped",
            (Self::CutName, _) => "name cut short",
            (Self::EmptyToNull, _) => "'' became NULL",
            (Self::OldAmount, 0) => "old credit kept",
            (Self::OldAmount, _) => "old price kept",
        }
    }

    fn is_loss(self) -> bool {
        matches!(self, Self::LostRow | Self::LostUpdate)
    }
}

/// One spoiled row.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// In the order of spoiling.
    pub(super) number: u64,
    pub(super) table: TableNo,
    pub(super) id: i64,
    pub(super) spoil: Spoil,
    /// Callbacks that were refused on purpose.
    pub(super) refused: u32,
    /// Whether a callback was taken or refused.
    pub(super) called: bool,
    /// From spoiled to repaired.
    pub(super) healed: Option<Duration>,
    version: String,
    began: Instant,
}

/// Numbers for the picture and the summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) inserts: u64,
    pub(super) updates: u64,
    pub(super) dropped: u64,
    pub(super) mangled: u64,
    /// Callbacks received, those refused included.
    pub(super) calls: u64,
    pub(super) refused: u64,
    /// Callbacks for rows that were only on their way.
    pub(super) late: u64,
    /// Spoiled rows that a callback came for.
    pub(super) found: u64,
    /// Times from spoiled to repaired.
    pub(super) heal_times: Vec<Duration>,
}

impl Counts {
    pub(super) fn spoiled(&self) -> u64 {
        self.dropped + self.mangled
    }

    /// Median and worst time to heal.
    pub(super) fn times(&self) -> Option<(Duration, Duration)> {
        let mut times = self.heal_times.clone();
        times.sort_unstable();
        Some((*times.get(times.len() / 2)?, *times.last()?))
    }
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    /// Rows on their way to the copy, and whether somebody has called for them already.
    under_way: HashMap<(TableNo, i64), bool>,
    /// Rows that were called for, and when.
    resting: HashMap<(TableNo, i64), Instant>,
    /// Spoiled rows, by the number of their story.
    open: HashMap<(TableNo, i64), u64>,
    stories: VecDeque<Story>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Inner>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while counting leaves counts, nothing else.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer wants to change a row. `false`: it rests.
    pub(super) fn changed(&self, table: TableNo, id: i64, new: bool) -> bool {
        let mut inner = self.lock();
        let key = (table, id);
        inner.resting.retain(|_, since| since.elapsed() < REST);
        let Inner { under_way, open, resting, .. } = &*inner;
        if under_way.contains_key(&key) || open.contains_key(&key) || resting.contains_key(&key) {
            return false;
        }
        inner.under_way.insert(key, false);
        *(if new { &mut inner.counts.inserts } else { &mut inner.counts.updates }) += 1;
        true
    }

    /// A change reached the copy as it is.
    pub(super) fn arrived(&self, table: TableNo, id: i64) {
        self.lock().under_way.remove(&(table, id));
    }

    /// A change was dropped or spoiled. `false`: cupid has called for it while it was on its way; it counts as not
    /// spoiled and has to arrive.
    pub(super) fn spoiled(&self, table: TableNo, id: i64, version: &str, spoil: Spoil) -> bool {
        let mut inner = self.lock();
        if inner.under_way.get(&(table, id)) != Some(&false) {
            return false;
        }
        inner.under_way.remove(&(table, id));
        let number = inner.counts.spoiled();
        *(if spoil.is_loss() { &mut inner.counts.dropped } else { &mut inner.counts.mangled }) += 1;
        inner.open.insert((table, id), number);
        inner.stories.push_back(Story {
            number,
            table,
            id,
            spoil,
            refused: 0,
            called: false,
            healed: None,
            version: version.to_owned(),
            began: Instant::now(),
        });
        while inner.stories.len() > STORIES && inner.stories.front().is_some_and(|s| s.healed.is_some()) {
            inner.stories.pop_front();
        }
        true
    }

    /// A callback came for this version of a row; `refuse`: it will be answered with an error. Returns the story to
    /// be ended by [`Ledger::repaired`]; `None` if the row was not spoiled.
    pub(super) fn called(&self, table: TableNo, id: i64, version: &str, refuse: bool) -> Option<u64> {
        let mut inner = self.lock();
        inner.counts.calls += 1;
        inner.counts.refused += u64::from(refuse);
        inner.resting.insert((table, id), Instant::now());
        if let Some(called) = inner.under_way.get_mut(&(table, id)) {
            *called |= !refuse;
        }
        let number = inner.open.get(&(table, id)).copied();
        let Inner { stories, counts, .. } = &mut *inner;
        let story = stories.iter_mut().find(|s| Some(s.number) == number && s.version == version);
        let Some(story) = story else {
            counts.late += 1;
            return None;
        };
        counts.found += u64::from(!story.called);
        story.called = true;
        story.refused += u32::from(refuse);
        Some(story.number)
    }

    /// The row of a story is right again.
    pub(super) fn repaired(&self, number: u64) {
        let mut inner = self.lock();
        let Inner { stories, counts, open, .. } = &mut *inner;
        let Some(story) = stories.iter_mut().find(|s| s.number == number && s.healed.is_none()) else {
            return;
        };
        let took = story.began.elapsed();
        story.healed = Some(took);
        counts.heal_times.push(took);
        open.remove(&(story.table, story.id));
    }

    /// The numbers now.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Whether every row has reached the copy or was repaired there.
    pub(super) fn is_quiet(&self) -> bool {
        let inner = self.lock();
        inner.under_way.is_empty() && inner.open.is_empty()
    }

    /// Stories still kept, oldest first.
    pub(super) fn stories(&self) -> Vec<Story> {
        self.lock().stories.iter().cloned().collect()
    }

    /// Rows that are still spoiled, for people.
    pub(super) fn still_spoiled(&self) -> Vec<String> {
        let inner = self.lock();
        let open = inner.stories.iter().filter(|s| s.healed.is_none());
        open.map(|s| format!("{} {}: {}", TABLES[s.table].name, s.id, s.spoil.words(s.table))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: &str = "2024-02-29 12:00:00.000";

    #[test]
    fn one_story_from_spoiled_to_repaired() {
        let ledger = Ledger::default();
        assert!(ledger.changed(0, 7, true));
        assert!(!ledger.changed(0, 7, false), "it rests while it is on its way");
        assert!(ledger.spoiled(0, 7, V, Spoil::LostRow));
        assert!(!ledger.changed(0, 7, false), "and while it is spoiled");
        assert_eq!(ledger.called(0, 7, "another version", false), None);
        assert_eq!(ledger.called(0, 7, V, true), Some(0));
        assert_eq!(ledger.called(0, 7, V, false), Some(0));
        assert!(!ledger.is_quiet());
        assert_eq!(ledger.still_spoiled(), ["customer 7: new row dropped"]);
        ledger.repaired(0);
        ledger.repaired(0);
        assert!(ledger.is_quiet() && !ledger.changed(0, 7, false), "it rests until cupid has looked again");
        let counts = ledger.counts();
        assert_eq!((counts.spoiled(), counts.found, counts.heal_times.len()), (1, 1, 1));
        assert_eq!((counts.calls, counts.refused, counts.late), (3, 1, 1));
        assert_eq!(counts.times().map(|(median, worst)| median == worst), Some(true));
    }

    #[test]
    fn what_was_called_for_on_its_way_is_not_spoiled_any_more() {
        let ledger = Ledger::default();
        assert!(ledger.changed(1, 7, false));
        assert_eq!(ledger.called(1, 7, V, false), None);
        assert!(!ledger.spoiled(1, 7, V, Spoil::CutName));
        ledger.arrived(1, 7);
        assert!(ledger.is_quiet());
        assert_eq!((ledger.counts().spoiled(), ledger.counts().late), (0, 1));
    }
}
