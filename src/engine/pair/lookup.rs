//! Rows by their key, at the copy and at the source.

use std::collections::HashMap;

use futures_util::future::try_join_all;

use super::{Pair, several};
use crate::model::{Key, Row, RowId, Value};
use crate::sql::PlaceError;

/// Look-ups of one batch that a destination answers at the same time.
const SIDE_BY_SIDE: usize = 2;
/// Keys below which splitting a batch gains nothing.
const LEAST_LIST: usize = 1000;

impl Pair {
    pub(super) async fn look_up<'a>(
        &self,
        keys: impl Iterator<Item = &'a Value>,
    ) -> Result<HashMap<Key, Vec<Row>>, PlaceError> {
        let keys: Vec<Value> = keys.map(|key| self.key_form.asked(key).into_owned()).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let lists = keys.chunks(keys.len().div_ceil(SIDE_BY_SIDE).max(LEAST_LIST));
        let answers = try_join_all(lists.map(|list| self.destination.lookup(list))).await?;
        let mut copies: HashMap<Key, (usize, Vec<Row>)> = HashMap::with_capacity(keys.len());
        for (list, rows) in answers.into_iter().enumerate() {
            for row in rows {
                // Matched by exact key: what a case-insensitive collation added falls out here. It may also have
                // added the same row to both lists; either has all rows of a key, so the first one counts.
                let Some(key) = self.key_form.key(&row[0]) else { continue };
                let (from, found) = copies.entry(key).or_insert_with(|| (list, Vec::new()));
                if *from == list {
                    found.push(row);
                }
            }
        }
        Ok(copies.into_iter().map(|(key, (_, rows))| (key, rows)).collect())
    }

    /// How many rows of the source carry one of these keys, for those that several do.
    pub(super) async fn several_at_source(&self, keys: &[&Value]) -> Result<HashMap<Key, usize>, PlaceError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<Value> = keys.iter().map(|key| (*key).clone()).collect();
        let holders = self.source.holders(&keys).await?;
        let carried: Vec<(RowId, Key)> =
            holders.into_iter().filter_map(|(id, key)| Some((id, self.key_form.key(&key)?))).collect();
        let several = several(carried.iter().map(|(id, key)| (*id, key)));
        Ok(several.into_iter().map(|(key, rows)| (key.clone(), rows)).collect())
    }
}
