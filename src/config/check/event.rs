//! Entries of `des` with nothing to compare: every version that a scan reads is told.

use std::time::Duration;

use super::destination::Looks;
use super::rule;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::section::Section;
use crate::config::{Confirm, Rule};

/// What makes an entry a copy.
const OF_A_COPY: [&str; 7] = ["dsn", "use", "user", "password", "table", "byColumn", "columns"];

/// What has no meaning where nothing is looked at.
const OF_LOOKS: [&str; 6] = ["confirm", "lag", "hot", "verify", "sweep", "audit"];

/// How an event destination is looked at: not at all.
pub(super) const LOOKS: Looks = Looks {
    confirm: Confirm { floor: Duration::ZERO, lag: Duration::ZERO, hot: Duration::ZERO },
    verify: None,
    sweep: None,
    audit: None,
};

/// Whether an entry names a receiver and nothing of a copy.
pub(super) fn is_event(section: &Section<'_>) -> bool {
    section.has("callbackNotification") && !OF_A_COPY.iter().any(|key| section.has(key))
}

/// `where`; an error is a problem that was reported.
pub(super) fn filter(r: &mut Reader<'_>, section: &Section<'_>, is_event: bool) -> Result<Option<Rule>, ()> {
    let help = "write a CEL rule over columns of the source, for example \"status == 'paid'\"";
    let filter = rule::read(r, section, "where", help);
    if let (Some(at), false) = (section.key_span("where"), is_event) {
        let problem =
            Problem::error(at, "`where` works where nothing is compared, and this entry names a copy");
        r.report(problem.help(
            "remove it; or give the receiver an entry of its own, with `callbackNotification` and without `dsn`, `table`, \
             `byColumn` and `columns`: it is told every version",
        ));
    }
    filter
}

/// Reports what an event destination sets for itself and cannot have. What stands further away is for its neighbours.
pub(super) fn refuse(r: &mut Reader<'_>, section: &Section<'_>, deleted_when: bool) {
    let to_compare = "remove it; to compare, name `dsn`, `table`, `byColumn` and `columns`";
    for key in OF_LOOKS {
        if let Some(at) = section.key_span(key) {
            let message = format!(
                "`{key}` has no meaning here: an entry with `callbackNotification` alone compares nothing"
            );
            r.report(Problem::error(at, message).help(to_compare));
        }
    }
    if let (Some(at), false) = (section.key_span("delete"), deleted_when)
        && r.boolean(section, "delete").is_some_and(|found| found.value)
    {
        let message = "nothing tells which rows are deleted: there is no copy to look for them, and `src` has no `deletedWhen`";
        let help = "add `deletedWhen` to `src`, or remove `delete`";
        r.report(Problem::error(at, message).help(help));
    }
    let Some(callback) = r.below(section, "callbackNotification") else { return };
    if let Some(at) = callback.key_span("body")
        && r.word(&callback, "body").is_some_and(|found| found.value == "diff")
    {
        let problem =
            Problem::error(at, "`\"body\": \"diff\"` shows what differs from a copy, and there is none");
        r.report(problem.help("set it to \"full\" or \"row\""));
    }
}
