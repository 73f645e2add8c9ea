//! Compares a source row with the row found at the destination.

use super::form::Form;
use crate::model::{Column, Value, Verdict};

/// How one pair of mapped columns is compared.
#[derive(Clone, Copy, Debug)]
pub struct ColumnRule {
    source: usize,
    destination: usize,
    form: Form,
}

impl ColumnRule {
    /// The rule for a source column and a destination column, each with its place in the rows to be compared.
    pub fn new(source: (usize, &Column), destination: (usize, &Column)) -> Self {
        Self { source: source.0, destination: destination.0, form: Form::between(source.1, destination.1) }
    }

    /// A short hash of the source's value in the form in which both sides meet: equal values have equal ones.
    pub fn source_mark(&self, source: &[Value]) -> u32 {
        mark(self.form, &source[self.source])
    }

    /// The same of the destination's value.
    pub fn destination_mark(&self, destination: &[Value]) -> u32 {
        mark(self.form, &destination[self.destination])
    }

    /// Whether the pair agrees in these rows.
    pub fn agrees(&self, source: &[Value], destination: &[Value]) -> bool {
        self.form.same(&source[self.source], &destination[self.destination])
    }
}

/// NULL is 0 and nothing else is.
fn mark(form: Form, value: &Value) -> u32 {
    form.canonical(value).map_or(0, |bytes| (xxhash_rust::xxh3::xxh3_64(&bytes) >> 32) as u32 | 1)
}

/// Compares two rows found by the same key: [`Verdict::Same`], or [`Verdict::Differs`] with the places in `rules`
/// of the pairs that disagree.
pub fn compare(rules: &[ColumnRule], source: &[Value], destination: &[Value]) -> Verdict {
    let differing: Vec<usize> = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| !rule.agrees(source, destination))
        .map(|(at, _)| at)
        .collect();
    if differing.is_empty() { Verdict::Same } else { Verdict::Differs(differing) }
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
