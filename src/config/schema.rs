//! JSON Schema of the file, for editors; made from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Kind, REQUIRED, Scope, Status};
use crate::model::Topic;

/// The schema, JSON Schema draft 2020-12. Comments and trailing commas are beyond it, and so is what only the loader
/// can know (durations, data source names, names that must be defined).
pub fn schema() -> Value {
    let mut defs = Map::new();
    defs.insert(
        "reference".to_owned(),
        json!({
            "description": "A value from outside: ${NAME}, ${NAME:-default} or ${file:/path}.",
            "type": "string",
            "pattern": "\\$\\{[^}]+\\}",
        }),
    );
    for scope in Scope::ALL {
        if scope != Scope::Top {
            defs.insert(def_name(scope).to_owned(), object(scope));
        }
    }
    let mut root = Map::new();
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Configuration of cupid"));
    if let Value::Object(top) = object(Scope::Top) {
        root.extend(top);
    }
    root.insert("$defs".to_owned(), Value::Object(defs));
    Value::Object(root)
}

fn def_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Top => "file",
        Scope::Connection => "connection",
        Scope::Task => "task",
        Scope::Source => "source",
        Scope::Destination => "destination",
        Scope::Column => "column",
        Scope::Callback => "callback",
        Scope::Retry => "retry",
        Scope::Breaker => "breaker",
        Scope::Audit => "audit",
        Scope::Log => "log",
        Scope::Channel => "channel",
        Scope::Mail => "mail",
        Scope::Wecom => "wecom",
        Scope::Dingtalk => "dingtalk",
        Scope::Feishu => "feishu",
        Scope::Serverchan => "serverchan",
        Scope::Pushplus => "pushplus",
        Scope::Slack => "slack",
        Scope::Telegram => "telegram",
        Scope::Discord => "discord",
        Scope::Teams => "teams",
        Scope::Pagerduty => "pagerduty",
        Scope::Webhook => "webhook",
    }
}

fn object(scope: Scope) -> Value {
    let mut properties = Map::new();
    for key in keys::usable(scope) {
        properties.insert(key.name.to_owned(), property(key));
    }
    let required: Vec<&str> = keys::usable(scope)
        .filter(|key| key.default == REQUIRED && !is_alternative(scope, key.name))
        .map(|key| key.name)
        .collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let members = schema.as_object_mut().expect("json! made an object");
    if !required.is_empty() {
        members.insert("required".to_owned(), json!(required));
    }
    match scope {
        Scope::Top => {
            let forms = json!([{ "required": ["src", "des"] }, { "required": ["tasks"] }]);
            members.insert("oneOf".to_owned(), forms);
        }
        Scope::Source => {
            let forms = json!([{ "required": ["dsn"] }, { "required": ["use"] }]);
            members.insert("oneOf".to_owned(), forms);
        }
        Scope::Destination => {
            let of_a_copy = ["dsn", "use", "user", "password", "table", "byColumn", "columns"];
            let any: Vec<Value> = of_a_copy.iter().map(|key| json!({ "required": [key] })).collect();
            let copy = |place: &str| json!({ "required": [place, "table", "byColumn", "columns"] });
            // The last one is an event destination.
            let forms = json!([copy("dsn"), copy("use"), { "not": { "anyOf": any } }]);
            members.insert("oneOf".to_owned(), forms);
        }
        _ => {}
    }
    schema
}

/// Keys that are required only where another form is not used.
fn is_alternative(scope: Scope, name: &str) -> bool {
    scope == Scope::Top || (scope == Scope::Source && name == "dsn")
}

fn property(key: &Key) -> Value {
    let mut schema = kind(key.kind);
    let members = schema.as_object_mut().expect("every kind is an object");
    members.insert("description".to_owned(), json!(key.en));
    if let Ok(default) = serde_json::from_str::<Value>(key.default) {
        members.insert("default".to_owned(), default);
    }
    if matches!(key.status, Status::Unneeded(_)) {
        members.insert("deprecated".to_owned(), json!(true));
    }
    schema
}

fn kind(kind: Kind) -> Value {
    let reference = |scope: Scope| json!({ "$ref": format!("#/$defs/{}", def_name(scope)) });
    let outside = json!({ "$ref": "#/$defs/reference" });
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Switch => json!({ "anyOf": [{ "enum": ["on", "off", true, false] }, outside] }),
        // 0 stands for the default, and a low workerNumber is raised.
        Kind::Number { most, .. } => json!({ "type": "integer", "minimum": 0, "maximum": most }),
        Kind::DurationOrFalse => json!({ "anyOf": [{ "const": false }, { "type": "string" }] }),
        Kind::Word(words) => json!({ "anyOf": [{ "enum": words }, outside] }),
        Kind::Secrets => {
            let list = json!({ "type": "array", "minItems": 1, "items": { "type": "string" } });
            json!({ "anyOf": [{ "type": "string" }, list] })
        }
        Kind::Headers => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Networks => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Words(words) => json!({ "type": "array", "minItems": 1, "items": { "enum": words } }),
        Kind::Factor => json!({ "type": "number", "minimum": 1, "maximum": 100 }),
        Kind::Addresses => json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Events => {
            let words: Vec<&str> = Topic::words().collect();
            json!({ "type": "array", "items": { "enum": words } })
        }
        Kind::Short(scope) => json!({ "anyOf": [{ "type": "string" }, reference(scope)] }),
        Kind::Columns => {
            let entry = json!({ "anyOf": [{ "type": "string" }, reference(Scope::Column)] });
            json!({ "type": "object", "minProperties": 1, "additionalProperties": entry })
        }
        Kind::Column => json!({ "anyOf": [{ "type": "string" }, reference(Scope::Column)] }),
        Kind::Trim => json!({ "enum": [true, false, "end"] }),
        Kind::Tolerance => {
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "type": "string" }] })
        }
        Kind::Object(scope) => reference(scope),
        Kind::ObjectOrFalse(scope) => json!({ "anyOf": [{ "const": false }, reference(scope)] }),
        Kind::Map(scope) => json!({ "type": "object", "additionalProperties": reference(scope) }),
        Kind::List(scope) => json!({ "type": "array", "minItems": 1, "items": reference(scope) }),
        Kind::Text
        | Kind::Template
        | Kind::Name
        | Kind::Path
        | Kind::Duration
        | Kind::Pause
        | Kind::Then
        | Kind::Percent
        | Kind::Rate
        | Kind::Dsn
        | Kind::Url
        | Kind::Hook
        | Kind::Smtp
        | Kind::Address
        | Kind::Secret
        | Kind::Layout
        | Kind::Zone
        | Kind::Start
        | Kind::Use => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every object of a file names only keys that its part of the schema knows.
    fn covers(schema: &Value, root: &Value, file: &Value) {
        let schema = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(&reference[1..]).expect("a reference leads somewhere"),
            None => schema,
        };
        match file {
            Value::Object(members) => {
                for (name, value) in members {
                    let known = schema.pointer(&format!("/properties/{name}"));
                    let known =
                        known.or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()));
                    covers(known.unwrap_or_else(|| panic!("{name} is not in the schema")), root, value);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    covers(&schema["items"], root, element);
                }
            }
            _ => assert!(schema.is_object()),
        }
    }

    #[test]
    fn knows_every_key_of_the_example() {
        let text = include_str!("../../config.example.json");
        let parsed = super::super::load::parse_json(text).unwrap().unwrap();
        covers(&schema(), &schema(), &to_json(&parsed));
    }

    fn to_json(value: &jsonc_parser::ast::Value<'_>) -> Value {
        use jsonc_parser::ast::Value as Ast;
        match value {
            Ast::Object(object) => object
                .properties
                .iter()
                .map(|p| (p.name.as_str().to_owned(), to_json(&p.value)))
                .collect::<Map<_, _>>()
                .into(),
            Ast::Array(array) => array.elements.iter().map(to_json).collect::<Vec<_>>().into(),
            Ast::StringLit(text) => json!(text.value),
            _ => Value::Null,
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let text = schema.to_string();
        for (at, _) in text.match_indices("#/$defs/") {
            let name: String = text[at + 8..].chars().take_while(char::is_ascii_alphabetic).collect();
            assert!(schema["$defs"][&name].is_object(), "{name}");
        }
    }
}
