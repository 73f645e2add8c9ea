//! Bodies of webhooks: minijinja templates that give JSON. Whatever stands in `{{ }}` is written as a JSON value, so no
//! name and no number can break out of its place.

use std::fmt;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

/// Longest template, in bytes.
const LONGEST: usize = 16 * 1024;
/// Steps that rendering may take; a few hundred are usual.
const FUEL: u64 = 100_000;
const NAME: &str = "template";

/// A checked template. Cheap to clone.
#[derive(Clone)]
pub struct Template(Arc<Environment<'static>>);

impl Template {
    /// Checks a template: it must render with every variable there is, and give JSON.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes, at most {LONGEST} are taken", text.len()));
        }
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned(NAME, text.to_owned()).map_err(|e| said(&e))?;
        let template = Self(Arc::new(environment));
        for sample in samples() {
            template.render(&sample)?;
        }
        Ok(template)
    }

    /// The body.
    ///
    /// # Errors
    /// If rendering fails or gives no JSON.
    pub fn render(&self, variables: &Value) -> Result<String, String> {
        let text = self
            .0
            .get_template(NAME)
            .and_then(|t| t.render(minijinja::Value::from(minijinja::value::Serde(variables))))
            .map_err(|e| said(&e))?;
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(e) => Err(format!("what it gives is not JSON: {e}")),
        }
    }
}

fn said(e: &minijinja::Error) -> String {
    let what = e.detail().map_or_else(|| e.kind().to_string(), |detail| format!("{}: {detail}", e.kind()));
    let what = match e.kind() {
        minijinja::ErrorKind::UndefinedError => {
            let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
            format!("{what}; known are {}", known.join(", "))
        }
        _ => what,
    };
    e.line().map_or_else(|| what.clone(), |line| format!("{what} (line {line} of the template)"))
}

/// Every variable of a template, with an example.
pub(crate) const VARIABLES: [(&str, &str); 16] = [
    ("title", "\"[cupid] users → crm: callbacks fail\""),
    ("text", "\"…\""),
    ("event", "\"failing\""),
    ("severity", "\"warning\""),
    ("recovered", "false"),
    ("task", "\"users\""),
    ("destination", "\"crm\""),
    ("since", "\"2026-01-31T08:00:00Z\""),
    ("until", "null"),
    ("count", "7"),
    ("waiting", "7"),
    ("oldest", "\"2026-01-31T07:58:00Z\""),
    ("error", "\"http_5xx\""),
    ("command", "\"cupid status -c config.json\""),
    ("key", "\"cupid/shop/failing/users/crm\""),
    ("instance", "\"shop @ db1\""),
];

/// One event that says everything and one that says little.
fn samples() -> [Value; 2] {
    let full: Value = VARIABLES
        .iter()
        .map(|(name, example)| ((*name).to_owned(), serde_json::from_str(example).unwrap_or_default()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut bare = full.clone();
    for name in ["task", "destination", "waiting", "oldest", "error"] {
        bare[name] = Value::Null;
    }
    bare["until"] = json!("2026-01-31T09:00:00Z");
    [full, bare]
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_their_place() {
        let template = Template::parse(r#"{"msg": {{ title }}, "n": {{ count }}, "t": {{ task }}}"#).unwrap();
        let said = json!({ "title": "a\"}, \"x\": {{ 1 }}\n", "count": 3, "task": null });
        let text = template.render(&said).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, json!({ "msg": said["title"], "n": 3, "t": null }));
    }

    #[test]
    fn mistakes_are_found_at_once() {
        for (text, word) in [
            ("{ {{ titel }} }", "known are title"),
            ("{{ title", "line 1"),
            ("{% for x in y %}", "line 1"),
            ("title: {{ title }}", "not JSON"),
            (r#"{"a": "{{ title }}"}"#, "not JSON"),
            ("{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}1", "fuel"),
        ] {
            let said = Template::parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}
