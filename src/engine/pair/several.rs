//! Keys that several rows carry, at either side.

use std::collections::{BTreeSet, HashMap};

use tracing::warn;

use super::Pair;
use super::lookup::again;
use crate::diff::digest;
use crate::model::{Evidence, Key, Listed, Row, RowId, TaskName, Value};
use crate::source::Source;
use crate::sql::{Found, PlaceError};

/// The rows that carry a key, ascending, for those keys that several do.
pub(super) fn several<'k>(carried: impl Iterator<Item = (RowId, &'k Key)>) -> HashMap<&'k Key, Vec<RowId>> {
    let mut first: HashMap<&Key, RowId> = HashMap::new();
    let mut more: HashMap<&Key, BTreeSet<RowId>> = HashMap::new();
    for (id, key) in carried {
        let known = *first.entry(key).or_insert(id);
        if known != id {
            more.entry(key).or_insert_with(|| BTreeSet::from([known])).insert(id);
        }
    }
    more.into_iter().map(|(key, ids)| (key, ids.into_iter().collect())).collect()
}

/// By which the same rows are known again, in whatever order they come. What the source's rows hold is of no account:
/// the key is ambiguous whatever that is. Nor are a hundred rows or more: only some of them were read.
pub(super) fn fingerprint(carriers: &[RowId], copies: &[Row]) -> [u8; 16] {
    const MANY: usize = 100;
    let carriers = if carriers.len() < MANY { carriers } else { &[] };
    let copies = if copies.len() < MANY { copies } else { &[] };
    let ids: Vec<Value> = carriers.iter().map(|id| Value::text(id.to_string())).collect();
    let copies = sorted(copies).into_iter().map(|(digest, _)| Value::Bytes(digest.into()));
    digest(&[&ids, &copies.collect::<Vec<_>>()])
}

fn sorted(rows: &[Row]) -> Vec<([u8; 16], &Row)> {
    let mut rows: Vec<_> = rows.iter().map(|row| (digest(&[row]), row)).collect();
    rows.sort_unstable_by_key(|(digest, _)| *digest);
    rows
}

/// Says in the log that several rows of one key would not be noticed, because nothing finds them.
pub(in crate::engine) fn warn_if_unnoticed(task: &TaskName, source: &dyn Source) {
    if source.unfindable().is_some() && !source.shares_keys() {
        warn!(%task, "no index of the source leads with \"byColumn\": that several rows carry a key is not noticed, and \
                      each of them is called back in turn");
    }
}

impl Pair {
    /// The rows of the source that carry one of these keys, a hundred at most, for those that several do.
    pub(super) async fn several_at_source(
        &self,
        keys: &[&Value],
    ) -> Result<HashMap<Key, Vec<RowId>>, PlaceError> {
        if !self.source.shares_keys() {
            return Ok(HashMap::new());
        }
        let mut several_at_source = HashMap::new();
        let mut keys: Vec<Value> = keys.iter().map(|key| (*key).clone()).collect();
        while !keys.is_empty() {
            let Found { rows, rest } = self.source.holders(&keys).await?;
            let carried: Vec<(RowId, Key)> =
                rows.into_iter().filter_map(|(id, key)| Some((id, self.key_form.key(&key)?))).collect();
            let several = several(carried.iter().map(|(id, key)| (*id, key)));
            several_at_source.extend(several.into_iter().map(|(key, rows)| (key.clone(), rows)));
            keys = again(&keys, &rest);
        }
        Ok(several_at_source)
    }

    /// Both lists of an ambiguous key, for people. `id` and `row` are the source row that was read, if there is one.
    pub(super) fn evidence(
        &self,
        (id, row): (RowId, Option<&[Value]>),
        carriers: &[RowId],
        copies: &[Row],
    ) -> Evidence {
        let by = &*self.source.columns()[self.whole.key].name;
        let of_id = if by == "id" { "row" } else { "id" };
        let own = if row.is_some() { &[id][..] } else { &[] };
        let ids: Vec<Value> = if carriers.is_empty() { own } else { carriers }
            .iter()
            .map(|id| if *id == RowId::NONE { Value::Null } else { Value::text(id.to_string()) })
            .collect();
        let key = row.map(|row| &row[self.whole.key]);
        let source = ids.iter().map(|id| [(of_id, id)].into_iter().chain(key.map(|key| (by, key))));
        let columns = || std::iter::once(self.destination.key_column()).chain(self.destination.columns());
        let copies = sorted(copies);
        let copy = copies.iter().map(|(_, row)| columns().map(|column| &*column.name).zip(row.iter()));
        Evidence { source: Listed::new(source), copy: Listed::new(copy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_an_answer_is_of_no_account() {
        let row = |text: &str| vec![Value::Int(1), Value::text(text)];
        let (one, two) = ([row("a"), row("b")], [row("b"), row("a")]);
        let ids = [RowId(1), RowId(2)];
        assert_eq!(fingerprint(&ids, &one), fingerprint(&ids, &two));
        assert_ne!(fingerprint(&ids, &one), fingerprint(&ids, &one[..1]));
        assert_ne!(fingerprint(&ids, &one), fingerprint(&ids[..1], &one));
        assert_ne!(fingerprint(&ids, &one), fingerprint(&ids, &[row("a"), row("a")]));
        let key = Key::new([1]);
        let seen = [(RowId(2), &key), (RowId(1), &key), (RowId(2), &key)];
        assert_eq!(several(seen.into_iter())[&key], ids);
    }
}
