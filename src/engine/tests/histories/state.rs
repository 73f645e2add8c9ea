//! The real state, with places before and behind each of its steps at which the process may die.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::clockwork::Clockwork;
use super::ledger::Ledger;
use crate::base::clock::UnixMs;
use crate::model::{
    Delivery, DeliveryId, DeliveryKind, DestinationName, Evidence, Feed, Key, RowId, TaskName,
};
use crate::store::local::LocalStore;
use crate::store::{
    Backlog, ClaimRequest, Committed, Covered, Cursor, Lane, LaneCount, Plight, Prepared, Prune, Pruned, Run,
    ScanCommit, Settlement, Standing, Store, StoreError, Told, Totals, Work,
};

/// See the module's documentation.
pub(super) struct Durable {
    store: LocalStore,
    handle: Handle,
    clockwork: Arc<Clockwork>,
    ledger: Arc<Mutex<Ledger>>,
}

/// Copies are called by their number.
pub(super) fn copy_of(destination: &DestinationName) -> usize {
    destination.as_str().trim_start_matches("copy").parse().unwrap()
}

impl Durable {
    /// Opens the state, as a start does.
    pub(super) fn open(
        path: &Path,
        handle: Handle,
        clockwork: Arc<Clockwork>,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let store = handle.block_on(LocalStore::open(path)).unwrap();
        Self { store, handle, clockwork, ledger }
    }

    /// No virtual time passes while the disk works.
    async fn step<T>(&self, work: impl Future<Output = T> + Send) -> T
    where
        T: Send,
    {
        self.clockwork.may_crash().await;
        let done = self.handle.block_on(work);
        self.clockwork.may_crash().await;
        done
    }

    fn read<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    /// A cursor never passes a difference that is not durable: rows behind it that a copy has never had are known.
    fn judge(&self, commit: &ScanCommit) {
        let mut ledger = self.ledger.lock().unwrap();
        let now = self.clockwork.now();
        for finding in &commit.findings {
            ledger.note(
                now,
                Some(finding.row.0),
                format!("found {:?} at {}", finding.kind, finding.destination),
            );
            ledger.found.insert((copy_of(&finding.destination), finding.row.0));
        }
        for cursor in commit.cursors.iter().filter(|cursor| cursor.feed == Feed::Insert) {
            let text: serde_json::Value = serde_json::from_str(cursor.position.as_str()).unwrap();
            let Some(after) = text["after"].as_str().and_then(|id| id.parse::<i128>().ok()) else { continue };
            let copy = copy_of(&cursor.destination);
            let escaped = ledger.rows().into_iter().take_while(|row| *row <= after).find(|row| {
                let missing = ledger.now_at_source(*row).is_some() && ledger.never_there(copy, *row);
                missing && !ledger.found.contains(&(copy, *row))
            });
            if let Some(row) = escaped {
                let why = format!(
                    "the cursor of copy {copy} is behind {after}, and row {row} is not known to be missing"
                );
                ledger.fail(Some(row), why);
            }
        }
    }
}

#[async_trait]
impl Store for Durable {
    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.read(self.store.cursors())
    }

    async fn coverage(&self) -> Result<Vec<Covered>, StoreError> {
        self.store.coverage().await
    }

    async fn standing(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        from: Option<RowId>,
    ) -> Result<Standing, StoreError> {
        self.store.standing(task, destination, from).await
    }

    async fn forget_cursors(&self, task: &TaskName, feed: Option<Feed>) -> Result<(), StoreError> {
        self.step(self.store.forget_cursors(task, feed)).await
    }

    async fn commit_scan(&self, commit: ScanCommit) -> Result<Committed, StoreError> {
        let judged = commit.clone();
        let work = async {
            let done = self.store.commit_scan(commit).await;
            self.judge(&judged);
            done
        };
        self.step(work).await
    }

    async fn keep_runs(&self, runs: Vec<Run>) -> Result<(), StoreError> {
        self.step(self.store.keep_runs(runs)).await
    }

    async fn cut_off_runs(&self) -> Result<(), StoreError> {
        self.step(self.store.cut_off_runs()).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError> {
        let claimed = self.step(self.store.claim(request)).await?;
        let mut ledger = self.ledger.lock().unwrap();
        for d in &claimed {
            ledger.rows_of.insert(d.id.to_string(), d.row.0);
        }
        Ok(claimed)
    }

    async fn prepare(&self, messages: Vec<Prepared>) -> Result<Vec<DeliveryId>, StoreError> {
        let sent: Vec<_> = messages.iter().map(|m| (m.id.to_string(), m.revision, m.body.clone())).collect();
        let work = async {
            let held = self.store.prepare(messages).await;
            self.ledger.lock().unwrap().prepared.extend(sent);
            held
        };
        self.step(work).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        let told = settlements.clone();
        let done = self.step(self.store.settle(settlements)).await;
        let now = self.clockwork.now();
        let mut ledger = self.ledger.lock().unwrap();
        for s in told {
            let row = ledger.rows_of.get(&s.id.to_string()).copied();
            let pause = s.due.saturating_sub(s.now);
            let what = format!("becomes {} for {pause} ms: {:?}", s.to.state.as_str(), s.note);
            ledger.note(now, row, what);
        }
        done
    }

    async fn release(
        &self,
        claims: Vec<(DeliveryId, i64)>,
        due: UnixMs,
        note: Option<String>,
    ) -> Result<(), StoreError> {
        self.step(self.store.release(claims, due, note)).await
    }

    async fn expire_claims(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.step(self.store.expire_claims(now)).await
    }

    async fn next_due(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        work: Work,
    ) -> Result<Option<UnixMs>, StoreError> {
        self.read(self.store.next_due(task, destination, work))
    }

    async fn recall(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        self.read(self.store.recall(task, destination, name))
    }

    async fn remember(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        self.step(self.store.remember(task, destination, name, value)).await
    }

    async fn remembers(&self, task: &TaskName, destination: &DestinationName) -> Result<bool, StoreError> {
        self.read(self.store.remembers(task, destination))
    }

    async fn remembered(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        keys: &[&Key],
    ) -> Result<Vec<(Key, DeliveryKind)>, StoreError> {
        self.read(self.store.remembered(task, destination, keys))
    }

    async fn evidence(&self, id: DeliveryId) -> Result<Option<Evidence>, StoreError> {
        self.read(self.store.evidence(id))
    }

    async fn counts(&self) -> Result<Vec<LaneCount>, StoreError> {
        self.read(self.store.counts())
    }

    async fn in_plight(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        plight: Plight,
        most: u64,
    ) -> Result<u64, StoreError> {
        self.read(self.store.in_plight(task, destination, plight, most))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(self.store.totals())
    }

    async fn bring_forward(&self, work: Work, latest: UnixMs) -> Result<u64, StoreError> {
        self.step(self.store.bring_forward(work, latest)).await
    }

    async fn prune(&self, what: Prune) -> Result<Pruned, StoreError> {
        self.step(self.store.prune(what)).await
    }

    async fn prune_lane(&self, lane: Lane, limit: usize) -> Result<Pruned, StoreError> {
        self.step(self.store.prune_lane(lane, limit)).await
    }

    async fn kept_from(&self, of: Option<&Lane>, most: u64) -> Result<Option<UnixMs>, StoreError> {
        self.step(self.store.kept_from(of, most)).await
    }

    async fn begin_events(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        now: UnixMs,
    ) -> Result<u64, StoreError> {
        self.step(self.store.begin_events(task, destination, now)).await
    }

    async fn told(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        rows: &[(&Key, RowId)],
    ) -> Result<Told, StoreError> {
        self.read(self.store.told(task, destination, rows))
    }

    async fn backlog(
        &self,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Option<Backlog>, StoreError> {
        self.read(self.store.backlog(task, destination))
    }

    async fn close(&self) {
        self.read(self.store.close());
    }
}
