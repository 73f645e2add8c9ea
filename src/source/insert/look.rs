//! One look of the insert feed, in steps that return at most a page of rows each.

use std::time::Duration;

use chrono::TimeDelta;

use super::live::{Phase, Tick};
use super::stands::{self, Newest, Stand};
use super::{Bounds, Cursor};
use crate::model::{RowId, SourceRow};
use crate::source::ground::Ground;
use crate::sql::PlaceError;

/// Ids read at once.
const IDS: usize = 10_000;

/// Lists of ids read in one step.
const LISTS: usize = 5;

/// After this time a look is ended, so that what has settled meanwhile becomes durable and new rows do not wait.
const LONG: Duration = Duration::from_secs(1);

/// What was given out longer ago is looked at again less often.
const NEAR: TimeDelta = TimeDelta::seconds(10);

/// The whole stretch is looked at again after this many times of what that took.
const REST: u32 = 20;

/// How often is asked whether the ids go on.
const STANDS: Duration = Duration::from_secs(5);

/// A step of a look: rows, and where the feed is after them.
pub(super) struct Look<'a> {
    ground: &'a dyn Ground,
    bounds: Bounds,
    limit: usize,
    cursor: Cursor,
}

impl<'a> Look<'a> {
    /// Goes on from `cursor`; returns rows, the cursor behind them, and whether more is known to wait.
    pub(super) async fn step(
        ground: &'a dyn Ground,
        bounds: Bounds,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<(Vec<SourceRow>, Cursor, bool), PlaceError> {
        let mut look = Self { ground, bounds, limit, cursor: cursor.clone() };
        if look.cursor.live.tick.is_none() {
            look.begin().await?;
        }
        let (rows, more) = look.go_on().await?;
        Ok((rows, look.cursor, more))
    }

    async fn begin(&mut self) -> Result<(), PlaceError> {
        let fresh = self.cursor.live.fresh.take();
        // The largest id first: whoever was given one up to it has begun before the clock is read.
        let largest = self.stands(fresh.is_some()).await?.filter(|_| fresh.is_some());
        let horizon = self.ground.horizon().await?;
        let live = &mut self.cursor.live;
        let horizon = live.clock.straighten(horizon);
        if fresh == Some(true) {
            live.old = largest;
        }
        live.told = horizon.told || horizon.one_writer;
        live.mark(&horizon, live.frontier.max(largest), self.bounds.settle);
        let began = self.ground.elapsed();
        // Far behind, what was read before the clock told of it settles first: then rows settle as they are read.
        let behind = live.unfinished && live.frontier > self.cursor.settled && live.frontier <= live.clean;
        let behind = behind && !std::mem::replace(&mut live.settles, behind);
        let phase = if behind { Phase::Settle { since: began } } else { Phase::New };
        live.tick = Some(Tick { began, horizon, phase, front: live.frontier, more: behind });
        Ok(())
    }

    /// Makes sure now and then, and with `at_once`, that the ids go on where the feed stands. Returns the largest one, if
    /// it was asked for.
    async fn stands(&mut self, at_once: bool) -> Result<Option<i128>, PlaceError> {
        let now = self.ground.elapsed();
        let lately = self.cursor.live.stood.is_some_and(|at| now.saturating_sub(at) < STANDS);
        if lately && !at_once {
            return Ok(None);
        }
        let largest = self.ground.largest().await?;
        if stands::look(self.ground, &self.cursor, largest).await? == Stand::StepsBack {
            self.cursor = self.cursor.back_to(largest.map(|id| id.0));
            self.cursor.live.fresh = None;
        }
        self.cursor.live.stood = Some(now);
        Ok(largest.map(|id| id.0))
    }

    /// Steps until there are rows, or nothing is left to do, or it has taken long.
    async fn go_on(&mut self) -> Result<(Vec<SourceRow>, bool), PlaceError> {
        for _ in 0..LISTS {
            let Some(phase) = self.cursor.live.tick.as_ref().map(|tick| tick.phase.clone()) else { break };
            let rows = match phase {
                Phase::New => self.new_rows().await?,
                Phase::Settle { since } => self.settle(since).await?,
                Phase::Again { after, whole, since } => self.again(after, whole, since).await?,
                Phase::Gaps => self.gaps().await?,
            };
            if !rows.is_empty() {
                return Ok((rows, self.more()));
            }
        }
        Ok((Vec::new(), self.more()))
    }

    fn more(&self) -> bool {
        self.cursor.live.tick.is_some() || self.cursor.live.unfinished
    }

    fn turn(&mut self, phase: Phase) {
        self.cursor.live.tick.as_mut().expect("a phase belongs to a look").phase = phase;
    }

    fn is_long(&self, since: Duration) -> bool {
        self.ground.elapsed().saturating_sub(since) >= LONG
    }

    async fn new_rows(&mut self) -> Result<Vec<SourceRow>, PlaceError> {
        let frontier = self.cursor.live.frontier;
        let newest = self.cursor.newest.get_or_insert_with(|| Newest::from(frontier));
        let page = self.ground.page(frontier.map(RowId), None, self.limit).await?;
        newest.note(page.items.iter().map(|row| row.id.0));
        let now = self.ground.elapsed();
        let live = &mut self.cursor.live;
        let ids = || page.items.iter().map(|row| row.id.0);
        let clean = live.clean;
        let in_order = self.cursor.settled == frontier;
        live.frontier = live.frontier.max(ids().next_back());
        if in_order {
            // What is read after it became clean needs no second look.
            let settled: Vec<i128> = ids().take_while(|id| Some(*id) <= clean).collect();
            self.cursor.counted.rows += settled.len() as u64;
            if let (false, Some(tick)) = (live.told, &live.tick) {
                self.cursor.gaps.note(frontier, &settled, tick.horizon.now.utc);
            }
            self.cursor.settled = self.cursor.settled.max(settled.last().copied());
        }
        let settled = self.cursor.settled;
        live.remember(ids().skip_while(|id| Some(*id) <= settled), self.bounds.memory);
        let tick = live.tick.as_mut().expect("a phase belongs to a look");
        let more = page.full && !page.items.is_empty();
        // Far behind, the clock is of no use until what it has told of is read.
        let ahead = live.frontier < clean;
        if !more || (!ahead && now.saturating_sub(tick.began) >= LONG) {
            tick.more = more;
            self.turn(Phase::Settle { since: now });
        }
        Ok(page.items)
    }

    /// Rows that were read before all of their transactions had ended are read once more. Of the ids that were old at
    /// the first start it is enough to find those that have appeared since.
    async fn settle(&mut self, since: Duration) -> Result<Vec<SourceRow>, PlaceError> {
        let live = &self.cursor.live;
        let (settled, upto) = (self.cursor.settled, live.clean.min(live.frontier));
        let Some(upto) = upto.filter(|upto| Some(*upto) > settled) else {
            return self.settled_all();
        };
        if self.is_long(since) {
            self.cursor.live.tick.as_mut().expect("a phase belongs to a look").more = true;
            return self.settled_all();
        }
        let old = live.old.map(|old| old.min(upto)).filter(|old| Some(*old) > settled);
        if let Some(old) = old.filter(|_| live.forgotten <= settled) {
            let (rows, reached, there) = self.unseen(settled, old).await?;
            let ids: Vec<i128> = rows.iter().map(|row| row.id.0).collect();
            self.cursor.live.remember(ids, self.bounds.memory);
            self.reach(reached.unwrap_or(old), there);
            return Ok(rows);
        }
        let page = self.ground.page(settled.map(RowId), Some(RowId(upto)), self.limit).await?;
        let ids: Vec<i128> = page.items.iter().map(|row| row.id.0).collect();
        let now = self.cursor.live.tick.as_ref().expect("a phase belongs to a look").horizon.now.utc;
        self.cursor.gaps.note(settled, &ids, now);
        self.reach(ids.last().copied().filter(|_| page.full).unwrap_or(upto), ids.len() as u64);
        Ok(page.items)
    }

    fn reach(&mut self, settled: i128, counted: u64) {
        self.cursor.settled = Some(settled);
        self.cursor.counted.rows += counted;
        self.cursor.live.seen.forget(settled);
    }

    /// Goes on to what cannot settle yet.
    fn settled_all(&mut self) -> Result<Vec<SourceRow>, PlaceError> {
        let since = self.ground.elapsed();
        let live = &self.cursor.live;
        let tick = live.tick.as_ref().expect("a phase belongs to a look");
        if tick.more {
            self.end();
            return Ok(Vec::new());
        }
        let from = self.cursor.settled.max(live.forgotten);
        let whole = live.whole.is_none_or(|(at, took, holder)| {
            let rested = since.saturating_sub(at);
            rested >= took * REST || (holder != tick.horizon.oldest && rested >= took)
        });
        let near = live.given_out(tick.horizon.now.utc - NEAR);
        let after = if whole { from } else { from.max(near) };
        self.turn(Phase::Again { after, whole, since });
        Ok(Vec::new())
    }

    /// Looks for ids that have appeared.
    async fn again(
        &mut self,
        after: Option<i128>,
        whole: bool,
        since: Duration,
    ) -> Result<Vec<SourceRow>, PlaceError> {
        let tick = self.cursor.live.tick.as_ref().expect("a phase belongs to a look");
        let (front, holder) = (tick.front, tick.horizon.oldest);
        let mut rows = Vec::new();
        let mut reached = None;
        if let Some(front) = front.filter(|front| Some(*front) > after) {
            (rows, reached, _) = self.unseen(after, front).await?;
            let ids: Vec<i128> = rows.iter().map(|row| row.id.0).collect();
            self.cursor.live.remember(ids, self.bounds.memory);
        }
        match reached {
            Some(reached) => self.turn(Phase::Again { after: Some(reached), whole, since }),
            None => {
                if whole {
                    let now = self.ground.elapsed();
                    self.cursor.live.whole = Some((now, now.saturating_sub(since), holder));
                }
                self.turn(Phase::Gaps);
            }
        }
        Ok(rows)
    }

    /// Rows behind `after`, up to and with `upto`, that have not been seen; how far that reached, if there is more; and
    /// how many rows there are, seen or not, that far.
    async fn unseen(
        &self,
        after: Option<i128>,
        upto: i128,
    ) -> Result<(Vec<SourceRow>, Option<i128>, u64), PlaceError> {
        let page = self.ground.ids(after.map(RowId), RowId(upto), IDS.max(self.limit)).await?;
        let ids: Vec<i128> = page.items.iter().map(|id| id.0).collect();
        let mut reached = ids.last().copied().filter(|_| page.full);
        let mut unseen = self.cursor.live.seen.without(&ids);
        if unseen.len() > self.limit {
            unseen.truncate(self.limit);
            reached = unseen.last().copied();
        }
        let there = |reached: Option<i128>| {
            ids.iter().take_while(|id| reached.is_none_or(|reached| **id <= reached)).count() as u64
        };
        if unseen.is_empty() {
            return Ok((Vec::new(), reached, there(reached)));
        }
        let unseen: Vec<RowId> = unseen.into_iter().map(RowId).collect();
        let found = self.ground.rows(&unseen).await?;
        if let Some(missed) = found.rest.iter().min() {
            // What lies behind it and was found is found again.
            reached = Some(missed.0 - 1);
        }
        Ok((found.rows, reached, there(reached)))
    }

    async fn gaps(&mut self) -> Result<Vec<SourceRow>, PlaceError> {
        let now = self.cursor.live.tick.as_ref().expect("a phase belongs to a look").horizon.now.utc;
        let ranges: Vec<(RowId, RowId)> =
            self.cursor.gaps.due(now).into_iter().map(|(first, last)| (RowId(first), RowId(last))).collect();
        self.end();
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self.ground.ids_within(&ranges, self.limit).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ground.rows(&ids).await?.rows;
        self.cursor.gaps.filled(&rows.iter().map(|row| row.id.0).collect::<Vec<_>>());
        self.cursor.counted.rows += rows.len() as u64;
        Ok(rows)
    }

    fn end(&mut self) {
        let live = &mut self.cursor.live;
        if let Some(tick) = live.tick.take() {
            live.looked(&tick, self.cursor.settled);
            live.unfinished = tick.more;
        }
        if live.forgotten <= self.cursor.settled {
            live.forgotten = None;
        }
    }
}
