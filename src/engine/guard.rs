//! Stands between what is confirmed and what is sent at one destination: lets nothing through while the copy as a whole
//! seems to be gone, until it is back or a person says that it is meant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{DestinationName, RowId, TaskName};
use crate::outbox::{Asked, Storm};
use crate::scan::Agreed;
use crate::store::{Store, StoreError};

/// Names of the notes.
const PAUSED: &str = "paused";
const AGREED: &str = "agreed";
/// What the note says once a person has let a storm pass.
const ACCEPTED: &str = "accepted";

/// See the module's documentation.
pub(super) struct Guard {
    store: Arc<dyn Store>,
    pub(super) task: TaskName,
    pub(super) destination: DestinationName,
    paused: AtomicBool,
    accepted: AtomicBool,
    storm: Mutex<Storm>,
    agreed: Mutex<(Agreed, bool)>,
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
            accepted: AtomicBool::new(false),
            storm: Mutex::default(),
            agreed: Mutex::default(),
        }
    }

    /// Goes on with what an earlier run knew; before that nothing is let through. Returns why it is paused, if it is.
    pub(super) async fn recall(&self) -> Result<Option<String>, StoreError> {
        let (task, destination) = (&self.task, &self.destination);
        if let Some(text) = self.store.recall(task, destination, AGREED).await? {
            lock(&self.agreed).0 = Agreed::read(&text);
        }
        let note = self.store.recall(task, destination, PAUSED).await?;
        let accepted = note.as_deref() == Some(ACCEPTED);
        self.accepted.store(accepted, Ordering::Relaxed);
        let why = note.filter(|_| !accepted);
        self.paused.store(why.is_some(), Ordering::Relaxed);
        Ok(why)
    }

    /// Whether nothing may be sent now.
    pub(super) fn is_paused(&self) -> bool {
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
        let goes_on = if self.is_paused() { asked.is_over() } else { !asked.is_storm() };
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

    /// A person lets it pass. Returns whether it was paused.
    pub(super) async fn resume(&self) -> Result<bool, StoreError> {
        if !self.is_paused() {
            return Ok(false);
        }
        self.store.remember(&self.task, &self.destination, PAUSED, Some(ACCEPTED.to_owned())).await?;
        self.accepted.store(true, Ordering::Relaxed);
        self.paused.store(false, Ordering::Relaxed);
        Ok(true)
    }
}
