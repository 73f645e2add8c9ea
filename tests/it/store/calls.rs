//! Who is handed out for a call, and with whom.

use cupid::model::{Batched, Delivery, State};
use cupid::store::{ClaimRequest, Prepared, Store, Work};

use super::bed::*;

fn calls(now: i64, limit: usize, turn: u64) -> ClaimRequest {
    ClaimRequest { work: Work::Call, limit, turn, ..request(now) }
}

fn keys(claimed: &[Delivery]) -> Vec<u8> {
    claimed.iter().map(|d| d.key.as_bytes()[0]).collect()
}

async fn give_back(store: &dyn Store, claimed: &[Delivery]) {
    store.release(claimed.iter().map(claim_of).collect(), i64::MIN, None).await.unwrap();
}

/// Keys below 100 were never called and became due one after the other, those from 100 on are tried again.
async fn backlog(store: &dyn Store, fresh: u8, again: u8) {
    let all = (0..fresh).chain(100..100 + again);
    for d in claimed(store, T0, all.map(|key| finding(key, 1))).await {
        let key = d.key.as_bytes()[0];
        let (state, at) = if key < 100 { (State::Main, key) } else { (State::Retry, key - 100) };
        end(store, &d, state, T0 + i64::from(at)).await;
    }
}

/// However much there is of one kind, the others get their part; and all that fits is in the order of its being due.
pub async fn what_is_new_and_what_is_tried_again_do_not_wait_for_each_other(bed: &dyn Bed) {
    let store = bed.open().await;
    backlog(&*store, 50, 50).await;
    let got = store.claim(calls(T0 + 1000, 8, 0)).await.unwrap();
    assert_eq!(keys(&got), [46, 100, 47, 0, 48, 101, 49, 1], "the newest, those tried again, the oldest");
    give_back(&*store, &got).await;
    // One at a time: by turns.
    let mut alone = Vec::new();
    for turn in 0..4 {
        let got = store.claim(calls(T0 + 1000, 1, turn)).await.unwrap();
        alone.extend(keys(&got));
        give_back(&*store, &got).await;
    }
    assert_eq!(alone, [49, 100, 49, 0]);
    // What one kind does not need the others get.
    let got = store.claim(calls(T0 + 1000, 80, 0)).await.unwrap();
    assert_eq!(got.len(), 80);
    let rest = store.claim(calls(T0 + 1000, 80, 1)).await.unwrap();
    assert_eq!(rest.len(), 20, "everything is handed out once");
    assert!(store.claim(calls(T0 + 1000, 80, 2)).await.unwrap().is_empty());
    let mut all = keys(&got);
    all.extend(keys(&rest));
    all.sort_unstable();
    assert_eq!(all, (0..50).chain(100..150).collect::<Vec<_>>());
    give_back(&*store, &got).await;
    give_back(&*store, &rest).await;
    let whole = store.claim(calls(T0 + 1000, 1000, 0)).await.unwrap();
    let wanted: Vec<u8> = (0..50).flat_map(|n| [n, n + 100]).collect();
    let mut by_due: Vec<u8> = keys(&whole);
    by_due.chunks_mut(2).for_each(<[u8]>::sort_unstable);
    assert_eq!(by_due, wanted);
}

/// Sends `members` together.
async fn send(store: &dyn Store, members: &[Delivery], now: i64) {
    let one = |(place, d): (usize, &Delivery)| {
        let batch = Batched { id: [9; 16], place: u32::try_from(place).unwrap(), attempt: 1 };
        Prepared { batch: Some(batch), ..message(d, 1, 1, now) }
    };
    let messages: Vec<Prepared> = members.iter().enumerate().map(one).collect();
    assert_eq!(store.prepare(messages).await.unwrap().len(), members.len());
}

/// Over a crash too; as far as they still are to be called.
pub async fn whoever_was_sent_together_comes_back_together(bed: &dyn Bed) {
    let store = bed.open().await;
    backlog(&*store, 6, 0).await;
    let got = store.claim(calls(T0 + 1000, 4, 0)).await.unwrap();
    assert_eq!(got.len(), 4);
    send(&*store, &got, T0 + 1000).await;
    drop(store);

    let store = bed.open().await;
    store.expire_claims(i64::MAX).await.unwrap();
    let members = keys(&got);
    let one = store.claim(calls(T0 + 2000, 1, 0)).await.unwrap();
    let mut back = keys(&one);
    assert_eq!(back.len(), 4, "one is asked for, and its batch comes along: {back:?}");
    for d in &one {
        let place = members.iter().position(|key| *key == d.key.as_bytes()[0]).unwrap();
        let batch = Batched { id: [9; 16], place: u32::try_from(place).unwrap(), attempt: 1 };
        assert_eq!(d.batch, Some(batch));
    }
    back.sort_unstable();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(back, sorted);
    // One has healed, one is not due yet.
    let of = |key: u8| one.iter().find(|d| d.key.as_bytes()[0] == key).unwrap();
    end(&*store, of(sorted[0]), State::Healed, T0 + 2000).await;
    end(&*store, of(sorted[1]), State::Retry, T0 + 90_000).await;
    for key in &sorted[2..] {
        end(&*store, of(*key), State::Retry, T0 + 2000).await;
    }
    let got = store.claim(calls(T0 + 3000, 1, 1)).await.unwrap();
    let mut back = keys(&got);
    back.sort_unstable();
    assert_eq!(back, sorted[2..]);
    // Alone from then on.
    let alone: Vec<Prepared> =
        got.iter().map(|d| Prepared { batch: None, ..message(d, 2, 1, T0 + 3000) }).collect();
    store.prepare(alone).await.unwrap();
    give_back(&*store, &got).await;
    assert_eq!(store.claim(calls(T0 + 3000, 1, 1)).await.unwrap().len(), 1);
}

/// What was never called can be had alone, and then what is tried again waits.
pub async fn what_is_fresh_is_handed_out_without_what_is_tried_again(bed: &dyn Bed) {
    let store = bed.open().await;
    backlog(&*store, 3, 5).await;
    for limit in [1, 2, 3, 10] {
        for turn in 0..4 {
            let fresh = ClaimRequest { work: Work::Fresh, ..calls(T0 + 1000, limit, turn) };
            let got = store.claim(fresh).await.unwrap();
            assert_eq!(got.len(), limit.min(3));
            assert!(keys(&got).iter().all(|key| *key < 100), "{:?}", keys(&got));
            give_back(&*store, &got).await;
        }
    }
    let due = store.next_due(&task(), &destination("d"), Work::Fresh).await.unwrap();
    assert_eq!(due, Some(T0));
}

/// No more than one claim hands out, and of no batch a part.
pub async fn heavy_batches_are_handed_out_whole_and_few_at_a_time(bed: &dyn Bed) {
    let store = bed.open().await;
    backlog(&*store, 6, 0).await;
    let got = store.claim(calls(T0 + 1000, 6, 0)).await.unwrap();
    for (number, members) in got.chunks(2).enumerate() {
        let one = |(place, d): (usize, &Delivery)| {
            let batch = Batched { id: [number as u8; 16], place: place as u32, attempt: 1 };
            let body = vec![b'1'; 6 << 20].into();
            Prepared { batch: Some(batch), body, ..message(d, 1, 1, T0 + 1000) }
        };
        store.prepare(members.iter().enumerate().map(one).collect()).await.unwrap();
    }
    give_back(&*store, &got).await;
    let mut seen = Vec::new();
    for turn in 0..10 {
        let got = store.claim(calls(T0 + 2000, 6, turn)).await.unwrap();
        assert!(got.len() <= 4 && got.len() % 2 == 0, "{} at once", got.len());
        for members in got.chunks(2) {
            let places = members.iter().map(|d| d.batch.unwrap()).map(|b| (b.id, b.place));
            let id = members[0].batch.unwrap().id;
            assert_eq!(places.collect::<Vec<_>>(), [(id, 0), (id, 1)], "one after the other");
        }
        for d in &got {
            seen.push(d.key.as_bytes()[0]);
            end(&*store, d, State::Delivered, T0 + 2000).await;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}
