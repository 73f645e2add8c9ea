//! `cupid deliveries show`: one delivery, whole.

use super::super::text::{age, plain, short, span, table, time};
use super::list::is_parked;
use super::{Ends, desk, pick};
use crate::base::clock::{Clock, UnixMs};
use crate::config::Config;
use crate::model::{DeliveryKind, Difference, Listed, State};
use crate::store::{History, Message, Record};

/// Characters of an answer in the table, and of a message.
const ANSWER: usize = 60;
const MESSAGE: usize = 4000;
/// What is shown of a row that is missing because of another.
const STRAY: &str =
    "the copy has a row whose key its collation takes for this one: a unique index lets only one of them in";

/// Prints it.
pub(super) async fn show(config: &Config, typed: &str, as_json: bool) -> Result<u8, Ends> {
    let store = desk::must_view(config).await?;
    let number = pick::number(&store, typed).await?;
    let record = store.record(number).await?;
    let Some(record) = record else {
        return Err(Ends::new(
            super::super::exit::CONFIG,
            format!("there is no delivery `{typed}` any more"),
        ));
    };
    if as_json {
        println!("{:#}", serde_json::to_value(&record).unwrap_or_default());
    } else {
        let parked = is_parked(config, &record.task, &record.destination);
        println!("{}", lines(&record, parked, Clock::system().now()).join("\n"));
    }
    Ok(0)
}

fn lines(r: &Record, parked: bool, now: UnixMs) -> Vec<String> {
    let mut out = vec![format!("delivery {} (number {})", r.delivery, r.number)];
    let row = match &r.row {
        Some(row) if *row != r.key => format!(" (id {row})"),
        _ => String::new(),
    };
    let mut fact = |name: &str, value: String| out.push(format!("  {name:<14}{value}"));
    fact("where", format!("{} → {}", plain(&r.task), plain(&r.destination)));
    fact("row", format!("{}{row}, {}", plain(&r.key), r.kind));
    fact("state", state(r, parked, now));
    if let Some(note) = &r.note {
        fact("why", plain(note));
    }
    fact("found", format!("{}, {} ago", time(r.found_at), age(r.found_at, now)));
    if let Some(at) = r.acked_at {
        fact("acknowledged", format!("{}, {} ago", time(at), age(at, now)));
    }
    if let Some(at) = r.ended_at {
        fact("ended", format!("{}, {} ago", time(at), age(at, now)));
    }
    if let Some(after) = r.healed_after_ms {
        fact("healed", format!("after {}", length(after)));
    }
    fact("messages", format!("{}, attempts {}", r.revision, r.attempted));
    if let Some(differs) = r.differs.as_ref().filter(|list| !list.is_empty()) {
        let missing = r.kind == DeliveryKind::Missing.as_str();
        out.push(if missing { STRAY } else { "what differed when it was called back last" }.to_owned());
        out.extend(differences(differs));
    }
    if let Some(evidence) = &r.evidence {
        out.push("rows that carry the key".to_owned());
        out.extend(listed("source", &evidence.source).into_iter().chain(listed("copy", &evidence.copy)));
    }
    out.push(
        if r.attempts.is_empty() && r.not_kept.is_empty() { "no attempt yet" } else { "attempts" }.to_owned(),
    );
    if !r.attempts.is_empty() {
        out.extend(attempts(r));
    }
    out.extend(r.not_kept.iter().map(|gap| match gap {
        (one, last) if one == last => format!("  attempt {one} is not kept"),
        (first, last) => format!("  attempts {first} to {last} are not kept"),
    }));
    if !r.acts.is_empty() {
        out.push("what people did".to_owned());
        out.extend(acts(r));
    }
    let message = |out: &mut Vec<String>, what: &str, message: &Message| {
        let (text, form) = match message {
            Message::Text(text) => (text, ""),
            Message::Base64(text) => (text, ", in base64"),
        };
        out.push(format!("{what}{form}"));
        out.push(format!("  {}", short(&plain(text), MESSAGE)));
    };
    if let Some(edited) = &r.edited {
        message(&mut out, "body that waits to be sent", edited);
    }
    if let Some(body) = &r.message {
        message(&mut out, &format!("message of revision {}", r.revision), body);
    }
    if !r.others.is_empty() {
        out.push("other deliveries of this row".to_owned());
        out.extend(r.others.iter().map(|other| {
            let ended = other.ended_at.map(|at| format!(", ended {}", time(at))).unwrap_or_default();
            format!("  {}  {}, found {}{ended}", other.number, other.state, time(other.found_at))
        }));
    }
    out
}

fn state(r: &Record, parked: bool, now: UnixMs) -> String {
    let state = State::parse(&r.state);
    let next = match state {
        _ if r.ended_at.is_some() => return r.state.clone(),
        Some(State::Dead) => ": waits for you (replay, edit or close it)".to_owned(),
        _ if parked => ": parked, the destination is not in the configuration".to_owned(),
        _ => match (state, r.due) {
            (_, None) => ", behind an older version".to_owned(),
            (Some(State::Suspect | State::Verify), Some(due)) => format!(", looked at {}", when(due, now)),
            (_, Some(due)) => format!(", sent again {}", when(due, now)),
        },
    };
    format!("{}{next}", r.state)
}

fn when(due: UnixMs, now: UnixMs) -> String {
    if due <= now { "as soon as possible".to_owned() } else { format!("in {}", span((due - now) / 1000)) }
}

fn length(ms: i64) -> String {
    match ms {
        ..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => span(ms / 1000),
    }
}

fn differences(list: &[Difference]) -> Vec<String> {
    let value = |value: &Option<String>| {
        value.as_deref().map_or_else(|| "NULL".to_owned(), |text| format!("{:?}", plain(text)))
    };
    let rows: Vec<Vec<String>> =
        list.iter().map(|d| vec![plain(&d.column), value(&d.src), value(&d.des)]).collect();
    indented(&["COLUMN", "SOURCE", "COPY"], &rows)
}

fn listed(side: &str, rows: &Listed) -> Vec<String> {
    let shown = rows.rows.iter().map(|row| {
        let values: Vec<String> = row
            .iter()
            .map(|(name, value)| format!("{}={}", plain(name), plain(value.as_deref().unwrap_or("NULL"))))
            .collect();
        format!("    {}", values.join("  "))
    });
    std::iter::once(format!("  {side}: {}", rows.count)).chain(shown).collect()
}

fn attempts(r: &Record) -> Vec<String> {
    let row = |a: &crate::store::Tried| {
        let outcome =
            a.group.as_ref().map_or_else(|| a.outcome.clone(), |group| format!("{} ({group})", a.outcome));
        let said = [a.detail.as_deref(), a.answer.as_deref()];
        let said: Vec<String> = said.into_iter().flatten().map(|text| short(&plain(text), ANSWER)).collect();
        vec![
            a.number.to_string(),
            a.revision.to_string(),
            time(a.began),
            format!("{} ms", a.took_ms),
            a.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            outcome,
            said.join(" | "),
        ]
    };
    let rows: Vec<Vec<String>> = r.attempts.iter().map(row).collect();
    indented(&[">NO", ">MESSAGE", "WHEN", ">TOOK", ">STATUS", "OUTCOME", "ANSWER"], &rows)
}

fn acts(r: &Record) -> Vec<String> {
    let mut out = Vec::new();
    for act in &r.acts {
        let note = act.note.as_ref().map(|note| format!(": {}", plain(note))).unwrap_or_default();
        out.push(format!(
            "  {}  {} by {}, was {}{note}",
            time(act.at),
            act.what,
            plain(&act.author),
            act.was
        ));
        for (what, message) in [("instead of", &act.original), ("sent as", &act.edited)] {
            if let Some(Message::Text(text) | Message::Base64(text)) = message {
                out.push(format!("    {what}: {}", short(&plain(text), MESSAGE)));
            }
        }
    }
    out
}

fn indented(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    table(head, rows).into_iter().map(|line| format!("  {line}")).collect()
}
