//! `cupid deliveries list`.

use serde_json::{Value, json};

use super::super::text::{age, number, plain, short, span, table};
use super::args::{self, List};
use super::{Ends, desk, pick};
use crate::base::clock::{Clock, UnixMs};
use crate::config::Config;
use crate::model::State;
use crate::store::{History, Line, Order, Place};

/// Characters of a key, and of a reason.
const KEY: usize = 24;
const WHY: usize = 70;
/// Most deliveries whose words are looked through.
const SEARCHED: u64 = 200_000;
/// Lines in one piece.
const PIECE: usize = 1000;

/// States that are listed unless others are named.
pub(super) fn open_states() -> Vec<State> {
    State::ALL.into_iter().filter(|state| state.is_open()).collect()
}

/// Prints a page.
pub(super) async fn list(config: &Config, given: &str, list: List) -> Result<u8, Ends> {
    let Some(store) = desk::view(config).await? else {
        if list.json {
            print_json(&[], None, true);
        } else {
            println!("nothing was found yet");
        }
        return Ok(0);
    };
    let order = if list.oldest { Order::Oldest } else { Order::Newest };
    let select = pick::select(&store, list.filter, &open_states()).await?;
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let (mut lines, mut after, mut searched) = (Vec::new(), list.after, 0);
    loop {
        let want = (limit - lines.len()).min(PIECE);
        let found = store.find(&select, order, after, want).await?;
        let numbers: Vec<i64> = found.places.iter().map(|place| place.number).collect();
        lines.extend(store.lines(&numbers).await?);
        searched += found.searched;
        after = found.next;
        if after.is_none() || lines.len() >= limit || searched >= SEARCHED {
            break;
        }
    }
    let gave_up = after.is_some() && lines.len() < limit;
    // The end of a full page may be the end of all.
    if let (Some(place), false) = (after, gave_up)
        && select.text.is_none()
        && store.find(&select, order, Some(place), 1).await?.places.is_empty()
    {
        after = None;
    }
    if list.json {
        print_json(&lines, after, !gave_up);
        return Ok(0);
    }
    let now = Clock::system().now();
    let mut out =
        if lines.is_empty() { vec!["no delivery fits".to_owned()] } else { shown(config, &lines, now) };
    out.extend(after.map(|place| more(given, place, gave_up.then_some(searched))));
    println!("{}", out.join("\n"));
    Ok(0)
}

fn print_json(lines: &[Line], next: Option<Place>, complete: bool) {
    let lines: Vec<Value> = lines.iter().map(document).collect();
    println!(
        "{:#}",
        json!({ "deliveries": lines, "next": next.map(args::show_place), "complete": complete })
    );
}

fn more(given: &str, place: Place, searched: Option<u64>) -> String {
    let place = args::show_place(place);
    match searched {
        None => format!("there are more: the same command with --after {place}"),
        Some(searched) => format!(
            "only {} deliveries were looked through for the text; narrow it down (--since, --task, --state), or go on: \
             cupid deliveries list -c {given} … --after {place}",
            number(searched)
        ),
    }
}

/// Lines for people.
pub(super) fn shown(config: &Config, lines: &[Line], now: UnixMs) -> Vec<String> {
    let rows: Vec<Vec<String>> = lines.iter().map(|line| row(config, line, now)).collect();
    table(&[">NO", "STATE", "TASK → DESTINATION", "KEY", "WHAT", "FOUND", ">TRIES", "NEXT", "WHY"], &rows)
}

fn row(config: &Config, line: &Line, now: UnixMs) -> Vec<String> {
    let parked = line.ended_at.is_none() && is_parked(config, &line.task, &line.destination);
    vec![
        line.number.to_string(),
        line.state.clone(),
        format!("{} → {}", plain(&line.task), plain(&line.destination)),
        short(&plain(&line.key), KEY),
        line.kind.clone(),
        format!("{} ago", age(line.found_at, now)),
        line.attempts.to_string(),
        next(line, parked, now),
        short(&plain(line.note.as_deref().unwrap_or_default()), WHY),
    ]
}

fn next(line: &Line, parked: bool, now: UnixMs) -> String {
    if let Some(at) = line.ended_at {
        return format!("ended {} ago", age(at, now));
    }
    let state = State::parse(&line.state);
    if state == Some(State::Dead) || state.is_none() {
        return "waits for you".to_owned();
    }
    if parked {
        return "parked".to_owned();
    }
    if line.claimed {
        return "now".to_owned();
    }
    let Some(due) = line.due else { return "behind an older version".to_owned() };
    match due.saturating_sub(now) {
        1.. => format!("in {}", span((due - now) / 1000)),
        _ if line.edited => "due, as edited".to_owned(),
        _ => "due".to_owned(),
    }
}

/// Whether nobody works on a destination because it is not in the configuration.
pub(in crate::cli) fn is_parked(config: &Config, task: &str, destination: &str) -> bool {
    // A name made from a variable that is not set here is not known here.
    let known = |name: &str| name == destination || name.contains(crate::config::UNSET);
    let task = config.tasks.iter().find(|t| t.name.as_str() == task);
    !task.is_some_and(|task| task.destinations.iter().any(|d| known(d.name.as_str())))
}

fn document(line: &Line) -> Value {
    json!({
        "number": line.number, "delivery": line.id, "task": line.task, "destination": line.destination,
        "key": line.key, "kind": line.kind, "state": line.state, "claimed": line.claimed, "edited": line.edited,
        "revision": line.revision, "attempts": line.attempts, "found_at": line.found_at, "due": line.due,
        "ended_at": line.ended_at, "note": line.note,
    })
}
