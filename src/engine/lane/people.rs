//! What people should know of a lane.

use std::sync::atomic::Ordering;

use super::Lane;
use crate::engine::people;
use crate::model::{AttemptOutcome, Delivery, Event, State};
use crate::notify::{Alert, Cause, What};
use crate::store::Settlement;

impl Lane {
    /// What people should know of an attempt.
    pub(super) fn tell_people(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        to: State,
        entered_slow: bool,
    ) {
        let (task, destination) = (&delivery.task, &delivery.destination);
        let what = match outcome {
            AttemptOutcome::Accepted { .. } if self.failing.swap(false, Ordering::Relaxed) => {
                return self.alerts.clear(Cause::at(Event::Failing, task, destination));
            }
            AttemptOutcome::Failed { class, status, .. } if entered_slow => {
                self.failing.store(true, Ordering::Relaxed);
                What::Failing { class: *class, status: *status }
            }
            AttemptOutcome::Failed { class, .. } if to == State::Dead => {
                What::Dead { class: Some(class.as_str()) }
            }
            _ => return,
        };
        self.alerts.raise(&Alert { task: task.clone(), destination: destination.clone(), count: 1, what });
    }

    /// What people should know of what was settled without a call.
    pub(super) fn tell_of(&self, settled: &[Settlement]) {
        let (task, destination) = (&self.guard.task, &self.guard.destination);
        for (what, count) in people::of_looks(settled) {
            self.alerts.raise(&Alert { task: task.clone(), destination: destination.clone(), count, what });
        }
    }
}
