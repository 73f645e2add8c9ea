//! The rows that carry one key, where it should be one (DESIGN section 4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Value;

/// Rows that are shown of each side.
const MOST: usize = 20;
/// Characters that are shown of a value.
const LONGEST: usize = 200;

/// What was seen of a key that several rows carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Rows of the source: their integer keys, and the key.
    pub source: Listed,
    /// Rows of the copy: the key, and what is compared.
    pub copy: Listed,
}

/// Rows of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// How many there were.
    pub count: usize,
    /// The first of them: column to text, shortened; `None` is NULL.
    pub rows: Vec<BTreeMap<String, Option<String>>>,
}

impl Listed {
    /// Takes in all rows and shows the first twenty.
    pub fn new<'a, R>(rows: impl ExactSizeIterator<Item = R>) -> Self
    where
        R: IntoIterator<Item = (&'a str, &'a Value)>,
    {
        let count = rows.len();
        let shown = rows.take(MOST).map(|row| {
            let columns = row.into_iter();
            columns.map(|(name, value)| (name.to_owned(), value.to_text().map(|text| short(&text)))).collect()
        });
        Self { count, rows: shown.collect() }
    }
}

/// One compared column in which a copy disagreed when it was called back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name at the source.
    pub column: String,
    /// What the source had, shortened; `None` is NULL.
    pub src: Option<String>,
    /// What the copy had, shortened; `None` is NULL.
    pub des: Option<String>,
}

impl Difference {
    /// Columns that are shown.
    pub const MOST: usize = MOST;

    /// Of two values.
    pub fn new(column: &str, src: &Value, des: &Value) -> Self {
        let text = |value: &Value| value.to_text().map(|text| short(&text));
        Self { column: column.to_owned(), src: text(src), des: text(des) }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded_and_the_count_is_not() {
        let values: Vec<Value> = (0..50).map(|n| Value::text(format!("{n}{}", "ü".repeat(300)))).collect();
        let listed = Listed::new(values.iter().map(|value| [("a", value), ("b", &Value::Null)]));
        assert_eq!((listed.count, listed.rows.len()), (50, 20));
        let text = listed.rows[3]["a"].as_deref().unwrap();
        assert!(text.starts_with("3ü") && text.chars().count() == 201, "{text}");
        assert_eq!(listed.rows[3]["b"], None);
    }
}
