//! Rows by their key, at the copy. What comes back at once is bounded in bytes; the rest is asked for
//! again.

use std::collections::HashMap;

use futures_util::future::try_join_all;

use super::Pair;
use crate::model::{Key, Row, Value};
use crate::sql::PlaceError;

/// Look-ups of one batch that a destination answers at the same time.
const SIDE_BY_SIDE: usize = 2;
/// Keys of one statement: a batch is split between them.
const LIST: usize = 1000;

/// The copy's rows of some keys.
pub(super) struct Copies {
    /// By key; those of the keys in `rest` may be incomplete.
    pub(super) rows: HashMap<Key, Vec<Row>>,
    /// Places of the keys to be asked for again, once these rows are done with. Never the first.
    pub(super) rest: Vec<usize>,
}

impl Pair {
    /// Looks keys up at the copy, as many as there is room for.
    pub(super) async fn look_up<'a>(
        &self,
        keys: impl Iterator<Item = &'a Value>,
    ) -> Result<Copies, PlaceError> {
        // Where a key may be spelt in several ways, each of them is asked for, in one list: `places` tells whose it is.
        let (mut places, mut asked) = (Vec::new(), Vec::new());
        for (place, key) in keys.enumerate() {
            asked.push(self.key_form.asked(key).into_owned());
            asked.extend(self.key_form.further(key));
            places.resize(asked.len(), place);
        }
        if asked.is_empty() {
            return Ok(Copies { rows: HashMap::new(), rest: Vec::new() });
        }
        let side_by_side = if self.key_form.is_spelt() { 1 } else { SIDE_BY_SIDE };
        let size = asked.len().div_ceil(side_by_side).next_multiple_of(LIST);
        let answers = try_join_all(asked.chunks(size).map(|list| self.destination.lookup(list))).await?;
        let mut copies: HashMap<Key, (usize, Vec<Row>)> = HashMap::with_capacity(asked.len());
        let mut rest = Vec::new();
        for (list, found) in answers.into_iter().enumerate() {
            rest.extend(found.rest.into_iter().map(|at| places[list * size + at]));
            for row in found.rows {
                // Matched by exact key: what a case-insensitive collation added falls out here. It may also have
                // added the same row to both lists; either has all rows of a key, so the first one counts.
                let Some(key) = self.key_form.key(&row[0]) else { continue };
                let (from, found) = copies.entry(key).or_insert_with(|| (list, Vec::new()));
                if *from == list {
                    found.push(row);
                }
            }
        }
        // The first key was answered, and so something goes on; a further spelling of it may have found no room.
        rest.retain(|place| *place != 0);
        rest.dedup();
        Ok(Copies { rows: copies.into_iter().map(|(key, (_, rows))| (key, rows)).collect(), rest })
    }
}

/// The keys that are to be asked for again.
pub(super) fn again<T: Clone>(keys: &[T], rest: &[usize]) -> Vec<T> {
    rest.iter().map(|at| keys[*at].clone()).collect()
}
