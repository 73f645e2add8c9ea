//! What the update feed knows between its looks; a restart loses it, and what is not settled is read again.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::pairs::Pairs;
use super::plan::Segment;
use super::{Cursor, Stored};
use crate::model::RowId;

/// See the module's documentation. Times without a word are on the column's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// Now (UTC) of the last finished look.
    pub(super) looked: Option<NaiveDateTime>,
    /// What was read behind the overlap.
    pub(super) pairs: Pairs,
    /// `pairs` was full: before this time it tells nothing.
    pub(super) forgotten: Option<NaiveDateTime>,
    /// The stretch behind the overlap was last read at, how long that took, and which transaction (UTC) was the oldest
    /// then.
    pub(super) whole: Option<(Duration, Duration, Option<NaiveDateTime>)>,
    /// The look that is being made.
    pub(super) tick: Option<Tick>,
    /// Whether the database shows its open transactions.
    pub(super) told: bool,
    /// The database's now (UTC) of the look that was begun last, and when that was.
    pub(super) now: Option<(NaiveDateTime, Duration)>,
    /// Rows without a time, when last counted.
    pub(super) nulls: Option<u64>,
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
