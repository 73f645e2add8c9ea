//! What a receiver was told, by key, and whether that was right.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::receiver::Call;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Journal {
    /// By `number`, in the order of arrival.
    told: BTreeMap<String, Vec<Told>>,
    /// Calls in all.
    pub calls: usize,
}

#[derive(Clone, Debug)]
struct Told {
    id: String,
    delivery: String,
    revision: i64,
    kind: i64,
    row: Value,
    body: Vec<u8>,
}

impl Journal {
    pub fn of(calls: &[Call]) -> Self {
        let mut journal = Self { calls: calls.len(), ..Self::default() };
        for call in calls {
            let body = call.json();
            let row = if call.kind() == 3 { &body["desColumn"] } else { &body["srcColumn"] };
            let told = Told {
                id: call.id().to_owned(),
                delivery: call.header("cupid-delivery").to_owned(),
                revision: call.header("cupid-revision").parse().unwrap(),
                kind: call.kind(),
                row: row.clone(),
                body: call.body.clone(),
            };
            let key = row["number"].as_str().unwrap_or("NULL").to_owned();
            journal.told.entry(key).or_default().push(told);
        }
        journal
    }

    /// Types of the messages of a key.
    pub fn kinds(&self, key: &str) -> Vec<i64> {
        self.told.get(key).into_iter().flatten().map(|told| told.kind).collect()
    }

    /// A column in all messages of a key.
    pub fn all(&self, key: &str, column: &str) -> Vec<String> {
        let text = |told: &Told| told.row[column].as_str().unwrap_or("NULL").to_owned();
        self.told.get(key).into_iter().flatten().map(text).collect()
    }

    /// A column in the last message of a key.
    pub fn last(&self, key: &str, column: &str) -> Option<String> {
        self.told.get(key)?.last()?.row[column].as_str().map(str::to_owned)
    }

    pub fn keys(&self) -> Vec<&str> {
        self.told.keys().map(String::as_str).collect()
    }

    /// A key keeps its delivery; what comes again is the same message, byte for byte; what is new has a greater revision,
    /// and is not what was told right before.
    pub fn is_in_order(&self) {
        for (key, told) in &self.told {
            for pair in told.windows(2) {
                let (a, b) = (&pair[0], &pair[1]);
                assert_eq!(a.delivery, b.delivery, "{key}");
                if a.id == b.id {
                    assert_eq!(a.body, b.body, "{key}: the same id, other bytes");
                } else {
                    assert!(a.revision < b.revision, "{key}: an older version after a newer one: {told:#?}");
                    assert_ne!(a.body, b.body, "{key}: one version, told as two: {told:#?}");
                }
            }
        }
    }
}
