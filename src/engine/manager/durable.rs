//! What came of a read becomes durable.

use std::sync::PoisonError;
use std::time::Duration;

use tracing::info;

use super::Manager;
use crate::base::clock::UnixMs;
use crate::engine::Ticket;
use crate::engine::runs::Book;
use crate::engine::ticket::Scanned;
use crate::model::DestinationName;
use crate::outbox::first_look;
use crate::store::{Agreement, Committed, Covered, Cursor, Facts, RunStep, ScanCommit, Seen, Versions};

/// What one read gave at one destination.
pub(super) struct Step<'a> {
    pub(super) name: &'a DestinationName,
    pub(super) cursors: Vec<Cursor>,
    pub(super) scanned: &'a mut Scanned,
    /// What is to be kept of the pass it belongs to.
    pub(super) run: &'a RunStep,
    /// `None`: no look was made.
    pub(super) facts: Option<Facts>,
    pub(super) seen: Seen,
    /// When the pass over the copy's own rows began that ends with this, Unix ms.
    pub(super) passed: Option<UnixMs>,
    pub(super) now: UnixMs,
}

impl Manager {
    /// Writes down what is to be kept of runs beside any commit, if it has waited long enough. Returns how long it still
    /// waits; `None`: there is none.
    pub(super) async fn keep_runs(&mut self) -> Option<Duration> {
        let due = self.owed.due()?;
        if due > Duration::ZERO {
            return Some(due);
        }
        let runs = self.owed.take();
        if let Err(e) = self.store.keep_runs(runs.clone()).await {
            self.status.store_failed(&e);
            self.owed.add(runs);
        }
        self.owed.due()
    }

    /// The end: what runs does so no more, and nothing that was counted is lost.
    pub(super) async fn close_runs(&mut self) {
        let quick = self.feeds.iter_mut().flat_map(|feed| &mut feed.lanes).map(|lane| &mut lane.book);
        let books = quick.chain(self.walks.lanes().map(|lane| &mut lane.book));
        self.owed.add(books.flat_map(Book::close).collect::<Vec<_>>());
        let runs = self.owed.take();
        if !runs.is_empty()
            && let Err(e) = self.store.keep_runs(runs).await
        {
            self.status.store_failed(&e);
        }
    }

    /// Commits cursors together with what was found on the way and what that covers; `None`: nothing moved.
    pub(super) async fn make_durable(
        &self,
        ticket: &Ticket,
        destination: usize,
        step: Step<'_>,
    ) -> Option<Committed> {
        let Step { name, cursors, scanned, run, facts, seen, passed, now } = step;
        let (findings, c) = (std::mem::take(&mut scanned.findings), scanned.counts);
        let keys = std::mem::take(&mut scanned.remembered);
        let task = &self.places.tasks[ticket.task].config.name;
        let agreed = (passed.is_some() || !keys.is_empty()).then(|| Agreement {
            task: task.clone(),
            destination: name.clone(),
            looked: scanned.looked,
            keys,
            passed,
        });
        let list = scanned.versions.take();
        let is_event = list.is_some();
        let versions = list.map(|list| Versions { task: task.clone(), destination: name.clone(), list });
        let suspects = &self.wakes[ticket.task][destination];
        let waits = || suspects.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let due = first_look(findings.len(), waits().usual(now), now);
        let covered = facts.map(|facts| Covered {
            task: task.clone(),
            destination: name.clone(),
            feed: ticket.feed,
            looks: c,
            looked_at: now,
            facts,
        });
        let (seen, step) = (Some(seen), Some(Box::new(run.clone())));
        let commit = ScanCommit {
            run: run.run.id,
            step,
            due,
            cursors,
            findings,
            versions,
            agreed,
            covered,
            seen,
            now,
        };
        let committed = match self.store.commit_scan(commit).await {
            Ok(committed) => committed,
            Err(e) => {
                self.status.store_failed(&e);
                return None;
            }
        };
        self.status.store_works();
        let run = run.id(committed);
        if committed.healed > 0 {
            (0..committed.healed).for_each(|_| self.status.healed());
            info!(%task, destination = %name, feed = %ticket.feed, healed = committed.healed, %run,
                "healed, what waited for a person was seen to agree");
        }
        if is_event {
            if committed.opened > 0 {
                suspects.wake.notify_one();
                info!(%task, destination = %name, feed = %ticket.feed, opened = committed.opened, rows = c.rows,
                    %run, "versions to tell");
            }
        } else if committed.opened + committed.changed > 0 {
            waits().found(usize::try_from(committed.opened).unwrap_or(usize::MAX), now);
            suspects.wake.notify_one();
            info!(%task, destination = %name, feed = %ticket.feed, opened = committed.opened,
                changed = committed.changed, known = committed.known, missing = c.missing, differs = c.differs,
                extra = c.extra, ambiguous = c.ambiguous, rows = c.rows, %run, "differences found");
        }
        Some(committed)
    }
}
