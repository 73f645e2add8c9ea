use proptest::prelude::*;
use std::time::Duration;

use super::*;
use crate::config::Then;
use crate::model::{Delivery, DeliveryId, DeliveryKind, Key, RowId, Sent, State};
use crate::store::Prepared;

fn retry(tries: u32) -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_secs(10), tries, Then::Every(Duration::from_secs(600)))
}

/// A message about to be sent: of delivery `n`, which has failed so often.
fn ready(n: u8, tries: u32) -> Ready {
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::from_u128(u128::from(n))),
        key: Key::new([n]),
        row: RowId(i128::from(n)),
        state: State::Main,
        tries,
        attempts: tries,
        ..Delivery::sample()
    };
    let prepared = Prepared {
        id: delivery.id,
        claim: 1,
        revision: 1,
        body: format!(r#"{{"type":2,"srcColumn":{{"n":"{n}"}}}}"#).into_bytes().into(),
        sent: Sent { kind: DeliveryKind::Differs, row: [n; 16] },
        differs: None,
        fingerprint: [1; 16],
        batch: None,
        attempt: delivery.attempts + 1,
        now: 0,
    };
    Ready { delivery, prepared }
}

/// As the next claim finds what was sent.
fn next(sent: &Ready, failed: bool) -> Ready {
    let mut again =
        ready(u8::try_from(sent.delivery.row.0).unwrap(), sent.delivery.tries + u32::from(failed));
    again.delivery.batch = sent.prepared.batch;
    again.delivery.revision = sent.prepared.revision;
    again.delivery.attempts = sent.prepared.attempt;
    again.prepared.attempt = sent.prepared.attempt + 1;
    again.prepared.revision = sent.prepared.revision;
    again
}

fn numbers(parcels: &[Parcel]) -> Vec<Vec<i128>> {
    parcels.iter().map(|p| p.items.iter().map(|r| r.delivery.row.0).collect()).collect()
}

#[test]
fn without_batches_every_row_goes_alone_and_in_no_list() {
    let parcels = pack(vec![ready(1, 0), ready(2, 0)], None, &retry(3));
    assert_eq!(numbers(&parcels), [[1], [2]]);
    let message = parcels[0].message(None);
    assert_eq!(message.id(), "00000000-0000-0000-0000-000000000001-1");
    assert!(message.body.starts_with(b"{\"type\""));
    assert_eq!(parcels[0].items[0].prepared.batch, None);
}

#[test]
fn what_has_failed_as_often_goes_together_and_at_last_alone() {
    let rows =
        vec![ready(1, 0), ready(2, 1), ready(3, 0), ready(4, 3), ready(5, 0), ready(6, 3), ready(7, 1)];
    let parcels = pack(rows, Some(2), &retry(5));
    assert_eq!(numbers(&parcels), [vec![1, 3], vec![2, 7], vec![4], vec![5], vec![6]]);
    assert!(parcels[2].message(Some(2)).body.starts_with(b"[{\"id\""), "a list all the same");
    // With fewer quick tries the last one is made alone.
    let parcels = pack(vec![ready(1, 1), ready(2, 1), ready(3, 0), ready(4, 0)], Some(9), &retry(1));
    assert_eq!(numbers(&parcels), [vec![1], vec![2], vec![3, 4]]);
}

#[test]
fn a_key_is_in_a_batch_once_and_a_batch_has_a_bounded_size() {
    let mut twin = ready(9, 0);
    twin.delivery.key = Key::new([1]);
    assert_eq!(
        numbers(&pack(vec![ready(1, 0), twin, ready(2, 0)], Some(9), &retry(3))),
        [vec![1], vec![9, 2]]
    );
    let heavy = |n| {
        let mut ready = ready(n, 0);
        ready.prepared.body = vec![b'1'; HEAVIEST / 2 - 10].into();
        ready
    };
    let parcels = pack((1..=5).map(heavy).collect(), Some(9), &retry(3));
    assert_eq!(numbers(&parcels), [vec![1, 2], vec![3, 4], vec![5]]);
    let mut huge = ready(1, 0);
    huge.prepared.body = vec![b'1'; HEAVIEST * 2].into();
    assert_eq!(
        numbers(&pack(vec![ready(2, 0), huge, ready(3, 0)], Some(9), &retry(3))),
        [vec![2], vec![1], vec![3]]
    );
}

/// Sends rows 1, 2 and 3 together.
fn sent() -> Parcel {
    let mut parcels = pack(vec![ready(3, 0), ready(1, 0), ready(2, 0)], Some(9), &retry(3));
    assert_eq!(parcels.len(), 1);
    parcels.remove(0)
}

#[test]
fn a_batch_comes_again_as_it_was() {
    let before = sent();
    let first = before.message(Some(9));
    for failed in [false, true] {
        // In another order, with others among them, and with another limit.
        let mut claimed = vec![ready(8, 0), ready(9, 0)];
        claimed.extend(before.items.iter().rev().map(|ready| next(ready, failed)));
        let parcels = pack(claimed, Some(2), &retry(3));
        let again = parcels.iter().find(|p| p.items.len() == 3).unwrap();
        let message = again.message(Some(2));
        assert_eq!((message.id(), &message.body), (first.id(), &first.body));
        assert_eq!(message.attempt, 2);
        assert_eq!(numbers(&parcels).concat().len(), 5, "nobody is lost");
        assert!(again.items.iter().all(|r| r.prepared.batch == r.delivery.batch));
    }
}

#[test]
fn a_batch_of_which_anything_is_another_is_none_any_more() {
    let before = sent();
    let all = || before.items.iter().map(|ready| next(ready, false)).collect::<Vec<_>>();
    let first = before.message(Some(9)).id();
    let mut less = all();
    less.remove(1);
    let mut newer = all();
    newer[1].prepared.revision += 1;
    for (claimed, what) in [(less, "one has healed"), (newer, "one has more to say")] {
        let parcels = pack(claimed, Some(9), &retry(3));
        assert_eq!(parcels.len(), 1, "{what}");
        assert_ne!(parcels[0].message(Some(9)).id(), first, "{what}");
        let places: Vec<_> = parcels[0].items.iter().map(|r| r.prepared.batch.unwrap().place).collect();
        assert!(places.is_sorted() && places[0] == 0, "{what}");
        assert!(parcels[0].items.iter().all(|r| r.prepared.batch.unwrap().attempt == 2), "{what}");
    }
    // The third failure parts them.
    let tired: Vec<Ready> = before.items.iter().map(|ready| next(ready, false)).collect();
    let tired = tired.into_iter().map(|mut ready| {
        ready.delivery.tries = 3;
        ready
    });
    assert_eq!(numbers(&pack(tired.collect(), Some(9), &retry(3))).len(), 3);
}

proptest! {
    /// Whatever is claimed of whatever was sent: everybody goes once, and only complete batches go again as they were.
    #[test]
    fn nobody_is_lost_and_nobody_goes_twice(
        sizes in prop::collection::vec(1..6_usize, 1..4), kept in prop::collection::vec(any::<bool>(), 24),
        fresh in 0..5_u8, most in 1..8_usize, shift in 0..20_usize,
    ) {
        let mut n = 0;
        let mut claimed = Vec::new();
        let mut complete = Vec::new();
        for size in sizes {
            let rows: Vec<Ready> = (0..size).map(|_| { n += 1; ready(n, 0) }).collect();
            let parcels = pack(rows, Some(9), &retry(3));
            prop_assert_eq!(parcels.len(), 1);
            let back: Vec<Ready> = parcels[0].items.iter()
                .filter(|r| kept[r.delivery.row.0 as usize]).map(|r| next(r, true)).collect();
            if back.len() == size {
                complete.push(parcels[0].message(Some(9)).id());
            }
            claimed.extend(back);
        }
        claimed.extend((0..fresh).map(|i| ready(100 + i, 0)));
        if !claimed.is_empty() {
            let by = shift % claimed.len();
            claimed.rotate_left(by);
        }
        let mut wanted: Vec<i128> = claimed.iter().map(|r| r.delivery.row.0).collect();
        wanted.sort_unstable();
        let parcels = pack(claimed, Some(most), &retry(3));
        let mut got = numbers(&parcels).concat();
        got.sort_unstable();
        prop_assert_eq!(got, wanted);
        let ids: Vec<String> = parcels.iter().map(|p| p.message(Some(most)).id()).collect();
        for id in &complete {
            prop_assert!(ids.contains(id));
        }
        for (parcel, id) in parcels.iter().zip(&ids) {
            prop_assert!(complete.contains(id) || parcel.items.len() <= most);
            let stored = parcel.items[0].prepared.batch.unwrap().id;
            prop_assert_eq!(&format!("{:032x}", u128::from_be_bytes(stored)), id, "the id is durable");
        }
    }
}
