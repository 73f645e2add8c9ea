//! Stands between what is confirmed and what is sent at one destination: lets nothing through while the copy as a whole
//! seems to be gone, until it is back or a person says that it is meant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{DestinationName, RowId, TaskName};
use crate::outbox::{Asked, Storm};
use crate::scan::Agreed;
use crate::store::{Store, StoreError};

/// Names of the notes.
pub(super) const PAUSED: &str = "paused";
const AGREED: &str = "agreed";
pub(super) const PARKED: &str = "parked";
const WALK: &str = "walk";
/// What the note says once a person has let a storm pass.
const ACCEPTED: &str = "accepted";

/// Why nothing may be sent, by what the note says.
pub(super) fn why(note: Option<String>) -> Option<String> {
    note.filter(|note| note != ACCEPTED)
}

/// See the module's documentation.
pub(super) struct Guard {
    store: Arc<dyn Store>,
    pub(super) task: TaskName,
    pub(super) destination: DestinationName,
    paused: AtomicBool,
    /// The receiver said that it is gone.
    parked: AtomicBool,
    accepted: AtomicBool,
    /// The look for rows that only the copy has waits for a person.
    walk_held: AtomicBool,
    /// A person lets one pass of it go on.
    walk_meant: AtomicBool,
    /// That has just been said.
    walk_wakes: AtomicBool,
    storm: Mutex<Storm>,
    agreed: Mutex<(Agreed, bool)>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("task", &self.task).field("destination", &self.destination).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    pub(super) fn new(store: Arc<dyn Store>, task: TaskName, destination: DestinationName) -> Self {
        Self {
            store,
            task,
            destination,
            // Until it is known: what was paused before a restart is paused after it.
            paused: AtomicBool::new(true),
            parked: AtomicBool::new(false),
            accepted: AtomicBool::new(false),
            walk_held: AtomicBool::new(false),
            walk_meant: AtomicBool::new(false),
            walk_wakes: AtomicBool::new(false),
            storm: Mutex::default(),
            agreed: Mutex::default(),
        }
    }

    /// Goes on with what an earlier run knew; before that nothing is let through. Returns why it is paused, and why it is
    /// parked, if it is.
    pub(super) async fn recall(&self) -> Result<(Option<String>, Option<String>), StoreError> {
        let (task, destination) = (&self.task, &self.destination);
        if let Some(text) = self.store.recall(task, destination, AGREED).await? {
            lock(&self.agreed).0 = Agreed::read(&text);
        }
        if self.store.recall(task, destination, WALK).await?.as_deref() == Some(ACCEPTED) {
            self.let_walk();
        }
        let note = self.store.recall(task, destination, PAUSED).await?;
        let accepted = note.as_deref() == Some(ACCEPTED);
        self.accepted.store(accepted, Ordering::Relaxed);
        let why = why(note);
        let parked = self.store.recall(task, destination, PARKED).await?;
        // Somebody else who calls the same receiver may have parked it meanwhile.
        self.parked.fetch_or(parked.is_some(), Ordering::SeqCst);
        // At last: it is what lets calls through.
        self.paused.store(why.is_some(), Ordering::SeqCst);
        Ok((why, parked))
    }

    /// The receiver says that it is gone for good: what waits for it is kept, and nothing is sent until a person says
    /// so. Returns whether that is new.
    pub(super) async fn park(&self, why: &str) -> Result<bool, StoreError> {
        if self.parked.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.store.remember(&self.task, &self.destination, PARKED, Some(why.to_owned())).await?;
        Ok(!self.parked.swap(true, Ordering::Relaxed))
    }

    /// Whether nothing may be sent now.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst) || self.parked.load(Ordering::SeqCst)
    }

    /// Whether nothing may be sent because the copy seems to be emptied.
    pub(super) fn is_emptied(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Rows that agreed.
    pub(super) fn agreed(&self) -> Vec<RowId> {
        lock(&self.agreed).0.rows()
    }

    /// The source no longer has these.
    pub(super) fn lose(&self, gone: &[RowId]) {
        let mut agreed = lock(&self.agreed);
        let news = agreed.0.lose(gone);
        agreed.1 |= news;
    }

    /// Takes in rows that were just seen to agree.
    pub(super) fn see(&self, seen: impl FnOnce(&mut Agreed) -> bool) {
        let mut agreed = lock(&self.agreed);
        agreed.1 |= seen(&mut agreed.0);
    }

    /// Writes down the rows that agreed if they have changed.
    pub(super) async fn keep(&self) -> Result<(), StoreError> {
        let text = {
            let mut agreed = lock(&self.agreed);
            if !std::mem::take(&mut agreed.1) {
                return Ok(());
            }
            agreed.0.text()
        };
        self.store.remember(&self.task, &self.destination, AGREED, Some(text)).await
    }

    /// Whether rows that agreed must be asked for before so many more are let through.
    pub(super) fn asks(&self, more: usize, now: i64) -> bool {
        let seen = lock(&self.agreed).0.seen();
        lock(&self.storm).asks(more, seen, now)
    }

    /// So many are let through.
    pub(super) fn count(&self, more: usize, now: i64) {
        lock(&self.storm).count(more, now);
    }

    /// Takes in what asking showed. Returns why nothing may be sent any more, if that is so.
    pub(super) async fn asked(&self, asked: Asked) -> Result<Option<String>, StoreError> {
        lock(&self.storm).passed();
        let goes_on = if self.paused.load(Ordering::Relaxed) { asked.is_over() } else { !asked.is_storm() };
        if goes_on {
            if self.paused.swap(false, Ordering::Relaxed) | self.accepted.swap(false, Ordering::Relaxed) {
                self.store.remember(&self.task, &self.destination, PAUSED, None).await?;
            }
            return Ok(None);
        }
        if self.accepted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let why = format!(
            "{} of {} rows that agreed before, looked up as a sample, are missing: the copy was emptied, or is another \
             table; nothing is sent until they are back or `cupid resume` says that it is meant",
            asked.missing, asked.looked
        );
        self.paused.store(true, Ordering::Relaxed);
        self.store.remember(&self.task, &self.destination, PAUSED, Some(why.clone())).await?;
        Ok(Some(why))
    }

    fn let_walk(&self) {
        self.walk_held.store(false, Ordering::Relaxed);
        self.walk_meant.store(true, Ordering::Relaxed);
        self.walk_wakes.store(true, Ordering::Relaxed);
    }

    /// Whether the look for rows that only the copy has may go on whatever the source has lost.
    pub(super) fn is_walk_meant(&self) -> bool {
        self.walk_meant.load(Ordering::Relaxed)
    }

    /// Whether a person has said so since this was asked last.
    pub(super) fn wakes_walk(&self) -> bool {
        self.walk_wakes.swap(false, Ordering::Relaxed)
    }

    /// That look waits for a person, or no longer does.
    pub(super) fn hold_walk(&self, held: bool) {
        self.walk_held.store(held, Ordering::Relaxed);
    }

    /// One pass of it is complete: what was said held for that one.
    pub(super) async fn end_walk(&self) -> Result<(), StoreError> {
        if self.walk_meant.swap(false, Ordering::Relaxed) {
            self.store.remember(&self.task, &self.destination, WALK, None).await?;
        }
        Ok(())
    }

    /// A person lets one pass of it go on. Returns whether it was held.
    pub(super) async fn resume_walk(&self) -> Result<bool, StoreError> {
        if !self.walk_held.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.store.remember(&self.task, &self.destination, WALK, Some(ACCEPTED.to_owned())).await?;
        self.let_walk();
        Ok(true)
    }

    /// A person says that the receiver is there again. Returns whether it was parked.
    pub(super) async fn unpark(&self) -> Result<bool, StoreError> {
        if !self.parked.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.store.remember(&self.task, &self.destination, PARKED, None).await?;
        Ok(self.parked.swap(false, Ordering::Relaxed))
    }

    /// A person lets it pass. Returns whether it was paused.
    pub(super) async fn resume(&self) -> Result<bool, StoreError> {
        let parked = self.unpark().await?;
        if !self.paused.load(Ordering::Relaxed) {
            return Ok(parked);
        }
        self.store.remember(&self.task, &self.destination, PAUSED, Some(ACCEPTED.to_owned())).await?;
        self.accepted.store(true, Ordering::Relaxed);
        self.paused.store(false, Ordering::Relaxed);
        Ok(true)
    }
}
