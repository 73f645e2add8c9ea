//! Whether the ids of a source still go on where the feed stands.
//!
//! When the greatest id lies below the settled one, rows that were read are gone. Mostly only the newest ones were
//! deleted. A table that was emptied, or restored from an older backup, looks the same, but gives out ids again that
//! the feed has passed: whatever it did then would be wrong. Its counter tells the two apart; where there is none, the
//! number of rows that are gone does.

use serde::{Deserialize, Serialize};

use super::Cursor;
use crate::model::{DatabaseClass, RowId};
use crate::source::ground::Ground;
use crate::sql::next_id::NextId;
use crate::sql::{PlaceError, PlaceErrorKind};

/// So many of the newest rows are deleted without anybody wondering; also the distance of the marks below.
const FEW: u32 = 1000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Ids go on behind what is settled.
    GoesOn,
    /// The newest rows are gone and their ids may be given out again: the feed goes on behind the greatest id.
    StepsBack,
    /// The ids have begun anew.
    Anew,
}

/// How far down the newest rows reach, counted as they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Newest {
    /// One to two thousand rows were read behind this id; none: fewer in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<String>,
    /// As many rows as `rows` were read behind this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    then: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    rows: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(rows: &u32) -> bool {
    *rows == 0
}

impl Newest {
    /// Of a feed of which only this much is known: rows up to there were read.
    pub(super) fn from(id: Option<i128>) -> Self {
        let id = id.map(|id| id.to_string());
        Self { behind: id.clone(), then: id, rows: 0 }
    }

    /// These were read, in this order.
    pub(super) fn note(&mut self, ids: impl Iterator<Item = i128>) {
        for id in ids {
            self.rows += 1;
            if self.rows >= FEW {
                self.behind = self.then.replace(id.to_string());
                self.rows = 0;
            }
        }
    }

    /// Whether no row was read yet: then where the feed stands says nothing about the table.
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether at most some two thousand of the rows read lie behind this id.
    fn reaches(&self, greatest: Option<i128>) -> bool {
        let behind = self.behind.as_ref().and_then(|id| id.parse::<i128>().ok());
        behind.is_none_or(|behind| greatest.is_some_and(|greatest| greatest >= behind))
    }

    /// What is left of it when the rows behind this id are gone.
    pub(super) fn back_to(&self, greatest: Option<i128>) -> Self {
        let lower = |id: &Option<String>| {
            let id = id.as_ref().and_then(|id| id.parse::<i128>().ok())?;
            Some(id.min(greatest?).to_string())
        };
        Self { behind: lower(&self.behind), then: lower(&self.then), rows: self.rows }
    }
}

/// Decides. `newest` is not known of positions that earlier versions have stored.
pub(super) fn judge(settled: i128, greatest: Option<i128>, next: &NextId, newest: Option<&Newest>) -> Stand {
    if greatest >= Some(settled) || newest.is_some_and(Newest::is_nothing) {
        return Stand::GoesOn;
    }
    match next {
        // A counter that lies below ids that are there does not give them out.
        NextId::Is(next) if Some(*next) > greatest => {
            if *next > settled {
                Stand::GoesOn
            } else {
                Stand::Anew
            }
        }
        _ => {
            let gap = settled.saturating_sub(greatest.unwrap_or(0));
            let near = (0..=i128::from(FEW)).contains(&gap);
            if near || newest.is_some_and(|newest| newest.reaches(greatest)) {
                Stand::StepsBack
            } else {
                Stand::Anew
            }
        }
    }
}

/// Asks what is needed and decides for a feed, given the greatest id.
///
/// # Errors
/// The database's own trouble, and that the ids have begun anew.
pub(super) async fn look(
    ground: &dyn Ground,
    cursor: &Cursor,
    greatest: Option<RowId>,
) -> Result<Stand, PlaceError> {
    let (Some(settled), greatest) = (cursor.settled, greatest.map(|id| id.0)) else {
        return Ok(Stand::GoesOn);
    };
    if greatest >= Some(settled) || cursor.newest.as_ref().is_some_and(Newest::is_nothing) {
        return Ok(Stand::GoesOn);
    }
    let next = ground.next_id().await?;
    match judge(settled, greatest, &next, cursor.newest.as_ref()) {
        Stand::Anew => {
            let message = anew(settled, greatest, &next);
            let error = PlaceError { kind: PlaceErrorKind::Anew, ..ground.broken(&message) };
            Err(error.of_class(DatabaseClass::IdsAnew))
        }
        stand => Ok(stand),
    }
}

fn anew(settled: i128, greatest: Option<i128>, next: &NextId) -> String {
    let greatest =
        greatest.map_or_else(|| "the table is empty".to_owned(), |id| format!("the greatest id is {id}"));
    let next = match next {
        NextId::Is(next) => format!("the next one will be {next}"),
        NextId::Untold(grant) => format!("this user may not see which one is next ({grant} lets it)"),
        NextId::NoCounter => "no counter says which one is next".to_owned(),
    };
    format!(
        "the ids of the source have begun anew: they were read and settled up to {settled}, but now {greatest} and \
         {next}; it was emptied, replaced, or restored from an older backup"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn newest(ids: impl Iterator<Item = i128>) -> Newest {
        let mut newest = Newest::default();
        newest.note(ids);
        newest
    }

    #[test]
    fn a_counter_tells_deleted_rows_from_a_new_beginning() {
        let known = newest(1..=5000);
        for (greatest, next, stand) in [
            (Some(5000), NextId::Is(1), Stand::GoesOn),
            (Some(5001), NextId::NoCounter, Stand::GoesOn),
            (Some(4999), NextId::Is(5001), Stand::GoesOn),
            (None, NextId::Is(5001), Stand::GoesOn),
            (None, NextId::Is(1), Stand::Anew),
            (Some(4999), NextId::Is(5000), Stand::Anew),
            (Some(7), NextId::Is(8), Stand::Anew),
            // The ids come from elsewhere.
            (Some(4999), NextId::Is(4999), Stand::StepsBack),
            (Some(7), NextId::Is(3), Stand::Anew),
        ] {
            assert_eq!(judge(5000, greatest, &next, Some(&known)), stand, "{greatest:?} {next:?}");
        }
    }

    #[test]
    fn without_a_counter_the_number_of_rows_does() {
        let untold = NextId::Untold(String::new());
        for next in [NextId::NoCounter, untold] {
            let dense = newest(1..=5000);
            for (greatest, stand) in [
                (Some(4999), Stand::StepsBack),
                (Some(4000), Stand::StepsBack),
                (Some(3999), Stand::Anew),
                (Some(0), Stand::Anew),
                (None, Stand::Anew),
            ] {
                assert_eq!(judge(5000, greatest, &next, Some(&dense)), stand, "{greatest:?}");
                // Of what an earlier version stored only the distance is known.
                assert_eq!(judge(5000, greatest, &next, None), stand, "{greatest:?}");
            }
            let sparse = newest((1..=5000).map(|n| n << 40));
            for (greatest, stand) in [
                (Some(4999 << 40), Stand::StepsBack),
                (Some(4000 << 40), Stand::StepsBack),
                (Some(3999 << 40), Stand::Anew),
                (Some(7), Stand::Anew),
                (None, Stand::Anew),
            ] {
                assert_eq!(judge(5000 << 40, greatest, &next, Some(&sparse)), stand, "{greatest:?}");
            }
            let few = newest([10, 5000, 1_000_000, 1 << 40].into_iter());
            assert_eq!(judge(1 << 40, Some(1_000_000), &next, Some(&few)), Stand::StepsBack);
            assert_eq!(judge(1 << 40, None, &next, Some(&few)), Stand::StepsBack);
            assert_eq!(judge(-7, Some(-9), &next, Some(&newest(-20..=-7))), Stand::StepsBack);
        }
    }

    #[test]
    fn where_nothing_was_read_nothing_is_missing() {
        for greatest in [None, Some(7)] {
            assert_eq!(judge(4999, greatest, &NextId::Is(8), Some(&Newest::default())), Stand::GoesOn);
        }
    }

    proptest! {
        /// Whatever is read and deleted: a table that has lost at most a thousand rows is not stopped, one that has
        /// lost more than two thousand, and more than a thousand ids, is; and stepping back again and again goes on.
        #[test]
        fn few_are_told_from_many(
            steps in proptest::collection::vec(1_i128..1000, 1..6000),
            gone in 0_usize..6000,
            start in -1000_i128..1000,
        ) {
            let ids: Vec<i128> = steps.iter().scan(start, |at, step| { *at += step; Some(*at) }).collect();
            let known = newest(ids.iter().copied());
            let gone = gone.min(ids.len());
            let settled = ids[ids.len() - 1];
            let greatest = ids[..ids.len() - gone].last().copied();
            let stand = judge(settled, greatest, &NextId::NoCounter, Some(&known));
            if gone == 0 {
                prop_assert_eq!(stand, Stand::GoesOn);
            } else if gone <= 1000 {
                prop_assert_eq!(stand, Stand::StepsBack);
            } else if gone > 2000 {
                prop_assert_eq!(stand, Stand::Anew);
            }
            if stand == Stand::StepsBack {
                let back = known.back_to(greatest);
                prop_assert_ne!(judge(greatest.unwrap_or(settled), greatest.map(|id| id - 1), &NextId::NoCounter,
                    Some(&back)), Stand::Anew);
            }
            let text = serde_json::to_string(&known).unwrap();
            prop_assert_eq!(serde_json::from_str::<Newest>(&text).unwrap(), known);
        }
    }
}
