//! Opening the state: lock, checks, migrations; and the store's methods, handed to the writer or to a reader.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor};

use super::check::{classify, engine, migrate, owner, refuse_foreign, sound};
use super::memory::{self, Memory};
use super::writer::{Write, Writer};
use super::wrote::Wrote;
use super::{Lock, claim, events, history, plight, scan, standing};
use crate::base::clock::UnixMs;
use crate::model::{
    Delivery, DeliveryId, DeliveryKind, DestinationName, Evidence, Feed, Key, RowId, TaskName,
};
use crate::store::{
    Backlog, ClaimRequest, Committed, Covered, Cursor, Lane, LaneCount, Plight, Prepared, Prune, Pruned, Run,
    ScanCommit, Settlement, Standing, Store, StoreError, StoreErrorKind, Told, Totals, Work,
};

/// The state of one process.
#[derive(Debug)]
pub struct LocalStore {
    writer: Writer,
    readers: SqlitePool,
    memory: Memory,
    path: PathBuf,
}

impl LocalStore {
    /// Takes the lock, checks the file, brings its schema up to date, and gives back what a dead process had claimed.
    /// The lock is held until the store is closed, or, once it is dropped, until its last call is written.
    ///
    /// # Errors
    /// [`StoreErrorKind::Locked`] if another process holds it; `Corrupt` and `Newer` for files that must not be
    /// touched; `Unwritable` if folder or file cannot be written.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            make_folder(folder).map_err(|e| StoreError {
                kind: StoreErrorKind::Unwritable,
                message: format!(
                    "the state folder {} cannot be made: {e}; make it, or set `state` to another folder",
                    folder.display()
                ),
                source: Some(Box::new(e)),
            })?;
        }
        let lock = Lock::acquire(path).await?;
        refuse_foreign(path)?;
        make(path)?;
        let failed = |e| classify(path, e);
        let mut connection = options(path).connect().await.map_err(failed)?;
        engine(&mut connection, path).await?;
        owner(&mut connection, path).await?;
        sound(&mut connection, path).await?;
        // Not before: even this would change a file that is not ours.
        connection.execute("PRAGMA journal_mode = WAL").await.map_err(failed)?;
        connection.execute(AFTER_A_BURST).await.map_err(failed)?;
        migrate(&mut connection, path).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(2).connect_lazy_with(options(path).read_only(true));
        let memory = Memory::default();
        let writer = Writer::start(connection, path, lock, memory.made());
        let store = Self { writer, readers, memory, path: path.to_owned() };
        store.expire_claims(UnixMs::MAX).await?;
        store.cut_off_runs().await?;
        Ok(store)
    }

    /// A read-only view, beside a daemon or without one: takes no lock, and every write fails.
    ///
    /// # Errors
    /// As [`LocalStore::open`], and `Unwritable` if there is no file.
    pub async fn view(path: &Path) -> Result<Self, StoreError> {
        refuse_foreign(path)?;
        let options = options(path).read_only(true);
        let mut connection = options.connect().await.map_err(|e| classify(path, e))?;
        owner(&mut connection, path).await?;
        let _ = connection.close().await;
        let readers = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let memory = Memory::default();
        Ok(Self { writer: Writer::closed(), readers, memory, path: path.to_owned() })
    }

    /// Whether nothing was kept yet: whoever makes the file is not through with that.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn is_new(&self) -> Result<bool, StoreError> {
        let version: Result<i64, _> =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.readers).await;
        version.map(|version| version < FIRST).map_err(|e| self.read_error(e))
    }

    /// A destination compares now: if it was told versions, that is over.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub async fn end_events(&self, task: &TaskName, destination: &DestinationName) -> Result<(), StoreError> {
        if self.backlog(task, destination).await?.is_none() {
            return Ok(());
        }
        let (task, destination) = (task.clone(), destination.clone());
        self.write(Write::EndEvents { task, destination }).await.map(drop)
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn write(&self, op: Write) -> Result<Wrote, StoreError> {
        self.writer.submit(op).await
    }

    pub(super) fn read_error(&self, e: sqlx::Error) -> StoreError {
        classify(&self.path, e)
    }
}

/// The schema of the first state that anything was kept in.
const FIRST: i64 = 2;

/// Bytes of the log that stay on the disk after a large commit.
const AFTER_A_BURST: &str = "PRAGMA journal_size_limit = 16777216";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::from_str("sqlite::memory:")
        .expect("a constant URL")
        .filename(path)
        .in_memory(false)
        .shared_cache(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Makes the folder of a state, if it is missing, for nobody else to look into. One that is there stays as it is.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(folder: &Path) -> std::io::Result<()> {
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above)?;
    }
    // Recursive, so that one that is there is no error.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// An empty file if there is none: what is kept are rows of other people's tables, for nobody else to read. SQLite
/// gives its other files the same rights.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|e| StoreError {
        kind: StoreErrorKind::Unwritable,
        message: format!(
            "the state {} cannot be written: {e}; give the user that runs cupid the right to do so, or set `state` \
             to a folder it may write",
            path.display()
        ),
        source: Some(Box::new(e)),
    })
}

#[async_trait]
impl Store for LocalStore {
    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        scan::cursors(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn forget_cursors(&self, task: &TaskName, feed: Option<Feed>) -> Result<(), StoreError> {
        self.write(Write::Forget { task: task.clone(), feed }).await.map(drop)
    }

    async fn commit_scan(&self, commit: ScanCommit) -> Result<Committed, StoreError> {
        self.write(Write::Scan(Box::new(commit))).await.map(Wrote::committed)
    }

    async fn keep_runs(&self, runs: Vec<Run>) -> Result<(), StoreError> {
        self.write(Write::Runs(runs)).await.map(drop)
    }

    async fn cut_off_runs(&self) -> Result<(), StoreError> {
        self.write(Write::CutOff).await.map(drop)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError> {
        self.write(Write::Claim(request)).await.map(Wrote::deliveries)
    }

    async fn prepare(&self, messages: Vec<Prepared>) -> Result<Vec<DeliveryId>, StoreError> {
        self.write(Write::Prepare(messages)).await.map(Wrote::prepared)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.write(Write::Settle(settlements)).await.map(drop)
    }

    async fn release(
        &self,
        claims: Vec<(DeliveryId, i64)>,
        due: UnixMs,
        note: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(Write::Release { claims, due, note }).await.map(drop)
    }

    async fn expire_claims(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.write(Write::Expire { now }).await.map(Wrote::count)
    }

    async fn next_due(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        work: Work,
    ) -> Result<Option<UnixMs>, StoreError> {
        let due = claim::next_due(&self.readers, task, destination, work).await;
        // What waits behind an older version waits for no time.
        due.map(|due| due.filter(|due| *due != events::HELD)).map_err(|e| self.read_error(e))
    }

    async fn remembers(&self, task: &TaskName, destination: &DestinationName) -> Result<bool, StoreError> {
        self.memory.remembers(&self.readers, task, destination).await.map_err(|e| self.read_error(e))
    }

    async fn remembered(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        keys: &[&Key],
    ) -> Result<Vec<(Key, DeliveryKind)>, StoreError> {
        memory::of_keys(&self.readers, task, destination, keys).await.map_err(|e| self.read_error(e))
    }

    async fn evidence(&self, id: DeliveryId) -> Result<Option<Evidence>, StoreError> {
        memory::evidence(&self.readers, id).await.map_err(|e| self.read_error(e))
    }

    async fn recall(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        history::recall(&self.readers, task, destination, name).await.map_err(|e| self.read_error(e))
    }

    async fn remember(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        let (task, destination, name) = (task.clone(), destination.clone(), name.to_owned());
        self.write(Write::Remember { task, destination, name, value }).await.map(drop)
    }

    async fn counts(&self) -> Result<Vec<LaneCount>, StoreError> {
        history::counts(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn in_plight(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        plight: Plight,
        most: u64,
    ) -> Result<u64, StoreError> {
        plight::count(&self.readers, task, destination, plight, most).await.map_err(|e| self.read_error(e))
    }

    async fn coverage(&self) -> Result<Vec<Covered>, StoreError> {
        standing::coverage(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn standing(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        from: Option<RowId>,
    ) -> Result<Standing, StoreError> {
        standing::standing(&self.readers, task, destination, from).await.map_err(|e| self.read_error(e))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        history::totals(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn bring_forward(&self, work: Work, latest: UnixMs) -> Result<u64, StoreError> {
        self.write(Write::BringForward { work, latest }).await.map(Wrote::count)
    }

    async fn prune(&self, what: Prune) -> Result<Pruned, StoreError> {
        self.write(Write::Prune(what)).await.map(Wrote::pruned)
    }

    async fn prune_lane(&self, lane: Lane, limit: usize) -> Result<Pruned, StoreError> {
        self.write(Write::PruneLane { lane, limit }).await.map(Wrote::pruned)
    }

    async fn kept_from(&self, of: Option<&Lane>, most: u64) -> Result<Option<UnixMs>, StoreError> {
        history::kept_from(&self.readers, of, most).await.map_err(|e| self.read_error(e))
    }

    async fn begin_events(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        now: UnixMs,
    ) -> Result<u64, StoreError> {
        let (task, destination) = (task.clone(), destination.clone());
        self.write(Write::BeginEvents { task, destination, now }).await.map(Wrote::count)
    }

    async fn told(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        rows: &[(&Key, RowId)],
    ) -> Result<Told, StoreError> {
        events::told(&self.readers, task, destination, rows).await.map_err(|e| self.read_error(e))
    }

    async fn backlog(
        &self,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Option<Backlog>, StoreError> {
        events::backlog(&self.readers, task, destination).await.map_err(|e| self.read_error(e))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
