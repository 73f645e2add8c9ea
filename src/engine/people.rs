//! What people should know of deliveries that were settled by looking, whoever looked: each in one way only.

use std::collections::BTreeMap;

use crate::model::State;
use crate::notify::What;
use crate::outbox::{AMBIGUOUS, NOT_COMPARABLE, NOT_FIXED, TOO_LARGE};
use crate::store::Settlement;

/// Class of the last that waits for a person: as in the counts of a scan.
fn class(note: Option<&str>) -> Option<&'static str> {
    match note? {
        TOO_LARGE => Some("too_large"),
        NOT_COMPARABLE => Some("not_comparable"),
        NOT_FIXED => Some("not_fixed"),
        _ => None,
    }
}

/// What it is, and of how many it is so. A key that several rows carry is told when its rows are new; one that was not
/// fixed and now waits for a person is told as that.
pub(super) fn of_looks(settled: &[Settlement]) -> Vec<(What, u64)> {
    let mut told = BTreeMap::new();
    for s in settled {
        let note = s.note.as_deref();
        let what = match s.to.state {
            State::Dead if note == Some(AMBIGUOUS) && s.evidence.is_none() => continue,
            State::Dead if note == Some(AMBIGUOUS) => What::Ambiguous,
            State::Dead => What::Dead { class: class(note) },
            _ if note == Some(NOT_FIXED) => What::NotFixed,
            _ => continue,
        };
        let (newest, count) = told.entry(what.event()).or_insert_with(|| (what.clone(), 0));
        (*newest, *count) = (what, *count + 1);
    }
    told.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeliveryId;
    use crate::store::Transition;

    fn settled(state: State, note: Option<&str>) -> Settlement {
        Settlement {
            id: DeliveryId(uuid::Uuid::nil()),
            claim: 1,
            // As of a suspect: nothing was sent yet.
            to: Transition { state, tries: 0, looks: 0, unhealed: 0, renew: true, acked_at: None },
            seen: None,
            watch: None,
            due: 0,
            attempt: None,
            note: note.map(str::to_owned),
            evidence: None,
            now: 0,
        }
    }

    #[test]
    fn each_is_told_in_one_way_and_what_goes_on_in_none() {
        let nothing = [
            settled(State::Healed, Some("gone at the source")),
            settled(State::Healed, None),
            settled(State::Main, Some("the source keeps changing and the copy does not follow")),
            settled(State::Suspect, None),
            // Its rows are known.
            settled(State::Dead, Some(AMBIGUOUS)),
        ];
        assert_eq!(of_looks(&nothing), []);
        let ambiguous =
            Settlement { evidence: Some(Box::default()), ..settled(State::Dead, Some(AMBIGUOUS)) };
        for (one, what) in [
            (ambiguous, What::Ambiguous),
            (settled(State::Dead, Some(TOO_LARGE)), What::Dead { class: Some("too_large") }),
            (settled(State::Dead, Some(NOT_COMPARABLE)), What::Dead { class: Some("not_comparable") }),
            (settled(State::Dead, Some(NOT_FIXED)), What::Dead { class: Some("not_fixed") }),
            (settled(State::Retry, Some(NOT_FIXED)), What::NotFixed),
            (settled(State::Slow, Some(NOT_FIXED)), What::NotFixed),
        ] {
            assert_eq!(of_looks(&[one.clone(), one]), [(what, 2)]);
        }
    }
}
