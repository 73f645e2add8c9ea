//! Values of the file that are numbers in other than whole ones, and lists of words.

use std::time::Duration;

use jsonc_parser::ast::Value;

use super::keys::Kind;
use super::nearest::nearest;
use super::problem::Problem;
use super::read::{Found, Reader};
use super::section::Section;

/// Most calls in a second, minute or hour that can be asked for.
const MOST_CALLS: u32 = 1_000_000;

impl Reader<'_> {
    /// Some of the words of the table.
    pub(crate) fn words(&mut self, section: &Section<'_>, name: &str) -> Option<Vec<Found<&'static str>>> {
        let kind = section.kind(name);
        let Kind::Words(words) = kind else { unreachable!("{name} is a list of words in the table") };
        let texts = self.texts(section, name)?;
        let mut found = Vec::new();
        for text in texts {
            match words.iter().find(|word| **word == text.value) {
                Some(word) => found.push(text.with(*word)),
                None => {
                    let problem = Problem::error(text.span, format!("`{name}` must be {}", kind.expected()));
                    self.report(match nearest(&text.value, words.iter().copied()) {
                        Some(word) => problem.help(format!("did you mean \"{word}\"?")),
                        None => problem,
                    });
                }
            }
        }
        Some(found)
    }

    /// A number from 1 to 100.
    pub(crate) fn factor(&mut self, section: &Section<'_>, name: &str) -> Option<Found<f64>> {
        let node = &section.get(name)?.value;
        let kind = section.kind(name);
        let Value::NumberLit(literal) = node else {
            self.wrong(kind, name, node);
            return None;
        };
        let span = literal.range.into();
        match literal.value.parse::<f64>() {
            Ok(value) if (1.0..=100.0).contains(&value) => {
                Some(Found { value, span, json: literal.value.to_owned(), outside: false })
            }
            _ => {
                self.report(Problem::error(span, format!("`{name}` must be {}", kind.expected())));
                None
            }
        }
    }

    /// The time between two of so many in a second, minute or hour.
    pub(crate) fn rate(&mut self, section: &Section<'_>, name: &str) -> Option<Found<Duration>> {
        let kind = section.kind(name);
        let found = self.text(section, name)?;
        let parts =
            found.value.split_once('/').map(|(count, unit)| (count.trim().parse::<u32>(), unit.trim()));
        let period = match parts {
            Some((Ok(count @ 1..=MOST_CALLS), unit)) => match unit {
                "s" => Some(Duration::from_secs(1) / count),
                "m" => Some(Duration::from_secs(60) / count),
                "h" => Some(Duration::from_secs(3600) / count),
                _ => None,
            },
            _ => None,
        };
        if period.is_none() {
            self.report(Problem::error(found.span, format!("`{name}` must be {}", kind.expected())));
        }
        period.map(|period| found.with(period))
    }

    /// A percentage as a part of one.
    pub(crate) fn percent(&mut self, section: &Section<'_>, name: &str) -> Option<Found<f64>> {
        let kind = section.kind(name);
        let found = self.text(section, name)?;
        let number = found.value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number {
            Some(number) if (0.0..=100.0).contains(&number) => Some(found.with(number / 100.0)),
            _ => {
                self.report(Problem::error(found.span, format!("`{name}` must be {}", kind.expected())));
                None
            }
        }
    }
}
