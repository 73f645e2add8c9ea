//! What is opened lazily and shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;

/// What is opened when it is first needed, and anew when it is doubted. Nobody who doubts it waits for somebody who
/// opens it.
pub(super) struct Slot<T: ?Sized> {
    opened: std::sync::Mutex<Option<Arc<T>>>,
    doubted: AtomicBool,
    pub(super) opening: Mutex<()>,
}

impl<T: ?Sized> Slot<T> {
    pub(super) fn new() -> Self {
        Self { opened: std::sync::Mutex::new(None), doubted: AtomicBool::new(false), opening: Mutex::new(()) }
    }

    /// What was opened last, doubted or not.
    pub(super) fn last(&self) -> Option<Arc<T>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.last().filter(|_| !self.doubted.load(Ordering::Acquire))
    }

    pub(super) fn set(&self, to: Arc<T>) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        self.doubted.store(false, Ordering::Release);
    }

    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }
}
