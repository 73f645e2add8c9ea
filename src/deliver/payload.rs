//! The body of a callback.

use serde_json::{Map, Value as Json};

use crate::config::{BodyForm, ValueForm};
use crate::model::{DeliveryKind, Value};

/// Largest integer that every JSON reader holds exactly.
const EXACT: i64 = 1 << 53;

/// One column that differs, for `"body": "diff"`.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// Name at the source.
    pub column: &'a str,
    /// The source's value.
    pub src: &'a Value,
    /// The copy's value.
    pub des: &'a Value,
}

/// Writes the body: `row` is the whole source row, names in catalogue order.
pub fn body<'a>(
    kind: DeliveryKind,
    row: impl Iterator<Item = (&'a str, &'a Value)>,
    changed: &[Changed<'_>],
    form: BodyForm,
    values: ValueForm,
) -> Box<[u8]> {
    let row: Map<String, Json> = row.map(|(name, value)| (name.to_owned(), json(value, values))).collect();
    let document = match form {
        BodyForm::Row => row,
        BodyForm::Full | BodyForm::Diff => {
            let mut document = Map::new();
            document.insert("type".to_owned(), Json::from(kind.number()));
            document.insert("srcColumn".to_owned(), Json::Object(row));
            if form == BodyForm::Diff {
                let list = changed.iter().map(|c| {
                    serde_json::json!({ "column": c.column, "src": json(c.src, values), "des": json(c.des, values) })
                });
                document.insert("changed".to_owned(), list.collect());
            }
            document
        }
    };
    serde_json::to_vec(&document).expect("maps of text to JSON values always serialise").into()
}

/// Writes the body about a row that only the copy has: `copy` is what is known of it, names as the destination has
/// them.
pub fn extra_body<'a>(copy: impl Iterator<Item = (&'a str, &'a Value)>, values: ValueForm) -> Box<[u8]> {
    let copy: Map<String, Json> = copy.map(|(name, value)| (name.to_owned(), json(value, values))).collect();
    let document = serde_json::json!({
        "type": DeliveryKind::Extra.number(), "srcColumn": Json::Null, "desColumn": copy,
    });
    serde_json::to_vec(&document).expect("maps of text to JSON values always serialise").into()
}

fn json(value: &Value, form: ValueForm) -> Json {
    if form == ValueForm::Json {
        match value {
            Value::Bool(b) => return Json::Bool(*b),
            Value::Int(n) if n.unsigned_abs() <= EXACT.unsigned_abs() => return Json::from(*n),
            // Through the text, so that 0.1 in single precision stays 0.1.
            Value::F32(_) | Value::F64(_) => {
                let text = value.to_text().unwrap_or_default();
                if let Some(number) = text.parse().ok().and_then(serde_json::Number::from_f64) {
                    return Json::Number(number);
                }
            }
            _ => {}
        }
    }
    value.to_text().map_or(Json::Null, |text| Json::String(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: DeliveryKind, form: BodyForm, values: ValueForm) -> String {
        let row = [
            ("id", Value::Int(7)),
            ("big", Value::UInt(u64::MAX)),
            ("name", Value::text("李雷 \"x\"")),
            ("rate", Value::F32(0.1)),
            ("on", Value::Bool(true)),
            ("blob", Value::Bytes(Box::new([255]))),
            ("none", Value::Null),
        ];
        let des = Value::text("old");
        let changed = [Changed { column: "name", src: &row[2].1, des: &des }];
        let bytes = body(kind, row.iter().map(|(n, v)| (*n, v)), &changed, form, values);
        String::from_utf8(bytes.into()).unwrap()
    }

    #[test]
    fn documented_form() {
        assert_eq!(
            text(DeliveryKind::Missing, BodyForm::Full, ValueForm::Text),
            r#"{"type":1,"srcColumn":{"id":"7","big":"18446744073709551615","name":"李雷 \"x\"","rate":"0.1","on":"t","blob":"/w==","none":null}}"#
        );
    }

    #[test]
    fn a_row_that_only_the_copy_has() {
        let (key, name) = (Value::Int(7), Value::text("李雷"));
        let text = |form| {
            let copy = [("no", &key), ("label", &name), ("no", &key)];
            String::from_utf8(extra_body(copy.into_iter(), form).into()).unwrap()
        };
        let wanted = r#"{"type":3,"srcColumn":null,"desColumn":{"no":"7","label":"李雷"}}"#;
        assert_eq!(text(ValueForm::Text), wanted);
        assert_eq!(text(ValueForm::Json), wanted.replace("\"7\"", "7"));
    }

    #[test]
    fn bare_row() {
        assert!(
            text(DeliveryKind::Differs, BodyForm::Row, ValueForm::Text).starts_with(r#"{"id":"7","big":"#)
        );
    }

    #[test]
    fn with_what_changed() {
        let text = text(DeliveryKind::Differs, BodyForm::Diff, ValueForm::Text);
        assert!(text.starts_with(r#"{"type":2,"#));
        assert!(
            text.ends_with(r#","changed":[{"column":"name","src":"李雷 \"x\"","des":"old"}]}"#),
            "{text}"
        );
    }

    #[test]
    fn typed_values_stay_exact() {
        assert_eq!(
            text(DeliveryKind::Missing, BodyForm::Row, ValueForm::Json),
            r#"{"id":7,"big":"18446744073709551615","name":"李雷 \"x\"","rate":0.1,"on":true,"blob":"/w==","none":null}"#
        );
    }
}
