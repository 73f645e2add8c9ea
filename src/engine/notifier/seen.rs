//! What is found by looking: which of it is new, and which is over. What an earlier process knew has more time to be found.

use std::collections::BTreeSet;

use crate::model::Event;
use crate::notify::Cause;

/// What is known to be wrong, from earlier looks or from an earlier process.
#[derive(Debug)]
pub(super) struct Seen {
    held: BTreeSet<Cause>,
    /// Those of an earlier process that were not found yet.
    inherited: BTreeSet<Cause>,
}

/// What a look changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) begun: Vec<Cause>,
    pub(super) ended: Vec<Cause>,
}

impl Seen {
    /// What an earlier process knew.
    pub(super) fn new(known: impl Iterator<Item = Cause>) -> Self {
        let held: BTreeSet<Cause> = known.filter(|cause| is_seen(cause.event)).collect();
        Self { inherited: held.clone(), held }
    }

    pub(super) fn holds(&self, cause: &Cause) -> bool {
        self.held.contains(cause)
    }

    /// Takes in what is found now. `may_end`: whether something of an earlier process that is not found is over.
    pub(super) fn turn<'a>(
        &mut self,
        found: impl Iterator<Item = &'a Cause>,
        may_end: impl Fn(&Cause) -> bool,
    ) -> Turn {
        let mut turn = Turn::default();
        let found: BTreeSet<&Cause> = found.collect();
        for cause in &found {
            // What was inherited may have been on its way to its end: that it lasts must be said too.
            let is_first = self.inherited.remove(*cause);
            if self.held.insert((*cause).clone()) || is_first {
                turn.begun.push((*cause).clone());
            }
        }
        self.inherited.retain(|cause| !may_end(cause));
        let is_over = |cause: &Cause| !found.contains(cause) && !self.inherited.contains(cause);
        turn.ended = self.held.extract_if(.., |cause| is_over(cause)).collect();
        turn
    }
}

/// Whether it is found by looking, rather than told.
fn is_seen(event: Event) -> bool {
    matches!(
        event,
        Event::Blocked
            | Event::Emptied
            | Event::Gone
            | Event::Lag
            | Event::State
            | Event::Unreachable
            | Event::Disk
            | Event::Memory
            | Event::Descriptors
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DestinationName, TaskName};

    fn cause(event: Event) -> Cause {
        Cause::at(event, &TaskName::new("t"), &DestinationName::new("d"))
    }

    #[test]
    fn each_is_new_once_and_over_once() {
        let mut seen = Seen::new(std::iter::empty());
        let away = cause(Event::Unreachable);
        assert_eq!(seen.turn([&away].into_iter(), |_| true).begun, std::slice::from_ref(&away));
        assert_eq!(seen.turn([&away].into_iter(), |_| true), Turn::default());
        assert_eq!(seen.turn([].into_iter(), |_| true).ended, [away]);
        assert_eq!(seen.turn([].into_iter(), |_| true), Turn::default());
    }

    /// The database was back for a moment, cupid was restarted, and it is away again.
    #[test]
    fn what_an_earlier_process_knew_and_is_found_again_is_said_to_last() {
        let away = cause(Event::Unreachable);
        let mut seen = Seen::new([away.clone(), cause(Event::Dead)].into_iter());
        assert!(seen.holds(&away) && !seen.holds(&cause(Event::Dead)));
        assert_eq!(seen.turn([].into_iter(), |_| false), Turn::default());
        assert_eq!(seen.turn([&away].into_iter(), |_| true).begun, std::slice::from_ref(&away));
        assert_eq!(seen.turn([&away].into_iter(), |_| true), Turn::default());
        assert_eq!(seen.turn([].into_iter(), |_| true).ended, [away]);
    }

    #[test]
    fn what_an_earlier_process_knew_is_over_when_that_can_be_said() {
        let (lag, away) = (cause(Event::Lag), cause(Event::Unreachable));
        let mut seen = Seen::new([lag.clone(), away.clone()].into_iter());
        assert_eq!(seen.turn([].into_iter(), |c| c.event != Event::Lag).ended, [away]);
        assert_eq!(seen.turn([].into_iter(), |_| true).ended, [lag]);
    }
}
