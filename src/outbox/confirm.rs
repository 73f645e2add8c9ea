//! When a difference is believed (DESIGN section 4). No clock, no I/O.
//!
//! A copy follows its source late. A difference is therefore only a suspect until the source row has stood still for
//! the confirm time; then a copy that does not show its newest version has lost an update. Rows that never stand still
//! are judged over [`Confirm::hot`]: a copy that follows changes too, and shows, column by column, what the source
//! showed. One that does neither is stuck.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::{UnixMs, ms};
use crate::config::Confirm;

/// Versions of one row that are remembered.
const VERSIONS: usize = 64;
/// The first look after a finding.
const FIRST_LOOK: Duration = Duration::from_millis(300);
/// Longest pause between two looks at a row that moves.
const MOVING: Duration = Duration::from_secs(2);
/// By how many hundredths that pause is shortened at most.
const UNEVEN: i64 = 34;

/// Both sides of one key at one look, as far as confirming goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Everything a feed reads of the source row: another value is another version.
    pub version: u64,
    /// A hash of each compared value of the source row; equal values of both sides have equal ones, those that are only
    /// near to each other (`tolerance`) have not.
    pub source: Vec<u32>,
    /// The same of the copy; `None`: there is no copy, or none that can be told.
    pub copy: Option<Vec<u32>>,
    /// Places of the compared columns that disagree; all of them where there is no copy.
    pub differs: Vec<usize>,
}

/// What is known of a suspect between two looks. Durable; the store takes it as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Version seen last.
    version: u64,
    /// When that version was seen first.
    stood: UnixMs,
    /// When the copy was looked at last.
    looked: UnixMs,
    /// What the copy showed last, and since when.
    copy: u64,
    copy_since: UnixMs,
    /// When the copy last showed a version that was seen within `hot`.
    matched: UnixMs,
    /// Versions seen, as far as they are compared, and when each was seen last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<(u64, UnixMs)>,
    /// Start of the current period of `hot`.
    began: UnixMs,
    /// Columns that have disagreed at every look of this period while the source's value stood still, with that value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wrong: Vec<(usize, u32)>,
}

/// What a look makes of a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not yet to be believed; look again then.
    Wait(
        /// When, Unix ms.
        UnixMs,
    ),
    /// The source stood still for the confirm time and the copy is not its newest version.
    Confirmed,
    /// The source never stands still, and the copy does not follow.
    Stuck,
}

fn sum(values: &[u32]) -> u64 {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

/// What a copy shows; its absence is a state of its own.
fn copy_of(witness: &Witness) -> u64 {
    witness.copy.as_deref().map_or(0, sum)
}

impl Watch {
    /// A difference seen for the first time.
    pub fn begin(witness: &Witness, now: UnixMs) -> Self {
        let mut watch = Self {
            version: witness.version,
            stood: now,
            looked: now,
            copy: copy_of(witness),
            copy_since: now,
            matched: now,
            seen: vec![(sum(&witness.source), now)],
            began: now,
            wrong: Vec::new(),
        };
        watch.begin_period(witness, now);
        watch
    }

    /// Reads what [`Watch::bytes`] wrote; `None` for anything else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// As the store keeps it.
    pub fn bytes(&self) -> Box<[u8]> {
        serde_json::to_vec(self).expect("numbers always serialise").into()
    }

    /// When the version seen last was seen first, Unix ms.
    pub fn stood(&self) -> UnixMs {
        self.stood
    }

    /// When both sides were looked at last, Unix ms.
    pub fn looked(&self) -> UnixMs {
        self.looked
    }

    /// Whether both sides have moved since the last look: what was believed then says nothing about now.
    pub fn is_past(&self, witness: &Witness) -> bool {
        self.version != witness.version && self.copy != copy_of(witness)
    }

    /// Takes in a look that saw a difference. `wait` is the confirm time now, `found` when the difference was found,
    /// `since` when the clock was set last: times before that cannot be compared with now.
    pub fn look(
        &mut self,
        witness: &Witness,
        confirm: &Confirm,
        wait: Duration,
        found: UnixMs,
        since: UnixMs,
        now: UnixMs,
    ) -> Step {
        // Who is given less time to be followed than copies need would be stuck before being late.
        let (wait, hot) = (ms(wait), ms(confirm.hot.max(wait)));
        let set = self.looked < since || self.looked > now;
        // Nobody looked for a while: periods of continuous watching start anew.
        let gap = set || now.saturating_sub(self.looked) > hot / 2;
        self.looked = now;
        let moved = set || witness.version != self.version;
        if moved {
            (self.version, self.stood) = (witness.version, now);
        }
        self.remember(sum(&witness.source), hot, now);
        let copy = copy_of(witness);
        if gap || copy != self.copy {
            (self.copy, self.copy_since) = (copy, now);
        }
        if gap || self.seen.iter().any(|(version, _)| *version == copy) {
            self.matched = now;
        }
        if gap {
            self.begin_period(witness, now);
        } else {
            self.wrong
                .retain(|(at, value)| witness.differs.contains(at) && witness.source.get(*at) == Some(value));
        }
        if now.saturating_sub(self.stood) >= wait {
            return Step::Confirmed;
        }
        if now.saturating_sub(self.began) >= hot {
            let stands = |since: UnixMs| now.saturating_sub(since) >= hot;
            let moved = self.stood > self.began;
            let stuck =
                moved && (!self.wrong.is_empty() || (stands(self.copy_since) && stands(self.matched)));
            self.begin_period(witness, now);
            if stuck {
                return Step::Stuck;
            }
        }
        Step::Wait(self.next(moved, wait, hot, found, now))
    }

    fn begin_period(&mut self, witness: &Witness, now: UnixMs) {
        self.began = now;
        let value = |at: &usize| Some((*at, *witness.source.get(*at)?));
        self.wrong = witness.differs.iter().filter_map(value).collect();
    }

    fn remember(&mut self, version: u64, hot: i64, now: UnixMs) {
        self.seen.retain(|(_, at)| now.saturating_sub(*at) <= hot);
        match self.seen.iter_mut().find(|(seen, _)| *seen == version) {
            Some((_, at)) => *at = now,
            None => self.seen.push((version, now)),
        }
        if self.seen.len() > VERSIONS {
            let oldest = self.seen.iter().enumerate().min_by_key(|(_, (_, at))| *at).map(|(i, _)| i);
            oldest.map(|i| self.seen.swap_remove(i));
        }
    }

    /// Looks come at growing distance from when the version was first seen, so that the time in which copies follow is
    /// known to within a factor, and at last when that is the confirm time.
    fn next(&self, moved: bool, wait: i64, hot: i64, found: UnixMs, now: UnixMs) -> UnixMs {
        let confirmed = self.stood.saturating_add(wait);
        let longest = ms(MOVING).min(hot / 8).max(1);
        let pause = if moved {
            // Not evenly: a row that flips in step with the looks would show the same face each time.
            let pause = (now.saturating_sub(found) / 4).clamp(ms(FIRST_LOOK).min(longest), longest);
            pause - pause * (now.wrapping_mul(40_503) >> 4).rem_euclid(UNEVEN) / 100
        } else {
            grid(now.saturating_sub(self.stood)) - now.saturating_sub(self.stood)
        };
        now.saturating_add(pause).min(confirmed).max(now + 1)
    }
}

/// When a finding is looked at for the first time. A few are looked at early, to learn how soon copies follow; many at
/// once only when they may be believed.
pub fn first_look(findings: usize, wait: Duration, now: UnixMs) -> UnixMs {
    const MANY: usize = 500;
    let pause = if findings <= MANY { wait.min(FIRST_LOOK) } else { wait };
    now.saturating_add(ms(pause))
}

/// The next of 0.3 s, 0.48 s, 0.77 s … behind `age`, in ms.
fn grid(age: i64) -> i64 {
    let mut at = ms(FIRST_LOOK);
    while at <= age {
        at = at.saturating_mul(8) / 5;
    }
    at
}

#[cfg(test)]
#[path = "confirm/tests.rs"]
mod tests;
