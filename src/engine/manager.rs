//! The manager: plans looks, hands out tickets, and makes what came of them durable. The only writer of cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tracing::info;

mod durable;
mod room;
mod slow;

use super::callback::{Callback, Wakes};
use super::covered::{facts, seen};
use super::progress::{FeedState, LaneState};
use super::runs::{Book, Owed, failure};
use super::ticket::Scanned;
use super::walks::Walks;
use super::{Outcome, Places, StatusBoard, Stop, Ticket};
use crate::base::clock::{Clock, ms};
use crate::model::{Feed, TaskName};
use crate::scan::{self, Begin, Pace, plan};
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::{Covered, Cursor, Pass, Store, StoreError};
use durable::Step;
use room::Room;

/// Longest sleep; the plan is looked at again then.
const IDLE: Duration = Duration::from_secs(5);

/// What each task's insert feed does at this start; taken once, so that a restarted manager does not restart feeds.
pub type StartId = Arc<Mutex<HashMap<TaskName, Begin>>>;

/// See the module's documentation.
pub struct Manager {
    store: Arc<dyn Store>,
    places: Arc<Places>,
    clock: Clock,
    begins: StartId,
    tickets: mpsc::Sender<Ticket>,
    outcomes: Arc<Mutex<mpsc::Receiver<Outcome>>>,
    wakes: Wakes,
    status: StatusBoard,
    generation: u64,
    feeds: Vec<FeedState>,
    walks: Walks,
    room: Room,
    /// Runs to be written down.
    owed: Owed,
}

/// A round of planning: how long nothing else is due, and whether more is due than scanners have room for.
pub(super) struct Planned {
    pub(super) pause: Duration,
    full: bool,
}

static GENERATION: AtomicU64 = AtomicU64::new(0);

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Manager {
    /// A manager over all tasks; reads the cursors when it starts to run.
    #[expect(clippy::too_many_arguments, reason = "the manager is where everything meets")]
    pub fn new(
        store: Arc<dyn Store>,
        places: Arc<Places>,
        clock: Clock,
        begins: StartId,
        tickets: mpsc::Sender<Ticket>,
        outcomes: Arc<Mutex<mpsc::Receiver<Outcome>>>,
        callback: &Callback,
        status: StatusBoard,
    ) -> Self {
        Self {
            store,
            places,
            clock,
            begins,
            tickets,
            outcomes,
            wakes: callback.wakes(),
            status,
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            feeds: Vec::new(),
            walks: Walks::default(),
            room: Room::default(),
            owed: Owed::default(),
        }
    }

    /// Looks are planned by a clock that nobody sets.
    fn ticks(&self) -> i64 {
        ms(self.clock.elapsed())
    }

    /// Works until the stop.
    pub async fn run(mut self, stop: Stop) {
        let outcomes = self.outcomes.clone();
        let mut outcomes = outcomes.lock().await;
        loop {
            if self.feeds.is_empty() {
                match self.begin().await {
                    Ok(()) => self.status.store_works(),
                    Err(e) => self.status.store_failed(&e),
                }
            }
            self.status.round();
            self.sweep_anew().await;
            self.make_room().await;
            let Planned { pause, full } = self.step();
            let pause = self.keep_runs().await.map_or(pause, |due| pause.min(due));
            let tickets = self.tickets.clone();
            tokio::select! {
                () = stop.intake.cancelled() => return self.close_runs().await,
                Some(outcome) = outcomes.recv() => self.finish(outcome).await,
                // A scanner has taken one: there is room for the next.
                _ = tickets.reserve(), if full => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// What an earlier life of the manager had begun, it does not end.
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.store.cut_off_runs().await?;
        self.load().await
    }

    /// Reads the cursors, and leaves those behind that another `-s` makes void.
    pub(super) async fn load(&mut self) -> Result<(), StoreError> {
        let mut begins = self.begins.lock().await;
        for (task, begin) in begins.iter_mut() {
            if let Begin::Restart(id) = *begin {
                info!(%task, start_id = %id, "starts again at the given id, saved progress of the insert feed is left");
                for feed in [Feed::Insert, Feed::Sweep] {
                    self.store.forget_cursors(task, Some(feed)).await?;
                }
                *begin = Begin::Resume(Some(id));
            }
        }
        let saved = self.store.cursors().await?;
        let covered = self.store.coverage().await?;
        let mut feeds = Vec::new();
        for (index, task) in self.places.tasks.iter().enumerate() {
            let source = &task.config.source;
            let update = source.update.as_ref().map(|u| u.interval);
            for (feed, interval) in [(Feed::Insert, source.insert), (Feed::Update, update)] {
                let Some(interval) = interval else { continue };
                let start_id = match begins.get(&task.config.name) {
                    Some(Begin::Resume(id)) if feed == Feed::Insert => *id,
                    _ => None,
                };
                let lanes = task.config.destinations.iter().map(|destination| {
                    let of_lane = |c: &&Cursor| {
                        c.task == task.config.name && c.destination == destination.name && c.feed == feed
                    };
                    let cursor = saved.iter().find(of_lane);
                    let of_lane = |c: &&Covered| {
                        c.task == task.config.name && c.destination == destination.name && c.feed == feed
                    };
                    let facts = covered.iter().find(of_lane).map(|c| c.facts.clone());
                    let book = Book::new(task.config.name.clone(), destination.name.clone(), feed);
                    let ticks = self.ticks();
                    let mut lane =
                        LaneState::new(destination.name.clone(), book, cursor, facts, start_id, ticks);
                    lane.plan.alone = destination.is_event();
                    lane
                });
                let lanes = lanes.collect();
                feeds.push(FeedState { task: index, feed, interval, pace: Pace::default(), lanes });
            }
        }
        self.walks = Walks::load(&self.places, &saved, &begins, self.clock.now());
        self.feeds = feeds;
        self.room.ask_all(&self.places);
        Ok(())
    }

    /// Hands out the tickets that are due.
    pub(super) fn step(&mut self) -> Planned {
        let now = self.ticks();
        let mut next = now.saturating_add(ms(IDLE));
        let mut full = false;
        // Whoever has waited longest goes first, so that a long way to catch up holds up nobody; before all, feeds that
        // have never run: where they start is recorded at once.
        let mut order: Vec<usize> = (0..self.feeds.len()).collect();
        order.sort_by_key(|at| self.feeds[*at].waits_since());
        'feeds: for at in order {
            let held = self.held(at);
            let feed = &mut self.feeds[at];
            let source = self.places.tasks[feed.task].open_source();
            feed.forget_behind();
            let mut lanes: Vec<scan::Lane> = feed.lanes.iter().map(|l| l.plan.clone()).collect();
            held.into_iter().for_each(|lane| lanes[lane].busy = true);
            if let Some(source) = &source {
                source.divide(feed.feed, scan::apart(&lanes));
            }
            let soon = now.saturating_add(ms(feed.interval / 2));
            let looks = plan(&lanes, now, soon, |a, b| match &source {
                Some(source) => source.earlier(feed.feed, a, b),
                // Only until the source is open again; reading from either is right for its own lane.
                None => a.clone(),
            });
            for look in looks {
                let look = if source.is_none() { alone(look, &lanes) } else { look };
                let first = &feed.lanes[look.lanes[0]];
                let ticket = Ticket {
                    generation: self.generation,
                    task: feed.task,
                    feed: feed.feed,
                    from: look.from,
                    start_id: first.start_id,
                    destinations: look.lanes.clone(),
                    limit: feed.pace.rows(),
                    meant: false,
                };
                if self.tickets.try_send(ticket).is_err() {
                    full = true;
                    break 'feeds;
                }
                for lane in look.lanes {
                    let lane = &mut feed.lanes[lane];
                    lane.plan.busy = true;
                    lane.book.ask(self.clock.now());
                }
            }
        }
        let lanes = self.feeds.iter().flat_map(|feed| &feed.lanes);
        next = lanes.filter(|l| !l.plan.busy && l.plan.due > now).map(|l| l.plan.due).fold(next, i64::min);
        next = next.min(self.room.next(now));
        if !full {
            let (slow, no_room) = self.step_slow(now);
            next = next.min(slow);
            full = no_room;
        }
        let pause = Duration::from_millis(next.saturating_sub(now).max(1).unsigned_abs());
        Planned { pause, full }
    }

    pub(super) async fn finish(&mut self, outcome: Outcome) {
        let Outcome { ticket, destination, result } = outcome;
        let of_ticket = |f: &FeedState| f.task == ticket.task && f.feed == ticket.feed;
        if ticket.generation != self.generation {
            return;
        }
        if matches!(ticket.feed, Feed::Sweep | Feed::Extra) {
            return self.finish_slow(ticket, destination, result).await;
        }
        let Some(at) = self.feeds.iter().position(of_ticket) else { return };
        match result {
            Ok(scanned) => self.commit(at, &ticket, destination, scanned).await,
            Err(error) => self.failed(at, destination, &error),
        }
    }

    async fn commit(&mut self, at: usize, ticket: &Ticket, destination: usize, mut scanned: Scanned) {
        let task = self.places.tasks[ticket.task].config.name.clone();
        let (now, ticks) = (self.clock.now(), self.ticks());
        let feed = &mut self.feeds[at];
        feed.pace.learn(scanned.read);
        let (kind, interval) = (feed.feed, feed.interval);
        let lane = &mut feed.lanes[destination];
        lane.plan.busy = false;
        let stands = lane.plan.position.as_ref().is_some_and(|p| p.as_str() == scanned.next.as_str());
        let (name, start_id) = (lane.name.clone(), lane.start_id);
        // To find out where to start is no look.
        let caught_up = lane.catches_up(scanned.more);
        let facts = ticket.from.is_some().then(|| facts(&scanned.coverage, caught_up, now));
        let run = lane.book.step(&scanned, now);
        let news = lane.book.is_news(&run)
            || facts.as_ref().is_some_and(|facts| lane.is_news(facts))
            || scanned.counts.rows > 0;
        // The first walk of the insert feed over everything is a pass of the sweep as well.
        let of = || self.places.tasks[ticket.task].incarnation(destination);
        let walk = (kind == Feed::Insert)
            .then(|| self.walks.inserted(ticket.task, destination, scanned.more, of(), now))
            .flatten();
        let versions = scanned.versions.as_ref().is_some_and(|versions| !versions.is_empty());
        let nothing = scanned.findings.is_empty() && scanned.remembered.is_empty() && !versions;
        let mut committed = None;
        if !stands || !nothing || walk.is_some() || news {
            let mut cursors = vec![Cursor {
                task: task.clone(),
                destination: name.clone(),
                feed: kind,
                position: scanned.next.clone(),
                identity: scanned.identity.clone(),
                start_id,
            }];
            if let (Some(walk), Some(sweep)) = (&walk, self.walks.lane(ticket.task, destination, Feed::Sweep))
            {
                cursors.push(sweep.cursor(&task, walk, &scanned.identity));
            }
            let passed = walk.as_ref().filter(|_| !scanned.more).and_then(|walk| walk.last());
            let passed = passed.map(|last| Pass { began: last.began, from: start_id });
            let seen = seen(&mut scanned, passed);
            let scanned = &mut scanned;
            let (facts_now, run) = (facts.clone(), &run);
            let step = Step { name: &name, cursors, scanned, run, facts: facts_now, seen, passed: None, now };
            committed = self.make_durable(ticket, destination, step).await;
            let Some(committed) = committed else {
                // Nothing moved; the same rows are read again.
                self.feeds[at].lanes[destination].plan.due = ticks.saturating_add(1000);
                return;
            };
            if let Some(facts) = facts {
                self.feeds[at].lanes[destination].keep(&task, facts, run.id(committed));
            }
            if versions {
                self.room.ask((ticket.task, destination));
            }
        }
        if let (Some(walk), Some(sweep)) = (walk, self.walks.lane(ticket.task, destination, Feed::Sweep)) {
            sweep.advance(walk);
        }
        let lane = &mut self.feeds[at].lanes[destination];
        self.places.tasks[ticket.task].progress_of(&scanned.identity);
        if kind == Feed::Insert {
            self.places.tasks[ticket.task].inserts_at(destination, &scanned.next);
        }
        self.wakes[ticket.task][destination].guard.see(|agreed| {
            scanned.agreed.iter().fold(false, |news, (key, row)| agreed.see(key, *row) || news)
        });
        self.status.read(&task, &lane.name, kind, !scanned.more);
        let run = lane.book.go_on(run, committed.unwrap_or_default(), committed.is_some());
        let counts = (scanned.counts, run);
        lane.advance(&task, kind, scanned.next, scanned.more, counts, interval, ticks);
        self.status.run_works(&task, kind, &lane.name, run);
    }

    fn failed(&mut self, at: usize, destination: usize, e: &PlaceError) {
        let ticks = self.ticks();
        let feed = &mut self.feeds[at];
        let places = self.places.tasks[feed.task].clone();
        let task = &places.config.name;
        let lane = &mut feed.lanes[destination];
        lane.plan.busy = false;
        // It is no longer where those are that have caught up: they must not go back to wait for it.
        (lane.plan.at_tip, lane.fails) = (false, true);
        if e.kind == PlaceErrorKind::TooSlow {
            feed.pace.halve();
        }
        // What was opened may be stale: a server that was replaced, a table that was altered.
        places.doubt_destination(destination);
        places.doubt_source();
        let run = lane.book.fail(failure(task, e, self.clock.now()));
        let pause = self.status.run_failed(task, feed.feed, &lane.name, e, run.0.id);
        self.owed.failed(run);
        lane.plan.due = ticks.saturating_add(ms(pause));
    }
}

/// Without a source nobody can say which position is earlier: each lane reads for itself.
fn alone(mut look: scan::Look, lanes: &[scan::Lane]) -> scan::Look {
    look.lanes.truncate(1);
    look.from = lanes[look.lanes[0]].position.clone();
    look
}
