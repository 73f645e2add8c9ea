//! The database side against real servers: sources, destinations, and what both read.

mod bounds;
mod classes;
mod decode;
mod destination;
mod errors;
mod feeds;
mod probe;
mod replica;
mod session;
mod settled;
mod stands;
mod statements;
mod tls;
mod wide;
mod zones;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cupid::base::secret::Secret;
use cupid::config::{
    ColumnConfig, ColumnPolicy, CopyConfig, Dsn, Engine, SourceConfig, Start, Tls, UpdateConfig,
};
use cupid::destination::Destination;
use cupid::model::{Feed, Position, Row, RowId, SourceRow, Value};
use cupid::source::Source;
use cupid::sql::{Database, Limits, PlaceError};

use super::support::db::Db;

/// How cupid names the place.
pub fn dsn(db: &Db) -> Dsn {
    let server = db.server.as_ref();
    Dsn {
        engine: db.engine,
        host: server.map_or(String::new(), |s| s.host.clone()),
        port: server.map_or(0, |s| s.port),
        socket: None::<PathBuf>,
        user: server.map_or(String::new(), |s| s.user.clone()),
        password: server.map(|s| Secret::new(s.password.clone())),
        database: db.name.clone(),
        tls: Tls::Off,
        ca: None,
        connect_timeout: Duration::from_secs(10),
    }
}

pub fn database(db: &Db) -> Arc<Database> {
    Arc::new(Database::connect(&dsn(db), Limits::default()))
}

pub fn source_config(db: &Db, table: &str, by: &str) -> SourceConfig {
    SourceConfig {
        dsn: dsn(db),
        table: table.to_owned(),
        id: None,
        by_column: by.to_owned(),
        insert: Some(Duration::from_secs(1)),
        update: None,
        settle: Duration::from_secs(60),
        deleted_when: None,
        zone: None,
        whole: false,
    }
}

pub fn update_config(column: &str) -> UpdateConfig {
    UpdateConfig {
        column: column.to_owned(),
        interval: Duration::from_secs(1),
        window: Duration::from_secs(20),
        layout: None,
        start: Start::Beginning,
    }
}

pub async fn open(config: &SourceConfig, mapped: &[&str], db: &Db) -> Result<Box<dyn Source>, PlaceError> {
    let mapped: Vec<String> = mapped.iter().map(|s| (*s).to_owned()).collect();
    cupid::source::open(config, &mapped, database(db)).await
}

pub fn destination_config(db: &Db, table: &str, by: &str, columns: &[&str]) -> CopyConfig {
    CopyConfig {
        dsn: dsn(db),
        table: table.to_owned(),
        by_column: by.to_owned(),
        columns: columns
            .iter()
            .map(|c| ColumnConfig {
                source: (*c).to_owned(),
                copy: (*c).to_owned(),
                policy: ColumnPolicy::default(),
            })
            .collect(),
    }
}

pub async fn open_destination(
    db: &Db,
    table: &str,
    by: &str,
    columns: &[&str],
) -> Result<Box<dyn Destination>, PlaceError> {
    cupid::destination::open(&destination_config(db, table, by, columns), database(db)).await
}

/// Reads a feed until it has caught up, in pages of `limit`.
pub async fn drain(
    source: &dyn Source,
    feed: Feed,
    from: Position,
    limit: usize,
) -> (Vec<SourceRow>, Position) {
    let (mut rows, mut at) = (Vec::new(), from);
    loop {
        let batch = source.read(feed, &at, limit).await.unwrap();
        assert!(batch.rows.len() <= limit);
        rows.extend(batch.rows);
        at = batch.next;
        if !batch.more {
            return (rows, at);
        }
    }
}

pub fn ids(rows: &[SourceRow]) -> Vec<i128> {
    rows.iter().map(|row| row.id.0).collect()
}

/// All columns of the row with id 1, as text with their classes.
pub async fn only_row(source: &dyn Source) -> Row {
    let mut rows = source.fetch_some(&[RowId(1)]).await.unwrap().rows;
    assert_eq!(rows.len(), 1);
    rows.remove(0).values
}

pub fn text(s: &str) -> Value {
    Value::text(s)
}

/// Engines that have servers with accounts.
pub const SERVERS: [Engine; 2] = [Engine::MySql, Engine::Postgres];
