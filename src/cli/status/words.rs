//! What `cupid status` says of a destination: one sentence, and a line for each thing that needs attention.

use super::report::{Basis, FeedReport, Group, Report};
use crate::base::clock::UnixMs;
use crate::cli::text::{age, grouped, number, plain, span};
use crate::engine::AuditNote;

/// The sentence without the names. `blocked`: a daemon says that nothing is looked at now.
pub(super) fn sentence(r: &Report, blocked: bool, now: UnixMs) -> String {
    let from = r.from.as_deref().map(|id| format!(" from id {} on", grouped(id))).unwrap_or_default();
    let (agree, rows) = (number(r.agree), number(r.rows));
    let at_most = if r.at_most { "at most " } else { "" };
    let mut parts = vec![match r.basis {
        Basis::Nothing if r.events.is_some() => "nothing has been read yet".to_owned(),
        _ if r.events.is_some_and(|events| events.delivered == 1) => "1 event delivered".to_owned(),
        _ if r.events.is_some() => {
            format!("{} events delivered", number(r.events.unwrap_or_default().delivered))
        }
        Basis::Nothing => "nothing has been looked at yet".to_owned(),
        Basis::Changes => "only changed rows are looked at, not all".to_owned(),
        Basis::SoFar if r.rows == 0 => "no row has been looked at yet".to_owned(),
        Basis::SoFar => format!("{at_most}{agree} of {rows} rows{from} looked at so far agree"),
        Basis::Whole if r.rows == 0 => format!("there is no row{from}"),
        Basis::Whole => format!("{at_most}{agree} of {rows} rows{from} agree"),
    }];
    parts.push(match r.oldest {
        Some(oldest) => format!("{} waiting, oldest {}", number(r.waiting), age(oldest, now)),
        None => "nothing waits".to_owned(),
    });
    if let Some(insert) = r.feeds.get("insert") {
        parts.extend(settled(insert, "", now));
    }
    if let Some(update) = r.feeds.get("update") {
        parts.extend(settled(update, "updates ", now));
    }
    // Of a pass that does not go on nobody should wait for the end.
    if !blocked && let Some(sweep) = r.feeds.get("sweep") {
        parts.push(match sweep.pass {
            Some(pass) => format!("last pass began {} ago", age(pass.began, now)),
            None => "first pass under way".to_owned(),
        });
    }
    if !blocked && let Some(extra) = r.feeds.get("extra") {
        parts.push(match extra.pass {
            Some(pass) => format!("rows only the copy has: last pass began {} ago", age(pass.began, now)),
            None => "rows only the copy has: first pass under way".to_owned(),
        });
    }
    parts.extend(r.audit.as_ref().map(|audit| self::audit(audit, r.audit_cut_off, now)));
    parts.join(" · ")
}

fn audit(a: &AuditNote, cut_off: bool, now: UnixMs) -> String {
    let began = age(a.began, now);
    if cut_off {
        return format!("the audit of {began} ago was cut off and begins again with the next start");
    }
    if a.ended.is_none() {
        return format!("audit under way since {began}: {} rows read", number(a.read));
    }
    if a.error.is_some() {
        return format!("the audit of {began} ago did not come to its end");
    }
    let kinds = [
        (a.missing, "missing"),
        (a.differs, "different"),
        (a.extra, "only at the copy"),
        (a.ambiguous, "ambiguous"),
        (a.unverified, "not compared"),
    ];
    let found: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    let found = if found.is_empty() { "no difference".to_owned() } else { found.join(", ") };
    format!("audit {began} ago: {} rows, {found}", number(a.rows))
}

fn settled(f: &FeedReport, what: &str, now: UnixMs) -> Option<String> {
    let settled = f.settled.as_deref()?;
    let settled =
        settled.strip_prefix("id ").map_or_else(|| settled.to_owned(), |id| format!("id {}", grouped(id)));
    let ago = f.settled_at.map(|at| format!(", {} ago", age(at, now))).unwrap_or_default();
    Some(format!("{what}settled to {settled}{ago}"))
}

/// What needs attention.
pub(super) fn lines(r: &Report, now: UnixMs) -> Vec<String> {
    let mut lines = Vec::new();
    let old = |group: &Group| format!("oldest {}", age(group.oldest, now));
    let missed = if r.events.is_some() { "never told" } else { "left to the sweep" };
    for (why, count) in &r.unfit {
        let at_least = if r.at_most { "at least " } else { "" };
        let what = match *why {
            "null_key" if r.events.is_some() => "without a key (NULL), not told",
            "undecided" if r.events.is_some() => {
                "for which `where` or `deletedWhen` cannot be worked out, not told"
            }
            "too_large" if r.events.is_some() => "too large to be told (64 MiB)",
            "null_key" => "without a key (NULL), not comparable",
            "undecided" => "for which `deletedWhen` cannot be worked out, not comparable",
            "inexpressible" => "whose key the copy's column cannot hold, not comparable",
            "too_large" => "too large to be compared (64 MiB)",
            _ => "of keys that several rows carry (ambiguous), not called back",
        };
        lines.push(format!("{at_least}{} {what}", of_rows(*count)));
    }
    let dead = if r.events.is_some() {
        "left to a person (dead); later versions of their rows go on"
    } else {
        "left to a person (dead), not seen to agree since"
    };
    let states = [
        ("slow", "refused in all quick tries (slow), tried again every now and then"),
        ("dead", dead),
        ("delivered", "handed over, not seen to agree since"),
        ("closed", "closed by a person, not seen to agree since"),
    ];
    for (state, words) in states {
        if let Some(group) = r.deliveries.get(state) {
            let what = if r.events.is_some() { of_events(group.count) } else { of_rows(group.count) };
            lines.push(format!("{what} {words}, {}", old(group)));
        }
    }
    if let Some(why) = r.audit.as_ref().and_then(|audit| audit.error.as_deref()) {
        lines.push(format!(
            "the last audit ended with an error and is tried again within five minutes: {}",
            plain(why)
        ));
    }
    if r.extra > 0 && r.events.is_none() {
        lines.push(format!("{} that only the copy has", of_rows(r.extra)));
    }
    if let Some(hot) = &r.hot {
        let what =
            if hot.count == 1 { "never stands still while its" } else { "never stand still while their" };
        lines.push(format!("{} that {what} copy follows (hot), {}", of_rows(hot.count), old(hot)));
    }
    let quick = || ["insert", "update"].iter().filter_map(|feed| r.feeds.get(feed));
    if quick().any(|feed| !feed.told) {
        lines.push(format!(
            "the source does not show its open transactions: what commits later than `settle` is {missed}"
        ));
    }
    if let Some(open) = quick().filter_map(held).max() {
        lines.push(format!(
            "a transaction at the source has been open for {}: what is read meanwhile settles when it has ended",
            span(open)
        ));
    }
    if let Some(update) = r.feeds.get("update") {
        let more = if update.uncovered_more { "more than " } else { "" };
        match update.uncovered {
            Some(count) if count > 0 => {
                let count = if update.uncovered_more { count - 1 } else { count };
                let unreadable = update
                    .unreadable
                    .as_deref()
                    .map_or_else(String::new, |ids| format!(", or with one that cannot be read (id {ids})"));
                let rows = of_rows(count);
                lines.push(format!("{more}{rows} without an update time{unreadable}, {missed}"));
            }
            _ => {}
        }
        if let Some(ahead) = update.ahead_s.filter(|ahead| *ahead > 0) {
            let ahead = span(i64::try_from(ahead).unwrap_or(i64::MAX));
            lines.push(format!(
                "the latest update time lies {ahead} in the future: such rows are read when it has come"
            ));
        }
    }
    if quick().any(|feed| feed.forgets) {
        lines.push(
            "more is unsettled than is kept in memory: the oldest part is read again when it settles, not before"
                .to_owned(),
        );
    }
    lines
}

/// For how many seconds an open transaction has held up a feed, if it is more than a passing one.
fn held(f: &FeedReport) -> Option<i64> {
    let seconds = f.looked_at?.saturating_sub(f.settled_at?) / 1000;
    (f.told && f.caught_up && seconds >= 60).then_some(seconds)
}

fn of_rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", number(count)) }
}

fn of_events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{} events", number(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_the_one_promised() {
        let insert = FeedReport {
            settled: Some("id 1204560".to_owned()),
            settled_at: Some(97_000),
            caught_up: true,
            told: true,
            ..FeedReport::default()
        };
        let report = Report {
            basis: Basis::Whole,
            rows: 1_204_553,
            agree: 1_204_551,
            waiting: 2,
            oldest: Some(86_000),
            feeds: [("insert", insert)].into(),
            ..Report::default()
        };
        let expected =
            "1 204 551 of 1 204 553 rows agree · 2 waiting, oldest 14 s · settled to id 1 204 560, 3 s ago";
        assert_eq!(sentence(&report, false, 100_000), expected);
        assert_eq!(lines(&report, 100_000), [""; 0]);
    }

    #[test]
    fn nothing_is_said_of_what_was_not_looked_at() {
        let report = Report::default();
        assert_eq!(sentence(&report, false, 0), "nothing has been looked at yet · nothing waits");
        let so_far =
            Report { basis: Basis::SoFar, rows: 5, agree: 4, from: Some("1000".into()), ..Report::default() };
        assert_eq!(
            sentence(&so_far, false, 0),
            "4 of 5 rows from id 1 000 on looked at so far agree · nothing waits"
        );
        let sweep = FeedReport::default();
        let report = Report { feeds: [("sweep", sweep)].into(), ..so_far };
        assert!(sentence(&report, false, 0).ends_with(" · first pass under way"));
        assert!(!sentence(&report, true, 0).contains("pass"), "a pass that is blocked is not under way");
    }

    #[test]
    fn an_event_destination_has_a_sentence_of_its_own() {
        let insert = FeedReport { settled: Some("id 70".to_owned()), told: true, ..FeedReport::default() };
        let report = Report {
            basis: Basis::Whole,
            rows: 70,
            agree: 67,
            waiting: 3,
            oldest: Some(86_000),
            feeds: [("insert", insert)].into(),
            deliveries: [("dead", Group { count: 1, oldest: 40_000 })].into(),
            unfit: [("undecided", 2)].into(),
            extra: 1,
            events: Some(super::super::report::Events { delivered: 1234, open: 4, bytes: 0 }),
            ..Report::default()
        };
        let expected = "1 234 events delivered · 3 waiting, oldest 14 s · settled to id 70";
        assert_eq!(sentence(&report, false, 100_000), expected);
        let expected = [
            "2 rows for which `where` or `deletedWhen` cannot be worked out, not told",
            "1 event left to a person (dead); later versions of their rows go on, oldest 1 min",
        ];
        assert_eq!(lines(&report, 100_000), expected);
    }

    #[test]
    fn what_needs_attention_has_a_line() {
        let update = FeedReport {
            uncovered: Some(10_001),
            uncovered_more: true,
            ahead_s: Some(7200),
            forgets: true,
            ..FeedReport::default()
        };
        let group = Group { count: 1, oldest: 40_000 };
        let report = Report {
            unfit: [("null_key", 3), ("too_large", 1)].into(),
            deliveries: [("closed", group), ("suspect", group)].into(),
            feeds: [("update", update)].into(),
            hot: Some(Group { count: 2, oldest: 0 }),
            ..Report::default()
        };
        let expected = [
            "3 rows without a key (NULL), not comparable",
            "1 row too large to be compared (64 MiB)",
            "1 row closed by a person, not seen to agree since, oldest 1 min",
            "2 rows that never stand still while their copy follows (hot), oldest 1 min",
            "the source does not show its open transactions: what commits later than `settle` is left to the sweep",
            "more than 10 000 rows without an update time, left to the sweep",
            "the latest update time lies 2 h in the future: such rows are read when it has come",
            "more is unsettled than is kept in memory: the oldest part is read again when it settles, not before",
        ];
        assert_eq!(lines(&report, 100_000), expected);
    }

    #[test]
    fn a_transaction_that_stays_open_has_a_line() {
        let feed = |settled_at: i64, told: bool| FeedReport {
            settled_at: Some(settled_at),
            looked_at: Some(7_200_000),
            caught_up: true,
            told,
            ..FeedReport::default()
        };
        let said = |insert: FeedReport, update: FeedReport| {
            let feeds = [("insert", insert), ("update", update)].into();
            lines(&Report { feeds, ..Report::default() }, 7_300_000)
        };
        let open = "a transaction at the source has been open for 2 h: what is read meanwhile settles when it has ended";
        assert_eq!(said(feed(7_195_000, true), feed(0, true)), [open]);
        assert_eq!(said(feed(7_195_000, true), feed(7_141_000, true)), [""; 0]);
        let untold = said(feed(0, false), feed(0, false));
        assert!(!untold.iter().any(|line| line == open), "{untold:?}");
    }
}
