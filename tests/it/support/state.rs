//! A look into the state a daemon left, for what cannot be seen from outside: that nothing more was found than called.

use std::fs;
use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::daemon::Site;

/// The state database below a site, wherever the configuration put it.
pub fn file(site: &Site) -> PathBuf {
    let mut files = files(site, "db");
    assert_eq!(files.len(), 1, "one state: {files:?}");
    files.remove(0)
}

/// All files `cupid-*.<extension>` below a site.
pub fn files(site: &Site, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![site.path("")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().filter_map(|e| Some(e.ok()?.path())) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with("cupid-") && name.ends_with(&format!(".{extension}")) {
                found.push(path);
            }
        }
    }
    found
}

/// Removes the state: the next start knows nothing.
pub fn forget(site: &Site) {
    let db = file(site);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", db.display()));
    }
}

/// How many deliveries were ever opened.
pub async fn deliveries(site: &Site) -> usize {
    usize::try_from(number(site, "SELECT count(*) FROM delivery").await).unwrap()
}

/// One number from the state.
pub async fn number(site: &Site, sql: &str) -> i64 {
    try_number(site, sql)
        .await
        .unwrap_or_else(|| panic!("the state of {} answers {sql}", site.path("").display()))
}

/// [`number`] while there may be no state yet, or no value.
pub async fn try_number(site: &Site, sql: &str) -> Option<i64> {
    let file = files(site, "db").pop()?;
    let options = SqliteConnectOptions::new().filename(file).disable_statement_logging();
    let mut connection = options.connect().await.ok()?;
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut connection).await.ok()?
}

/// Changes the state of a daemon that does not run, to save the test from waiting for what takes minutes.
pub async fn change(site: &Site, sql: &str) {
    let options = SqliteConnectOptions::new().filename(file(site)).disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

/// The ids of all deliveries, each once.
pub async fn ids(site: &Site) -> Vec<uuid::Uuid> {
    let options = SqliteConnectOptions::new().filename(file(site)).disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    let ids: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT DISTINCT id FROM delivery").fetch_all(&mut connection).await.unwrap();
    ids.iter().map(|id| uuid::Uuid::from_slice(id).unwrap()).collect()
}
