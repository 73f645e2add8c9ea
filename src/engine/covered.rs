//! What a read has covered, as it is kept beside the cursor.

use super::Scanned;
use crate::base::clock::{UnixMs, ms};
use crate::scan::Base;
use crate::source::{self, Coverage};
use crate::store::{Counted, Facts, Pass, Seen};

/// What a feed knows of itself after a read.
pub(super) fn facts(coverage: &Coverage, caught_up: bool, now: UnixMs) -> Facts {
    Facts {
        caught_up,
        settled: coverage.settled.clone(),
        settled_at: coverage.behind.map(|behind| now.saturating_sub(ms(behind))),
        told: coverage.told,
        forgets: coverage.forgets,
        uncovered: coverage.uncovered,
        uncovered_more: coverage.uncovered_more,
        unreadable: unreadable(coverage),
        ahead_s: coverage.ahead.map(|ahead| ahead.as_secs()),
        counted: coverage.counted.map(|source::Counted { after, upto, rows }| Counted { after, upto, rows }),
        unsettled: coverage.unsettled,
    }
}

fn unreadable(coverage: &Coverage) -> Option<String> {
    let ids: Vec<String> = coverage.unreadable.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// What the rows of a read showed beside what was found; leaves the rest of it as it is.
pub(super) fn seen(scanned: &mut Scanned, passed: Option<Pass>) -> Seen {
    Seen {
        at: scanned.looked,
        agreed: scanned.agreed.iter().map(|(_, row)| *row).chain(scanned.fit.drain(..)).collect(),
        unfit: std::mem::take(&mut scanned.unfit),
        passed,
    }
}

/// Where the insert feed stands, for a pass that begins now.
pub(super) fn base(counted: Counted) -> Base {
    let Counted { after, upto, rows } = counted;
    Base { after: after.map(|id| id.to_string()), upto: upto.map(|id| id.to_string()), rows }
}
