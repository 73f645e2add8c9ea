//! Objects of the file: their keys are checked against the table before anybody reads a value.

use std::collections::HashMap;

use jsonc_parser::ast::{Object, ObjectProp, ObjectPropName, Value};

use super::keys::{self, Kind, REQUIRED, Scope, Status, TO_COMPARE};
use super::nearest::nearest;
use super::problem::{Problem, Span};
use super::read::{Found, Reader};

/// An object of the file whose keys have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) scope: Scope,
    object: &'a Object<'a>,
    /// What to point at when a key is missing.
    pub(crate) at: Span,
}

impl<'a> Section<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a ObjectProp<'a>> {
        debug_assert!(keys::find(self.scope, name).is_some(), "{name} is not in the table of keys");
        self.object.get(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the key holds an object or a list with nothing in it.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        match self.get(name).map(|property| &property.value) {
            Some(Value::Object(object)) => object.properties.is_empty(),
            Some(Value::Array(array)) => array.elements.is_empty(),
            _ => false,
        }
    }

    /// The key's own bytes, if it is there.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.get(name).map(name_span)
    }

    pub(crate) fn kind(&self, name: &str) -> Kind {
        keys::find(self.scope, name).map_or(Kind::Text, |key| key.kind)
    }
}

fn name_span(property: &ObjectProp<'_>) -> Span {
    match &property.name {
        ObjectPropName::String(literal) => literal.range.into(),
        ObjectPropName::Word(literal) => literal.range.into(),
    }
}

impl Reader<'_> {
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
            Some(REQUIRED | TO_COMPARE) => format!("add `\"{name}\": …`, {}", kind.expected()),
            _ => format!("add `\"{name}\"`"),
        };
        self.report(Problem::error(section.at, message).help(help));
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

    /// The object of a key as a section, or `None` for `false`.
    pub(crate) fn below_or_false<'a>(
        &mut self,
        section: &Section<'a>,
        name: &str,
    ) -> Option<Option<Section<'a>>> {
        let kind = section.kind(name);
        let Kind::ObjectOrFalse(scope) = kind else { unreachable!("{name} may be false in the table") };
        let property = section.get(name)?;
        match &property.value {
            Value::Object(object) => Some(Some(self.section(scope, object, name_span(property)))),
            Value::BooleanLit(literal) if !literal.value => Some(None),
            node => {
                self.wrong(kind, name, node);
                None
            }
        }
    }

    /// The object of a key, or the text that stands in place of its first key.
    pub(crate) fn short<'a>(&mut self, section: &Section<'a>, name: &str) -> Option<Short<'a>> {
        let kind = section.kind(name);
        let Kind::Short(scope) = kind else { unreachable!("{name} may be short in the table") };
        let property = section.get(name)?;
        match &property.value {
            Value::Object(object) => Some(Short::Section(self.section(scope, object, name_span(property)))),
            node => {
                let found = self.found(kind, name, node)?;
                if found.value.trim().is_empty() {
                    self.report(Problem::error(found.span, format!("`{name}` is empty")));
                    return None;
                }
                Some(Short::Text(found))
            }
        }
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

    /// A text, or a list of them.
    pub(crate) fn one_or_more(&mut self, section: &Section<'_>, name: &str) -> Option<Vec<Found<String>>> {
        match &section.get(name)?.value {
            Value::Array(_) => self.texts(section, name),
            node => self.found(section.kind(name), name, node).map(|found| vec![found]),
        }
    }

    /// The entries of a key that maps names onto texts, each with the span of its name.
    pub(crate) fn named_texts<'a>(
        &mut self,
        section: &Section<'a>,
        name: &str,
    ) -> Option<Vec<(&'a str, Span, Found<String>)>> {
        let kind = section.kind(name);
        let (object, _) = self.object(section, name)?;
        self.no_duplicates(object);
        let mut texts = Vec::new();
        for property in &object.properties {
            let (name, at) = (property.name.as_str(), name_span(property));
            texts.push((name, at, self.found(kind, name, &property.value)?));
        }
        Some(texts)
    }

    /// The entries of `columns`, each with the span of its name.
    pub(crate) fn columns<'a>(
        &mut self,
        section: &Section<'a>,
        name: &str,
    ) -> Vec<(&'a str, Span, Entry<'a>)> {
        let Some((object, _)) = self.object(section, name) else { return Vec::new() };
        self.no_duplicates(object);
        let mut entries = Vec::new();
        for property in &object.properties {
            let (name, at) = (property.name.as_str(), name_span(property));
            match &property.value {
                Value::Object(entry) => {
                    entries.push((name, at, Entry::Section(self.section(Scope::Column, entry, at))));
                }
                Value::StringLit(_) => {
                    let found = self.found(Kind::Text, name, &property.value);
                    entries.extend(found.map(|found| (name, at, Entry::Name(found))));
                }
                node => self.wrong(Kind::Column, name, node),
            }
        }
        entries
    }
}

/// What stands behind a key that may be short.
pub(crate) enum Short<'a> {
    /// In place of the first key.
    Text(Found<String>),
    /// All keys.
    Section(Section<'a>),
}

/// What stands behind the name of a source column.
pub(crate) enum Entry<'a> {
    /// The destination column.
    Name(Found<String>),
    /// The destination column and what is let pass.
    Section(Section<'a>),
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
        let alike = keys::all().filter(|other| other.name == name && other.en == key.en);
        let places: Vec<&str> = alike.flat_map(|key| key.scopes).map(|scope| scope.place()).collect();
        return format!("`{name}` belongs under {}", places.join(" or "));
    }
    let known: Vec<&str> = keys::usable(scope).map(|key| key.name).collect();
    format!("known here: {}", known.join(", "))
}
