//! Both sides of single keys once more: before each step of a delivery's life.

use std::collections::{HashMap, HashSet};

use super::{LONGEST_KEY, Looked, Pair};
use crate::model::{Key, Row, RowId, SourceRow, Value, Verdict};
use crate::outbox::{Asked, Witness};
use crate::sql::PlaceError;

impl Pair {
    /// Reads both sides again for single keys, in the order given: whole rows, as before an attempt.
    ///
    /// # Errors
    /// Either side cannot be asked.
    pub async fn look(&self, wanted: &[(RowId, &Key)]) -> Result<Vec<Looked>, PlaceError> {
        let ids: Vec<RowId> = wanted.iter().map(|(id, _)| *id).filter(|id| *id != RowId::NONE).collect();
        let rows = if ids.is_empty() { Vec::new() } else { self.source.fetch(&ids).await? };
        let mut rows: HashMap<RowId, Row> = rows.into_iter().map(|row| (row.id, row.values)).collect();
        // Two deliveries may name one row: by the key it had, and by the key it has. Only the latter takes it.
        let mut sources: Vec<Option<Row>> = wanted
            .iter()
            .map(|(id, key)| {
                let named = rows.get(id).is_some_and(|row| self.whole_key(row).as_ref() == Some(*key));
                if named { rows.remove(id) } else { None }
            })
            .collect();
        let whole = self.delete && self.key_form.goes_back();
        if whole {
            let gone = gone(wanted, &sources);
            self.find_elsewhere(wanted, &mut sources, &gone).await?;
        }
        let keys = sources.iter().flatten().map(|row| &row[self.whole.key]);
        let keys: Vec<&Value> = keys.filter(|key| key.weight() <= LONGEST_KEY).collect();
        let several = self.several_at_source(&keys).await?;
        let mut asked: Vec<Value> = keys.into_iter().cloned().collect();
        if whole {
            // Whether the copy still has them is all that is left to ask.
            asked.extend(gone(wanted, &sources).into_iter().flat_map(|key| self.key_form.values(key)));
        }
        let copies = self.look_up(asked.iter()).await?;
        let looked = wanted.iter().zip(sources).map(|((id, key), row)| {
            let known = if row.is_some() { self.delete } else { whole };
            let there = row.as_ref().map_or(Some(false), |row| self.is_there(&self.whole, row));
            let row = row.filter(|_| there == Some(true));
            if row.is_none() && (!known || there.is_none()) {
                let verdict = there.is_none().then_some(Verdict::NotComparable);
                let witness = Witness::default();
                return Looked {
                    verdict,
                    row: None,
                    copy: None,
                    fingerprint: [0; 16],
                    witness,
                    evidence: None,
                };
            }
            let found = copies.get(*key);
            let carriers = several.get(*key).map_or(&[][..], Vec::as_slice);
            let (verdict, fingerprint) = Self::judge(&self.whole, row.as_deref(), found, carriers);
            let witness = Self::witness(&self.whole, row.as_deref(), found, &verdict);
            let copy = found.filter(|rows| rows.len() == 1).map(|rows| rows[0].clone());
            let evidence = matches!(verdict, Verdict::Ambiguous(_)).then(|| {
                let copies = found.map_or(&[][..], Vec::as_slice);
                Box::new(self.evidence((*id, row.as_deref()), carriers, copies))
            });
            Looked { verdict: Some(verdict), row, copy, fingerprint, witness, evidence }
        });
        Ok(looked.collect())
    }

    /// Looks for rows that agreed before. Returns also which of them the source no longer has.
    pub(in crate::engine) async fn ask(&self, ids: &[RowId]) -> Result<(Asked, Vec<RowId>), PlaceError> {
        let (mut held, mut present, mut rest) = (HashSet::new(), Vec::new(), ids.to_vec());
        // Their keys are all that is wanted of them; they need not be held all at once.
        while !rest.is_empty() {
            let fetched = self.source.fetch_some(&rest).await?;
            for mut row in fetched.rows {
                held.insert(row.id);
                if self.is_there(&self.whole, &row.values) == Some(true) {
                    present.push(row.values.swap_remove(self.whole.key));
                }
            }
            rest = fetched.rest;
        }
        let gone = ids.iter().copied().filter(|id| !held.contains(id)).collect();
        let present = || present.iter().filter(|value| !value.is_null());
        let copies = self.look_up(present()).await?;
        let keys = present().filter_map(|value| self.key_form.key(value));
        let (mut looked, mut missing) = (0, 0);
        for key in keys {
            looked += 1;
            missing += usize::from(!copies.contains_key(&key));
        }
        Ok((Asked { looked, missing }, gone))
    }

    /// Rows that are not where they were: their keys may have come back, or moved to other rows.
    async fn find_elsewhere(
        &self,
        wanted: &[(RowId, &Key)],
        sources: &mut [Option<Row>],
        gone: &HashSet<&Key>,
    ) -> Result<(), PlaceError> {
        if gone.is_empty() {
            return Ok(());
        }
        let values: Vec<Value> = gone.iter().flat_map(|key| self.key_form.values(key)).collect();
        let found = self.source.lookup(&values).await?;
        let known = |row: &SourceRow| {
            self.key_form.key(&row.values[self.read.key]).is_some_and(|key| gone.contains(&key))
        };
        let ids: Vec<RowId> = found.iter().filter(|row| known(row)).map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rows = self.source.fetch(&ids).await?;
        let mut rows: HashMap<Key, Row> =
            rows.into_iter().filter_map(|row| Some((self.whole_key(&row.values)?, row.values))).collect();
        for ((_, key), source) in wanted.iter().zip(sources) {
            if source.is_none() {
                *source = rows.remove(*key);
            }
        }
        Ok(())
    }

    fn whole_key(&self, row: &Row) -> Option<Key> {
        self.key_form.key(&row[self.whole.key])
    }
}

fn gone<'k>(wanted: &[(RowId, &'k Key)], sources: &[Option<Row>]) -> HashSet<&'k Key> {
    wanted.iter().zip(sources).filter(|(_, row)| row.is_none()).map(|((_, key), _)| *key).collect()
}
