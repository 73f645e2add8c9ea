//! The one writer. Calls that arrive while a transaction commits share the next one (group commit), so the price of a
//! durable write is divided among all who wait for it.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::open::classify;
use super::{history, outbox, scan};
use crate::base::clock::UnixMs;
use crate::model::{Delivery, DeliveryId, Feed, TaskName};
use crate::store::{ClaimRequest, Committed, Prepared, ScanCommit, Settlement, StoreError, StoreErrorKind};

/// Calls that may share one transaction.
const GROUP: usize = 64;

/// A change of the state. Applied inside a transaction that others may share; must be repeatable after a rollback.
#[derive(Debug)]
pub(super) enum Write {
    Scan(ScanCommit),
    Forget { task: TaskName, feed: Option<Feed> },
    Claim(ClaimRequest),
    Prepare(Vec<Prepared>),
    Settle(Vec<Settlement>),
    Release { ids: Vec<DeliveryId>, due: UnixMs, note: Option<String> },
    Expire { now: UnixMs },
    Prune { before: UnixMs, limit: usize },
}

/// What a [`Write`] answers.
#[derive(Debug)]
pub(super) enum Wrote {
    Done,
    Committed(Committed),
    Deliveries(Vec<Delivery>),
    Count(u64),
}

impl Wrote {
    pub(super) fn committed(self) -> Committed {
        if let Self::Committed(c) = self { c } else { Committed::default() }
    }

    pub(super) fn deliveries(self) -> Vec<Delivery> {
        if let Self::Deliveries(d) = self { d } else { Vec::new() }
    }

    pub(super) fn count(self) -> u64 {
        if let Self::Count(n) = self { n } else { 0 }
    }
}

type Reply = oneshot::Sender<Result<Wrote, StoreError>>;

/// Handle of the writing task, which lives as long as the store.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<(Write, Reply)>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "ends with the store that owns it; close() waits for it")]
    pub(super) fn start(connection: SqliteConnection, path: &Path) -> Self {
        let (sender, receiver) = mpsc::channel(1024);
        let task = tokio::spawn(run(connection, path.to_owned(), receiver));
        Self { queue: Mutex::new(Some(sender)), task: Mutex::new(Some(task)) }
    }

    /// A writer that writes nothing.
    pub(super) fn closed() -> Self {
        Self { queue: Mutex::new(None), task: Mutex::new(None) }
    }

    pub(super) async fn submit(&self, op: Write) -> Result<Wrote, StoreError> {
        let closed = || StoreError::new(StoreErrorKind::Other, "the state is closed");
        let queue = self.queue.lock().await.clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send((op, reply)).await.map_err(|_| closed())?;
        drop(queue);
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn close(&self) {
        self.queue.lock().await.take();
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

async fn run(mut connection: SqliteConnection, path: PathBuf, mut queue: mpsc::Receiver<(Write, Reply)>) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        match apply_all(&mut connection, &group).await {
            Ok(answers) => {
                for ((_, reply), answer) in group.drain(..).zip(answers) {
                    let _ = reply.send(Ok(answer));
                }
            }
            // One of them cannot be applied: each alone, so that it harms only itself.
            Err(_) => {
                for call in group.drain(..) {
                    let result = apply_all(&mut connection, std::slice::from_ref(&call)).await;
                    let answer = result.map(|mut answers| answers.remove(0)).map_err(|e| classify(&path, e));
                    let _ = call.1.send(answer);
                }
            }
        }
    }
    let _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let _ = connection.close().await;
}

async fn apply_all(
    connection: &mut SqliteConnection,
    calls: &[(Write, Reply)],
) -> Result<Vec<Wrote>, sqlx::Error> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut answers = Vec::with_capacity(calls.len());
    for (op, _) in calls {
        answers.push(apply(&mut tx, op).await?);
    }
    tx.commit().await?;
    Ok(answers)
}

async fn apply(connection: &mut SqliteConnection, op: &Write) -> Result<Wrote, sqlx::Error> {
    Ok(match op {
        Write::Scan(commit) => Wrote::Committed(scan::commit(connection, commit).await?),
        Write::Forget { task, feed } => {
            scan::forget(connection, task, *feed).await?;
            Wrote::Done
        }
        Write::Claim(request) => Wrote::Deliveries(outbox::claim(connection, request).await?),
        Write::Prepare(messages) => {
            outbox::prepare(connection, messages).await?;
            Wrote::Done
        }
        Write::Settle(settlements) => {
            outbox::settle(connection, settlements).await?;
            Wrote::Done
        }
        Write::Release { ids, due, note } => {
            outbox::release(connection, ids, *due, note.as_deref()).await?;
            Wrote::Done
        }
        Write::Expire { now } => Wrote::Count(outbox::expire(connection, *now).await?),
        Write::Prune { before, limit } => Wrote::Count(history::prune(connection, *before, *limit).await?),
    })
}
