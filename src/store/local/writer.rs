//! The one writer. Calls that arrive while a transaction commits share the next one (group commit), so the price of a
//! durable write is divided among all who wait for it.
//!
//! Transactions are plain statements: sqlx counts open transactions itself, and its count is wrong for ever when SQLite
//! has rolled one back on its own, as it does when a disk is full.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::check::classify;
use super::wrote::Wrote;
use super::{Lock, act, claim, events, history, outbox, runs, scan, take};
use crate::base::clock::UnixMs;
use crate::model::{DeliveryId, DestinationName, Feed, State, TaskName};
use crate::store::{
    Act, ClaimRequest, Lane, Prepared, Prune, Record, Run, ScanCommit, Settlement, StoreError,
    StoreErrorKind, Work,
};

/// Calls that may share one transaction.
const GROUP: usize = 64;
/// So many are settled in no time.
const FEW: usize = 64;
/// Most releases kept for later; the leases give back what is beyond them.
const OWED: usize = 1024;

/// A change of the state. Applied inside a transaction that others may share; must be repeatable after a rollback.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Scan(Box<ScanCommit>),
    Runs(Vec<Run>),
    CutOff,
    Forget { task: TaskName, feed: Option<Feed> },
    Claim(ClaimRequest),
    Prepare(Vec<Prepared>),
    Settle(Vec<Settlement>),
    Release { claims: Vec<(DeliveryId, i64)>, due: UnixMs, note: Option<String> },
    Expire { now: UnixMs },
    BringForward { work: Work, latest: UnixMs },
    Prune(Prune),
    PruneLane { lane: Lane, limit: usize },
    BeginEvents { task: TaskName, destination: DestinationName, now: UnixMs },
    EndEvents { task: TaskName, destination: DestinationName },
    Remember { task: TaskName, destination: DestinationName, name: String, value: Option<String> },
    Act(Act),
    TakeIn(Vec<Record>),
}

impl Write {
    fn settlements(&self) -> &[Settlement] {
        if let Self::Settle(settlements) = self { settlements } else { &[] }
    }

    /// Whether something may be remembered after it that was not before.
    fn makes_memory(&self) -> bool {
        match self {
            Self::Settle(settlements) => {
                let remembered =
                    |s: &Settlement| matches!(s.to.state, State::Dead | State::Delivered | State::Closed);
                settlements.iter().any(remembered)
            }
            Self::Act(_) | Self::TakeIn(_) | Self::Expire { .. } => true,
            Self::Scan(_)
            | Self::Runs(_)
            | Self::CutOff
            | Self::Claim(_)
            | Self::Forget { .. }
            | Self::Prepare(_)
            | Self::Release { .. }
            | Self::BringForward { .. }
            | Self::Prune(_)
            | Self::PruneLane { .. }
            | Self::BeginEvents { .. }
            | Self::EndEvents { .. }
            | Self::Remember { .. } => false,
        }
    }

    fn is_quick(&self) -> bool {
        match self {
            Self::Prepare(_) => true,
            Self::Settle(settlements) => settlements.len() <= FEW,
            _ => false,
        }
    }

    fn messages(&self) -> &[Prepared] {
        if let Self::Prepare(messages) = self { messages } else { &[] }
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
    pub(super) fn start(connection: SqliteConnection, path: &Path, lock: Lock, made: Arc<AtomicU64>) -> Self {
        let (sender, receiver) = mpsc::channel(1024);
        let desk = Desk { connection, path: path.to_owned(), owed: Vec::new(), made, _lock: lock };
        let task = tokio::spawn(desk.run(receiver));
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

/// The writing task.
struct Desk {
    connection: SqliteConnection,
    path: PathBuf,
    /// Claims to give back for callers that are gone or could not do it themselves.
    owed: Vec<Write>,
    /// Counts what may have made the state remember more.
    made: Arc<AtomicU64>,
    // Dropped last: nobody else may begin before everything is written.
    _lock: Lock,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<(Write, Reply)>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.recv_many(&mut group, GROUP).await > 0 {
            // Nobody would get what these hand out.
            group.retain(|(op, reply)| !(matches!(op, Write::Claim(_)) && reply.is_closed()));
            // Who has a call to make or one behind it does not wait for what takes long.
            let (quick, long): (Vec<_>, Vec<_>) = group.drain(..).partition(|(op, _)| op.is_quick());
            self.write(quick).await;
            self.write(long).await;
            self.pay().await;
        }
        self.pay().await;
        // A reader who does not come to an end must not hold up the stop; the next start works without this.
        let _ = self.connection.execute("PRAGMA busy_timeout = 250").await;
        let _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let _ = self.connection.close().await;
    }

    async fn write(&mut self, group: Vec<(Write, Reply)>) {
        if group.is_empty() {
            return;
        }
        match self.transact(group.iter().map(|(op, _)| op)).await {
            Ok(answers) => {
                for ((op, reply), answer) in group.into_iter().zip(answers) {
                    self.answer(op, reply, Ok(answer));
                }
            }
            // One of them cannot be applied: each alone, so that it harms only itself.
            Err(_) => {
                for (op, reply) in group {
                    let alone = self.transact(std::iter::once(&op)).await;
                    self.answer(op, reply, alone.map(|mut answers| answers.remove(0)));
                }
            }
        }
    }

    fn answer(&mut self, op: Write, reply: Reply, answer: Result<Wrote, StoreError>) {
        let failed = answer.is_err();
        match (reply.send(answer), op) {
            (Err(Ok(Wrote::Deliveries(nobodys))), _) if !nobodys.is_empty() => {
                let claims = nobodys.iter().map(|d| (d.id, d.claim)).collect();
                self.owe(Write::Release { claims, due: UnixMs::MIN, note: None });
            }
            (_, release @ Write::Release { .. }) if failed => self.owe(release),
            _ => {}
        }
    }

    fn owe(&mut self, release: Write) {
        if self.owed.len() < OWED {
            self.owed.push(release);
        }
    }

    async fn pay(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let owed = std::mem::take(&mut self.owed);
        if self.transact(owed.iter()).await.is_err() {
            self.owed = owed;
        }
    }

    /// All of them, or none.
    async fn transact(&mut self, ops: impl Iterator<Item = &Write>) -> Result<Vec<Wrote>, StoreError> {
        let all = apply_all(&mut self.connection, ops, &self.made);
        let error = match AssertUnwindSafe(all).catch_unwind().await {
            Ok(Ok(answers)) => return Ok(answers),
            Ok(Err(e)) => classify(&self.path, e),
            Err(_) => {
                let message =
                    "a change of the state panicked and was taken back; please report this with the log";
                StoreError::new(StoreErrorKind::Other, message)
            }
        };
        // Fails if SQLite has already done it.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        Err(error)
    }
}

async fn apply_all(
    connection: &mut SqliteConnection,
    ops: impl Iterator<Item = &Write>,
    made: &AtomicU64,
) -> Result<Vec<Wrote>, sqlx::Error> {
    let ops: Vec<&Write> = ops.collect();
    let remembers = ops.iter().any(|op| op.makes_memory());
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    // None of their callers has an answer yet, so there is no order between them: many of a kind are one.
    let settlements: Vec<&Settlement> = ops.iter().flat_map(|op| op.settlements()).collect();
    outbox::settle(connection, &settlements).await?;
    let messages: Vec<&Prepared> = ops.iter().flat_map(|op| op.messages()).collect();
    let held = outbox::prepare(connection, &messages).await?;
    let mut answers = Vec::with_capacity(ops.len());
    for op in ops {
        answers.push(match op {
            Write::Settle(_) => Wrote::Done,
            Write::Prepare(messages) => {
                let mine = messages.iter().filter(|m| held.contains(&(m.id, m.claim)));
                Wrote::Prepared(mine.map(|m| m.id).collect())
            }
            Write::Scan(commit) => Wrote::Committed(scan::commit(connection, commit).await?),
            Write::Runs(all) => {
                for run in all {
                    runs::keep(connection, run).await?;
                }
                Wrote::Done
            }
            Write::CutOff => {
                connection.execute(runs::CUT_OFF).await?;
                Wrote::Done
            }
            Write::Forget { task, feed } => {
                scan::forget(connection, task, *feed).await?;
                Wrote::Done
            }
            Write::Claim(request) => Wrote::Deliveries(claim::claim(connection, request).await?),
            Write::Release { claims, due, note } => {
                outbox::release(connection, claims, *due, note.as_deref()).await?;
                Wrote::Done
            }
            Write::Remember { task, destination, name, value } => {
                history::remember(connection, task, destination, name, value.as_deref()).await?;
                Wrote::Done
            }
            Write::Expire { now } => Wrote::Count(outbox::expire(connection, *now).await?),
            Write::BringForward { work, latest } => {
                Wrote::Count(outbox::bring_forward(connection, *work, *latest).await?)
            }
            Write::Prune(what) => Wrote::Pruned(history::prune(connection, *what).await?),
            Write::PruneLane { lane, limit } => {
                Wrote::Pruned(history::prune_lane(connection, lane, *limit).await?)
            }
            Write::BeginEvents { task, destination, now } => {
                Wrote::Count(events::begin(connection, task, destination, *now).await?)
            }
            Write::EndEvents { task, destination } => {
                events::end(connection, task, destination).await?;
                Wrote::Done
            }
            Write::Act(one) => Wrote::Acted(act::act(connection, one).await?),
            Write::TakeIn(records) => Wrote::TakenIn(take::take_in(connection, records).await?),
        });
    }
    sqlx::query("COMMIT").execute(connection).await?;
    if remembers {
        made.fetch_add(1, Ordering::Release);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::super::schema;
    use super::*;

    #[tokio::test]
    async fn a_panic_takes_back_what_it_interrupts_and_ends_nothing_else() {
        let path = std::env::temp_dir().join(format!("cupid-writer-{}.db", std::process::id()));
        let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        for migration in schema::MIGRATIONS {
            connection.execute(*migration).await.unwrap();
        }
        let lock = Lock::acquire(&path).await.unwrap();
        // Held and never looked at again: it goes now, however this ends.
        std::fs::remove_file(path.with_extension("lock")).unwrap();
        let mut desk =
            Desk { connection, path: path.clone(), owed: Vec::new(), made: Arc::default(), _lock: lock };
        let commit = ScanCommit {
            run: crate::model::RunId(uuid::Uuid::nil()),
            step: None,
            cursors: vec![crate::store::Cursor {
                task: TaskName::new("t"),
                destination: DestinationName::new("d"),
                feed: Feed::Insert,
                position: crate::model::Position::new("p"),
                identity: String::new(),
                start_id: None,
            }],
            findings: Vec::new(),
            versions: None,
            agreed: None,
            covered: None,
            seen: None,
            due: 0,
            now: 0,
        };
        let good = Write::Scan(Box::new(commit));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let bad = std::iter::once(&good).chain(std::iter::once_with(|| panic!("planted")));
        let refused = desk.transact(bad).await;
        std::panic::set_hook(hook);
        assert!(refused.unwrap_err().to_string().contains("panicked"));
        let cursors = async |desk: &mut Desk| {
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM cursor")
                .fetch_one(&mut desk.connection)
                .await
                .unwrap()
        };
        assert_eq!(cursors(&mut desk).await, 0);
        desk.transact(std::iter::once(&good)).await.unwrap();
        assert_eq!(cursors(&mut desk).await, 1);
    }
}
