//! What a look of a feed says of keys that are remembered at its destination: closed, handed over, or dead.

use std::collections::{HashMap, HashSet};

use super::pair::{Compared, Looked, Pair};
use crate::base::chain::chain;
use crate::base::clock::UnixMs;
use crate::model::{DatabaseClass, DeliveryKind, DestinationName, Finding, Key, RowId, TaskName, Verdict};
use crate::outbox::Watch;
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::{Store, StoreError};

/// Returns the remembered keys that were seen to agree. Whether a key is still ambiguous is not to be seen from one of
/// the rows that carry it: both sides of those are read again, and what was found of them is corrected.
///
/// # Errors
/// Either side, or the state, cannot be asked.
pub(super) async fn seen_to_agree(
    store: &dyn Store,
    pair: &Pair,
    (task, destination): (&TaskName, &DestinationName),
    compared: &mut Compared,
    now: UnixMs,
) -> Result<Vec<Key>, PlaceError> {
    let unread = |e: StoreError| {
        let error = PlaceError::new(PlaceErrorKind::Other, "the state of cupid", chain(&e).to_string());
        error.of_class(DatabaseClass::Internal)
    };
    if !store.remembers(task, destination).await.map_err(unread)? {
        return Ok(Vec::new());
    }
    let rows: HashMap<Key, RowId> = {
        let agreed = compared.agreed.iter().map(|(key, row)| (key.clone(), *row));
        agreed.chain(compared.findings.iter().map(|f| (f.key.clone(), f.row))).collect()
    };
    let keys: Vec<&Key> = rows.keys().collect();
    let remembered = store.remembered(task, destination, &keys).await.map_err(unread)?;
    let (ambiguous, plain): (Vec<_>, Vec<_>) =
        remembered.into_iter().partition(|(_, kind)| *kind == DeliveryKind::Ambiguous);
    let ambiguous: HashSet<Key> = ambiguous.into_iter().map(|(key, _)| key).collect();
    let differs: HashSet<&Key> = compared.findings.iter().map(|f| &f.key).collect();
    let mut agreed: Vec<Key> =
        plain.into_iter().map(|(key, _)| key).filter(|key| !differs.contains(key)).collect();
    if ambiguous.is_empty() {
        return Ok(agreed);
    }
    compared.findings.retain(|f| !ambiguous.contains(&f.key));
    compared.agreed.retain(|(key, _)| !ambiguous.contains(key));
    let mut wanted: Vec<(RowId, &Key)> = ambiguous.iter().map(|key| (rows[key], key)).collect();
    while !wanted.is_empty() {
        let looked = pair.look(&wanted).await?;
        let mut rest = Vec::new();
        for ((row, key), looked) in wanted.into_iter().zip(looked) {
            let Some(looked) = looked else {
                rest.push((row, key));
                continue;
            };
            match finding(&looked) {
                Some(kind) => compared.findings.push(Finding {
                    task: task.clone(),
                    destination: destination.clone(),
                    key: key.clone(),
                    row,
                    kind,
                    fingerprint: looked.fingerprint,
                    watch: Watch::begin(&looked.witness, now).bytes(),
                }),
                None if looked.verdict == Some(Verdict::Same) => agreed.push(key.clone()),
                None => {}
            }
        }
        wanted = rest;
    }
    Ok(agreed)
}

fn finding(looked: &Looked) -> Option<DeliveryKind> {
    match looked.verdict.as_ref()? {
        Verdict::Missing => Some(DeliveryKind::Missing),
        Verdict::Differs(_) => Some(DeliveryKind::Differs),
        Verdict::Extra => Some(DeliveryKind::Extra),
        Verdict::Ambiguous(_) => Some(DeliveryKind::Ambiguous),
        Verdict::Same | Verdict::NotComparable | Verdict::TooLarge => None,
    }
}
