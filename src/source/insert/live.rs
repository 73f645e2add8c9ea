//! What the insert feed knows between its looks; a restart loses it, and what is not settled is read again.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};

use super::runs::Runs;
use crate::source::set_back::SetBack;
use crate::sql::horizon::Horizon;

/// Distance of marks.
const MARK: TimeDelta = TimeDelta::seconds(1);

/// Marks kept at most; then every second one goes.
const MARKS: usize = 1000;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// The highest id read.
    pub(super) frontier: Option<i128>,
    /// Ids read behind the settled one.
    pub(super) seen: Runs,
    /// `seen` was full: up to this id it tells nothing.
    pub(super) forgotten: Option<i128>,
    /// Whether no look has begun yet; with `true` inside, the first one ever.
    pub(super) fresh: Option<bool>,
    /// Ids up to this one were there when the feed was started for the first time: reading them once is enough.
    pub(super) old: Option<i128>,
    /// Up to this id nothing can appear any more, whether it has been read or not.
    pub(super) clean: Option<i128>,
    /// When (by the database's clock) all ids up to which one had been given out; ascending.
    pub(super) marks: Vec<(NaiveDateTime, i128)>,
    /// The whole stretch behind the settled id was last read at, how long that took, and which transaction was the
    /// oldest then.
    pub(super) whole: Option<(Duration, Duration, Option<NaiveDateTime>)>,
    /// When it was last seen that ids go on where they stood.
    pub(super) stood: Option<Duration>,
    /// The look that is being made.
    pub(super) tick: Option<Tick>,
    /// Whether more was known to wait when the last look ended.
    pub(super) unfinished: bool,
    /// Whether the last look that found the feed far behind settled first: the next one reads what is new.
    pub(super) settles: bool,
    /// What is known of the database's clock.
    pub(super) clock: SetBack,
    /// Whether the database shows its open transactions.
    pub(super) told: bool,
    /// When the mark that was passed last was set.
    passed: Option<NaiveDateTime>,
    /// Whatever was committed before then is clean.
    clean_at: Option<NaiveDateTime>,
    /// When a look last ended although more waited.
    behind_at: Option<NaiveDateTime>,
    /// The database's now of the last look, and when that began.
    now: Option<(NaiveDateTime, Duration)>,
    /// Whatever was committed before then has settled.
    settled_at: Option<NaiveDateTime>,
}

/// A look, from the reading of the horizon on.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) began: Duration,
    pub(super) horizon: Horizon,
    pub(super) phase: Phase,
    /// The frontier when it began: beyond it rows are read whole, and nothing needs to be looked at again.
    pub(super) front: Option<i128>,
    /// Whether more is known to wait when it ends.
    pub(super) more: bool,
}

/// What a look does, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Rows behind the frontier.
    New,
    /// Rows of what settles.
    Settle { since: Duration },
    /// Ids behind the settled one, from this one on.
    Again { after: Option<i128>, whole: bool, since: Duration },
    /// What was missing long ago.
    Gaps,
}

impl Live {
    /// Of a feed that is started for the first time.
    pub(super) fn first(frontier: Option<i128>) -> Self {
        Self { frontier, fresh: Some(true), ..Self::default() }
    }

    /// Of a feed that goes on.
    pub(super) fn behind(frontier: Option<i128>) -> Self {
        Self { frontier, fresh: Some(false), ..Self::default() }
    }

    /// What holds for two that go on as one; `None`: too little is known of either. `settled` is the higher of what they
    /// have settled, that of `other`.
    pub(super) fn both(&self, other: &Self, settled: Option<i128>) -> Option<Self> {
        let between = |live: &Self| live.fresh.is_none() && live.tick.is_none() && !live.unfinished;
        if !between(self) || !between(other) {
            return None;
        }
        // Marks, and what is clean, are about the database, whoever has found out.
        let marks = if self.marks.len() >= other.marks.len() { &self.marks } else { &other.marks };
        Some(Self {
            frontier: self.frontier.min(other.frontier),
            seen: self.seen.both(&other.seen, settled),
            forgotten: self.forgotten.max(other.forgotten),
            fresh: None,
            old: self.old.min(other.old),
            clean: self.clean.max(other.clean),
            marks: marks.clone(),
            whole: self.whole.zip(other.whole).map(|(a, b)| if a.0 <= b.0 { a } else { b }),
            stood: self.stood.min(other.stood),
            tick: None,
            unfinished: false,
            settles: false,
            clock: self.clock.both(&other.clock),
            told: self.told && other.told,
            passed: self.passed.min(other.passed),
            clean_at: self.clean_at.max(other.clean_at),
            behind_at: self.behind_at.max(other.behind_at),
            now: self.now.max(other.now),
            settled_at: self.settled_at.min(other.settled_at),
        })
    }

    /// At the time of `horizon` all ids up to `newest` had been given out. What that settles becomes clean.
    pub(super) fn mark(&mut self, horizon: &Horizon, newest: Option<i128>, settle: Duration) {
        if horizon.one_writer {
            // Ids are seen in the order in which they are given out.
            self.clean = self.clean.max(newest);
            self.pass(horizon.now.utc);
            return;
        }
        let now = horizon.now.utc;
        // A clock that was set back: they had been given out all the same.
        self.marks.iter_mut().for_each(|mark| mark.0 = mark.0.min(now));
        let last = self.marks.last();
        if let Some(newest) = newest
            && Some(newest) > self.clean
            && last.is_none_or(|(at, id)| *id < newest && now - *at >= MARK)
        {
            self.marks.push((now, newest));
            if self.marks.len() > MARKS {
                let mut at = 0;
                self.marks.retain(|_| {
                    at += 1;
                    at % 2 == 0
                });
            }
        }
        let settled = horizon.settled(settle);
        let passed = self.marks.partition_point(|(at, _)| *at <= settled);
        let marks: Vec<_> = self.marks.drain(..passed).collect();
        for (at, id) in marks {
            self.clean = self.clean.max(Some(id));
            self.pass(at);
        }
    }

    /// What was read by the time of a mark was committed by the time of the one before it, at least.
    fn pass(&mut self, at: NaiveDateTime) {
        self.clean_at = self.passed.replace(at).or(self.clean_at);
    }

    /// A look has ended with all up to `settled` settled.
    pub(super) fn looked(&mut self, tick: &Tick, settled: Option<i128>) {
        let now = tick.horizon.now.utc;
        self.now = Some((now, tick.began));
        if tick.more {
            self.behind_at = Some(now);
            return;
        }
        let at = if settled >= self.frontier {
            Some(now)
        } else {
            self.clean_at
                .filter(|at| settled >= self.clean && self.behind_at.is_none_or(|behind| behind < *at))
        };
        self.settled_at = self.settled_at.max(at);
    }

    /// How long ago everything that was committed has settled since.
    pub(super) fn age(&self, elapsed: Duration) -> Option<Duration> {
        let (now, began) = self.now?;
        Some((now - self.settled_at?).to_std().ok()? + elapsed.saturating_sub(began))
    }

    /// Ids that were read.
    pub(super) fn remember(&mut self, ids: impl IntoIterator<Item = i128>, memory: usize) {
        self.seen.extend(ids);
        while self.seen.bytes() > memory
            && let Some(id) = self.seen.forget_oldest()
        {
            self.forgotten = self.forgotten.max(Some(id));
        }
    }

    /// The newest id that had been given out this long ago.
    pub(super) fn given_out(&self, before: NaiveDateTime) -> Option<i128> {
        let at = self.marks.partition_point(|(at, _)| *at <= before);
        at.checked_sub(1).map(|at| self.marks[at].1)
    }
}
