//! The oldest open transaction of a MySQL or MariaDB server.
//!
//! The engine answers from a list that it makes anew only if nobody has looked at it for a tenth of a second. Where many
//! look, the list may be old, and a transaction that has begun since is not in it. So we look from within a
//! transaction of our own, by a statement that carries a mark: a list without it is not fresh and says nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;

use super::{Database, PlaceError, moment};
use crate::model::Value;

/// Pause between two readings: other feeds and tasks need none of their own. Somewhere in between, so that those who
/// look do not keep step.
const REST: std::ops::Range<u64> = 300..600;

/// An older reading is safe, it only settles less. Without any it is worth waiting for one; longer than the engine does.
const PAUSES: [u64; 5] = [0, 105, 160, 235, 310];

/// What was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// The database's clock before it was read.
    pub(super) at: NaiveDateTime,
    /// Start of the oldest transaction that can write.
    pub(super) oldest: Option<NaiveDateTime>,
    /// Transactions whose start is not told.
    pub(super) hidden: i64,
    /// Seconds by which a replica lags.
    pub(super) lag: Option<i64>,
}

/// A server as one user sees it: host, port, socket, user.
type Server = (String, u16, Option<PathBuf>, String);

/// What all who read from one server share.
#[derive(Clone, Copy, Default)]
struct Shared {
    reading: Option<Reading>,
    /// Until then it serves.
    rests: Option<Instant>,
}

static SERVERS: LazyLock<Mutex<HashMap<Server, Shared>>> = LazyLock::new(Mutex::default);

fn shared<T>(database: &Database, with: impl FnOnce(&mut Shared) -> T) -> T {
    let dsn = database.dsn();
    let server = (dsn.host.clone(), dsn.port, dsn.socket.clone(), dsn.user.clone());
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    with(servers.entry(server).or_default())
}

/// The newest reading there is; `None`: there is none that can be trusted.
pub(super) async fn read(database: &Database) -> Result<Option<Reading>, PlaceError> {
    for pause in PAUSES {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let (last, rests) = shared(database, |shared| {
            let now = Instant::now();
            let rests = shared.rests.is_some_and(|until| now < until);
            if !rests {
                let length = REST.start + MARKS.load(Ordering::Relaxed) * 97 % (REST.end - REST.start);
                shared.rests = Some(now + Duration::from_millis(length));
            }
            (shared.reading, rests)
        });
        if last.is_some() && rests {
            return Ok(last);
        }
        if let Some(reading) = look(database).await? {
            shared(database, |shared| shared.reading = Some(reading));
            return Ok(Some(reading));
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Tells our looks apart.
static MARKS: AtomicU64 = AtomicU64::new(0);

/// `trx_started` is a wall time in the zone of the server's process, to the second. Of an hour that came twice the
/// first one is meant: earlier is safe. A transaction that cannot write is none.
async fn look(database: &Database) -> Result<Option<Reading>, PlaceError> {
    let mark = format!("cupid:{}:{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
    let sql = format!(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT; \
         SELECT /* {mark} */ CAST(UTC_TIMESTAMP(6) AS CHAR), \
         CAST(MIN(IF(ro, NULL, IF(CONVERT_TZ(u - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = s, \
         u - INTERVAL 1 HOUR, u))) AS CHAR), \
         CAST(COALESCE(SUM(NOT ro AND u IS NULL), 0) AS CHAR), \
         CAST((SELECT MAX(time) FROM information_schema.processlist WHERE user = 'system user' \
         AND command NOT IN ('Daemon', 'Slave_IO') AND (command LIKE 'Slave%' OR state LIKE '%relay log%')) AS CHAR), \
         CAST(COALESCE(SUM(own AND query LIKE '%{mark} %'), 0) AS CHAR) \
         FROM (SELECT trx_started AS s, CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') AS u, \
         trx_is_read_only = 1 AS ro, trx_mysql_thread_id = CONNECTION_ID() AS own, trx_query AS query \
         FROM information_schema.innodb_trx) AS t; COMMIT"
    );
    let row = database.script(&sql).await?;
    let number = |at: usize| row.get(at).and_then(Option::as_ref).and_then(|text| text.parse::<i64>().ok());
    if number(4).unwrap_or(0) == 0 {
        return Ok(None);
    }
    let time = |at: usize| {
        let value = row[at].as_deref().map_or(Value::Null, Value::text);
        moment(database, &value)
    };
    let Some(at) = time(0)? else { return Ok(None) };
    Ok(Some(Reading { at, oldest: time(1)?, hidden: number(2).unwrap_or(1), lag: number(3) }))
}
