//! What people are told of: a cause, and what is known of it.

use super::{Alert, What};
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, Event, Severity, TaskName};

/// What messages are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// What happens.
    pub event: Event,
    /// To which task; `None`: to the whole process.
    pub task: Option<TaskName>,
    /// At which of its destinations.
    pub destination: Option<DestinationName>,
}

impl Cause {
    /// Something at one destination.
    pub fn at(event: Event, task: &TaskName, destination: &DestinationName) -> Self {
        Self { event, task: Some(task.clone()), destination: Some(destination.clone()) }
    }

    /// Something about the whole process.
    pub fn process(event: Event) -> Self {
        Self { event, task: None, destination: None }
    }

    /// The same text for the same cause of the same instance at all times; for services that put messages together by it.
    pub(super) fn key(&self, instance: &str) -> String {
        let task = self.task.as_ref().map_or("", TaskName::as_str);
        let destination = self.destination.as_ref().map_or("", DestinationName::as_str);
        format!("cupid/{instance}/{}/{task}/{destination}", self.event.as_str())
    }
}

/// What is known besides the cause; the newest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Class of the last error.
    pub error: Option<String>,
    /// So much of so much.
    pub extent: Option<(u64, u64)>,
    /// Since when, if that is known better than by when it was said, Unix ms.
    pub since: Option<UnixMs>,
    /// It did not end: what it is about is no longer configured, so nobody looks.
    pub left: bool,
}

impl Facts {
    /// What is newer counts; what it does not say stays.
    pub(super) fn learn(&mut self, newer: &Self) {
        self.error = newer.error.clone().or_else(|| self.error.take());
        self.extent = newer.extent.or(self.extent);
        self.since = newer.since.or(self.since);
        self.left = newer.left;
    }
}

impl From<&What> for Facts {
    fn from(what: &What) -> Self {
        Self { error: what.error(), extent: what.extent(), since: what.since(), left: false }
    }
}

impl Alert {
    /// What it is grouped by.
    pub fn cause(&self) -> Cause {
        Cause::at(self.what.event(), &self.task, &self.destination)
    }
}

/// Deliveries that wait because of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// When the oldest of them was found, Unix ms.
    pub oldest: UnixMs,
}

/// One thing to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub cause: Cause,
    /// Since when, Unix ms.
    pub since: UnixMs,
    /// When it ended, Unix ms; `None`: it lasts.
    pub until: Option<UnixMs>,
    /// How often it happened since it began.
    pub count: u64,
    /// How often people were told that it lasts.
    pub told: u32,
    /// What else is known.
    pub facts: Facts,
    /// What waits because of it; nobody has counted if `None`.
    pub waiting: Option<Waiting>,
}

impl Notice {
    /// How urgent it is; an end never is.
    pub fn severity(&self) -> Severity {
        if self.until.is_some() { Severity::Info } else { self.cause.event.severity() }
    }
}
