//! JSON in one spelling: members sorted, no spaces, strings unescaped, numbers by their exact value.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::form;

/// Levels of arrays and objects that are taken apart. No document that means something is deeper, and each level costs
/// stack and a pass over what is below it.
const DEEPEST: usize = 128;

/// The canonical text of a JSON document, or `None` if it is none or too deep. Of members with the same name the last
/// counts, as it does for the databases' own binary forms.
pub(super) fn canonical(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    write(text, &mut out, DEEPEST)?;
    Some(out)
}

fn write(text: &str, out: &mut String, levels: usize) -> Option<()> {
    let below = levels.checked_sub(1)?;
    let text = text.trim_ascii();
    match text.as_bytes().first()? {
        b'{' => {
            let mut members = Members::read(text)?;
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for at in 0..members.len() {
                if members.get(at + 1).is_some_and(|next| next.0 == members[at].0) {
                    continue;
                }
                if !out.ends_with('{') {
                    out.push(',');
                }
                push_string(&members[at].0, out);
                out.push(':');
                write(members[at].1.get(), out, below)?;
            }
            out.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item.get(), out, below)?;
            }
            out.push(']');
        }
        b'"' => push_string(&serde_json::from_str::<String>(text).ok()?, out),
        b't' | b'f' | b'n' => out.push_str(serde_json::from_str::<&RawValue>(text).ok()?.get()),
        _ => out.push_str(&form::number(serde_json::from_str::<&RawValue>(text).ok()?.get())?),
    }
    Some(())
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string always serialises"));
}

/// The members of one object, in order, duplicates kept.
struct Members;

impl Members {
    fn read(text: &str) -> Option<Vec<(String, &RawValue)>> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Self).ok()?;
        reader.end().ok()?;
        Some(members)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn a_bottomless_document_is_compared_as_text() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(canonical(&deep), None);
        assert!(canonical(&("[".repeat(100) + &"]".repeat(100))).is_some());
    }

    #[test]
    fn one_spelling() {
        let same = [
            (r#"{"b":1,"a":[1, 2.50 ,{"x":null}]}"#, r#" { "a" : [1,2.5,{"x":null}], "b" : 1.0 } "#),
            (r#""\u00e9\n""#, "\"é\\n\""),
            ("12345678901234567890.10", "1.23456789012345678901e19"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            ("[]", "[ ]"),
            ("true", " true"),
            (r#"{"":{}}"#, r#"{"":{ }}"#),
        ];
        for (a, b) in same {
            assert_eq!(canonical(a), canonical(b), "{a} {b}");
            assert!(canonical(a).is_some(), "{a}");
        }
        let different = [
            ("1", "\"1\""),
            ("12345678901234567890", "12345678901234567891"),
            ("[1,2]", "[2,1]"),
            ("null", "\"null\""),
            (r#"{"a":null}"#, "{}"),
        ];
        for (a, b) in different {
            assert_ne!(canonical(a), canonical(b), "{a} {b}");
        }
        for text in ["", "{", "[1,]", "tru", "01", "{\"a\" 1}", "1 2", "nan"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
