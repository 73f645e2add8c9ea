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

use chrono::{NaiveDateTime, TimeDelta};

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
    /// Some that are prepared (XA) belong to no session: of those that were there before the server's last start, only
    /// that start is told.
    orphans: bool,
    /// Rows come from other servers as well, or only: what is open there is not shown.
    pub(super) elsewhere: bool,
    /// Before this time (UTC) everything that was written elsewhere is there; `None`: nobody says.
    pub(super) applied: Option<NaiveDateTime>,
}

/// What the list of threads says about rows that come from elsewhere.
#[derive(Clone, Copy, Debug)]
struct Replica {
    /// Seconds by which what is applied now is late; `None`: nothing is being applied.
    lag: Option<i64>,
    /// Something is received from another server.
    receives: bool,
    /// This server takes no writes of its own, or is a node of a cluster.
    elsewhere: bool,
}

/// A server as one user sees it: host, port, socket, user.
type Server = (String, u16, Option<PathBuf>, String);

/// What all who read from one server share.
#[derive(Clone, Copy, Default)]
struct Shared {
    reading: Option<Reading>,
    /// Up to when it had applied what was written elsewhere, when that was last seen.
    applied: Option<NaiveDateTime>,
    /// Before which no transaction had begun, when all of them were last seen to be somebody's.
    owned: Option<NaiveDateTime>,
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
        if let Some((reading, replica)) = look(database).await? {
            let reading = shared(database, |shared| {
                let reading = replica.applied(reading.held(&mut shared.owned), &mut shared.applied);
                shared.reading = Some(reading);
                reading
            });
            return Ok(Some(reading));
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// What was never seen to begin may have begun so long ago: a replica's stop, a prepared transaction.
const STOPPED: TimeDelta = TimeDelta::hours(1);

impl Reading {
    /// What belongs to no session had begun before that was seen first; `before` keeps when all were somebody's.
    fn held(self, before: &mut Option<NaiveDateTime>) -> Self {
        let oldest = self.oldest.map_or(self.at, |oldest| oldest.min(self.at));
        if !self.orphans {
            *before = Some(oldest);
            return self;
        }
        let held = before.unwrap_or(self.at - STOPPED).min(oldest);
        *before = Some(held);
        Self { oldest: Some(held), ..self }
    }
}

impl Replica {
    /// While a replica applies nothing, what it will apply next may be as old as what it applied last: `before` keeps
    /// that from look to look.
    fn applied(self, reading: Reading, before: &mut Option<NaiveDateTime>) -> Reading {
        let applied = match self.lag {
            Some(lag) => Some(reading.at - TimeDelta::seconds(lag.max(0))),
            None if self.receives => Some(before.unwrap_or(reading.at - STOPPED)),
            None if self.elsewhere => *before,
            None => None,
        };
        *before = applied;
        Reading { elsewhere: self.elsewhere || self.receives || self.lag.is_some(), applied, ..reading }
    }
}

/// Tells our looks apart.
static MARKS: AtomicU64 = AtomicU64::new(0);

/// Threads that bring rows from elsewhere.
const THREADS: &str = "(SELECT time, coalesce(state, '') AS state, coalesce(state, '') LIKE 'wsrep%' AS cluster, \
     command = 'Slave_IO' OR coalesce(state, '') LIKE '%to send event%' OR coalesce(state, '') LIKE 'Queueing %' \
     OR coalesce(state, '') LIKE '%connecting to %' OR coalesce(state, '') LIKE '%reconnect%' AS receives \
     FROM information_schema.processlist WHERE user = 'system user' AND command <> 'Daemon')";

/// A statement that waits for a lock on a table (`LOCK TABLES`, an `ALTER`, a backup) has no transaction yet, and what it
/// calls now is when it was sent.
fn waited(at: NaiveDateTime, oldest: Option<NaiveDateTime>, seconds: Option<i64>) -> Option<NaiveDateTime> {
    let sent = seconds.map(|seconds| at - TimeDelta::seconds(seconds.clamp(0, 30 * 86_400) + 1));
    oldest.into_iter().chain(sent).min()
}

/// `trx_started` is a wall time in the zone of the server's process, to the second. Of an hour that came twice the
/// first one is meant: earlier is safe. A transaction that cannot write is none.
///
/// What a replica, or a node of a cluster, gets from others is applied by threads of the "system user", each of which
/// says how old the thing is that it applies (or since when it has nothing to do). Who waits for work of another thread
/// says nothing; who receives says only that there is another server.
async fn look(database: &Database) -> Result<Option<(Reading, Replica)>, PlaceError> {
    let mark = format!("cupid:{}:{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
    let sql = format!(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT; \
         SELECT /* {mark} */ CAST(UTC_TIMESTAMP(6) AS CHAR), \
         CAST(MIN(IF(ro, NULL, IF(CONVERT_TZ(u - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = s, \
         u - INTERVAL 1 HOUR, u))) AS CHAR), \
         CAST(COALESCE(SUM(NOT ro AND u IS NULL), 0) AS CHAR), \
         CAST((SELECT MAX(time) FROM {THREADS} AS threads WHERE NOT receives AND NOT cluster \
         AND state NOT LIKE '%from Coordinator%' AND state NOT LIKE '%work from SQL thread%') AS CHAR), \
         CAST((SELECT COUNT(*) FROM {THREADS} AS threads WHERE receives) AS CHAR), \
         CAST((SELECT COUNT(*) FROM {THREADS} AS threads WHERE cluster) \
         + @@global.read_only + @@global.innodb_read_only AS CHAR), \
         CAST(COALESCE(SUM(NOT ro AND orphan), 0) AS CHAR), \
         CAST(COALESCE(SUM(own AND query LIKE '%{mark} %'), 0) AS CHAR), \
         CAST((SELECT MAX(time) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') \
         AND state LIKE 'Waiting for %') AS CHAR) \
         FROM (SELECT trx_started AS s, CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') AS u, \
         trx_is_read_only = 1 AS ro, trx_mysql_thread_id = 0 AS orphan, trx_mysql_thread_id = CONNECTION_ID() AS own, trx_query AS query \
         FROM information_schema.innodb_trx) AS t; COMMIT"
    );
    let row = database.script(&sql).await?;
    let number = |at: usize| row.get(at).and_then(Option::as_ref).and_then(|text| text.parse::<i64>().ok());
    if number(7).unwrap_or(0) == 0 {
        return Ok(None);
    }
    let time = |at: usize| {
        let value = row[at].as_deref().map_or(Value::Null, Value::text);
        moment(database, &value)
    };
    let Some(at) = time(0)? else { return Ok(None) };
    let (receives, elsewhere) = (number(4).unwrap_or(0) > 0, number(5).unwrap_or(0) > 0);
    let reading = Reading {
        at,
        oldest: waited(at, time(1)?, number(8)),
        hidden: number(2).unwrap_or(1),
        orphans: number(6).unwrap_or(0) > 0,
        elsewhere: false,
        applied: None,
    };
    Ok(Some((reading, Replica { lag: number(3), receives, elsewhere })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form;

    fn at(seconds: i64) -> NaiveDateTime {
        form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::seconds(seconds)
    }

    fn reading() -> Reading {
        Reading { at: at(0), oldest: None, hidden: 0, orphans: false, elsewhere: false, applied: None }
    }

    #[test]
    fn what_belongs_to_nobody_had_begun_before_it_was_seen() {
        let mut before = None;
        let mut look = |now: i64, oldest: Option<i64>, orphans: bool| {
            Reading { at: at(now), oldest: oldest.map(at), orphans, ..reading() }.held(&mut before).oldest
        };
        assert_eq!(look(10, None, false), None);
        assert_eq!(look(20, Some(15), false), Some(at(15)));
        assert_eq!(look(300, Some(290), true), Some(at(15)), "the server was started anew at 290");
        assert_eq!(look(400, Some(290), true), Some(at(15)));
        assert_eq!(look(500, None, false), None, "it was committed");
        assert_eq!(look(600, Some(590), true), Some(at(500)));
        before = None;
        let first = Reading { at: at(0), orphans: true, ..reading() }.held(&mut before);
        assert_eq!(first.oldest, Some(at(0) - STOPPED));
    }

    #[test]
    fn while_nothing_is_applied_what_comes_may_be_as_old_as_the_last() {
        let at =
            |seconds: i64| form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::seconds(seconds);
        let mut before = None;
        let mut look = |now: i64, lag: Option<i64>, receives: bool, elsewhere: bool| {
            let reading = Reading { at: at(now), ..reading() };
            let reading = Replica { lag, receives, elsewhere }.applied(reading, &mut before);
            (reading.elsewhere, reading.applied)
        };
        assert_eq!(look(0, None, false, false), (false, None), "a server of its own");
        assert_eq!(look(1, None, false, true), (true, None), "a reader of shared storage");
        assert_eq!(look(10, Some(3), true, true), (true, Some(at(7))));
        assert_eq!(look(600, None, true, true), (true, Some(at(7))), "it has stopped applying");
        assert_eq!(look(700, None, false, true), (true, Some(at(7))), "and receiving");
        assert_eq!(look(800, Some(750), true, true), (true, Some(at(50))), "it goes on");
        assert_eq!(look(900, None, false, false), (false, None), "it was made a primary");
        assert_eq!(look(1000, None, true, true), (true, Some(at(1000) - STOPPED)), "never seen to apply");
    }
}
