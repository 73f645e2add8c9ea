//! One row of a plan.

use serde_json::{Map, Value as Json, json};

use super::value;
use crate::diff::digest;
use crate::model::Value;
use crate::sql::catalog::Table;
use crate::sql::write::Act;

/// Columns of the copy with their values.
pub(super) type Fields = Vec<(usize, Value)>;

/// What is to be done to a row of the copy, in the copy's own values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) act: Act,
    /// What the row is found by.
    pub(crate) key: Fields,
    /// What it was when the plan was made; empty for a row that is not there.
    pub(crate) old: Fields,
    /// What is to be written, beside the key.
    pub(crate) new: Fields,
    /// What columns that nobody writes must become by themselves.
    pub(crate) follows: Fields,
}

/// The words of an entry, in the order in which they are written.
const PARTS: [&str; 4] = ["key", "old", "new", "follows"];

impl Entry {
    /// Bytes of its values.
    pub(crate) fn weight(&self) -> usize {
        self.parts().into_iter().flatten().map(|(_, value)| value.size()).sum()
    }

    /// A fingerprint of its values.
    pub(crate) fn digest(&self) -> [u8; 16] {
        let values = |fields: &Fields| fields.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>();
        let parts = self.parts().map(values);
        digest(&[&parts[0], &parts[1], &parts[2], &parts[3]])
    }

    fn parts(&self) -> [&Fields; 4] {
        [&self.key, &self.old, &self.new, &self.follows]
    }

    /// As one line of JSON; `None`: a value is too large to be written.
    pub(crate) fn encode(&self, table: &Table) -> Option<String> {
        let mut object = Map::new();
        object.insert("do".to_owned(), json!(self.act.as_str()));
        for (name, fields) in PARTS.into_iter().zip(self.parts()) {
            if fields.is_empty() {
                continue;
            }
            let mut part = Map::new();
            for (column, value) in fields {
                part.insert(table.columns[*column].name.to_string(), value::encode(value)?);
            }
            object.insert(name.to_owned(), Json::Object(part));
        }
        Some(Json::Object(object).to_string())
    }

    /// Reads what [`Entry::encode`] wrote.
    pub(crate) fn decode(table: &Table, line: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(line).map_err(|e| format!("this is no JSON: {e}"))?;
        let Json::Object(object) = json else { return Err("this is no JSON object".to_owned()) };
        let act = object.get("do").and_then(Json::as_str);
        let act = Act::ALL.into_iter().find(|known| Some(known.as_str()) == act);
        let act = act.ok_or("\"do\" is insert, update or delete")?;
        if let Some(other) = object.keys().find(|name| *name != "do" && !PARTS.contains(&&***name)) {
            return Err(format!("{other:?} is not known"));
        }
        let fields = |name: &str| -> Result<Fields, String> {
            let Some(part) = object.get(name) else { return Ok(Fields::new()) };
            let part = part.as_object().ok_or_else(|| format!("{name:?} is no object"))?;
            let mut fields = Fields::with_capacity(part.len());
            for (column, json) in part {
                let at = table.columns.iter().position(|known| known.name.as_ref() == column);
                let at = at.ok_or_else(|| format!("the table has no column {column:?}"))?;
                let value =
                    value::decode(json).ok_or_else(|| format!("{column:?} has no value that can be read"))?;
                fields.push((at, value));
            }
            Ok(fields)
        };
        let [key, old, new, follows] = PARTS.map(fields);
        let entry = Self { act, key: key?, old: old?, new: new?, follows: follows? };
        if entry.key.is_empty() {
            return Err("it names no key".to_owned());
        }
        if act == Act::Update && entry.new.is_empty() {
            return Err("it changes nothing".to_owned());
        }
        Ok(entry)
    }

    /// Names and values of the key, for people.
    pub(crate) fn key_text(&self, table: &Table) -> Vec<(Box<str>, Option<String>)> {
        let text = |value: &Value| value.to_text().map(std::borrow::Cow::into_owned);
        self.key.iter().map(|(column, value)| (table.columns[*column].name.clone(), text(value))).collect()
    }
}
