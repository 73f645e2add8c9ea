//! When slow feeds get a turn: one batch at a time per task, one part of the time in ten, and behind the quick feeds.

use super::runs::Book;
use super::{Counts, Places, Scanned, Ticket};
use crate::base::clock::UnixMs;
use crate::config::{DestinationConfig, TaskConfig};
use crate::diff::digest;
use crate::model::{DestinationName, Feed, RowId, TaskName, Value};
use crate::scan::{Base, Begin, Pace, Passed, Share, Walk, rest_until};
use crate::store::{Cursor, Run};
use std::collections::HashMap;
use std::time::Duration;

/// How long a slow feed gives way to quick ones that always have something to do, in milliseconds.
const PATIENCE: i64 = 30_000;
/// How often a destination's own rows are walked if its `sweep` is off.
const DAY: Duration = Duration::from_secs(86_400);

/// The slow feeds of all tasks.
#[derive(Debug, Default)]
pub(super) struct Walks {
    tasks: Vec<OfTask>,
}

#[derive(Debug, Default)]
struct OfTask {
    /// Outcomes still to come of the ticket that is out.
    out: usize,
    /// Nothing is read before this tick.
    rest: i64,
    /// Since when a turn is refused because quick feeds are busy.
    refused: Option<i64>,
    lanes: Vec<WalkLane>,
}

/// One slow feed at one destination.
#[derive(Debug)]
pub(super) struct WalkLane {
    destination: usize,
    pub(super) name: DestinationName,
    pub(super) feed: Feed,
    pub(super) interval: Duration,
    pub(super) start_id: Option<RowId>,
    pub(super) walk: Walk,
    /// Not before this tick, after a failure.
    pub(super) due: i64,
    pub(super) pace: Pace,
    /// Where the insert feed stood when the pass under way began.
    base: Option<Base>,
    /// What stood behind the tables' names then.
    of: Option<String>,
    pub(super) share: Share,
    /// What is kept of its passes.
    pub(super) book: Book,
    /// When its last ticket was handed out: Unix ms, and the tick.
    turn: (UnixMs, i64),
    /// The walk is as it was read or written.
    stored: bool,
    /// Its ticket is out.
    out: bool,
    /// What comes of that is of no use.
    void: bool,
}

/// What the quick feeds of a task are doing.
#[derive(Debug)]
pub(super) struct Quick {
    /// One is being read, or is due.
    pub(super) busy: bool,
    /// By destination: the insert feed has reached the end of what there was, or is off.
    pub(super) through: Vec<bool>,
    /// By destination: what stands behind the names of source and copy; `None`: not known yet.
    pub(super) of: Vec<Option<String>>,
}

/// What comes next for the slow feeds of a task.
#[derive(Debug)]
pub(super) enum Turn {
    /// Read this.
    Read(Box<Ticket>),
    /// Nothing before this tick.
    At(i64),
    /// Nothing before something else has happened.
    Wait,
}

impl Walks {
    /// Goes on from saved cursors.
    pub(super) fn load(
        places: &Places,
        saved: &[Cursor],
        begins: &HashMap<TaskName, Begin>,
        now: UnixMs,
    ) -> Self {
        let of_task = |task: &TaskConfig| {
            let begin = match begins.get(&task.name) {
                Some(Begin::Resume(id)) => *id,
                _ => None,
            };
            let lanes = task.destinations.iter().enumerate().flat_map(|(at, config)| {
                let feeds = [
                    (Feed::Sweep, config.sweep),
                    (Feed::Extra, (config.delete && !config.is_event()).then(|| config.sweep.unwrap_or(DAY))),
                ];
                feeds.into_iter().filter_map(move |(feed, interval)| Some((at, config, feed, interval?)))
            });
            let lanes = lanes.map(|(at, config, feed, interval)| {
                WalkLane::new(task, (at, config), (feed, interval), saved, begin, now)
            });
            OfTask { lanes: lanes.collect(), ..OfTask::default() }
        };
        Self { tasks: places.tasks.iter().map(|task| of_task(&task.config)).collect() }
    }

    /// All lanes.
    pub(super) fn lanes(&mut self) -> impl Iterator<Item = &mut WalkLane> {
        self.tasks.iter_mut().flat_map(|task| &mut task.lanes)
    }

    /// The lane of a feed.
    pub(super) fn lane(&mut self, task: usize, destination: usize, feed: Feed) -> Option<&mut WalkLane> {
        self.tasks[task].lanes.iter_mut().find(|lane| lane.destination == destination && lane.feed == feed)
    }

    /// The next turn of a task.
    pub(super) fn turn(
        &mut self,
        task: usize,
        quick: &Quick,
        generation: u64,
        now: UnixMs,
        ticks: i64,
    ) -> Turn {
        let of_task = &mut self.tasks[task];
        if of_task.out > 0 {
            return Turn::Wait;
        }
        let ready = |lane: &WalkLane| lane.ready(quick, now, ticks);
        let Some(first) = of_task.lanes.iter().filter_map(ready).min() else { return Turn::Wait };
        let first = first.max(of_task.rest);
        if first > ticks {
            return Turn::At(first);
        }
        if quick.busy {
            let since = *of_task.refused.get_or_insert(ticks);
            if ticks < since.saturating_add(PATIENCE) {
                return Turn::Wait;
            }
        }
        let able = |lane: &&WalkLane| ready(lane).is_some_and(|at| at <= ticks);
        let Some(lane) = of_task.lanes.iter().filter(able).min_by_key(|lane| lane.turn.1) else {
            return Turn::Wait;
        };
        let from = lane.walk.at();
        // Destinations at the same place share the read.
        let shares = |other: &&WalkLane| {
            let same = other.feed == Feed::Sweep && lane.feed == Feed::Sweep && other.walk.at() == from;
            other.destination == lane.destination && other.feed == lane.feed
                || same && other.start_id == lane.start_id
        };
        Turn::Read(Box::new(Ticket {
            generation,
            task,
            feed: lane.feed,
            start_id: lane.start_id,
            destinations: of_task.lanes.iter().filter(able).filter(shares).map(|l| l.destination).collect(),
            limit: lane.pace.rows(),
            from,
            meant: false,
        }))
    }

    /// A ticket has been handed out; `bases` is where the insert feed stands at each of its destinations. Returns those
    /// where a pass begins because other tables stand behind the names now.
    pub(super) fn sent(
        &mut self,
        ticket: &Ticket,
        bases: Vec<Option<Base>>,
        quick: &Quick,
        (now, ticks): (UnixMs, i64),
    ) -> Vec<DestinationName> {
        let mut others = Vec::new();
        let of_task = &mut self.tasks[ticket.task];
        (of_task.out, of_task.refused) = (ticket.destinations.len(), None);
        for (destination, base) in ticket.destinations.iter().zip(bases) {
            let of_ticket = |l: &&mut WalkLane| l.feed == ticket.feed && l.destination == *destination;
            for lane in of_task.lanes.iter_mut().filter(of_ticket) {
                (lane.turn, lane.out) = ((now, ticks), true);
                lane.book.ask(now);
                if lane.walk.began().is_none() {
                    (lane.base, lane.of) = (base.clone(), quick.of[*destination].clone());
                    let is_other = lane.walk.is_of_others(lane.of.as_deref());
                    others.extend(is_other.then(|| lane.name.clone()));
                }
            }
        }
        others
    }

    /// One of its outcomes has come, after work that took so long. Returns whether it is of use.
    pub(super) fn back(
        &mut self,
        ticket: &Ticket,
        destination: usize,
        took: Option<Duration>,
        ticks: i64,
    ) -> bool {
        let of_task = &mut self.tasks[ticket.task];
        of_task.out = of_task.out.saturating_sub(1);
        let turn = of_task.lanes.iter().map(|lane| lane.turn.1).max().unwrap_or(ticks);
        let waited = || Duration::from_millis(ticks.saturating_sub(turn).max(0).unsigned_abs());
        of_task.rest = of_task.rest.max(rest_until(ticks, took.unwrap_or_else(waited)));
        let Some(lane) = self.lane(ticket.task, destination, ticket.feed) else { return false };
        lane.out = false;
        !std::mem::take(&mut lane.void)
    }

    /// All passes of a task, those that are complete as well, count for nothing: returns the lanes and what their walks
    /// are to become.
    pub(super) fn anew(&self, task: usize) -> Vec<(usize, Feed, Walk)> {
        let lanes = self.tasks[task].lanes.iter().filter(|lane| lane.out || !lane.walk.is_new());
        lanes.map(|lane| (lane.destination, lane.feed, lane.walk.anew())).collect()
    }

    /// What becomes of a sweep whose pass the insert feed makes, when that has been read; `None`: nothing new.
    pub(super) fn inserted(
        &mut self,
        task: usize,
        destination: usize,
        more: bool,
        of: Option<String>,
        now: UnixMs,
    ) -> Option<Walk> {
        let lane = self.lane(task, destination, Feed::Sweep).filter(|lane| lane.walk.is_inserts())?;
        if !lane.stored {
            lane.walk = lane.walk.clone().over(of);
        }
        if more { (!lane.stored).then(|| lane.walk.clone()) } else { Some(lane.walk.inserted(now)) }
    }
}

impl WalkLane {
    fn new(
        task: &TaskConfig,
        (destination, config): (usize, &DestinationConfig),
        (feed, interval): (Feed, Duration),
        saved: &[Cursor],
        begin: Option<RowId>,
        now: UnixMs,
    ) -> Self {
        let find = |feed: Feed| {
            saved.iter().find(|c| c.task == task.name && c.destination == config.name && c.feed == feed)
        };
        let (own, insert) = (find(feed), find(Feed::Insert));
        // Without an insert feed a different `-s` is for the walk alone.
        let other =
            |cursor: &Cursor| task.source.insert.is_none() && begin.is_some() && cursor.start_id != begin;
        let own = own.filter(|own| !other(own));
        let insert = insert.filter(|insert| !other(insert));
        // The insert feed of a new destination walks over everything anyway.
        let inserts = feed == Feed::Sweep && task.source.insert.is_some() && insert.is_none();
        let made_for = made_for(task, config);
        let walk = Walk::resume(own.map(|cursor| &cursor.position), &made_for, inserts, now);
        // Nobody finishes what the insert feed began if that is off now.
        let orphaned = walk.is_inserts() && task.source.insert.is_none();
        let walk = if orphaned { Walk::resume(None, &made_for, false, now) } else { walk };
        let stored = own.is_some_and(|cursor| cursor.position == walk.position());
        Self {
            destination,
            name: config.name.clone(),
            feed,
            interval,
            start_id: insert.or(own).map_or(begin, |cursor| cursor.start_id),
            walk,
            due: i64::MIN,
            pace: Pace::default(),
            base: None,
            of: None,
            share: Share::default(),
            book: Book::new(task.name.clone(), config.name.clone(), feed),
            turn: (UnixMs::MIN, i64::MIN),
            stored,
            out: false,
            void: false,
        }
    }

    /// The tick from which it may be read; `None`: something else has to happen first.
    fn ready(&self, quick: &Quick, now: UnixMs, ticks: i64) -> Option<i64> {
        let through = quick.through.get(self.destination).copied().unwrap_or(true);
        let of = quick.of.get(self.destination).and_then(Option::as_deref);
        let due = through.then(|| self.walk.due(self.interval, of, now))??;
        Some(ticks.saturating_add(due.saturating_sub(now).max(0)).max(self.due))
    }

    /// What the walk is after a step, if `of` stands behind the tables' names by now.
    pub(super) fn after(&self, scanned: &Scanned, of: Option<String>, now: UnixMs) -> Walk {
        let met = self.walk.met(scanned.counts, &scanned.met, self.base.as_ref(), self.turn.0);
        let moved = met.moved(&scanned.next, scanned.more, self.turn.0, now);
        // Before the first step of all, nobody had looked.
        if self.walk.began().is_none() { moved.over(self.of.clone().or(of)) } else { moved }
    }

    /// The cursor that says so.
    pub(super) fn cursor(&self, task: &TaskName, walk: &Walk, identity: &str) -> Cursor {
        Cursor {
            task: task.clone(),
            destination: self.name.clone(),
            feed: self.feed,
            position: walk.position(),
            identity: identity.to_owned(),
            start_id: self.start_id,
        }
    }

    /// It begins anew, which has become durable; a ticket that is out belongs to what was before.
    /// Returns what is to be kept of the pass that was under way.
    pub(super) fn begin_anew(&mut self, walk: Walk) -> Option<Run> {
        (self.walk, self.stored, self.void) = (walk, true, self.out);
        (self.base, self.of, self.share) = (None, None, Share::default());
        self.book.cut_off()
    }

    /// A walk has become durable. Returns the pass that it completed, with what that has seen.
    pub(super) fn advance(&mut self, walk: Walk) -> Option<(Passed, Counts)> {
        let complete = walk.last().filter(|last| self.walk.last() != Some(*last));
        (self.walk, self.stored) = (walk, true);
        complete.map(|passed| (passed, self.walk.picture().map(|picture| picture.counts).unwrap_or_default()))
    }
}

/// Digest of what a destination's rows are compared by: with another one, all of them are to be looked at again.
fn made_for(task: &TaskConfig, des: &DestinationConfig) -> String {
    let Some(copy) = &des.copy else { return String::new() };
    let mut columns: Vec<_> =
        copy.columns.iter().map(|c| (&*c.source, &*c.copy, format!("{:?}", c.policy))).collect();
    columns.sort();
    let place = copy.dsn.place();
    let mut words = vec![&*place, &copy.table, &copy.by_column, &task.source.by_column];
    words.extend(columns.iter().flat_map(|(source, copy, policy)| [*source, *copy, policy]));
    let mut words: Vec<Value> = words.into_iter().map(Value::text).collect();
    words.push(Value::Bool(des.delete));
    words.extend(task.source.deleted_when.iter().map(|rule| Value::text(rule.as_str())));
    digest(&[&words]).iter().map(|byte| format!("{byte:02x}")).collect()
}
