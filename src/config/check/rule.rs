//! Where a rule is wrong.

use crate::config::problem::{Problem, Span};
use crate::config::read::{Found, Reader};
use crate::config::rule::RuleProblem;

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
