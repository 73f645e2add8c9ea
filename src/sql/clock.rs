//! The database's own clock.
//!
//! Windows over update times are computed with it, never with ours: two machines never agree about now.

use std::str::FromStr as _;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use super::statement::{Param, Read, Statement};
use super::{Database, PlaceError, PlaceErrorKind, zone};
use crate::config::Engine;
use crate::model::{Value, form};

/// One reading of the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// In UTC.
    pub(crate) utc: NaiveDateTime,
    /// On the wall of the asked zone.
    pub(crate) wall: NaiveDateTime,
}

impl Now {
    /// How far the wall clock is ahead of UTC, to the second.
    pub(crate) fn offset(&self) -> TimeDelta {
        TimeDelta::seconds(((self.wall - self.utc).num_milliseconds() + 500).div_euclid(1000))
    }

    /// The same moment on the wall of another zone.
    pub(crate) fn on(self, zone: Tz) -> Self {
        Self { utc: self.utc, wall: on_wall(self.utc, zone) }
    }
}

/// Reads the database's clock; the wall is that of `zone`, else of the server's own default zone (for SQLite, which
/// has none, UTC).
///
/// # Errors
/// The database's own trouble, or a server zone whose rules neither it nor we know.
pub(crate) async fn now(database: &Database, zone: Option<Tz>) -> Result<Now, PlaceError> {
    let now = match database.engine() {
        Engine::MySql => mysql(database, zone.is_none()).await?,
        Engine::Postgres => postgres(database, zone.is_none()).await?,
        Engine::Sqlite => sqlite(database).await?,
    };
    Ok(match zone {
        Some(zone) => now.on(zone),
        None => now,
    })
}

fn on_wall(utc: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    let at = chrono::TimeZone::from_utc_datetime(&zone, &utc);
    let offset = chrono::Offset::fix(at.offset()).local_minus_utc();
    utc + TimeDelta::seconds(i64::from(offset))
}

async fn mysql(database: &Database, server_zone: bool) -> Result<Now, PlaceError> {
    let statement = Statement::new(
        "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR), \
         CAST(CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', @@global.time_zone) AS CHAR), \
         CAST(@@global.time_zone AS CHAR)",
        [Read::Text; 3],
    );
    let rows = database.fetch(&statement, &[]).await?;
    let utc = read(database, &rows[0][0])?;
    match &rows[0][1] {
        // A named zone whose rules the server has lost; we may know them.
        Value::Null if server_zone => {
            let name = rows[0][2].to_text().unwrap_or_default().into_owned();
            let zone = Tz::from_str(&name).map_err(|_| unknown(database, &name))?;
            Ok(Now { utc, wall: on_wall(utc, zone) })
        }
        Value::Null => Ok(Now { utc, wall: utc }),
        wall => Ok(Now { utc, wall: read(database, wall)? }),
    }
}

async fn postgres(database: &Database, server_zone: bool) -> Result<Now, PlaceError> {
    let zone = if server_zone { zone::of_server(database).await? } else { "UTC".to_owned() };
    let statement = Statement::new(
        "SELECT (n AT TIME ZONE 'UTC')::text, (n AT TIME ZONE $1)::text FROM (SELECT clock_timestamp() AS n) AS c",
        [Read::Text; 2],
    );
    let rows = database.fetch(&statement, &[Param::text(zone)]).await?;
    Ok(Now { utc: read(database, &rows[0][0])?, wall: read(database, &rows[0][1])? })
}

async fn sqlite(database: &Database) -> Result<Now, PlaceError> {
    let statement = Statement::new("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", [Read::Dynamic]);
    let rows = database.fetch(&statement, &[]).await?;
    let utc = read(database, &rows[0][0])?;
    Ok(Now { utc, wall: utc })
}

fn read(database: &Database, value: &Value) -> Result<NaiveDateTime, PlaceError> {
    value.to_text().and_then(|text| form::parse_moment(&text)).ok_or_else(|| {
        PlaceError::new(PlaceErrorKind::Other, database.place(), "the database's clock could not be read")
    })
}

fn unknown(database: &Database, zone: &str) -> PlaceError {
    let message =
        format!("the server's default time zone {zone:?} is known neither to it nor to cupid; set \"zone\"");
    PlaceError::new(PlaceErrorKind::Other, database.place(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls() {
        let utc = form::parse_moment("2026-07-01 12:00:00.25").unwrap();
        let wall = on_wall(utc, Tz::America__New_York);
        assert_eq!(form::moment_text(wall), "2026-07-01 08:00:00.25");
        let now = Now { utc, wall: wall + TimeDelta::microseconds(3) };
        assert_eq!(now.offset(), TimeDelta::hours(-4));
        let behind = Now { utc, wall: wall - TimeDelta::microseconds(3) };
        assert_eq!(behind.offset(), TimeDelta::hours(-4));
    }
}
