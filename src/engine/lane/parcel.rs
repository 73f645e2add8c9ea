//! What goes out in one call: a row, or with `batch` a list of them.
//!
//! A batch that was sent before and whose members all still say the same goes out again as it was: same members, same
//! order, same bytes, so the same id. If anything about it is another, it is no batch any more, and its members are put
//! together anew.

use std::collections::{HashMap, HashSet};

use super::claim;
use crate::config::RetryPolicy;
use crate::deliver::{Content, HEAVIEST, Message, MessageId, batch_body, batch_id};
use crate::engine::look::{Claim, Ready};
use crate::model::Batched;

/// After so many failures a row goes alone, or with its last quick try if it has fewer: it may be what the others fail for.
const TOGETHER: u32 = 3;

/// One call to be made.
#[derive(Debug)]
pub(in crate::engine) struct Parcel {
    /// At least one.
    pub(in crate::engine) items: Vec<Ready>,
}

impl Parcel {
    /// The claims of its members.
    pub(in crate::engine) fn claims(&self) -> Vec<Claim> {
        self.items.iter().map(|ready| claim(&ready.delivery)).collect()
    }

    /// Whether a person wrote it: no row was read for it.
    pub(super) fn is_unread(&self) -> bool {
        self.items.iter().all(|ready| ready.prepared.sent.is_unread())
    }

    /// What is sent.
    pub(super) fn message(&self, batch: Option<usize>) -> Message {
        let first = &self.items[0];
        let task = first.delivery.task.clone();
        if batch.is_none() {
            let (of, body) = (Content::One(id(first)), first.prepared.body.clone());
            return Message { task, attempt: first.prepared.attempt, of, body };
        }
        let number = |ready: &Ready| ready.prepared.batch.map_or(ready.prepared.attempt, |b| b.attempt);
        let items = self.items.iter().map(|ready| (id(ready), number(ready), &*ready.prepared.body));
        let attempt = first.prepared.attempt.saturating_sub(number(first)) + 1;
        let of = Content::Batch(self.items.iter().map(id).collect());
        Message { task, attempt, of, body: batch_body(items) }
    }
}

fn id(ready: &Ready) -> MessageId {
    MessageId { delivery: ready.delivery.id, revision: ready.prepared.revision }
}

/// Puts together what is sent together.
pub(super) fn pack(ready: Vec<Ready>, batch: Option<usize>, retry: &RetryPolicy) -> Vec<Parcel> {
    let Some(most) = batch else {
        return ready.into_iter().map(|ready| Parcel { items: vec![ready] }).collect();
    };
    let alone = |ready: &Ready| ready.delivery.tries >= retry.tries.clamp(1, TOGETHER);
    let again = as_they_were(&ready, &alone);
    let mut parcels: Vec<Parcel> = Vec::new();
    // Where the parcel of a batch, or of what has failed as often, is.
    let mut old: HashMap<[u8; 16], usize> = HashMap::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    let mut keys = HashSet::new();
    for ready in ready {
        if let Some(batched) = ready.delivery.batch.filter(|batched| again.contains(&batched.id)) {
            let at = *old.entry(batched.id).or_insert(parcels.len());
            if at == parcels.len() {
                parcels.push(Parcel { items: Vec::new() });
            }
            parcels[at].items.push(ready);
            continue;
        }
        let tries = ready.delivery.tries;
        let room = open.get(&tries).copied().filter(|at| {
            let items = &parcels[*at].items;
            let bytes: usize = items.iter().map(|r| r.prepared.body.len()).sum();
            items.len() < most
                && bytes + ready.prepared.body.len() <= HEAVIEST
                && !keys.contains(&(*at, ready.delivery.key.clone()))
        });
        let single = alone(&ready);
        let at = room.filter(|_| !single).unwrap_or(parcels.len());
        if at == parcels.len() {
            parcels.push(Parcel { items: Vec::new() });
            if !single {
                open.insert(tries, at);
            }
        }
        keys.insert((at, ready.delivery.key.clone()));
        parcels[at].items.push(ready);
    }
    for parcel in &mut parcels {
        seal(parcel);
    }
    parcels
}

/// The batches that are complete and have the same to say.
fn as_they_were(ready: &[Ready], alone: &impl Fn(&Ready) -> bool) -> HashSet<[u8; 16]> {
    let mut batches: HashMap<[u8; 16], Vec<(u32, &Ready)>> = HashMap::new();
    for ready in ready {
        if let Some(batched) = ready.delivery.batch {
            batches.entry(batched.id).or_default().push((batched.place, ready));
        }
    }
    let same = |(id_of, mut members): ([u8; 16], Vec<(u32, &Ready)>)| {
        members.sort_by_key(|(place, _)| *place);
        let ids: Vec<MessageId> = members.iter().map(|(_, ready)| id(ready)).collect();
        let together = members.iter().all(|(_, ready)| !alone(ready)) || members.len() == 1;
        (together && batch_id(&ids) == id_of).then_some(id_of)
    };
    batches.into_iter().filter_map(same).collect()
}

/// Makes the batch durable with its members.
fn seal(parcel: &mut Parcel) {
    let ids = |items: &[Ready]| batch_id(&items.iter().map(id).collect::<Vec<_>>());
    let before = parcel.items[0].delivery.batch;
    if let Some(before) = before {
        parcel.items.sort_by_key(|ready| ready.delivery.batch.map(|batched| batched.place));
        if ids(&parcel.items) == before.id {
            parcel.items.iter_mut().for_each(|ready| ready.prepared.batch = ready.delivery.batch);
            return;
        }
    }
    let id = ids(&parcel.items);
    for (place, ready) in parcel.items.iter_mut().enumerate() {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        ready.prepared.batch = Some(Batched { id, place, attempt: ready.prepared.attempt });
    }
}

#[cfg(test)]
mod tests;
