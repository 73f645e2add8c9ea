//! From what was typed to the deliveries that are meant.

use super::super::exit;
use super::Ends;
use super::args::Filter;
use crate::model::State;
use crate::store::{History, Select};

/// Fewer digits of an id would mean too many deliveries to be of use.
const LEAST_DIGITS: usize = 4;

/// What a filter means; `states` are those of a filter that names neither states nor deliveries.
pub(super) async fn select(store: &dyn History, filter: Filter, states: &[State]) -> Result<Select, Ends> {
    let named: Vec<String> = filter.deliveries.into_iter().chain(filter.id).collect();
    let mut numbers = Vec::with_capacity(named.len());
    for name in &named {
        numbers.push(number(store, name).await?);
    }
    let mut wanted: Vec<State> = filter.state.into_iter().flat_map(|states| states.0).collect();
    if wanted.is_empty() && numbers.is_empty() {
        wanted = states.to_vec();
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(Select {
        named: !numbers.is_empty(),
        numbers,
        task: filter.task,
        destination: filter.destination,
        states: wanted,
        key: filter.key,
        since: filter.since,
        until: filter.until,
        text: filter.text.filter(|text| !text.is_empty()),
    })
}

/// The delivery that a number, an id or the beginning of an id means. Ids begin with a 0, numbers do not.
pub(super) async fn number(store: &dyn History, typed: &str) -> Result<i64, Ends> {
    let unknown = || {
        Ends::new(exit::CONFIG, format!("there is no delivery `{typed}`; `cupid deliveries list` shows them"))
    };
    let digits: String = typed.chars().filter(|c| *c != '-').collect();
    if !typed.starts_with('0')
        && let Ok(number) = typed.parse::<i64>()
    {
        let there = store.lines(&[number]).await?;
        return if there.is_empty() { Err(unknown()) } else { Ok(number) };
    }
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) || digits.len() > 32 {
        let words = format!("`{typed}` is neither the number nor the id of a delivery");
        return Err(Ends::new(exit::CONFIG, words));
    }
    if digits.len() < LEAST_DIGITS {
        let words = format!("`{typed}` is too short for an id; type at least {LEAST_DIGITS} digits of it");
        return Err(Ends::new(exit::CONFIG, words));
    }
    let found = store.beginning_with(&digits).await?;
    match &found[..] {
        [] => Err(unknown()),
        [(_, number)] => Ok(*number),
        [(first, _), (second, _), ..] => {
            let more = if found.len() > 2 { ", …" } else { "" };
            let words = format!(
                "several deliveries begin with `{typed}`: {first}, {second}{more}; type more of it, or the number"
            );
            Err(Ends::new(exit::CONFIG, words))
        }
    }
}
