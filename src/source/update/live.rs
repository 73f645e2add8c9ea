//! What the update feed knows between its looks; a restart loses it, and what is not settled is read again.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::pairs::Pairs;
use super::plan::Segment;
use super::{Cursor, Stored, Strays};
use crate::model::RowId;
use crate::source::set_back::SetBack;

/// See the module's documentation. Times without a word are on the column's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// Now (UTC) of the last finished look.
    pub(super) looked: Option<NaiveDateTime>,
    /// What lies before this has settled.
    pub(super) floor: Option<NaiveDateTime>,
    /// What was read behind the overlap.
    pub(super) pairs: Pairs,
    /// `pairs` was full: before this time it tells nothing.
    pub(super) forgotten: Option<NaiveDateTime>,
    /// The stretch behind the overlap was last read at, how long that took, and which transaction (UTC) was the oldest
    /// then.
    pub(super) whole: Option<(Duration, Duration, Option<NaiveDateTime>)>,
    /// The look that is being made.
    pub(super) tick: Option<Tick>,
    /// What is known of the database's clock.
    pub(super) clock: SetBack,
    /// Whether the database shows its open transactions.
    pub(super) told: bool,
    /// The database's now (UTC) of the look that was begun last, and when that was.
    pub(super) now: Option<(NaiveDateTime, Duration)>,
    /// Rows without a time, when last counted.
    pub(super) nulls: Option<u64>,
    /// Those whose time cannot be read.
    pub(super) strays: Strays,
    /// Seconds by which the latest time lay in the future, when last asked.
    pub(super) ahead: Option<i64>,
    /// When the two were last asked for.
    pub(super) surveyed: Option<Duration>,
}

/// A look, from the reading of the horizon on.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    /// What is still to be read, in this order.
    pub(super) segments: VecDeque<Segment>,
    /// Whether that is all in the order of time: then a restart can go on in it.
    pub(super) in_order: bool,
    /// Where in the first of them; `None`: at its beginning.
    pub(super) place: Option<(Stored, RowId)>,
    /// When the first of them was begun.
    pub(super) since: Option<Duration>,
    /// What the cursor becomes.
    pub(super) end: Cursor,
    /// Now (UTC); `None`: begun before a restart.
    pub(super) now: Option<NaiveDateTime>,
    /// What lies before this is settled when the look has ended.
    pub(super) floor: Option<NaiveDateTime>,
    /// What lies before this is read by times and ids alone from the next look on.
    pub(super) near: Option<NaiveDateTime>,
    /// The wall's now: what lies behind it was written before the wall was set back.
    pub(super) wall: NaiveDateTime,
    /// Start (UTC) of the oldest transaction.
    pub(super) oldest: Option<NaiveDateTime>,
}

impl Live {
    /// What holds for two that go on as one; `None`: too little is known of either. `other` has settled no less.
    pub(super) fn both(&self, other: &Self) -> Option<Self> {
        if self.tick.is_some() || other.tick.is_some() {
            return None;
        }
        let floor = other.floor?;
        Some(Self {
            looked: Some(self.looked?.min(other.looked?)),
            floor: self.floor,
            pairs: self.pairs.both(&other.pairs, floor),
            forgotten: self.forgotten.max(other.forgotten),
            whole: self.whole.zip(other.whole).map(|(a, b)| if a.0 <= b.0 { a } else { b }),
            tick: None,
            clock: self.clock.both(&other.clock),
            now: self.now.max(other.now),
            told: self.told && other.told,
            nulls: self.nulls,
            strays: self.strays.clone(),
            ahead: self.ahead,
            surveyed: self.surveyed,
        })
    }

    /// Pairs that were read and may settle later.
    pub(super) fn remember(
        &mut self,
        pairs: impl IntoIterator<Item = (NaiveDateTime, RowId)>,
        memory: usize,
    ) {
        self.pairs.extend(pairs);
        while self.pairs.bytes() > memory
            && let Some(time) = self.pairs.forget_oldest()
        {
            self.forgotten = self.forgotten.max(Some(time));
        }
    }
}
