//! Which file may be used as the state, and what is said about one that may not. Nothing here changes a file it refuses.

use std::io::Read;
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::schema;
use crate::store::{StoreError, StoreErrorKind};

/// The first SQLite that does not damage a database whose log is reset while another process reads it.
const LEAST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Looks at the header before SQLite does: a file that is not a database must stay as it is.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
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

fn foreign(path: &Path) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!(
            "{} is a database of something else and is left alone; move it away, or set `state` to another folder",
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
            format!("the state {place} cannot be used ({error}); check the folder's rights and the disk"),
        ),
        _ => (StoreErrorKind::Other, format!("the state {place} failed: {error}")),
    };
    StoreError { kind, message, source: Some(Box::new(error)) }
}

async fn pragma(connection: &mut SqliteConnection, name: &str) -> Result<i64, sqlx::Error> {
    let row = connection.fetch_one(AssertSqlSafe(format!("PRAGMA {name}"))).await?;
    row.try_get(0)
}

/// Refuses an SQLite that is too old to be trusted with a state that others read.
pub(super) async fn engine(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| classify(path, e);
    let row = connection.fetch_one("SELECT sqlite_version()").await.map_err(failed)?;
    let version: String = row.try_get(0).map_err(failed)?;
    if is_enough(&version) {
        return Ok(());
    }
    let (major, minor, patch) = LEAST_SQLITE;
    let message = format!(
        "this cupid was built with SQLite {version}, which can damage a state that another process reads; build it \
         with {major}.{minor}.{patch} or newer"
    );
    Err(StoreError::new(StoreErrorKind::Other, message))
}

fn is_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= LEAST_SQLITE
}

/// Whether the file is new, ours, or to be left alone: as it is at one moment, for a daemon may be making it just now.
pub(super) async fn owner(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    connection.execute("BEGIN").await.map_err(|e| classify(path, e))?;
    let verdict = whose(connection, path).await;
    // Nothing was written; whoever is refused closes the connection.
    let _ = connection.execute("ROLLBACK").await;
    verdict
}

async fn whose(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| classify(path, e);
    let version = pragma(connection, "user_version").await.map_err(failed)?;
    let application = pragma(connection, "application_id").await.map_err(failed)?;
    if version == 0 && application == 0 {
        let tables = pragma(connection, "schema_version").await.map_err(failed)?;
        return if tables == 0 { Ok(()) } else { Err(foreign(path)) };
    }
    if application != schema::APPLICATION_ID || version < 1 {
        return Err(foreign(path));
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
    Ok(())
}

/// Reads everything once.
pub(super) async fn sound(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let verdict = connection.fetch_one("PRAGMA quick_check(1)").await.map_err(|e| classify(path, e))?;
    match verdict.try_get::<String, _>(0) {
        Ok(ok) if ok == "ok" => Ok(()),
        Ok(found) => Err(corrupt(path, &found)),
        Err(e) => Err(classify(path, e)),
    }
}

/// Brings the schema up to date.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (version, enough) in [
            ("3.51.3", true),
            ("3.51.10", true),
            ("3.52.0", true),
            ("4.0", true),
            ("3.51.2", false),
            ("3.9.9", false),
        ] {
            assert_eq!(is_enough(version), enough, "{version}");
        }
    }
}
