//! The manager's part in the slow feeds: turns, and what came of them.

use std::time::Duration;

use tracing::{debug, info};

use super::Manager;
use crate::base::clock::ms;
use crate::engine::Ticket;
use crate::engine::ticket::Scanned;
use crate::engine::walks::{Quick, Turn, place};
use crate::model::Feed;
use crate::source::Coverage;
use crate::sql::{PlaceError, PlaceErrorKind};

/// Longest pause before a walk that must not go on looks again.
const HELD: Duration = Duration::from_secs(60);

impl Manager {
    /// Hands out the turns of slow feeds that are due at this tick. Returns when the next one is, and whether there was
    /// no room for one.
    pub(super) fn step_slow(&mut self, ticks: i64) -> (i64, bool) {
        let (now, mut next) = (self.clock.now(), i64::MAX);
        for task in 0..self.places.tasks.len() {
            let quick = self.quick(task, ticks);
            match self.walks.turn(task, &quick, self.generation, now, ticks) {
                Turn::Read(ticket) => {
                    if self.tickets.try_send((*ticket).clone()).is_err() {
                        return (next, true);
                    }
                    self.walks.sent(&ticket, now, ticks);
                }
                Turn::At(at) => next = next.min(at),
                Turn::Wait => {}
            }
        }
        (next, false)
    }

    fn quick(&self, task: usize, ticks: i64) -> Quick {
        let feeds = || self.feeds.iter().filter(|feed| feed.task == task);
        let lanes = || feeds().flat_map(|feed| &feed.lanes);
        let insert = feeds().find(|feed| feed.feed == Feed::Insert);
        let destinations = self.places.tasks[task].config.destinations.len();
        Quick {
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
        self.walks.back(&ticket, result.as_ref().ok().map(|scanned| scanned.took), ticks);
        match result {
            Ok(scanned) => self.walked(&ticket, destination, scanned, ticks).await,
            Err(error) => self.walk_failed(&ticket, destination, &error, ticks),
        }
    }

    async fn walked(&mut self, ticket: &Ticket, destination: usize, mut scanned: Scanned, ticks: i64) {
        let now = self.clock.now();
        let task = self.places.tasks[ticket.task].config.name.clone();
        let Some(lane) = self.walks.lane(ticket.task, destination, ticket.feed) else { return };
        let counts = scanned.counts;
        lane.pace.learn(scanned.read);
        let share = lane.share.add(counts.rows, if ticket.feed == Feed::Extra { counts.extra } else { 0 });
        let Some(share) = share else {
            let error = too_many(&lane.name.to_string());
            return self.walk_failed(ticket, destination, &error, ticks);
        };
        let (walk, name) = (lane.after(&scanned, now), lane.name.clone());
        let (rows, took_us) = (counts.rows, u64::try_from(scanned.took.as_micros()).unwrap_or(u64::MAX));
        debug!(%task, destination = %name, feed = %ticket.feed, rows, took_us, "walked");
        let cursors = vec![lane.cursor(&task, &walk, &scanned.identity)];
        // What the copy alone had, and a pass over all that it has did not see, is gone.
        let passed =
            (ticket.feed == Feed::Extra).then(|| walk.last().filter(|last| lane.walk.last() != Some(*last)));
        let passed = passed.flatten().map(|passed| passed.began);
        let stored = self.make_durable(ticket, destination, &name, cursors, &mut scanned, passed, now).await;
        let Some(lane) = self.walks.lane(ticket.task, destination, ticket.feed) else { return };
        if !stored {
            lane.due = ticks.saturating_add(1000);
            return;
        }
        (lane.share, lane.due) = (share, i64::MIN);
        lane.counts.add(counts);
        let complete = lane.advance(walk);
        let (position, last) = (place(&lane.walk), lane.walk.last());
        self.places.tasks[ticket.task].progress_of(&scanned.identity);
        self.wakes[ticket.task][destination].guard.see(|agreed| {
            scanned.agreed.iter().fold(false, |news, (key, row)| agreed.see(key, *row) || news)
        });
        self.status.place_works(&task, ticket.feed.as_str(), &name);
        let coverage = Coverage::default();
        self.status.scanned(&task, &name, ticket.feed, counts, complete.is_some(), &position, &coverage);
        self.status.passed(&task, &name, ticket.feed, last);
        if let Some((passed, c)) = complete {
            let took_ms = passed.ended.saturating_sub(passed.began);
            info!(%task, destination = %name, feed = %ticket.feed, rows = c.rows, same = c.same, missing = c.missing,
                differs = c.differs, extra = c.extra, ambiguous = c.ambiguous, took_ms, "pass complete");
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
        let mut pause = self.status.place_failed(&places.config.name, ticket.feed.as_str(), &lane.name, e);
        if ticket.feed == Feed::Extra && !e.kind.is_passing() {
            // What the sides say stands in the way; they are not to be asked all the time.
            pause = lane.interval.clamp(Duration::from_secs(1), HELD);
        }
        lane.due = ticks.saturating_add(ms(pause));
    }
}

fn too_many(destination: &str) -> PlaceError {
    let message = "more than half of a thousand rows or more are not at the source; nothing is called back for them. \
                   If the source has lost them, bring them back; if `src` names the wrong table, correct it; if they \
                   are to go, remove them from the copy";
    PlaceError::new(PlaceErrorKind::Other, format!("destination {destination}"), message)
}
