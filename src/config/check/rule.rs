//! Where a rule is wrong.

use super::line;
use crate::config::Rule;
use crate::config::problem::{Problem, Span, line_and_column};
use crate::config::read::{Found, Reader};
use crate::config::rule::RuleProblem;
use crate::config::section::Section;

/// The rule of a key over columns of the source; an error is a problem that was reported.
pub(super) fn read(
    r: &mut Reader<'_>,
    section: &Section<'_>,
    name: &'static str,
    help: &str,
) -> Result<Option<Rule>, ()> {
    let Some(found) = r.text(section, name) else { return Ok(None) };
    // Only a text that stands in the file as it is has its characters where the file has them.
    let as_written = !found.outside && found.value.len() + 2 == found.span.end - found.span.start;
    match Rule::parse(&found.value) {
        Ok(rule) => {
            let rule = rule.of_key(name);
            let origin = line(r, found.span);
            r.out.leaf(name, found.json, origin);
            let (line, character) = line_and_column(r.text, found.span.start + 1);
            Ok(Some(if as_written { rule.placed(line, character) } else { rule }))
        }
        Err(problem) => {
            report(r, name, &found, &problem, help);
            Err(())
        }
    }
}

/// Reports what is wrong with the rule of a key.
pub(super) fn report(
    r: &mut Reader<'_>,
    name: &str,
    found: &Found<String>,
    problem: &RuleProblem,
    help: &str,
) {
    // Only a text that stands in the file as it is has its characters where the file has them.
    let start = found.span.start + 1 + problem.at;
    let as_written = !found.outside && found.value.len() + 2 == found.span.end - found.span.start;
    let place = if as_written { Span { start, end: start + 1 } } else { found.span };
    // The message may quote the rule.
    let message = if found.outside { "it is no rule" } else { &problem.message };
    r.report(Problem::error(place, format!("`{name}` cannot be used: {message}")).help(help));
}
