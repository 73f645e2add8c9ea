//! The second look: what seems to disagree is asked for by its key at both sides, after a while.
//!
//! The source's row is a witness: only if it is still what it was, the copy has had that long to follow. A row that
//! has changed is looked at again, and if it does so each time, nothing is said of it but that.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::join::Candidate;
use super::resolve::{Tables, WAITING_ROWS};
use super::row::{Difference, Rows, Tally};
use super::run::Event;
use crate::diff::is_too_large;
use crate::model::{DeliveryKind, Key, Row, Value, Verdict, row_size};
use crate::sql::PlaceError;

/// Keys looked up at once.
const LIST: usize = 1000;
/// Looks at a row that changes each time.
const LOOKS: u32 = 10;
/// Keys remembered as told.
const TOLD: usize = 100_000;

/// Candidates of a stretch, when they were found, and the room that they take.
pub(super) struct Batch {
    pub(super) found: Instant,
    pub(super) candidates: Vec<Candidate>,
    pub(super) _room: OwnedSemaphorePermit,
}

/// Looks at what comes through `batches` until nobody sends any more.
pub(super) async fn settle(
    tables: &Tables,
    wait: Duration,
    mut batches: mpsc::UnboundedReceiver<Batch>,
    events: &mpsc::Sender<Event>,
) -> Result<Tally, PlaceError> {
    let mut tally = Tally::default();
    // A key that has moved from one stretch to another comes twice.
    let mut told: HashSet<Key> = HashSet::new();
    while let Some(Batch { found, candidates, _room }) = batches.recv().await {
        let (mut due, mut open) = (found + wait, candidates);
        for _ in 0..LOOKS {
            tokio::time::sleep_until(due).await;
            let looked = Instant::now();
            let mut moved = Vec::new();
            for list in open.chunks(LIST) {
                moved.extend(look(tables, list, &mut told, &mut tally, events).await?);
            }
            open = moved;
            if open.is_empty() {
                break;
            }
            due = looked + wait.max(Duration::from_millis(100));
        }
        tally.moving += open.len() as u64;
    }
    Ok(tally)
}

/// Tells what still stands; returns what has changed.
async fn look(
    tables: &Tables,
    list: &[Candidate],
    told: &mut HashSet<Key>,
    tally: &mut Tally,
    events: &mpsc::Sender<Event>,
) -> Result<Vec<Candidate>, PlaceError> {
    let matcher = &tables.matcher;
    let form = matcher.forms.first().filter(|_| matcher.forms.len() == 1);
    let keys: Vec<Vec<Value>> = list.iter().map(|candidate| candidate.values.clone()).collect();
    let (source, copy) = tokio::try_join!(tables.source.look(&keys, form), tables.copy.look(&keys, form))?;
    let (source, copy) = (by_key(tables, &source), by_key(tables, &copy));
    let mut moved = Vec::new();
    for candidate in list {
        if is_too_large(&candidate.values) {
            // No key that can be asked for again.
            tally.too_large += 1;
            continue;
        }
        let none = Vec::new();
        let a = source.get(&candidate.key).unwrap_or(&none);
        let b = copy.get(&candidate.key).unwrap_or(&none);
        let verdict = match matcher.judge(a, b) {
            None => continue,
            Some(Verdict::Same) => {
                tally.same += 1;
                continue;
            }
            Some(verdict) => verdict,
        };
        let witness = matcher.witness(a);
        if witness != candidate.witness {
            moved.push(Candidate { witness, ..candidate.clone() });
            continue;
        }
        let (kind, rules) = match verdict {
            Verdict::Missing => (DeliveryKind::Missing, Vec::new()),
            Verdict::Differs(rules) => (DeliveryKind::Differs, rules),
            Verdict::Extra => (DeliveryKind::Extra, Vec::new()),
            Verdict::Ambiguous(_) => (DeliveryKind::Ambiguous, Vec::new()),
            Verdict::NotComparable => {
                tally.undecided += 1;
                continue;
            }
            Verdict::TooLarge | Verdict::Same => {
                tally.too_large += 1;
                continue;
            }
        };
        if told.contains(&candidate.key) {
            continue;
        }
        if told.len() < TOLD {
            told.insert(candidate.key.clone());
        }
        tally.count(kind);
        let text = |value: &Value| value.to_text().map(std::borrow::Cow::into_owned);
        let key = tables.key_names.iter().cloned().zip(candidate.values.iter().map(text)).collect();
        let width = matcher.forms.len();
        let column = |rule: usize| {
            let value = |rows: &[&Row]| rows.first().and_then(|row| text(&row[width + rule]));
            (tables.names[rule].clone(), value(a), value(b))
        };
        let columns = rules.into_iter().map(column).collect();
        let found = Difference { kind, key, columns };
        let whole = whole(tables, &found, &candidate.values, [&a[..], &b[..]]).await;
        // Whoever no longer listens has ended the audit as well.
        let _ = events.send(Event::Found(found)).await;
        if let Some(rows) = whole {
            let _ = events.send(Event::Rows(Box::new(rows))).await;
        }
    }
    Ok(moved)
}

/// The rows of a difference, if somebody wants them, as soon as there is room.
async fn whole(tables: &Tables, of: &Difference, key: &[Value], sides: [&[&Row]; 2]) -> Option<Rows> {
    let rows = tables.rows.as_ref()?;
    let only = |side: &[&Row]| match side {
        [only] => Some((*only).clone()),
        _ => None,
    };
    let weight: usize = sides.iter().filter(|side| side.len() == 1).map(|side| row_size(side[0])).sum();
    let room = u32::try_from(weight >> 10).unwrap_or(u32::MAX).clamp(1, WAITING_ROWS);
    let room = rows.clone().acquire_many_owned(room).await.ok().map(Arc::new);
    let [source, copy] = sides.map(only);
    Some(Rows { of: of.clone(), key: key.to_vec(), source, copy, _room: room })
}

fn by_key<'r>(tables: &Tables, rows: &'r [Row]) -> HashMap<Key, Vec<&'r Row>> {
    let mut groups: HashMap<Key, Vec<&Row>> = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(key) = tables.matcher.key(row) {
            groups.entry(key).or_default().push(row);
        }
    }
    groups
}
