//! Both sides of single keys once more: before each step of a delivery's life.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::lookup::again;
use super::{LONGEST_KEY, Looked, Pair};
use crate::diff::digest;
use crate::model::{DeliveryKind, Key, Row, RowId, Sent, Value, Verdict};
use crate::outbox::{Asked, Witness};
use crate::sql::PlaceError;

/// Keys of one look for which others are looked for that stand in their way.
const STRAYS: usize = 10;

impl Pair {
    /// Reads both sides again for single keys, in the order given: whole rows, as before an attempt. `None`: there was
    /// no room for it, and it is to be asked for again; never the first.
    ///
    /// # Errors
    /// Either side cannot be asked.
    pub async fn look(&self, wanted: &[(RowId, &Key)]) -> Result<Vec<Option<Looked>>, PlaceError> {
        let (sources, mut later) = self.sources(wanted).await?;
        let whole = self.finds_elsewhere();
        let keys = sources.iter().flatten().map(|row| &row[self.whole.key]);
        let keys: Vec<&Value> = keys.filter(|key| key.weight() <= LONGEST_KEY).collect();
        let several = self.several_at_source(&keys).await?;
        // Of what is gone, whether the copy still has it is all that is left to ask.
        let asked = (0..wanted.len()).filter(|at| !later[*at]).flat_map(|at| match &sources[at] {
            Some(row) => {
                let key = Some(&row[self.whole.key]).filter(|key| key.weight() <= LONGEST_KEY);
                key.map(|key| (at, key.clone())).into_iter().collect()
            }
            None if whole => self.key_form.values(wanted[at].1).into_iter().map(|key| (at, key)).collect(),
            None => Vec::new(),
        });
        let asked: Vec<(usize, Value)> = asked.collect();
        let copies = self.look_up(asked.iter().map(|(_, key)| key)).await?;
        copies.rest.iter().for_each(|place| later[asked[*place].0] = true);
        let looked = wanted.iter().zip(sources).zip(later).map(|(((id, key), row), later)| {
            if later {
                return None;
            }
            let known = if row.is_some() { self.delete } else { whole };
            let there = row.as_ref().map_or(Some(false), |row| self.is_there(&self.whole, row));
            let row = row.filter(|_| there == Some(true));
            if row.is_none() && (!known || there.is_none()) {
                let verdict = there.is_none().then_some(Verdict::NotComparable);
                let witness = Witness::default();
                return Some(Looked {
                    verdict,
                    row: None,
                    copy: None,
                    fingerprint: [0; 16],
                    witness,
                    evidence: None,
                    stray: None,
                });
            }
            let found = copies.rows.get(*key);
            let carriers = several.get(*key).map_or(&[][..], Vec::as_slice);
            let (verdict, fingerprint) = Self::judge(&self.whole, row.as_deref(), found, carriers);
            let witness = Self::witness(&self.whole, row.as_deref(), found, &verdict);
            let copy = found.filter(|rows| rows.len() == 1).map(|rows| rows[0].clone());
            let evidence = matches!(verdict, Verdict::Ambiguous(_)).then(|| {
                let copies = found.map_or(&[][..], Vec::as_slice);
                Box::new(self.evidence((*id, row.as_deref()), carriers, copies))
            });
            Some(Looked { verdict: Some(verdict), row, copy, fingerprint, witness, evidence, stray: None })
        });
        let mut looked: Vec<Option<Looked>> = looked.collect();
        let keys: HashSet<&Key> = wanted.iter().map(|(_, key)| *key).collect();
        if copies.rows.keys().any(|key| !keys.contains(key)) {
            self.find_strays(wanted, &mut looked).await;
        }
        Ok(looked)
    }

    /// Says of keys that the copy does not have which others its collation takes for them, as far as that can be asked.
    async fn find_strays(&self, wanted: &[(RowId, &Key)], looked: &mut [Option<Looked>]) {
        let missing = looked.iter_mut().zip(wanted).filter_map(|(looked, (_, key))| {
            let looked = looked.as_mut().filter(|looked| looked.verdict == Some(Verdict::Missing))?;
            Some((looked, *key))
        });
        for (looked, key) in missing.take(STRAYS) {
            let Some(row) = &looked.row else { continue };
            let asked = self.key_form.asked(&row[self.whole.key]).into_owned();
            let Ok(found) = self.destination.lookup(&[asked]).await else { return };
            let other = |row: &Row| self.key_form.key(&row[0]).is_some_and(|other| other != *key);
            looked.stray = found.rows.into_iter().find(other).map(|mut row| row.swap_remove(0));
        }
    }

    /// Whether the source still is what a message says: a look at the copy may have taken its time.
    ///
    /// # Errors
    /// The source cannot be asked.
    pub(in crate::engine) async fn still_says(
        &self,
        (id, key): (RowId, &Key),
        sent: Sent,
    ) -> Result<bool, PlaceError> {
        let (sources, _) = self.sources(&[(id, key)]).await?;
        let row = sources.first().and_then(Option::as_deref);
        Ok(match row.filter(|row| self.is_there(&self.whole, row) == Some(true)) {
            Some(row) => sent.kind != DeliveryKind::Extra && digest(&[row]) == sent.row,
            None => sent.kind == DeliveryKind::Extra,
        })
    }

    /// The source's rows for single keys, and for which of them there was no room; never the first.
    async fn sources(&self, wanted: &[(RowId, &Key)]) -> Result<(Vec<Option<Row>>, Vec<bool>), PlaceError> {
        let ids: Vec<RowId> = wanted.iter().map(|(id, _)| *id).filter(|id| *id != RowId::NONE).collect();
        let mut later = vec![false; wanted.len()];
        let mut rows: HashMap<RowId, Row> = HashMap::new();
        if !ids.is_empty() {
            let fetched = self.source.fetch_some(&ids).await?;
            let rest: HashSet<RowId> = fetched.rest.into_iter().collect();
            later = wanted.iter().map(|(id, _)| rest.contains(id)).collect();
            rows = fetched.rows.into_iter().map(|row| (row.id, row.values)).collect();
        }
        // Two deliveries may name one row: by the key it had, and by the key it has. Only the latter takes it.
        let mut sources: Vec<Option<Row>> = wanted
            .iter()
            .map(|(id, key)| {
                let named = rows.get(id).is_some_and(|row| self.whole_key(row).as_ref() == Some(*key));
                if named { rows.remove(id) } else { None }
            })
            .collect();
        if self.finds_elsewhere() {
            self.find_elsewhere(wanted, &mut sources, &mut later).await?;
        }
        Ok((sources, later))
    }

    /// Whether a key that is not where it was is looked for by its value.
    fn finds_elsewhere(&self) -> bool {
        self.delete && self.key_form.goes_back()
    }

    /// Looks for rows that agreed before. Returns also which of them the source no longer has.
    pub(in crate::engine) async fn ask(&self, ids: &[RowId]) -> Result<(Asked, Vec<RowId>), PlaceError> {
        let mut held = HashSet::new();
        let (mut looked, mut missing) = (0, 0);
        let mut wanted = ids.to_vec();
        while !wanted.is_empty() {
            let fetched = self.source.fetch_some(&wanted).await?;
            held.extend(fetched.rows.iter().map(|row| row.id));
            let there =
                fetched.rows.into_iter().filter(|row| self.is_there(&self.whole, &row.values) == Some(true));
            let mut present: Vec<Value> =
                there.map(|mut row| row.values.swap_remove(self.whole.key)).collect();
            present.retain(|value| !value.is_null());
            while !present.is_empty() {
                let copies = self.look_up(present.iter()).await?;
                let later: HashSet<usize> = copies.rest.iter().copied().collect();
                let answered = present.iter().enumerate().filter(|(at, _)| !later.contains(at));
                for key in answered.filter_map(|(_, value)| self.key_form.key(value)) {
                    looked += 1;
                    missing += usize::from(!copies.rows.contains_key(&key));
                }
                present = again(&present, &copies.rest);
            }
            wanted = fetched.rest;
        }
        let gone = ids.iter().copied().filter(|id| !held.contains(id)).collect();
        Ok((Asked { looked, missing }, gone))
    }

    /// Rows that are not where they were: their keys may have come back, or moved to other rows.
    async fn find_elsewhere(
        &self,
        wanted: &[(RowId, &Key)],
        sources: &mut [Option<Row>],
        later: &mut [bool],
    ) -> Result<(), PlaceError> {
        let gone: Vec<usize> = (0..wanted.len()).filter(|at| sources[*at].is_none() && !later[*at]).collect();
        let places: HashMap<&Key, usize> = gone.iter().rev().map(|at| (wanted[*at].1, *at)).collect();
        let mut asked: Vec<Value> = gone.iter().flat_map(|at| self.key_form.values(wanted[*at].1)).collect();
        // By the place of the key, so that the first is the first again.
        let mut ids: BTreeMap<usize, RowId> = BTreeMap::new();
        while !asked.is_empty() {
            let found = self.source.holders(&asked).await?;
            for (id, value) in found.rows {
                if let Some(at) = self.key_form.key(&value).and_then(|key| places.get(&key)) {
                    ids.entry(*at).or_insert(id);
                }
            }
            asked = again(&asked, &found.rest);
        }
        if ids.is_empty() {
            return Ok(());
        }
        let fetched = self.source.fetch_some(&ids.values().copied().collect::<Vec<_>>()).await?;
        let rest: HashSet<RowId> = fetched.rest.into_iter().collect();
        let mut rows: HashMap<Key, Row> = fetched
            .rows
            .into_iter()
            .filter_map(|row| Some((self.whole_key(&row.values)?, row.values)))
            .collect();
        for (at, id) in ids {
            sources[at] = rows.remove(wanted[at].1);
            later[at] = rest.contains(&id);
        }
        Ok(())
    }

    fn whole_key(&self, row: &Row) -> Option<Key> {
        self.key_form.key(&row[self.whole.key])
    }
}
