//! A few hundred rows that were seen to agree, spread evenly over all that were: what is asked when very many rows seem
//! to be lost at once.

use std::collections::BTreeMap;

use crate::model::{Key, RowId};

/// Rows kept.
const MOST: usize = 200;

/// Keeps the rows whose keys have the smallest hashes: a fair choice among all keys ever seen, however often and in
/// whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    rows: BTreeMap<u64, RowId>,
}

impl Agreed {
    /// A row agrees. Returns whether it is one of those kept, and was not before.
    pub fn see(&mut self, key: &Key, row: RowId) -> bool {
        let hash = xxhash_rust::xxh3::xxh3_64(key.as_bytes());
        let full = self.rows.len() >= MOST;
        if full && self.rows.last_key_value().is_some_and(|(largest, _)| hash > *largest) {
            return false;
        }
        if self.rows.insert(hash, row) == Some(row) {
            return false;
        }
        if self.rows.len() > MOST {
            self.rows.pop_last();
        }
        true
    }

    /// How many keys were ever seen to agree, as far as those kept tell: exact as long as all are, else within a tenth.
    pub fn seen(&self) -> usize {
        match self.rows.last_key_value() {
            Some((largest, _)) if self.rows.len() >= MOST => {
                let share = (*largest as f64 / u64::MAX as f64).max(f64::MIN_POSITIVE);
                ((MOST - 1) as f64 / share) as usize
            }
            _ => self.rows.len(),
        }
    }

    /// These rows are no longer there. Returns whether any of them was kept.
    pub fn lose(&mut self, gone: &[RowId]) -> bool {
        let before = self.rows.len();
        self.rows.retain(|_, row| !gone.contains(row));
        self.rows.len() < before
    }

    /// The rows kept.
    pub fn rows(&self) -> Vec<RowId> {
        self.rows.values().copied().collect()
    }

    /// As it is kept: `hash:row` in hexadecimal and decimal, separated by blanks.
    pub fn text(&self) -> String {
        let pairs: Vec<String> = self.rows.iter().map(|(hash, row)| format!("{hash:x}:{row}")).collect();
        pairs.join(" ")
    }

    /// The inverse of [`Agreed::text`]; what cannot be read is left out.
    pub fn read(text: &str) -> Self {
        let pair = |pair: &str| {
            let (hash, row) = pair.split_once(':')?;
            Some((u64::from_str_radix(hash, 16).ok()?, RowId(row.parse().ok()?)))
        };
        Self { rows: text.split_whitespace().filter_map(pair).take(MOST).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ids: impl Iterator<Item = i128>) -> Agreed {
        let mut agreed = Agreed::default();
        for id in ids {
            agreed.see(&Key::new(id.to_be_bytes()), RowId(id));
        }
        agreed
    }

    #[test]
    fn the_choice_is_fair_and_does_not_depend_on_the_order() {
        let all = seen(0..100_000);
        assert_eq!(all.rows().len(), MOST);
        assert_eq!(all, seen((0..100_000).rev()));
        assert_eq!(all, seen((0..100_000).chain(0..50)));
        let low = all.rows().iter().filter(|row| row.0 < 50_000).count();
        assert!((70..130).contains(&low), "{low}");
    }

    #[test]
    fn it_is_known_about_how_many_were_seen() {
        for count in [0, 7, 199, 200, 1000, 20_000, 300_000] {
            let told = seen(0..count).seen() as f64;
            let off = (told - count as f64).abs();
            assert!(off <= if count < 200 { 0.0 } else { count as f64 * 0.2 }, "{told} of {count}");
        }
        let mut some = seen(0..1000);
        let rows = some.rows();
        assert!(some.lose(&rows[..50]) && !some.lose(&rows[..50]));
        assert_eq!(some.rows().len(), 150, "as many as are known for certain");
        assert_eq!(some.seen(), 150);
    }

    #[test]
    fn only_news_is_news() {
        let mut agreed = Agreed::default();
        let key = Key::new([1]);
        assert!(agreed.see(&key, RowId(1)));
        assert!(!agreed.see(&key, RowId(1)));
        assert!(agreed.see(&key, RowId(2)), "the key is another row now");
    }

    #[test]
    fn it_survives_being_kept() {
        let some = seen(-5..300);
        assert_eq!(Agreed::read(&some.text()), some);
        assert_eq!(Agreed::read("x 1:y :: 5"), Agreed::default());
    }
}
