//! Reads typed values out of the parsed file, by the table of keys, and collects every problem on the way.

use std::collections::HashMap;
use std::time::Duration;

use jsonc_parser::ast::{Object, ObjectProp, ObjectPropName, Value};
use jsonc_parser::common::Ranged as _;

use super::env::Outside;
use super::explain::Outline;
use super::keys::{self, Kind, REQUIRED, Scope, Status};
use super::nearest::nearest;
use super::problem::{Problem, Span, line_and_column};
use super::{duration, secrets};

/// An object of the file whose keys have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) scope: Scope,
    object: &'a Object<'a>,
    /// What to point at when a key is missing.
    pub(crate) at: Span,
}

/// A value as found.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    /// As it goes into an explanation: JSON, references kept, secrets masked.
    pub(crate) json: String,
    /// Whether a part came from the environment or a file, and so must not be quoted.
    pub(crate) outside: bool,
}

impl<T> Found<T> {
    pub(crate) fn with<U>(self, value: U) -> Found<U> {
        Found { value, span: self.span, json: self.json, outside: self.outside }
    }

    /// The value in a message.
    pub(crate) fn quoted(&self) -> &str {
        if self.outside { "the value" } else { &self.json }
    }
}

/// Collects problems and the explanation while the file is walked.
pub(crate) struct Reader<'e> {
    pub(crate) text: &'e str,
    pub(crate) outside: Outside<'e>,
    pub(crate) out: Outline,
    problems: Vec<Problem>,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(text: &'e str, outside: Outside<'e>) -> Self {
        Self { text, outside, out: Outline::default(), problems: Vec::new() }
    }

    /// Notes a problem, once.
    pub(crate) fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<Problem>, Outline) {
        (self.problems, self.out)
    }

    /// The line a span begins on.
    pub(crate) fn line(&self, span: Span) -> usize {
        line_and_column(self.text, span.start).0
    }

    /// Takes an object as a section and checks its keys.
    pub(crate) fn section<'a>(&mut self, scope: Scope, object: &'a Object<'a>, at: Span) -> Section<'a> {
        self.no_duplicates(object);
        for property in &object.properties {
            self.known(scope, property);
        }
        Section { scope, object, at }
    }

    fn known(&mut self, scope: Scope, property: &ObjectProp<'_>) {
        let name = property.name.as_str();
        let span = name_span(property);
        let Some(key) = keys::find(scope, name) else {
            let problem = Problem::error(span, format!("unknown key `{name}` in {}", scope.place()));
            self.report(problem.help(unknown_help(scope, name)));
            return;
        };
        match key.status {
            Status::Active => {}
            Status::Unneeded(why) => {
                self.report(Problem::note(span, format!("`{name}` is not needed: {why}")));
            }
            Status::Later => {
                let problem = Problem::error(span, format!("`{name}` is not available in this version"));
                self.report(problem.help(match usable_elsewhere(name) {
                    Some(place) => format!("in this version it can stand in {place}"),
                    None => "remove it".to_owned(),
                }));
            }
        }
    }

    /// Every key once; also for objects whose keys are free.
    pub(crate) fn no_duplicates(&mut self, object: &Object<'_>) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for property in &object.properties {
            let span = name_span(property);
            if let Some(first) = seen.insert(property.name.as_str(), span) {
                let problem = Problem::error(span, format!("`{}` is given twice", property.name.as_str()));
                self.report(problem.label("again here").other(first, "first here").help("keep one of them"));
            }
        }
    }

    fn wrong(&mut self, kind: Kind, name: &str, node: &Value<'_>) {
        let span = Span::from(node.range());
        let found = match node {
            Value::StringLit(_) => "a text",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "true or false",
            Value::Object(_) => "an object",
            Value::Array(_) => "a list",
            Value::NullKeyword(_) => "null",
        };
        let span = match node {
            Value::Object(_) | Value::Array(_) => Span { start: span.start, end: span.start + 1 },
            _ => span,
        };
        let problem = Problem::error(span, format!("`{name}` must be {}", kind.expected()));
        let problem = problem.label(format!("this is {found}"));
        self.report(match (kind, node) {
            (_, Value::NullKeyword(_)) => problem.help("leave the key out to get the default"),
            (Kind::Number { .. } | Kind::Bool, Value::StringLit(_)) => problem.help("remove the quotes"),
            (Kind::Duration | Kind::DurationOrFalse, Value::NumberLit(number)) => {
                problem.help(format!("write it with a unit: \"{}s\"", number.value))
            }
            (Kind::List(_), Value::Object(_)) => problem.help("put brackets around it: [ { … } ]"),
            _ => problem,
        });
    }

    fn found(&mut self, kind: Kind, name: &str, node: &Value<'_>) -> Option<Found<String>> {
        let Value::StringLit(literal) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        let span = Span::from(literal.range);
        match self.outside.substitute(&literal.value) {
            Err((message, help)) => {
                self.report(Problem::error(span, message).help(help));
                None
            }
            Ok((value, outside)) => {
                let shown = secrets::masked(kind, &literal.value);
                Some(Found { value, span, json: json(&shown), outside })
            }
        }
    }

    /// The text of a key, whatever kind of text it is. An empty one counts as not given.
    pub(crate) fn text(&mut self, section: &Section<'_>, name: &str) -> Option<Found<String>> {
        let node = &section.get(name)?.value;
        let found = self.found(section.kind(name), name, node)?;
        (!found.value.is_empty()).then_some(found)
    }

    /// The text of a key that must be there.
    pub(crate) fn required(&mut self, section: &Section<'_>, name: &str) -> Option<Found<String>> {
        match section.get(name) {
            None => {
                self.missing(section, name);
                None
            }
            Some(property) => {
                let found = self.found(section.kind(name), name, &property.value)?;
                if found.value.trim().is_empty() {
                    self.report(Problem::error(found.span, format!("`{name}` is empty")));
                    return None;
                }
                Some(found)
            }
        }
    }

    pub(crate) fn missing(&mut self, section: &Section<'_>, name: &str) {
        let kind = section.kind(name);
        // A mistyped key has been reported already, and its help names this one.
        let mut unknown = section.object.properties.iter().map(|property| property.name.as_str());
        if unknown.any(|other| {
            keys::find(section.scope, other).is_none() && meant(section.scope, other) == Some(name)
        }) {
            return;
        }
        let message = format!("`{name}` is missing in {}", section.scope.place());
        let help = match keys::find(section.scope, name).map(|key| key.default) {
            Some(REQUIRED) => format!("add `\"{name}\": …`, {}", kind.expected()),
            _ => format!("add `\"{name}\"`"),
        };
        self.report(Problem::error(section.at, message).help(help));
    }

    /// A whole number within the bounds of the table; 0 below them means the default, as cupid-go had it.
    pub(crate) fn number(&mut self, section: &Section<'_>, name: &str) -> Option<Found<u64>> {
        let node = &section.get(name)?.value;
        let kind = section.kind(name);
        let Kind::Number { least, most } = kind else { unreachable!("{name} is a number in the table") };
        let Value::NumberLit(literal) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        let span = Span::from(literal.range);
        match literal.value.parse::<u64>() {
            Ok(0) if least > 0 && name != "workerNumber" => {
                self.report(Problem::note(span, format!("`{name}` is 0: the default is used")));
                None
            }
            Ok(value) if (value >= least || name == "workerNumber") && value <= most => {
                Some(Found { value, span, json: value.to_string(), outside: false })
            }
            _ => {
                let problem = Problem::error(span, format!("`{name}` must be {}", kind.expected()));
                self.report(problem);
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, section: &Section<'_>, name: &str) -> Option<Found<bool>> {
        let node = &section.get(name)?.value;
        let Value::BooleanLit(literal) = node else {
            self.wrong(section.kind(name), name, node);
            return None;
        };
        let (value, span) = (literal.value, Span::from(literal.range));
        Some(Found { value, span, json: value.to_string(), outside: false })
    }

    /// `"on"`, `"off"`, true or false.
    pub(crate) fn switch(&mut self, section: &Section<'_>, name: &str) -> Option<Found<bool>> {
        let node = &section.get(name)?.value;
        if let Value::BooleanLit(literal) = node {
            let span = Span::from(literal.range);
            return Some(Found {
                value: literal.value,
                span,
                json: literal.value.to_string(),
                outside: false,
            });
        }
        let kind = section.kind(name);
        let found = self.found(kind, name, node)?;
        match found.value.as_str() {
            "on" => Some(found.with(true)),
            "off" => Some(found.with(false)),
            _ => {
                let problem = Problem::error(found.span, format!("`{name}` must be {}", kind.expected()));
                self.report(problem);
                None
            }
        }
    }

    /// One of the words of the table.
    pub(crate) fn word(&mut self, section: &Section<'_>, name: &str) -> Option<Found<&'static str>> {
        let kind = section.kind(name);
        let Kind::Word(words) = kind else { unreachable!("{name} is a word in the table") };
        let found = self.text(section, name)?;
        if let Some(word) = words.iter().find(|word| **word == found.value) {
            return Some(found.with(*word));
        }
        let problem = Problem::error(found.span, format!("`{name}` must be {}", kind.expected()));
        self.report(match nearest(&found.value, words.iter().copied()) {
            Some(word) => problem.help(format!("did you mean \"{word}\"?")),
            None => problem,
        });
        None
    }

    /// A duration above zero.
    pub(crate) fn duration(&mut self, section: &Section<'_>, name: &str) -> Option<Found<Duration>> {
        let kind = section.kind(name);
        let found = self.text(section, name)?;
        match duration::parse(&found.value) {
            Ok(value) if value.is_zero() => {
                self.report(Problem::error(found.span, format!("`{name}` must be longer than nothing")));
                None
            }
            Ok(value) => Some(found.with(value)),
            Err(reason) => {
                let problem = Problem::error(found.span, format!("`{name}` must be {}", kind.expected()));
                self.report(problem.label(reason));
                None
            }
        }
    }

    /// A duration, or `None` for `false`.
    pub(crate) fn duration_or_false(
        &mut self,
        section: &Section<'_>,
        name: &str,
    ) -> Option<Found<Option<Duration>>> {
        let property = section.get(name)?;
        match &property.value {
            Value::BooleanLit(literal) if !literal.value => Some(Found {
                value: None,
                span: literal.range.into(),
                json: "false".to_owned(),
                outside: false,
            }),
            Value::StringLit(_) => self.duration(section, name).map(|found| {
                let value = Some(found.value);
                found.with(value)
            }),
            node => {
                self.wrong(section.kind(name), name, node);
                None
            }
        }
    }

    /// The object of a key.
    pub(crate) fn object<'a>(&mut self, section: &Section<'a>, name: &str) -> Option<(&'a Object<'a>, Span)> {
        let property = section.get(name)?;
        match &property.value {
            Value::Object(object) => Some((object, name_span(property))),
            node => {
                self.wrong(section.kind(name), name, node);
                None
            }
        }
    }

    /// The object of a key as a section.
    pub(crate) fn below<'a>(&mut self, section: &Section<'a>, name: &str) -> Option<Section<'a>> {
        let Kind::Object(scope) = section.kind(name) else {
            unreachable!("{name} is an object in the table")
        };
        let (object, at) = self.object(section, name)?;
        Some(self.section(scope, object, at))
    }

    /// The entries of a key that maps names onto sections.
    pub(crate) fn entries<'a>(
        &mut self,
        section: &Section<'a>,
        name: &str,
    ) -> Vec<(&'a str, Span, Section<'a>)> {
        let Kind::Map(scope) = section.kind(name) else { unreachable!("{name} is a map in the table") };
        let Some((object, _)) = self.object(section, name) else { return Vec::new() };
        self.no_duplicates(object);
        let mut entries = Vec::new();
        for property in &object.properties {
            match &property.value {
                Value::Object(entry) => {
                    let at = name_span(property);
                    entries.push((property.name.as_str(), at, self.section(scope, entry, at)));
                }
                node => self.wrong(Kind::Object(scope), property.name.as_str(), node),
            }
        }
        entries
    }

    /// The entries of a key that lists sections.
    pub(crate) fn list<'a>(&mut self, section: &Section<'a>, name: &str) -> Option<Vec<Section<'a>>> {
        let kind = section.kind(name);
        let Kind::List(scope) = kind else { unreachable!("{name} is a list in the table") };
        let node = &section.get(name)?.value;
        let Value::Array(array) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        let mut entries = Vec::new();
        for element in &array.elements {
            match element {
                Value::Object(object) => {
                    let at = Span { start: object.range.start, end: object.range.start + 1 };
                    entries.push(self.section(scope, object, at));
                }
                node => self.wrong(Kind::Object(scope), name, node),
            }
        }
        Some(entries)
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, section: &Section<'_>, name: &str) -> Option<Vec<Found<String>>> {
        let kind = section.kind(name);
        let node = &section.get(name)?.value;
        let Value::Array(array) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        Some(array.elements.iter().filter_map(|element| self.found(kind, name, element)).collect())
    }

    /// The text pairs of an object with free keys, with the spans of both.
    pub(crate) fn pairs<'a>(
        &mut self,
        section: &Section<'a>,
        name: &str,
    ) -> Vec<(&'a str, Span, Found<String>)> {
        let Some((object, _)) = self.object(section, name) else { return Vec::new() };
        self.no_duplicates(object);
        let mut pairs = Vec::new();
        for property in &object.properties {
            if let Some(found) = self.found(Kind::Text, property.name.as_str(), &property.value) {
                pairs.push((property.name.as_str(), name_span(property), found));
            }
        }
        pairs
    }
}

impl<'a> Section<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a ObjectProp<'a>> {
        debug_assert!(keys::find(self.scope, name).is_some(), "{name} is not in the table of keys");
        self.object.get(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The key's own bytes, if it is there.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.get(name).map(name_span)
    }

    fn kind(&self, name: &str) -> Kind {
        keys::find(self.scope, name).map_or(Kind::Text, |key| key.kind)
    }
}

fn name_span(property: &ObjectProp<'_>) -> Span {
    match &property.name {
        ObjectPropName::String(literal) => literal.range.into(),
        ObjectPropName::Word(literal) => literal.range.into(),
    }
}

/// A text as JSON.
pub(crate) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn usable_elsewhere(name: &str) -> Option<&'static str> {
    keys::all().find(|key| key.name == name && key.status != Status::Later).map(|key| key.scopes[0].place())
}

/// The key of a scope that a mistyped one was meant to be.
fn meant(scope: Scope, name: &str) -> Option<&'static str> {
    let here = || keys::usable(scope).map(|key| key.name);
    here()
        .find(|known| known.eq_ignore_ascii_case(name))
        .or_else(|| if keys::find_anywhere(name).is_some() { None } else { nearest(name, here()) })
}

fn unknown_help(scope: Scope, name: &str) -> String {
    if let Some(known) = meant(scope, name) {
        return format!("did you mean `{known}`?");
    }
    if let Some(key) = keys::all().find(|key| key.name == name) {
        let places: Vec<&str> = key.scopes.iter().map(|scope| scope.place()).collect();
        return format!("`{name}` belongs under {}", places.join(" or "));
    }
    let known: Vec<&str> = keys::usable(scope).map(|key| key.name).collect();
    format!("known here: {}", known.join(", "))
}
