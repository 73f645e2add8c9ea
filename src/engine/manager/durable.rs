//! What came of a read becomes durable.

use std::sync::PoisonError;

use tracing::info;

use super::Manager;
use crate::base::clock::UnixMs;
use crate::engine::Ticket;
use crate::engine::ticket::Scanned;
use crate::model::DestinationName;
use crate::outbox::first_look;
use crate::store::{Agreement, Covered, Cursor, Facts, ScanCommit, Seen, Versions};

/// What one read gave at one destination.
pub(super) struct Step<'a> {
    pub(super) name: &'a DestinationName,
    pub(super) cursors: Vec<Cursor>,
    pub(super) scanned: &'a mut Scanned,
    /// `None`: no look was made.
    pub(super) facts: Option<Facts>,
    pub(super) seen: Seen,
    /// When the pass over the copy's own rows began that ends with this, Unix ms.
    pub(super) passed: Option<UnixMs>,
    pub(super) now: UnixMs,
}

impl Manager {
    /// Commits cursors together with what was found on the way and what that covers; `false`: nothing moved.
    pub(super) async fn make_durable(&self, ticket: &Ticket, destination: usize, step: Step<'_>) -> bool {
        let Step { name, cursors, scanned, facts, seen, passed, now } = step;
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
        let (run, seen) = (ticket.run, Some(seen));
        let commit = ScanCommit { run, due, cursors, findings, versions, agreed, covered, seen, now };
        let committed = match self.store.commit_scan(commit).await {
            Ok(committed) => committed,
            Err(e) => {
                self.status.store_failed(&e);
                return false;
            }
        };
        self.status.store_works();
        if committed.healed > 0 {
            (0..committed.healed).for_each(|_| self.status.healed());
            info!(%task, destination = %name, feed = %ticket.feed, healed = committed.healed,
                "healed, what waited for a person was seen to agree");
        }
        if is_event {
            if committed.opened > 0 {
                suspects.wake.notify_one();
                info!(%task, destination = %name, feed = %ticket.feed, opened = committed.opened, rows = c.rows,
                    run = %ticket.run, "versions to tell");
            }
        } else if committed.opened + committed.changed > 0 {
            waits().found(usize::try_from(committed.opened).unwrap_or(usize::MAX), now);
            suspects.wake.notify_one();
            info!(%task, destination = %name, feed = %ticket.feed, opened = committed.opened,
                changed = committed.changed, known = committed.known, missing = c.missing, differs = c.differs,
                extra = c.extra, ambiguous = c.ambiguous, rows = c.rows, run = %ticket.run, "differences found");
        }
        true
    }
}
