//! What the durable state costs: committing findings, claiming, and the two writes of each attempt by many callers.
//!
//! `cargo bench --bench store` prints operations a second. Every number includes `synchronous=FULL`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first thing it did not expect")]
#![expect(clippy::print_stdout, reason = "what was measured is what it is for")]
#![expect(clippy::disallowed_methods, reason = "callers of their own, and no supervisor around them")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cupid::model::{
    Attempt, AttemptOutcome, Delivery, DeliveryKind, DestinationName, Finding, Key, RowId, RunId, Sent,
    State, TaskName,
};
use cupid::store::local::LocalStore;
use cupid::store::{ClaimRequest, Prepared, ScanCommit, Settlement, Store, Transition, Work};
use futures_util::future::join_all;

const ROWS: usize = 20_000;
const BATCH: usize = 1000;
const CALLERS: usize = 32;
const NOW: i64 = 1_700_000_000_000;

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("cupid-bench-store-{}", std::process::id()));
    for round in 1..=2 {
        println!("round {round}");
        run(folder.join(format!("{round}.db"))).await;
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn say(what: &str, ops: usize, began: Instant) {
    let took = began.elapsed();
    println!("  {what:<44} {:>9.0}/s  ({took:.1?} for {ops})", ops as f64 / took.as_secs_f64());
}

async fn run(path: PathBuf) {
    let store = Arc::new(LocalStore::open(&path).await.unwrap());
    let keys: Vec<usize> = (0..ROWS).collect();

    let began = Instant::now();
    for batch in keys.chunks(BATCH) {
        store.commit_scan(commit(batch, 1)).await.unwrap();
    }
    say("findings opened, 1 000 a commit", ROWS, began);

    let began = Instant::now();
    for batch in keys.chunks(BATCH) {
        store.commit_scan(commit(batch, 1)).await.unwrap();
    }
    say("findings known, 1 000 a commit", ROWS, began);

    let began = Instant::now();
    let mut claimed = Vec::new();
    while claimed.len() < ROWS {
        claimed.extend(claim(&store).await);
    }
    say("claimed, 1 000 a call", ROWS, began);

    let (claimed, next) = (Arc::new(claimed), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (store, claimed, next) = (store.clone(), claimed.clone(), next.clone());
        tokio::spawn(async move {
            while let Some(d) = claimed.get(next.fetch_add(1, Ordering::Relaxed)) {
                let p = message(d);
                store.prepare(vec![p.clone()]).await.unwrap();
                store.settle(vec![answered(d, &p)]).await.unwrap();
            }
        })
    });
    join_all(callers).await;
    say("prepared and settled one by one, 32 callers", ROWS, began);

    let began = Instant::now();
    for _ in 0..100 {
        store.counts().await.unwrap();
    }
    say("counts", 100, began);
    store.close().await;
}

fn commit(keys: &[usize], difference: u8) -> ScanCommit {
    let finding = |key: &usize| Finding {
        task: TaskName::new("main"),
        destination: DestinationName::new("copy"),
        key: Key::new(key.to_be_bytes()),
        row: RowId(*key as i128),
        kind: DeliveryKind::Missing,
        fingerprint: [difference; 16],
        watch: vec![b'x'; 150].into(),
    };
    let findings = keys.iter().map(finding).collect();
    let (run, cursors) = (RunId(uuid::Uuid::nil()), Vec::new());
    ScanCommit {
        run,
        step: None,
        cursors,
        findings,
        versions: None,
        agreed: None,
        covered: None,
        seen: None,
        due: NOW,
        now: NOW,
    }
}

async fn claim(store: &LocalStore) -> Vec<Delivery> {
    let request = ClaimRequest {
        task: TaskName::new("main"),
        destination: DestinationName::new("copy"),
        work: Work::Look,
        limit: BATCH,
        turn: 0,
        now: NOW,
        lease: Duration::from_secs(120),
    };
    store.claim(request).await.unwrap()
}

fn message(d: &Delivery) -> Prepared {
    Prepared {
        id: d.id,
        claim: d.claim,
        revision: d.revision + 1,
        body: vec![b'x'; 300].into(),
        differs: None,
        sent: Sent { kind: d.kind, row: [1; 16] },
        fingerprint: d.fingerprint,
        batch: None,
        attempt: d.attempts + 1,
        now: NOW,
    }
}

fn answered(d: &Delivery, p: &Prepared) -> Settlement {
    let attempt = Attempt {
        number: p.attempt,
        revision: p.revision,
        began: NOW,
        took: Duration::from_millis(3),
        outcome: AttemptOutcome::Accepted { status: 200, answer: None },
    };
    Settlement {
        id: d.id,
        claim: d.claim,
        to: Transition {
            state: State::Verify,
            tries: 0,
            looks: 0,
            unhealed: 0,
            renew: false,
            acked_at: Some(NOW),
        },
        seen: None,
        watch: None,
        due: NOW + 1000,
        attempt: Some(attempt),
        note: None,
        evidence: None,
        now: NOW,
    }
}
