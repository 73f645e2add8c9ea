//! How far back a transaction that is still open may reach: read before the data, so that what it says holds for it.
//!
//! Each engine is asked for its own now and for the start of its oldest open transaction. Where it does not tell (a
//! right is missing, the rows come from another server), the caller falls back to a fixed time, and says so.

mod innodb;

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use super::clock::{self, Now};
use super::statement::{Param, Read, Statement};
use super::{Database, PlaceError, PlaceErrorKind, zone};
use crate::config::Engine;
use crate::model::{Row, Value, form};

/// Stamps have a grain, and the lists of transactions are a little late.
const MARGIN: TimeDelta = TimeDelta::seconds(1);

/// A right that was missing is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What a database says about its open transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// Its clock, read before the transactions.
    pub(crate) now: Now,
    /// Start (UTC) of the oldest open transaction that it shows.
    pub(crate) oldest: Option<NaiveDateTime>,
    /// Whether it shows them all.
    pub(crate) told: bool,
    /// Whether rows come from another server as well, or only.
    pub(crate) elsewhere: bool,
    /// How long ago (at most) what it applies now was written elsewhere.
    pub(crate) behind: TimeDelta,
    /// Whether it has one writer at a time, so that what is written is seen in the order of its writing.
    pub(crate) one_writer: bool,
}

impl Horizon {
    /// The time (UTC) before which no transaction that is still open can have written anything; one that the
    /// database does not show may be open for `settle`.
    pub(crate) fn settled(&self, settle: Duration) -> NaiveDateTime {
        // One that began after now was begun before the clock was set back: nobody knows when.
        let sound = self.oldest.is_none_or(|oldest| oldest <= self.now.utc + MARGIN);
        let hidden = if self.told && sound { TimeDelta::zero() } else { span(settle) };
        let unseen = self.now.utc - self.behind - hidden;
        self.oldest.map_or(unseen, |oldest| oldest.min(unseen)) - MARGIN
    }
}

/// A span as chrono has it; what is too long is a century.
pub(crate) fn span(of: Duration) -> TimeDelta {
    TimeDelta::from_std(of).unwrap_or(TimeDelta::days(36_500))
}

/// What is known from the readings before.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When the right to see transactions was last found missing.
    refused: Option<Instant>,
    /// The last reading that told everything: no transaction that was open then began before this.
    floor: Option<NaiveDateTime>,
    /// Prepared transactions (PostgreSQL) and the latest time before which none of them began.
    prepared: HashMap<String, NaiveDateTime>,
}

/// Reads the horizon. The wall of its clock is that of `zone`, else of the server's own default zone.
///
/// # Errors
/// The database's own trouble, or a server zone whose rules nobody knows.
pub(crate) async fn read(
    database: &Database,
    zone: Option<Tz>,
    settle: Duration,
) -> Result<Horizon, PlaceError> {
    match database.engine() {
        Engine::MySql => mysql(database, zone).await,
        Engine::Postgres => postgres(database, zone, settle).await,
        // A writer that holds the lock cannot be seen.
        Engine::Sqlite => Ok(Horizon { one_writer: true, ..untold(clock::now(database, zone).await?) }),
    }
}

fn untold(now: Now) -> Horizon {
    Horizon { now, oldest: None, told: false, elsewhere: false, behind: TimeDelta::zero(), one_writer: false }
}

async fn mysql(database: &Database, zone: Option<Tz>) -> Result<Horizon, PlaceError> {
    let now = clock::now(database, zone).await?;
    if known(database, |known| known.refused).is_some_and(|at| at.elapsed() < ASK_AGAIN) {
        return Ok(untold(now));
    }
    let reading = match innodb::read(database).await {
        Ok(Some(reading)) => reading,
        Ok(None) => return Ok(untold(now)),
        Err(error) if error.kind == PlaceErrorKind::Denied => {
            known(database, |known| known.refused = Some(Instant::now()));
            return Ok(untold(now));
        }
        Err(error) => return Err(error),
    };
    // What was read before now says nothing of what has begun since.
    let oldest = reading.oldest.map_or(reading.at, |oldest| oldest.min(reading.at));
    // A replica applies what was written elsewhere and earlier.
    let behind = reading.applied.map_or(TimeDelta::zero(), |applied| reading.at.max(now.utc) - applied);
    let told = !reading.elsewhere && reading.hidden == 0;
    let elsewhere = reading.elsewhere;
    Ok(Horizon { now, oldest: Some(oldest), told, elsewhere, behind, one_writer: false })
}

/// What an unprivileged role may not see has a user and no type; background processes have no user.
const POSTGRES_OLDEST: &str = "SELECT (statement_timestamp() AT TIME ZONE 'UTC')::text, \
     (statement_timestamp() AT TIME ZONE $1)::text, (a.oldest AT TIME ZONE 'UTC')::text, a.hidden::bigint, \
     (SELECT string_agg(p.transaction::text || ' ' || (p.prepared AT TIME ZONE 'UTC')::text, ';') \
     FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = current_database()), \
     CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM statement_timestamp() - \
     coalesce(pg_last_xact_replay_timestamp(), statement_timestamp()))::bigint END \
     FROM (SELECT min(xact_start) FILTER (WHERE datid = d.oid AND backend_type NOT IN \
     ('autovacuum worker', 'parallel worker', 'walsender')) AS oldest, \
     count(*) FILTER (WHERE (usesysid IS NOT NULL AND backend_type IS NULL \
     AND NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')) \
     OR (datid = d.oid AND backend_type LIKE 'logical replication%')) AS hidden \
     FROM pg_catalog.pg_stat_activity, (SELECT oid FROM pg_catalog.pg_database \
     WHERE datname = current_database()) AS d WHERE pid <> pg_backend_pid()) AS a";

async fn postgres(database: &Database, zone: Option<Tz>, settle: Duration) -> Result<Horizon, PlaceError> {
    let wall = if zone.is_none() { zone::of_server(database).await? } else { "UTC".to_owned() };
    let reads = [Read::Text, Read::Text, Read::Text, Read::Int, Read::Text, Read::Int];
    let statement = Statement::new(POSTGRES_OLDEST, reads);
    let row = database.fetch(&statement, &[Param::text(wall)]).await?.remove(0);
    let clock =
        |value: &Value| moment(database, value)?.ok_or_else(|| unreadable(database, "the clock", value));
    let now = Now { utc: clock(&row[0])?, wall: clock(&row[1])? };
    let lag = row[5].as_int().map(|seconds| TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0).max(0)));
    let mut horizon = Horizon {
        now: zone.map_or(now, |zone| now.on(zone)),
        oldest: moment(database, &row[2])?,
        told: row[3].as_int() == Some(0) && lag.is_none(),
        elsewhere: lag.is_some(),
        behind: lag.unwrap_or_default(),
        one_writer: false,
    };
    let prepared = prepared(database, &row)?;
    known(database, |known| known.hold(&mut horizon, prepared, settle));
    Ok(horizon)
}

/// Prepared transactions and when they were prepared.
fn prepared(database: &Database, row: &Row) -> Result<Vec<(String, NaiveDateTime)>, PlaceError> {
    let text = row[4].to_text().unwrap_or_default();
    let each = text.split(';').filter(|entry| !entry.is_empty()).map(|entry| {
        let (id, at) = entry.split_once(' ').and_then(|(id, at)| Some((id, form::parse_moment(at)?)))?;
        Some((id.to_owned(), at))
    });
    each.collect::<Option<Vec<_>>>().ok_or_else(|| unreadable(database, "a prepared transaction", &row[4]))
}

impl Known {
    /// A prepared transaction is told by the time of its preparing, but it began before: not before anything that
    /// was open when it was not prepared yet.
    fn hold(&mut self, horizon: &mut Horizon, prepared: Vec<(String, NaiveDateTime)>, settle: Duration) {
        let floor = self.floor;
        let held = prepared.into_iter().map(|(id, at)| {
            let begun = || floor.unwrap_or_else(|| at - span(settle)).min(at);
            let begun = self.prepared.get(&id).copied().unwrap_or_else(begun);
            (id, begun)
        });
        self.prepared = held.collect();
        horizon.oldest = horizon.oldest.into_iter().chain(self.prepared.values().copied()).min();
        self.floor =
            horizon.told.then(|| horizon.oldest.map_or(horizon.now.utc, |at| at.min(horizon.now.utc)));
    }
}

fn known<T>(database: &Database, with: impl FnOnce(&mut Known) -> T) -> T {
    with(&mut database.horizon.lock().unwrap_or_else(PoisonError::into_inner))
}

fn moment(database: &Database, value: &Value) -> Result<Option<NaiveDateTime>, PlaceError> {
    let Some(text) = value.to_text() else { return Ok(None) };
    form::parse_moment(&text).map(Some).ok_or_else(|| unreadable(database, "the oldest transaction", value))
}

fn unreadable(database: &Database, what: &str, value: &Value) -> PlaceError {
    let message = format!("{what} could not be read: {:?} is no time", value.to_text().unwrap_or_default());
    PlaceError::new(PlaceErrorKind::Other, database.place(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> NaiveDateTime {
        form::parse_moment("2026-07-01 12:00:00").unwrap() + TimeDelta::seconds(seconds)
    }

    fn horizon(now: i64, oldest: Option<i64>, told: bool) -> Horizon {
        Horizon { oldest: oldest.map(at), told, ..untold(Now { utc: at(now), wall: at(now) }) }
    }

    #[test]
    fn the_smaller_of_now_and_the_oldest_less_a_second() {
        let settle = Duration::from_secs(60);
        assert_eq!(horizon(100, None, true).settled(settle), at(99));
        assert_eq!(horizon(100, Some(20), true).settled(settle), at(19));
        assert_eq!(horizon(100, None, false).settled(settle), at(39));
        assert_eq!(horizon(100, Some(20), false).settled(settle), at(19));
        assert_eq!(horizon(100, Some(90), false).settled(settle), at(39));
        assert_eq!(horizon(100, Some(3700), true).settled(settle), at(39));
        let replica = Horizon { behind: TimeDelta::seconds(30), ..horizon(100, None, false) };
        assert_eq!(replica.settled(settle), at(9));
    }

    #[test]
    fn a_prepared_transaction_holds_from_its_beginning() {
        let mut known = Known::default();
        let settle = Duration::from_secs(60);
        let mut read = |now, oldest, prepared: &[(&str, i64)]| {
            let mut horizon = horizon(now, oldest, true);
            let prepared = prepared.iter().map(|(id, when)| ((*id).to_owned(), at(*when))).collect();
            known.hold(&mut horizon, prepared, settle);
            horizon.oldest
        };
        assert_eq!(read(100, None, &[("1", 90)]), Some(at(30)), "nobody saw it begin");
        assert_eq!(read(200, Some(150), &[]), Some(at(150)));
        assert_eq!(read(300, None, &[("2", 290)]), Some(at(150)), "it may be the one that was open");
        assert_eq!(read(310, Some(305), &[("2", 290), ("3", 309)]), Some(at(150)));
        assert_eq!(read(320, None, &[("3", 309)]), Some(at(150)), "what was open then began no earlier");
        assert_eq!(read(330, None, &[]), None);
    }
}
