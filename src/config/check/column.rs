//! `columns`: which column agrees with which, and what is let pass.

use std::collections::HashMap;

use super::line;
use super::policy::read_zone;
use crate::config::problem::{Problem, Span};
use crate::config::read::{Found, Reader, json};
use crate::config::section::{Entry, Section};
use crate::config::{ColumnConfig, ColumnPolicy, Tolerance};

pub(super) fn columns(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<ColumnConfig>> {
    let Some(at) = section.key_span("columns") else {
        let problem =
            Problem::error(section.at, format!("`columns` is missing in {}", section.scope.place()));
        r.report(problem.help("add the columns that must agree, source onto destination: \"columns\": { \"name\": \"name\" }; a receiver that is told every version, without comparing, has an entry with `callbackNotification` and without `dsn` and `table`"));
        return None;
    };
    let entries = r.columns(section, "columns");
    if entries.is_empty() && section.is_empty("columns") {
        r.report(
            Problem::error(at, "`columns` names no column")
                .help("name the columns that must agree, source onto destination"),
        );
        return None;
    }
    let mut targets: HashMap<String, Span> = HashMap::new();
    let mut columns = Vec::new();
    r.out.open(Some("columns"));
    for (source, key, entry) in entries {
        let (target, policy) = match entry {
            Entry::Name(target) => {
                let origin = line(r, key);
                r.out.leaf(source, target.json.as_str(), origin);
                (target, ColumnPolicy::default())
            }
            Entry::Section(own) => {
                r.out.open(Some(source));
                let target = target(r, &own, source, key);
                let policy = policy(r, &own);
                r.out.close();
                (target, policy)
            }
        };
        if source.trim().is_empty() || target.value.trim().is_empty() {
            r.report(Problem::error(key, "`columns` has an empty name"));
        }
        if let Some(first) = targets.insert(target.value.clone(), target.span) {
            let problem = Problem::error(
                target.span,
                format!("the destination column {} is mapped twice", target.quoted()),
            );
            r.report(
                problem.other(first, "first here").help("keep one: a column can agree with one column only"),
            );
        }
        columns.push(ColumnConfig { source: source.to_owned(), copy: target.value, policy });
    }
    r.out.close();
    if !columns.is_empty() && columns.iter().all(|column| column.policy.ignore) {
        let problem = Problem::error(at, "every column is ignored: nothing would be compared");
        r.report(problem.help("leave \"ignore\" out of at least one"));
    }
    Some(columns)
}

/// The destination column: `column`, else the same name.
fn target(r: &mut Reader<'_>, own: &Section<'_>, source: &str, key: Span) -> Found<String> {
    let found = r.text(own, "column");
    let origin = found.as_ref().map_or_else(|| "default".to_owned(), |found| line(r, found.span));
    let same = || Found { value: source.to_owned(), span: key, json: json(source), outside: false };
    let found = found.unwrap_or_else(same);
    r.out.leaf("column", found.json.as_str(), origin);
    found
}

fn policy(r: &mut Reader<'_>, own: &Section<'_>) -> ColumnPolicy {
    let mut policy = ColumnPolicy::default();
    if let Some(found) = r.trim(own, "trim") {
        shown(r, "trim", &found);
        policy.trim = found.value;
    }
    for (key, on) in [("ignoreCase", &mut policy.ignore_case), ("emptyIsNull", &mut policy.empty_is_null)] {
        if let Some(found) = r.boolean(own, key) {
            shown(r, key, &found);
            *on = found.value;
        }
    }
    if let Some(found) = r.tolerance(own, "tolerance") {
        shown(r, "tolerance", &found);
        policy.tolerance = Some(found.value);
    }
    if let Some(found) = read_zone(r, own) {
        shown(r, "zone", &found);
        policy.zone = Some(found.value);
    }
    if let Some(found) = r.boolean(own, "ignore") {
        shown(r, "ignore", &found);
        policy.ignore = found.value;
        let others = ColumnPolicy { ignore: false, ..policy.clone() };
        if policy.ignore && others.is_loose() {
            let problem =
                Problem::error(found.span, format!("a column that is not compared needs no `{others}`"));
            r.report(problem.help("remove \"ignore\", or the others"));
        }
    }
    if let (Some(zone), Some(Tolerance::Absolute(_) | Tolerance::Percent(_))) =
        (own.key_span("zone"), &policy.tolerance)
    {
        let problem = Problem::error(zone, "`zone` is for times, this `tolerance` is for numbers");
        r.report(problem.help("write the tolerance of a time as a duration, for example \"1s\""));
    }
    policy
}

fn shown<T>(r: &mut Reader<'_>, key: &str, found: &Found<T>) {
    let origin = line(r, found.span);
    r.out.leaf(key, found.json.as_str(), origin);
}
