//! When failed callbacks are made again.

use std::time::Duration;

use crate::model::ErrorClass;

/// Longest wait that a receiver may ask for (`retry-after`), unless twice the planned one is longer.
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// When failed attempts are made again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Pause before the first quick try (`failureJobRetrySecond`).
    pub delay: Duration,
    /// By how much each further pause is longer; at least 1.
    pub factor: f64,
    /// The longest pause of the quick tries.
    pub max: Duration,
    /// Quick tries after the first attempt.
    pub tries: u32,
    /// By which part of itself a pause may be shorter or longer, 0 to 1.
    pub jitter: f64,
    /// What comes when they are used up.
    pub then: Then,
    /// Classes after which an attempt is made again; those after others wait for a person. `None`: all but those that no
    /// repetition can cure.
    pub on: Option<Vec<ErrorClass>>,
}

/// What happens when the quick tries are used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Tried at this interval for ever (state `slow`).
    Every(Duration),
    /// Waits for a person (state `dead`).
    Dead,
}

impl RetryPolicy {
    /// The same pause before each quick try.
    pub fn fixed(delay: Duration, tries: u32, then: Then) -> Self {
        Self { delay, factor: 1.0, max: delay, tries, jitter: 0.0, then, on: None }
    }

    /// The longest pause between two attempts.
    pub fn longest(&self) -> Duration {
        let planned = match self.then {
            Then::Every(pause) => self.max.max(pause),
            Then::Dead => self.max,
        };
        planned.mul_f64(2.0).max(LONGEST_ASKED)
    }

    /// Whether an attempt that failed so may be made again.
    pub fn repeats(&self, class: ErrorClass) -> bool {
        match &self.on {
            Some(classes) => classes.contains(&class),
            None => !matches!(class, ErrorClass::InvalidRequest | ErrorClass::BlockedAddress),
        }
    }
}
