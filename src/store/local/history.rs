//! Counts for status, and retention.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{events, runs};
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, State, TaskName};
use crate::store::{Lane, LaneCount, Prune, Pruned, Totals};

pub(super) const COUNTS: &str = "SELECT task, destination, state, count(*), min(found_at) FROM delivery
    WHERE ended_at IS NULL GROUP BY task, destination, state ORDER BY task, destination, state";

/// What is remembered is not deleted while its difference may still stand: it would be told again.
pub(super) const ENDED_BEFORE: &str = "DELETE FROM delivery
    WHERE seq IN (SELECT seq FROM delivery
                  WHERE ended_at < ?1 AND event = 0 AND (forgotten = 1 OR state NOT IN ('delivered', 'closed'))
                      AND ?3 IS NOT NULL
                  ORDER BY ended_at LIMIT ?2) RETURNING revision";

/// The same of one destination that keeps less than others; what was looked at before is gone.
pub(super) const ENDED_OF_LANE: &str = "DELETE FROM delivery
    WHERE seq IN (SELECT seq FROM delivery INDEXED BY delivery_ended_of
                  WHERE ended_at >= ?3 AND ended_at < ?4 AND event = 0
                      AND (forgotten = 1 OR state NOT IN ('delivered', 'closed')) AND task = ?1 AND destination = ?2
                  ORDER BY ended_at LIMIT ?5) RETURNING revision";

/// Unless nobody has seen its row for so long that there is none.
pub(super) const UNSEEN_SINCE: &str = "DELETE FROM delivery
    WHERE seq IN (SELECT seq FROM delivery
                  WHERE ended_at IS NOT NULL AND forgotten = 0 AND state IN ('delivered', 'closed')
                      AND seen_at < ?1 AND ended_at < ?3 ORDER BY seen_at LIMIT ?2) RETURNING revision";

/// Suspects that healed without a call.
pub(super) const PASSING_BEFORE: &str = "DELETE FROM delivery
    WHERE seq IN (SELECT seq FROM delivery
                  WHERE ended_at < ?1 AND state = 'healed' AND attempts = 0 AND ?3 IS NOT NULL
                  ORDER BY ended_at LIMIT ?2) RETURNING revision";

/// When the newest of so many of them ended.
pub(super) const CROWDED: &str = "SELECT ended_at FROM delivery
    WHERE ended_at IS NOT NULL AND state = 'healed' AND attempts = 0 ORDER BY ended_at DESC LIMIT 1 OFFSET ?1";

/// When the first of the newest so many ended: of copies together.
pub(super) const KEPT_FROM: &str = "SELECT ended_at FROM delivery
    WHERE ended_at IS NOT NULL AND event = 0 AND (forgotten = 1 OR state NOT IN ('delivered', 'closed'))
    ORDER BY ended_at DESC LIMIT 1 OFFSET ?1 - 1";

/// Of one event destination.
pub(super) const KEPT_FROM_OF_LANE: &str = "SELECT ended_at FROM delivery
    WHERE ended_at IS NOT NULL AND event > 0 AND task = ?2 AND destination = ?3
    ORDER BY ended_at DESC LIMIT 1 OFFSET ?1 - 1";

/// Most suspects kept that healed without a call: a copy that is late all the time makes hundreds in a second.
const PASSING: i64 = 100_000;

/// What is remembered is its difference and its revision, not its message.
pub(super) const LIGHTEN: &str = "UPDATE delivery SET body = NULL, watch = NULL, evidence = NULL
    WHERE seq IN (SELECT seq FROM delivery
                  WHERE ended_at < ?1 AND forgotten = 0 AND state IN ('delivered', 'closed') AND body IS NOT NULL
                  ORDER BY ended_at LIMIT ?2)";

/// How long a difference that is remembered may go unseen beyond what is kept, in milliseconds: far longer than a pass
/// over everything takes.
const UNSEEN: i64 = 90 * 86_400_000;

pub(super) const ATTEMPTS_BEFORE: &str = "DELETE FROM attempt
    WHERE (delivery, number) IN (SELECT delivery, number FROM attempt WHERE began < ?1 ORDER BY began LIMIT ?2)";

pub(super) async fn counts(pool: &SqlitePool) -> Result<Vec<LaneCount>, sqlx::Error> {
    let rows = sqlx::query(COUNTS).fetch_all(pool).await?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in rows {
        let state: String = row.try_get(2)?;
        let Some(state) = State::parse(&state) else { continue };
        counts.push(LaneCount {
            task: TaskName::new(row.try_get::<String, _>(0)?),
            destination: DestinationName::new(row.try_get::<String, _>(1)?),
            state,
            count: row.try_get::<i64, _>(3)?.unsigned_abs(),
            oldest: row.try_get(4)?,
        });
    }
    Ok(counts)
}

pub(super) async fn totals(pool: &SqlitePool) -> Result<Totals, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM delivery WHERE ended_at IS NOT NULL AND state = 'healed'),
                (SELECT count(*) FROM delivery WHERE ended_at IS NOT NULL AND state = 'delivered'),
                (SELECT count(*) FROM attempt),
                (SELECT ended_at - found_at FROM delivery WHERE ended_at IS NOT NULL AND state = 'healed'
                 ORDER BY ended_at - found_at
                 LIMIT 1 OFFSET (SELECT count(*) / 2 FROM delivery WHERE ended_at IS NOT NULL AND state = 'healed'))",
    )
    .fetch_one(pool)
    .await?;
    Ok(Totals {
        healed: row.try_get::<i64, _>(0)?.unsigned_abs(),
        delivered: row.try_get::<i64, _>(1)?.unsigned_abs(),
        attempts: row.try_get::<i64, _>(2)?.unsigned_abs(),
        median_heal_ms: row.try_get(3)?,
    })
}

pub(super) async fn recall(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    name: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM note WHERE task = ?1 AND destination = ?2 AND name = ?3")
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(name)
        .fetch_optional(pool)
        .await
}

pub(super) async fn remember(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
    name: &str,
    value: Option<&str>,
) -> Result<(), sqlx::Error> {
    let statement = match value {
        Some(_) => {
            "INSERT INTO note (task, destination, name, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET value = ?4"
        }
        None => "DELETE FROM note WHERE task = ?1 AND destination = ?2 AND name = ?3 AND ?4 IS NULL",
    };
    sqlx::query(statement)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

/// In small batches, so that no transaction holds up the deliveries for long.
pub(super) async fn prune(connection: &mut SqliteConnection, what: Prune) -> Result<Pruned, sqlx::Error> {
    let limit = i64::try_from(what.limit).unwrap_or(i64::MAX);
    let mut most = 0;
    for text in [ATTEMPTS_BEFORE, runs::BEFORE, LIGHTEN] {
        let done = sqlx::query(text).bind(what.ended).bind(limit).execute(&mut *connection).await?;
        most = most.max(done.rows_affected());
    }
    let crowd: i64 =
        sqlx::query_scalar(CROWDED).bind(PASSING).fetch_optional(&mut *connection).await?.unwrap_or(0);
    let mut deleted = Vec::new();
    for (text, before) in [
        (ENDED_BEFORE, what.ended.max(what.beyond)),
        (PASSING_BEFORE, what.passing.max(crowd)),
        (UNSEEN_SINCE, what.ended.saturating_sub(UNSEEN)),
    ] {
        let rows =
            sqlx::query(text).bind(before).bind(limit).bind(what.ended).fetch_all(&mut *connection).await?;
        most = most.max(rows.len() as u64);
        deleted.extend(rows);
    }
    let mut revisions = deleted.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    let former = events::prune_former(connection, what.ended, limit).await?;
    most = most.max(former.len() as u64);
    revisions.extend(former);
    mark(connection, &revisions).await?;
    Ok(Pruned { deliveries: revisions.len() as u64, more: most >= limit.unsigned_abs() })
}

/// See [`crate::store::Store::kept_from`].
pub(super) async fn kept_from(
    pool: &SqlitePool,
    of: Option<&Lane>,
    most: u64,
) -> Result<Option<UnixMs>, sqlx::Error> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let query = match of {
        None => sqlx::query_scalar(KEPT_FROM).bind(most),
        Some(lane) => sqlx::query_scalar(KEPT_FROM_OF_LANE)
            .bind(most)
            .bind(lane.task.as_str())
            .bind(lane.destination.as_str()),
    };
    query.fetch_optional(pool).await
}

/// The same of one destination.
pub(super) async fn prune_lane(
    connection: &mut SqliteConnection,
    lane: &Lane,
    limit: usize,
) -> Result<Pruned, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // A copy may have been an event destination.
    let mut revisions = events::prune(connection, lane, limit).await?;
    let mut most = revisions.len() as u64;
    if !lane.events {
        let ended: Vec<i64> = sqlx::query_scalar(ENDED_OF_LANE)
            .bind(lane.task.as_str())
            .bind(lane.destination.as_str())
            .bind(lane.from)
            .bind(lane.before)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
        most = most.max(ended.len() as u64);
        revisions.extend(ended);
    }
    mark(connection, &revisions).await?;
    Ok(Pruned { deliveries: revisions.len() as u64, more: most >= limit.unsigned_abs() })
}

/// Revisions never begin below those of what is gone.
async fn mark(connection: &mut SqliteConnection, revisions: &[i64]) -> Result<(), sqlx::Error> {
    let Some(greatest) = revisions.iter().max().filter(|greatest| **greatest > 0) else { return Ok(()) };
    sqlx::query(
        "INSERT INTO mark (name, value) VALUES ('revision', ?1)
         ON CONFLICT DO UPDATE SET value = max(value, ?1)",
    )
    .bind(greatest)
    .execute(connection)
    .await?;
    Ok(())
}
