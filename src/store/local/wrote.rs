//! Answers of the one writer.

use crate::model::{Delivery, DeliveryId};
use crate::store::{Acted, Committed, Pruned, TakenIn};

/// What a [`Write`](super::writer::Write) answers.
#[derive(Debug)]
pub(super) enum Wrote {
    Done,
    Committed(Committed),
    Deliveries(Vec<Delivery>),
    Prepared(Vec<DeliveryId>),
    Count(u64),
    Pruned(Pruned),
    Acted(Vec<(i64, Acted)>),
    TakenIn(TakenIn),
}

impl Wrote {
    pub(super) fn committed(self) -> Committed {
        if let Self::Committed(c) = self { c } else { Committed::default() }
    }

    pub(super) fn deliveries(self) -> Vec<Delivery> {
        if let Self::Deliveries(d) = self { d } else { Vec::new() }
    }

    pub(super) fn prepared(self) -> Vec<DeliveryId> {
        if let Self::Prepared(ids) = self { ids } else { Vec::new() }
    }

    pub(super) fn pruned(self) -> Pruned {
        if let Self::Pruned(pruned) = self { pruned } else { Pruned::default() }
    }

    pub(super) fn count(self) -> u64 {
        if let Self::Count(n) = self { n } else { 0 }
    }

    pub(super) fn acted(self) -> Vec<(i64, Acted)> {
        if let Self::Acted(acted) = self { acted } else { Vec::new() }
    }

    pub(super) fn taken_in(self) -> TakenIn {
        if let Self::TakenIn(taken) = self { taken } else { TakenIn::default() }
    }
}
