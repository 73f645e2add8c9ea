//! Opening the state: lock, checks, migrations; and the store's methods, handed to the writer or to a reader.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use super::writer::{Write, Writer, Wrote};
use super::{Lock, history, outbox, scan, schema};
use crate::base::clock::UnixMs;
use crate::model::{Delivery, DeliveryId, DestinationName, Feed, TaskName};
use crate::store::{
    ClaimRequest, Committed, Cursor, LaneCount, Prepared, ScanCommit, Settlement, Store, StoreError,
    StoreErrorKind, Totals,
};

/// The state of one process.
#[derive(Debug)]
pub struct LocalStore {
    writer: Writer,
    readers: SqlitePool,
    path: PathBuf,
    // Held until the store is dropped; `None` for a read-only view beside a daemon.
    _lock: Option<Lock>,
}

impl LocalStore {
    /// Takes the lock, checks the file, brings its schema up to date, and gives back what a dead process had claimed.
    ///
    /// # Errors
    /// [`StoreErrorKind::Locked`] if another process holds it; `Corrupt` and `Newer` for files that must not be
    /// touched; `Unwritable` if folder or file cannot be written.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| StoreError {
                kind: StoreErrorKind::Unwritable,
                message: format!(
                    "the state folder {} cannot be made: {e}; make it, or set `state` to another folder",
                    folder.display()
                ),
                source: Some(Box::new(e)),
            })?;
        }
        let lock = Lock::acquire(path)?;
        refuse_foreign(path)?;
        let options = options(path).create_if_missing(true);
        let mut connection = options.connect().await.map_err(|e| classify(path, e))?;
        check(&mut connection, path).await?;
        migrate(&mut connection, path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        let store = Self {
            writer: Writer::start(connection, path),
            readers,
            path: path.to_owned(),
            _lock: Some(lock),
        };
        store.expire_claims(UnixMs::MAX).await?;
        Ok(store)
    }

    /// A read-only view, beside a daemon or without one: takes no lock, and every write fails.
    pub fn view(path: &Path) -> Self {
        let options = options(path).read_only(true);
        let readers = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        Self { writer: Writer::closed(), readers, path: path.to_owned(), _lock: None }
    }

    async fn write(&self, op: Write) -> Result<Wrote, StoreError> {
        self.writer.submit(op).await
    }

    fn read_error(&self, e: sqlx::Error) -> StoreError {
        classify(&self.path, e)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::from_str("sqlite::memory:")
        .expect("a constant URL")
        .filename(path)
        .in_memory(false)
        .shared_cache(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Looks at the header before SQLite does: a file that is not a database must stay as it is.
fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    use std::io::Read;
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut header = [0_u8; 16];
    match file.read(&mut header) {
        Ok(0) => Ok(()),
        Ok(16) if &header == b"SQLite format 3\0" => Ok(()),
        _ => Err(corrupt(path, "it is not an SQLite database")),
    }
}

fn corrupt(path: &Path, found: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!(
            "the state {} is damaged: {found}; restore it from a backup, or move it away and start again from a \
             chosen id with `-s` (rows are then compared again; nothing at the databases is touched)",
            path.display()
        ),
    )
}

/// Turns a driver's error into what callers choose by.
pub(super) fn classify(path: &Path, error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(e) => e.code().and_then(|c| c.parse::<i32>().ok()).map(|c| c & 0xff),
        _ => None,
    };
    let place = path.display();
    let (kind, message) = match code {
        Some(11 | 26) => {
            return StoreError { source: Some(Box::new(error)), ..corrupt(path, "SQLite cannot read it") };
        }
        Some(13) => (
            StoreErrorKind::Unwritable,
            format!("the disk of the state {place} is full; make room there: work goes on by itself"),
        ),
        Some(8 | 10 | 14) => (
            StoreErrorKind::Unwritable,
            format!("the state {place} cannot be written ({error}); check the folder's rights and the disk"),
        ),
        _ => (StoreErrorKind::Other, format!("the state {place} failed: {error}")),
    };
    StoreError { kind, message, source: Some(Box::new(error)) }
}

async fn pragma(connection: &mut SqliteConnection, name: &str) -> Result<i64, sqlx::Error> {
    let row = connection.fetch_one(AssertSqlSafe(format!("PRAGMA {name}"))).await?;
    row.try_get(0)
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| classify(path, e);
    let version = pragma(connection, "user_version").await.map_err(failed)?;
    let application = pragma(connection, "application_id").await.map_err(failed)?;
    if version == 0 && application == 0 {
        let tables = connection.fetch_one("SELECT count(*) FROM sqlite_schema").await.map_err(failed)?;
        return match tables.try_get::<i64, _>(0) {
            Ok(0) => Ok(()),
            _ => Err(corrupt(path, "it is a database of something else")),
        };
    }
    if application != schema::APPLICATION_ID {
        return Err(corrupt(path, "it is a database of something else"));
    }
    let known = i64::try_from(schema::MIGRATIONS.len()).expect("few migrations");
    if version > known {
        return Err(StoreError::new(
            StoreErrorKind::Newer,
            format!(
                "the state {} was written by a newer cupid (its schema is {version}, this one knows {known}); start \
                 the newer version, or restore the copy made before the upgrade",
                path.display()
            ),
        ));
    }
    let verdict = connection.fetch_one("PRAGMA quick_check(1)").await.map_err(failed)?;
    match verdict.try_get::<String, _>(0) {
        Ok(ok) if ok == "ok" => Ok(()),
        Ok(found) => Err(corrupt(path, &found)),
        Err(e) => Err(classify(path, e)),
    }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| classify(path, e);
    let version = pragma(connection, "user_version").await.map_err(failed)?;
    for (index, migration) in
        schema::MIGRATIONS.iter().enumerate().skip(usize::try_from(version).unwrap_or(0))
    {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        tx.execute(*migration).await.map_err(failed)?;
        let numbers = format!(
            "PRAGMA user_version = {}; PRAGMA application_id = {}",
            index + 1,
            schema::APPLICATION_ID
        );
        tx.execute(AssertSqlSafe(numbers)).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
    }
    Ok(())
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
        self.write(Write::Scan(commit)).await.map(Wrote::committed)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError> {
        self.write(Write::Claim(request)).await.map(Wrote::deliveries)
    }

    async fn prepare(&self, messages: Vec<Prepared>) -> Result<(), StoreError> {
        self.write(Write::Prepare(messages)).await.map(drop)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.write(Write::Settle(settlements)).await.map(drop)
    }

    async fn release(
        &self,
        ids: Vec<DeliveryId>,
        due: UnixMs,
        note: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(Write::Release { ids, due, note }).await.map(drop)
    }

    async fn expire_claims(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.write(Write::Expire { now }).await.map(Wrote::count)
    }

    async fn next_due(
        &self,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Option<UnixMs>, StoreError> {
        outbox::next_due(&self.readers, task, destination).await.map_err(|e| self.read_error(e))
    }

    async fn counts(&self) -> Result<Vec<LaneCount>, StoreError> {
        history::counts(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        history::totals(&self.readers).await.map_err(|e| self.read_error(e))
    }

    async fn prune(&self, before: UnixMs, limit: usize) -> Result<u64, StoreError> {
        self.write(Write::Prune { before, limit }).await.map(Wrote::count)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
