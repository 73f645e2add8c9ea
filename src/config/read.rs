//! Reads typed values out of the parsed file, by the table of keys, and collects every problem on the way.

use std::time::Duration;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged as _;

use super::env::Outside;
use super::explain::Outline;
use super::keys::Kind;
use super::nearest::nearest;
use super::problem::{Problem, Severity, Span, line_and_column};
use super::section::Section;
use super::{Tolerance, Trim, duration, secrets};
use crate::model::form;

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

    /// Whether there is an error so far.
    pub(crate) fn is_broken(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(crate) fn into_parts(self) -> (Vec<Problem>, Outline) {
        (self.problems, self.out)
    }

    /// The line a span begins on.
    pub(crate) fn line(&self, span: Span) -> usize {
        line_and_column(self.text, span.start).0
    }

    pub(crate) fn wrong(&mut self, kind: Kind, name: &str, node: &Value<'_>) {
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
            (Kind::Duration | Kind::Pause | Kind::DurationOrFalse, Value::NumberLit(number)) => {
                problem.help(format!("write it with a unit: \"{}s\"", number.value))
            }
            (Kind::List(_), Value::Object(_)) => problem.help("put brackets around it: [ { … } ]"),
            _ => problem,
        });
    }

    pub(crate) fn found(&mut self, kind: Kind, name: &str, node: &Value<'_>) -> Option<Found<String>> {
        let Value::StringLit(literal) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        let span = Span::from(literal.range);
        let shown = json(&secrets::masked(kind, &literal.value));
        match self.outside.substitute(&literal.value) {
            Err((message, help)) => {
                let Some(value) = self.outside.stand_in(kind, name, &literal.value) else {
                    self.report(Problem::error(span, message).help(help));
                    return None;
                };
                Some(Found { value, span, json: shown, outside: true })
            }
            Ok((value, outside)) => Some(Found { value, span, json: shown, outside }),
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

    /// `true`, `false` or `"end"`.
    pub(crate) fn trim(&mut self, section: &Section<'_>, name: &str) -> Option<Found<Trim>> {
        match &section.get(name)?.value {
            Value::BooleanLit(_) => self.boolean(section, name).map(|found| {
                let trim = if found.value { Trim::Both } else { Trim::None };
                found.with(trim)
            }),
            node => {
                let kind = section.kind(name);
                let found = self.found(kind, name, node)?;
                if found.value == "end" {
                    return Some(found.with(Trim::End));
                }
                self.report(Problem::error(found.span, format!("`{name}` must be {}", kind.expected())));
                None
            }
        }
    }

    /// A number, a percentage or a duration, above zero.
    pub(crate) fn tolerance(&mut self, section: &Section<'_>, name: &str) -> Option<Found<Tolerance>> {
        let kind = section.kind(name);
        let positive = |text: &str| {
            form::number(text).filter(|n| n.starts_with(|c: char| c.is_ascii_digit()) && n != "0")
        };
        let node = &section.get(name)?.value;
        let (found, read) = if let Value::NumberLit(literal) = node {
            let found = Found {
                value: literal.value.to_owned(),
                span: literal.range.into(),
                json: literal.value.to_owned(),
                outside: false,
            };
            let read = positive(literal.value).map(Tolerance::Absolute);
            (found, read)
        } else {
            let found = self.found(kind, name, node)?;
            let read = match found.value.strip_suffix('%') {
                Some(percent) => positive(percent.trim_end()).map(Tolerance::Percent),
                None => {
                    duration::parse(&found.value).ok().filter(|time| !time.is_zero()).map(Tolerance::Time)
                }
            };
            (found, read)
        };
        if read.is_none() {
            let problem = Problem::error(found.span, format!("`{name}` must be {}", kind.expected()));
            let is_number = !found.outside && positive(&found.value).is_some();
            self.report(if is_number { problem.help("remove the quotes") } else { problem });
        }
        read.map(|tolerance| found.with(tolerance))
    }

    /// A duration above zero, or from zero on where the table says so.
    pub(crate) fn duration(&mut self, section: &Section<'_>, name: &str) -> Option<Found<Duration>> {
        let kind = section.kind(name);
        let found = self.text(section, name)?;
        match duration::parse(&found.value) {
            Ok(value) if value.is_zero() && !matches!(kind, Kind::Pause) => {
                self.report(Problem::error(found.span, format!("`{name}` must be longer than nothing")));
                None
            }
            Ok(value) => Some(found.with(value)),
            Err(reason) => {
                let problem = Problem::error(found.span, format!("`{name}` must be {}", kind.expected()));
                // The reason quotes the value.
                self.report(if found.outside { problem } else { problem.label(reason) });
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
}

/// A text as JSON.
pub(crate) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
