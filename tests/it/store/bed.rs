//! What the promises stand on: a kind of store that can be opened again, and short words for its nouns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cupid::model::{
    Attempt, AttemptOutcome, Delivery, DeliveryId, DeliveryKind, DestinationName, ErrorClass, Feed, Finding,
    Key, Position, RowId, RunId, Sent, State, TaskName,
};
use cupid::store::local::LocalStore;
use cupid::store::{
    Agreement, ClaimRequest, Committed, Cursor, Prepared, ScanCommit, Settlement, Store, StoreError,
    Transition, Work,
};

use crate::support::temp::TempDir;

/// The moment the tests begin, Unix ms.
pub const T0: i64 = 1_700_000_000_000;
pub const LEASE: Duration = Duration::from_secs(120);

/// A kind of store, and where its state lies.
#[async_trait::async_trait]
pub trait Bed: Send + Sync {
    /// Opens the state, once nobody holds it any more.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Files in a folder of their own.
pub struct Local {
    dir: TempDir,
}

impl Local {
    pub fn new() -> Self {
        Self { dir: TempDir::new("store") }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("cupid-test.db")
    }

    pub async fn store(&self) -> LocalStore {
        LocalStore::open(&self.path()).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Bed for Local {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

pub fn task() -> TaskName {
    TaskName::new("t")
}

pub fn destination(name: &str) -> DestinationName {
    DestinationName::new(name)
}

pub fn run_id() -> RunId {
    RunId(uuid::Uuid::from_u128(7))
}

/// A difference of `key` at destination `d`; equal numbers are equal differences.
pub fn finding(key: u8, difference: u8) -> Finding {
    Finding {
        task: task(),
        destination: destination("d"),
        key: Key::new([key]),
        row: RowId(i128::from(key)),
        kind: DeliveryKind::Differs,
        fingerprint: [difference; 16],
        watch: Box::from([difference]),
    }
}

pub fn cursor(position: &str) -> Cursor {
    Cursor {
        task: task(),
        destination: destination("d"),
        feed: Feed::Insert,
        position: Position::new(position),
        identity: "here".to_owned(),
        start_id: Some(RowId(-1)),
    }
}

pub fn found(now: i64, findings: impl IntoIterator<Item = Finding>) -> ScanCommit {
    let findings = findings.into_iter().collect();
    let (run, cursors) = (run_id(), Vec::new());
    ScanCommit {
        run,
        step: None,
        cursors,
        findings,
        versions: None,
        agreed: None,
        covered: None,
        seen: None,
        due: now,
        now,
    }
}

/// Keys that a look at destination `d`, begun at `looked`, saw to agree.
pub fn agreed(looked: i64, keys: impl IntoIterator<Item = u8>) -> ScanCommit {
    let agreement = Agreement {
        task: task(),
        destination: destination("d"),
        looked,
        keys: keys.into_iter().map(|key| Key::new([key])).collect(),
        passed: None,
    };
    ScanCommit { agreed: Some(agreement), ..found(looked, []) }
}

pub fn request(now: i64) -> ClaimRequest {
    let (task, destination) = (task(), destination("d"));
    ClaimRequest { task, destination, work: Work::Look, limit: 1000, turn: 0, now, lease: LEASE }
}

/// For tests that do not care what is to be done with a delivery.
#[async_trait::async_trait]
pub trait AnyWork {
    /// Claims for both kinds of work.
    async fn claim_any(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError>;
    /// When the next delivery is due for either.
    async fn next_any(&self) -> Result<Option<i64>, StoreError>;
}

#[async_trait::async_trait]
impl<T: Store + ?Sized> AnyWork for T {
    async fn claim_any(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError> {
        let mut claimed = self.claim(ClaimRequest { work: Work::Look, ..request.clone() }).await?;
        let limit = request.limit - claimed.len();
        claimed.extend(self.claim(ClaimRequest { work: Work::Call, limit, ..request }).await?);
        Ok(claimed)
    }

    async fn next_any(&self) -> Result<Option<i64>, StoreError> {
        let look = self.next_due(&task(), &destination("d"), Work::Look).await?;
        let call = self.next_due(&task(), &destination("d"), Work::Call).await?;
        Ok(look.into_iter().chain(call).min())
    }
}

/// What is to become of `d` if nothing but its state changes.
pub fn settlement(d: &Delivery, state: State, now: i64) -> Settlement {
    Settlement {
        id: d.id,
        claim: d.claim,
        to: Transition {
            state,
            tries: d.tries,
            looks: d.looks,
            unhealed: d.unhealed,
            renew: d.renew,
            acked_at: d.acked_at,
        },
        seen: None,
        watch: None,
        due: now,
        attempt: None,
        note: None,
        evidence: None,
        now,
    }
}

/// The message of the next revision, about a row whose digest is `row`, with the difference `difference`.
pub fn message(d: &Delivery, row: u8, difference: u8, now: i64) -> Prepared {
    Prepared {
        id: d.id,
        claim: d.claim,
        revision: d.revision + 1,
        body: Box::from([row]),
        differs: None,
        sent: Sent { kind: d.kind, row: [row; 16] },
        fingerprint: [difference; 16],
        batch: None,
        attempt: d.attempts + 1,
        now,
    }
}

pub fn attempt(p: &Prepared, outcome: AttemptOutcome) -> Attempt {
    Attempt { number: p.attempt, revision: p.revision, began: p.now, took: Duration::from_millis(5), outcome }
}

pub fn refused() -> AttemptOutcome {
    AttemptOutcome::Failed {
        class: ErrorClass::Http5xx,
        status: Some(500),
        detail: "busy".to_owned(),
        answer: Some("later, please".into()),
        retry_after: None,
    }
}

/// Opens one delivery per difference of key 1 … n and claims them.
pub async fn claimed(
    store: &dyn Store,
    now: i64,
    findings: impl IntoIterator<Item = Finding>,
) -> Vec<Delivery> {
    store.commit_scan(found(now, findings)).await.unwrap();
    store.claim_any(request(now)).await.unwrap()
}

/// The only delivery that can be claimed at `now`.
pub async fn claim_one(store: &dyn Store, now: i64) -> Delivery {
    let mut got = store.claim_any(request(now)).await.unwrap();
    assert_eq!(got.len(), 1, "exactly one is due: {got:?}");
    got.remove(0)
}

pub async fn settle(store: &dyn Store, settlement: Settlement) {
    store.settle(vec![settlement]).await.unwrap();
}

pub async fn end(store: &dyn Store, d: &Delivery, state: State, now: i64) {
    settle(store, settlement(d, state, now)).await;
}

pub async fn prepare(store: &dyn Store, message: Prepared) {
    store.prepare(vec![message]).await.unwrap();
}

/// Open deliveries of destination `d`, by state.
pub async fn open_states(store: &dyn Store) -> Vec<(State, u64)> {
    let counts = store.counts().await.unwrap();
    let mine = counts.into_iter().filter(|c| c.destination == destination("d"));
    let mut states: Vec<_> = mine.map(|c| (c.state, c.count)).collect();
    states.sort_by_key(|(state, _)| state.as_str());
    states
}

pub fn committed(opened: u64, known: u64, changed: u64) -> Committed {
    Committed { opened, known, changed, healed: 0 }
}

pub fn claim_of(d: &Delivery) -> (DeliveryId, i64) {
    (d.id, d.claim)
}
