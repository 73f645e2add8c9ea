//! Deliveries that move from one state to another.

use cupid::model::{DeliveryKind, Finding, Key, RowId, State};
use cupid::store::local::{LocalStore, Rehearsal, problem};
use cupid::store::{Doing, History, Record, Select, Store, TakenIn};

use super::bed::*;
use super::desk::{acted, numbers, put, the_number};

const S: i64 = 1000;

async fn export(store: &LocalStore, select: &Select) -> Vec<Record> {
    let mut records = Vec::new();
    for number in numbers(store, select).await {
        records.push(store.record(number).await.unwrap().unwrap());
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_taken_in_once() {
    let (bed, other) = (Local::new(), Local::new());
    let store = bed.store().await;
    for (key, state) in
        [(b'a', State::Dead), (b'b', State::Retry), (b'c', State::Closed), (b'd', State::Suspect)]
    {
        put(&store, key, state, T0).await;
    }
    let extra =
        Finding { kind: DeliveryKind::Extra, row: RowId::NONE, key: Key::new([0xff, 0]), ..finding(0, 7) };
    store.commit_scan(found(T0, [extra])).await.unwrap();
    let number = the_number(&store, b'a').await;
    acted(&store, Doing::Edit(Box::from([0xfe, 0xff])), number, T0).await;
    let records = export(&store, &Select::default()).await;
    assert_eq!(records.len(), 5);
    // Through the file.
    let lines: Vec<String> = records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    let read: Vec<Record> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, records);
    assert!(read.iter().all(|record| problem(record).is_none()));

    let fresh = other.store().await;
    let would = fresh.would_take(&read, &mut Rehearsal::default()).await.unwrap();
    assert_eq!(
        (would, numbers(&fresh, &Select::default()).await.len()),
        (TakenIn { taken: 5, known: 0, older: 0 }, 0)
    );
    assert_eq!(fresh.take_in(read.clone()).await.unwrap(), would);
    let twice = fresh.take_in(read.clone()).await.unwrap();
    assert_eq!(twice, TakenIn { taken: 0, known: 5, older: 0 });
    assert_eq!(store.take_in(read.clone()).await.unwrap(), twice, "also where they come from");
    let same = |mut record: Record| {
        record.number = 0;
        record
    };
    let there: Vec<Record> = export(&fresh, &Select::default()).await.into_iter().map(same).collect();
    assert_eq!(there, read.into_iter().map(same).collect::<Vec<_>>());
    // It works there as it did here: what was closed stays closed, and what is due is handed out.
    assert_eq!(fresh.commit_scan(found(T0, [finding(b'c', 1)])).await.unwrap(), committed(0, 1, 0));
    assert_eq!(fresh.claim_any(request(T0)).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_keeps_what_is_newest_of_a_key() {
    let (bed, other) = (Local::new(), Local::new());
    let (store, newer) = (bed.store().await, other.store().await);
    put(&store, b'a', State::Dead, T0).await;
    put(&store, b'b', State::Closed, T0).await;
    put(&newer, b'a', State::Retry, T0 + S).await;
    put(&newer, b'b', State::Healed, T0 + S).await;
    let taken = newer.take_in(export(&store, &Select::default()).await).await.unwrap();
    assert_eq!(taken, TakenIn { taken: 0, known: 0, older: 2 });
    // The other way round what ended here is past, and revisions go on.
    put(&newer, b'c', State::Dead, T0 + S).await;
    put(&store, b'c', State::Closed, T0).await;
    let before = the_number(&store, b'c').await;
    assert_eq!(store.take_in(export(&newer, &Select::default()).await).await.unwrap().taken, 2, "b and c");
    let record = store.record(before).await.unwrap().unwrap();
    assert!(record.forgotten, "what came later counts");
}

#[test]
fn a_record_that_is_none_is_refused_with_what_is_wrong() {
    let record = serde_json::json!({
        "cupid": 1, "delivery": uuid::Uuid::nil().to_string(), "task": "t", "destination": "d", "key": "1", "row": "1",
        "kind": "differs", "state": "dead", "found_at": 1, "seen_at": 1, "due": 1, "revision": 0, "tries": 0,
        "attempted": 0, "looks": 0, "unhealed": 0, "renew": true, "run": uuid::Uuid::nil().to_string(),
        "fingerprint": "00".repeat(16),
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut record = record.clone();
        record[name] = value;
        problem(&serde_json::from_value(record).unwrap())
    };
    assert_eq!(with("tries", 1.into()), None);
    for (name, value, says) in [
        ("cupid", 2.into(), "reads 1"),
        ("delivery", "x".into(), "UUID"),
        ("kind", "odd".into(), "missing, differs"),
        ("state", "gone".into(), "suspect, main"),
        ("ended_at", 5.into(), "ended_at"),
        ("row", "one".into(), "whole number"),
        ("fingerprint", "00".into(), "32 hexadecimal"),
        ("sent", "zz".into(), "34 hexadecimal"),
        ("message", serde_json::json!({ "base64": "?" }), "base64"),
    ] {
        let problem = with(name, value).unwrap_or_default();
        assert!(problem.contains(says), "{name}: {problem:?}");
    }
}
