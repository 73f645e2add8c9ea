//! What a receiver answered lately.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Ended, Verdict};
use crate::model::DeliveryId;

/// Parts of the window that are counted together.
const PARTS: u64 = 12;
/// Failing deliveries that are told apart.
const KNOWN: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    told: Told,
}

/// Calls by what they said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) works: u64,
    /// Of what had not failed before.
    pub(super) refuses: u64,
    /// The same.
    pub(super) down: u64,
    /// Whatever way what had failed before failed again.
    pub(super) again: u64,
}

/// Deliveries that failed lately, the last one last.
#[derive(Clone, Debug, Default)]
struct Failing(VecDeque<(DeliveryId, Duration)>);

impl Failing {
    fn add(&mut self, of: &[DeliveryId], length: Duration, now: Duration) {
        for id in of.iter().take(KNOWN) {
            self.0.retain(|(known, at)| known != id && now.saturating_sub(*at) < length);
            self.0.push_back((*id, now));
        }
        while self.0.len() > KNOWN {
            self.0.pop_front();
        }
    }

    fn knows(&self, id: DeliveryId) -> bool {
        self.0.iter().any(|(known, _)| *known == id)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    parts: [Part; PARTS as usize],
    fresh: Failing,
    again: Failing,
}

impl Window {
    /// Takes in a call that ended now; returns what those of the last `length` said.
    pub(super) fn count(&mut self, call: &Ended<'_>, length: Duration, now: Duration) -> Told {
        let part = (length.as_nanos() / u128::from(PARTS)).max(1);
        let number = u64::try_from(now.as_nanos() / part).unwrap_or(u64::MAX);
        let part = &mut self.parts[(number % PARTS) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        match call.verdict {
            Verdict::Works => part.told.works += 1,
            Verdict::Refuses | Verdict::Down if !call.fresh => part.told.again += 1,
            Verdict::Refuses => part.told.refuses += 1,
            Verdict::Down => part.told.down += 1,
        }
        if call.verdict != Verdict::Works {
            let failing = if call.fresh { &mut self.fresh } else { &mut self.again };
            failing.add(call.of, length, now);
        }
        let current = self.parts.iter().filter(|part| part.number + PARTS > number);
        current.fold(Told::default(), |sum, Part { told, .. }| Told {
            works: sum.works + told.works,
            refuses: sum.refuses + told.refuses,
            down: sum.down + told.down,
            again: sum.again + told.again,
        })
    }

    /// Deliveries that failed and had not failed before; as far as they are told apart.
    pub(super) fn failing(&self) -> usize {
        self.fresh.0.len()
    }

    /// Deliveries that failed; as far as they are told apart.
    pub(super) fn all_failing(&self) -> usize {
        self.fresh.0.len() + self.again.0.iter().filter(|(id, _)| !self.fresh.knows(*id)).count()
    }
}
