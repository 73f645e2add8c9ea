//! The manager's part in the slow feeds: turns, and what came of them.

use std::time::Duration;

use tracing::{debug, info};

use super::Manager;
use super::durable::Step;
use crate::base::clock::ms;
use crate::engine::Ticket;
use crate::engine::covered::{base, facts, seen};
use crate::engine::places::TaskPlaces;
use crate::engine::runs::failure;
use crate::engine::ticket::Scanned;
use crate::engine::walks::{Quick, Turn};
use crate::model::{Feed, RunId};
use crate::scan::{Base, Share};
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::{Pass, ScanCommit};

/// Longest pause before a walk that must not go on looks again.
const HELD: Duration = Duration::from_secs(60);

impl Manager {
    /// Hands out the turns of slow feeds that are due at this tick. Returns when the next one is, and whether there was
    /// no room for one.
    pub(super) fn step_slow(&mut self, ticks: i64) -> (i64, bool) {
        let (now, mut next) = (self.clock.now(), i64::MAX);
        for task in 0..self.places.tasks.len() {
            let quick = self.quick(task, ticks);
            for (destination, wakes) in self.wakes[task].iter().enumerate() {
                if wakes.guard.wakes_walk()
                    && let Some(lane) = self.walks.lane(task, destination, Feed::Extra)
                {
                    lane.due = i64::MIN;
                }
            }
            match self.walks.turn(task, &quick, self.generation, now, ticks) {
                Turn::Read(mut ticket) => {
                    let meant = |at: &usize| self.wakes[task][*at].guard.is_walk_meant();
                    ticket.meant = ticket.feed == Feed::Extra && ticket.destinations.iter().all(meant);
                    if self.tickets.try_send((*ticket).clone()).is_err() {
                        return (next, true);
                    }
                    let bases = ticket.destinations.iter().map(|at| self.base(task, *at)).collect();
                    for destination in self.walks.sent(&ticket, bases, &quick, (now, ticks)) {
                        let (task, feed) = (&self.places.tasks[task].config.name, ticket.feed);
                        info!(%task, %destination, %feed,
                            "the table at the source or at the copy was replaced, emptied or rebuilt: all rows are looked at");
                    }
                }
                Turn::At(at) => next = next.min(at),
                Turn::Wait => {}
            }
        }
        (next, false)
    }

    /// Where the insert feed stands at a destination.
    fn base(&self, task: usize, destination: usize) -> Option<Base> {
        let insert = self.feeds.iter().find(|feed| feed.task == task && feed.feed == Feed::Insert)?;
        insert.lanes[destination].facts.counted.map(base)
    }

    fn quick(&self, task: usize, ticks: i64) -> Quick {
        let feeds = || self.feeds.iter().filter(|feed| feed.task == task);
        let lanes = || feeds().flat_map(|feed| &feed.lanes);
        let insert = feeds().find(|feed| feed.feed == Feed::Insert);
        let places = &self.places.tasks[task];
        let destinations = places.config.destinations.len();
        Quick {
            of: (0..destinations).map(|i| places.incarnation(i)).collect(),
            busy: lanes().any(|lane| lane.plan.busy || lane.plan.due <= ticks),
            through: (0..destinations).map(|i| insert.is_none_or(|feed| feed.lanes[i].plan.at_tip)).collect(),
        }
    }

    pub(super) async fn finish_slow(
        &mut self,
        ticket: Ticket,
        destination: usize,
        result: Result<Scanned, PlaceError>,
    ) {
        let ticks = self.ticks();
        let took = result.as_ref().ok().map(|scanned| scanned.took);
        let of_use = self.walks.back(&ticket, destination, took, ticks);
        match result {
            Ok(_) if !of_use => {}
            Ok(scanned) => self.walked(&ticket, destination, scanned, ticks).await,
            Err(error) => self.walk_failed(&ticket, destination, &error, ticks),
        }
    }

    /// What happened to sources while their ids had begun anew, no quick feed has seen: everything is walked over. That is
    /// durable before it may begin.
    pub(super) async fn sweep_anew(&mut self) {
        for task in 0..self.places.tasks.len() {
            let places = self.places.tasks[task].clone();
            if places.has_missed() && self.begin_anew(task, &places).await {
                places.looks_for_missed();
            }
        }
    }

    async fn begin_anew(&mut self, task: usize, places: &TaskPlaces) -> bool {
        let walks = self.walks.anew(task);
        let Some(identity) = places.identity().filter(|_| !walks.is_empty()) else { return true };
        let name = &places.config.name;
        let mut cursors = Vec::new();
        for (destination, feed, walk) in &walks {
            let lane = self.walks.lane(task, *destination, *feed);
            cursors.extend(lane.map(|lane| lane.cursor(name, walk, &identity)));
        }
        let (run, now) = (RunId(uuid::Uuid::now_v7()), self.clock.now());
        let commit = ScanCommit {
            run,
            step: None,
            cursors,
            findings: Vec::new(),
            versions: None,
            agreed: None,
            covered: None,
            seen: None,
            due: now,
            now,
        };
        if let Err(e) = self.store.commit_scan(commit).await {
            self.status.store_failed(&e);
            return false;
        }
        for (destination, feed, walk) in walks {
            let Some(lane) = self.walks.lane(task, destination, feed) else { continue };
            self.owed.add(lane.begin_anew(walk));
        }
        true
    }

    async fn walked(&mut self, ticket: &Ticket, destination: usize, mut scanned: Scanned, ticks: i64) {
        let now = self.clock.now();
        let task = self.places.tasks[ticket.task].config.name.clone();
        let Some(lane) = self.walks.lane(ticket.task, destination, ticket.feed) else { return };
        let counts = scanned.counts;
        lane.pace.learn(scanned.read);
        let share = match ticket.feed {
            Feed::Extra if ticket.meant => Some(Share::default()),
            Feed::Extra => lane.share.add(counts.rows, counts.extra),
            _ => Some(lane.share),
        };
        let Some(share) = share else {
            let error = too_many(&lane.name.to_string());
            return self.walk_failed(ticket, destination, &error, ticks);
        };
        let of = self.places.tasks[ticket.task].incarnation(destination);
        let (walk, name) = (lane.after(&scanned, of, now), lane.name.clone());
        let (rows, took_us) = (counts.rows, u64::try_from(scanned.took.as_micros()).unwrap_or(u64::MAX));
        let run = lane.book.step(&scanned, now);
        let id = run.run.id;
        debug!(%task, destination = %name, feed = %ticket.feed, rows, took_us, run = %id, "walked");
        let cursors = vec![lane.cursor(&task, &walk, &scanned.identity)];
        let passed = walk.last().filter(|last| lane.walk.last() != Some(*last));
        let (from, extra) = (lane.start_id, ticket.feed == Feed::Extra);
        // What the copy alone had, and a pass over all that it has did not see, is gone.
        let gone = passed.filter(|_| extra).map(|passed| passed.began);
        let passed = passed.filter(|_| !extra).map(|passed| Pass { began: passed.began, from });
        let seen = seen(&mut scanned, passed);
        let facts = Some(facts(&scanned.coverage, !scanned.more, now));
        let step =
            Step { name: &name, cursors, scanned: &mut scanned, run: &run, facts, seen, passed: gone, now };
        let stored = self.make_durable(ticket, destination, step).await;
        let Some(lane) = self.walks.lane(ticket.task, destination, ticket.feed) else { return };
        let Some(committed) = stored else {
            lane.due = ticks.saturating_add(1000);
            return;
        };
        let run = lane.book.go_on(run, committed, true);
        (lane.share, lane.due) = (share, i64::MIN);
        let complete = lane.advance(walk);
        self.places.tasks[ticket.task].progress_of(&scanned.identity);
        self.wakes[ticket.task][destination].guard.see(|agreed| {
            scanned.agreed.iter().fold(false, |news, (key, row)| agreed.see(key, *row) || news)
        });
        if ticket.feed == Feed::Extra {
            let guard = &self.wakes[ticket.task][destination].guard;
            guard.hold_walk(false);
            if complete.is_some()
                && let Err(e) = guard.end_walk().await
            {
                self.status.store_failed(&e);
            }
        }
        self.status.run_works(&task, ticket.feed, &name, run);
        if let Some((passed, c)) = complete {
            let took_ms = passed.ended.saturating_sub(passed.began);
            info!(%task, destination = %name, feed = %ticket.feed, rows = c.rows, same = c.same, missing = c.missing,
                differs = c.differs, extra = c.extra, ambiguous = c.ambiguous, took_ms, %run,
                "pass complete");
        }
    }

    fn walk_failed(&mut self, ticket: &Ticket, destination: usize, e: &PlaceError, ticks: i64) {
        let places = self.places.tasks[ticket.task].clone();
        let Some(lane) = self.walks.lane(ticket.task, destination, ticket.feed) else { return };
        if e.kind == PlaceErrorKind::TooSlow {
            lane.pace.halve();
        }
        places.doubt_destination(destination);
        places.doubt_source();
        let task = &places.config.name;
        let run = lane.book.fail(failure(task, e, self.clock.now()));
        let mut pause = self.status.run_failed(task, ticket.feed, &lane.name, e, run.0.id);
        self.owed.failed(run);
        if ticket.feed == Feed::Extra && !e.kind.is_passing() {
            // What the sides say stands in the way; they are not to be asked all the time.
            pause = lane.interval.clamp(Duration::from_secs(1), HELD);
            self.wakes[ticket.task][destination].guard.hold_walk(e.kind == PlaceErrorKind::Held);
        }
        lane.due = ticks.saturating_add(ms(pause));
    }
}

fn too_many(destination: &str) -> PlaceError {
    let message = "more than half of a thousand rows or more are not at the source; nothing is called back for them. \
                   If the source has lost them, bring them back; if `src` names the wrong table, correct it; if they \
                   are to go, `cupid resume` lets one pass go on";
    PlaceError::new(PlaceErrorKind::Held, format!("destination {destination}"), message)
}
