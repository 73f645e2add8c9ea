//! Which rows of a stretch belong together, and which of them seem to disagree. Pure.

use std::collections::HashMap;

use crate::config::Rule;
use crate::diff::{ColumnRule, KeyForm, compare, digest};
use crate::model::{Class, Key, Row, Value, Verdict};

/// How keys are told apart and rows compared. Rows begin with the columns of the key.
pub(super) struct Matcher {
    pub(super) forms: Vec<KeyForm>,
    pub(super) rules: Vec<ColumnRule>,
    /// No two rows of a side share a key.
    pub(super) unique: bool,
    /// Which rows of the source count as not there.
    pub(super) gone: Option<Gone>,
}

/// A rule that says which rows of the source count as not there.
pub(super) struct Gone {
    pub(super) rule: Rule,
    /// For each column that it names: its place in a row of the source, and what it holds.
    pub(super) columns: Vec<(usize, Class)>,
    /// Whether the copy must not have them either; without it nothing is said of them.
    pub(super) counts: bool,
}

impl Gone {
    /// Whether a row counts as not there; `None`: that cannot be worked out.
    fn holds(&self, row: &Row) -> Option<bool> {
        self.rule.holds(self.columns.iter().map(|(at, class)| (&row[*at], *class)))
    }
}

/// A key that seems to disagree.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) key: Key,
    /// The key's values, as the side that has the row spells them.
    pub(super) values: Vec<Value>,
    /// What stood at the source; `None`: no row.
    pub(super) witness: Option<[u8; 16]>,
}

/// What a stretch holds.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) same: u64,
    pub(super) candidates: Vec<Candidate>,
}

impl Matcher {
    /// The canonical key of a row, each part with its length; `None` if a part is NULL.
    pub(super) fn key(&self, row: &[Value]) -> Option<Key> {
        if let ([form], [value, ..]) = (&self.forms[..], row) {
            return form.key(value);
        }
        let mut bytes = Vec::new();
        for (form, value) in self.forms.iter().zip(row) {
            let part = form.key(value)?;
            bytes.extend(u32::try_from(part.as_bytes().len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        Some(Key::new(bytes))
    }

    fn is_same_key(&self, a: &[Value], b: &[Value]) -> bool {
        let part = |((form, a), b): ((&KeyForm, &Value), &Value)| match (a, b) {
            (Value::Int(a), Value::Int(b)) => a == b,
            _ => form.key(a).is_some_and(|a| form.key(b).is_some_and(|b| a == b)),
        };
        self.forms.iter().zip(a).zip(b).all(part)
    }

    /// What the rows that carry one key say; `None`: there are none.
    pub(super) fn judge(&self, source: &[&Row], copy: &[&Row]) -> Option<Verdict> {
        let Some(gone) = self.gone.as_ref().filter(|_| !source.is_empty()) else {
            return self.judge_all(source, copy);
        };
        let mut there = Vec::with_capacity(source.len());
        for row in source {
            match gone.holds(row) {
                None => return Some(Verdict::NotComparable),
                Some(true) if !gone.counts => return Some(Verdict::Same),
                Some(true) => {}
                Some(false) => there.push(*row),
            }
        }
        Some(self.judge_all(&there, copy).unwrap_or(Verdict::Same))
    }

    fn judge_all(&self, source: &[&Row], copy: &[&Row]) -> Option<Verdict> {
        Some(match (source, copy) {
            ([], []) => return None,
            ([_], []) => Verdict::Missing,
            ([], [_]) => Verdict::Extra,
            ([a], [b]) => compare(&self.rules, a, b),
            _ => Verdict::Ambiguous(source.len().max(copy.len())),
        })
    }

    /// What a source's row is, to be known again.
    pub(super) fn witness(&self, source: &[&Row]) -> Option<[u8; 16]> {
        let rows: Vec<&[Value]> = source.iter().map(|row| &row[..]).collect();
        (!rows.is_empty()).then(|| digest(&rows))
    }

    /// The rows of both sides of one stretch. Rows without a key are passed over.
    pub(super) fn join(&self, source: &[Row], copy: &[Row]) -> Joined {
        let mut joined = Joined::default();
        let mut at = 0;
        if self.unique {
            // Most stretches are the same on both sides, in the same order.
            while let (Some(a), Some(b)) = (source.get(at), copy.get(at)) {
                if !self.is_same_key(a, b) {
                    break;
                }
                self.add(&mut joined, &[a], &[b]);
                at += 1;
            }
        }
        let (source, copy) = (&source[at..], &copy[at..]);
        if source.is_empty() && copy.is_empty() {
            return joined;
        }
        let mut groups: HashMap<Key, [Vec<&Row>; 2]> = HashMap::with_capacity(source.len());
        let mut order = Vec::with_capacity(source.len());
        for (side, row) in source.iter().map(|row| (0, row)).chain(copy.iter().map(|row| (1, row))) {
            let Some(key) = self.key(row) else { continue };
            let group = groups.entry(key).or_insert_with_key(|key| {
                order.push(key.clone());
                Default::default()
            });
            group[side].push(row);
        }
        for key in order {
            if let Some([source, copy]) = groups.get(&key) {
                self.add(&mut joined, source, copy);
            }
        }
        joined
    }

    fn add(&self, joined: &mut Joined, source: &[&Row], copy: &[&Row]) {
        if self.judge(source, copy) == Some(Verdict::Same) {
            joined.same += 1;
            return;
        }
        let Some(row) = source.first().or_else(|| copy.first()) else { return };
        let Some(key) = self.key(row) else { return };
        joined.candidates.push(Candidate {
            key,
            values: row[..self.forms.len()].to_vec(),
            witness: self.witness(source),
        });
    }
}

#[cfg(test)]
mod tests;
