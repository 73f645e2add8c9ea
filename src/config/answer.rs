//! What a receiver's answer must say, in CEL over the members of its JSON object: `code == "0"`.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::Rule;
use super::rule::RuleProblem;

/// A checked rule over answers. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerRule(Rule);

impl AnswerRule {
    /// Checks a rule as far as that can be done without an answer.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleProblem> {
        Rule::parse(text).map(Self)
    }

    /// The rule as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether an answer says that the message was taken.
    ///
    /// # Errors
    /// Why that cannot be told: it is no JSON object, or the rule cannot be worked out for what it holds.
    pub fn holds(&self, answer: &[u8]) -> Result<bool, String> {
        let members = match serde_json::from_slice(answer) {
            Ok(Json::Object(members)) => members,
            Ok(_) => return Err("it is JSON and no object".to_owned()),
            Err(_) if answer.is_empty() => return Err("it has no body".to_owned()),
            Err(_) => return Err("it is no JSON".to_owned()),
        };
        let value = |name: &String| members.get(name).map_or(cel::Value::Null, cel_value);
        self.0
            .holds_for(self.0.columns().iter().map(value))
            .ok_or_else(|| "the rule cannot be worked out for what it holds".to_owned())
    }
}

fn cel_value(json: &Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(truth) => cel::Value::Bool(*truth),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => cel::Value::Int(n),
            (None, Some(n)) => cel::Value::UInt(n),
            (None, None) => cel::Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => cel::Value::String(Arc::new(text.clone())),
        Json::Array(list) => cel::Value::List(Arc::new(list.iter().map(cel_value).collect())),
        Json::Object(members) => {
            let members: HashMap<String, cel::Value> =
                members.iter().map(|(name, value)| (name.clone(), cel_value(value))).collect();
            cel::Value::Map(members.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let cases = [
            (r#"code == "0""#, r#"{"code":"0","msg":"ok"}"#, Ok(true)),
            (r#"code == "0""#, r#"{"code":"7"}"#, Ok(false)),
            ("code == 0", r#"{"code":0}"#, Ok(true)),
            // Another type is another value: no guessing.
            ("code == 0", r#"{"code":"0"}"#, Ok(false)),
            ("code == 0", "{}", Ok(false)),
            ("ok", r#"{"ok":true}"#, Ok(true)),
            ("data.saved == 1", r#"{"data":{"saved":1}}"#, Ok(true)),
            ("size(errors) == 0", r#"{"errors":[]}"#, Ok(true)),
            ("code < 10", r#"{"code":"x"}"#, Err(())),
            ("code == 0", "fine", Err(())),
            ("code == 0", "", Err(())),
            ("code == 0", "[0]", Err(())),
        ];
        for (rule, answer, wanted) in cases {
            let got = AnswerRule::parse(rule).unwrap().holds(answer.as_bytes()).map_err(|_| ());
            assert_eq!(got, wanted, "{rule} for {answer}");
        }
    }
}
