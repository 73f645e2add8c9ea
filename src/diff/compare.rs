//! Compares a source row with the row found at the destination.

use std::borrow::Cow;

use super::class::class;
use super::form::Form;
use super::lens::{Lens, Side};
use crate::config::ColumnPolicy;
use crate::model::{Class, Column, Value, Verdict};

/// How one pair of mapped columns is compared.
#[derive(Clone, Debug)]
pub struct ColumnRule {
    source: usize,
    destination: usize,
    form: Form,
    lens: Option<Lens>,
    /// Which side has bit strings that are meant as numbers.
    bits: [bool; 2],
}

impl ColumnRule {
    /// The rule for a source column and a destination column, each with its place in the rows to be compared.
    ///
    /// # Errors
    /// All of the policy that cannot apply to columns of these types, and why.
    pub fn new(
        source: (usize, &Column),
        destination: (usize, &Column),
        policy: &ColumnPolicy,
    ) -> Result<Self, Vec<String>> {
        let form = Form::between(source.1, destination.1);
        let lens = Lens::new(policy, form, source.1, destination.1)?;
        let bits =
            [source.1, destination.1].map(|column| form == Form::BitNumber && class(column) == Class::Bit);
        Ok(Self { source: source.0, destination: destination.0, form, lens, bits })
    }

    /// A short hash of the source's value in the form in which both sides meet: equal values have equal ones, and near ones
    /// (`tolerance`) have not.
    pub fn source_mark(&self, source: &[Value]) -> u32 {
        self.mark(Side::Source, &self.number(0, &source[self.source]))
    }

    /// The same of the destination's value.
    pub fn destination_mark(&self, destination: &[Value]) -> u32 {
        self.mark(Side::Destination, &self.number(1, &destination[self.destination]))
    }

    /// Bits as the number that they are: PostgreSQL writes them as text of 0 and 1, which would be read as a decimal one.
    fn number<'v>(&self, side: usize, value: &'v Value) -> Cow<'v, Value> {
        let number = match value {
            Value::Text(bits) if self.bits[side] => u64::from_str_radix(bits, 2).ok(),
            Value::Bytes(bytes) if self.bits[side] && bytes.len() <= 8 => {
                Some(bytes.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte)))
            }
            _ => None,
        };
        number.map_or(Cow::Borrowed(value), |number| Cow::Owned(Value::uint(number)))
    }

    /// NULL is 0 and nothing else is.
    fn mark(&self, side: Side, value: &Value) -> u32 {
        let hash = |value: &Value| {
            let bytes = self.form.canonical(value);
            bytes.map_or(0, |bytes| (xxhash_rust::xxh3::xxh3_64(&bytes) >> 32) as u32 | 1)
        };
        match &self.lens {
            None => hash(value),
            Some(lens) => hash(&lens.witness(side, value)),
        }
    }

    /// Whether it cannot be said.
    fn is_too_large(&self, source: &[Value], destination: &[Value]) -> bool {
        let parts = [&source[self.source], &destination[self.destination]];
        let is_ignored = || self.lens.as_ref().is_some_and(Lens::ignores);
        parts.iter().any(|part| matches!(part, Value::TooLarge(_))) && !is_ignored()
    }

    /// Whether the pair agrees in these rows.
    pub fn agrees(&self, source: &[Value], destination: &[Value]) -> bool {
        let (a, b) = (&source[self.source], &destination[self.destination]);
        let (a, b) = (self.number(0, a), self.number(1, b));
        match &self.lens {
            None => self.form.same(&a, &b),
            Some(lens) => lens.same(self.form, &a, &b),
        }
    }
}

/// Whether a part of a row is missing because it was too large to be held: then it cannot be sent whole, and nothing can
/// be said of it if that part is compared.
pub fn is_too_large(row: &[Value]) -> bool {
    row.iter().any(|value| matches!(value, Value::TooLarge(_)))
}

/// Compares two rows found by the same key.
///
/// [`Verdict::Same`], or [`Verdict::Differs`] with the places in `rules` of the pairs that disagree;
/// [`Verdict::TooLarge`] if a compared part of either was too large to be held.
pub fn compare(rules: &[ColumnRule], source: &[Value], destination: &[Value]) -> Verdict {
    if rules.iter().any(|rule| rule.is_too_large(source, destination)) {
        return Verdict::TooLarge;
    }
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
