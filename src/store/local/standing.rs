//! What was looked at, and what stands against rows: for whoever asks.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::counts::{self, COUNTS};
use super::coverage::{FACTS, MOST, row_bytes, saturated};
use crate::model::{DeliveryKind, DestinationName, Feed, RowId, State, TaskName, Unfit};
use crate::store::{Counted, Covered, Facts, Standing, Stands};

/// The first version of the schema that knows of coverage.
const SINCE: i64 = 4;

/// What stands: `?3` is the first row that counts.
pub(super) const OPEN: &str = "SELECT state, kind, count(*), min(found_at) FROM delivery
    WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL
        AND (kind = 3 OR ?3 IS NULL OR CAST(row_id AS INTEGER) >= ?3)
    GROUP BY state, kind";

pub(super) const LEFT: &str =
    "SELECT state, kind, count(*), min(found_at) FROM delivery INDEXED BY delivery_stands
    WHERE task = ?1 AND destination = ?2 AND forgotten = 0 AND state IN ('dead', 'delivered', 'closed')
        AND state <> 'dead' AND (kind = 3 OR ?3 IS NULL OR CAST(row_id AS INTEGER) >= ?3)
    GROUP BY state, kind";

/// A row for whose key a delivery of another kind is open is counted there; several rows of a key stand as long as
/// their delivery was not seen to heal.
const UNFIT_BY_REASON: &str = "SELECT why, count(*) FROM unfit AS u
    WHERE task = ?1 AND destination = ?2 AND (?3 IS NULL OR row >= ?3)
        AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.task = u.task AND d.destination = u.destination
            AND d.key = u.key AND d.ended_at IS NULL AND d.kind <> 9)
        AND NOT (why = 'ambiguous' AND EXISTS (SELECT 1 FROM delivery AS d
            WHERE d.task = u.task AND d.destination = u.destination AND d.key = u.key AND d.ended_at >= u.at
                AND d.state = 'healed'))
    GROUP BY why";

/// Whether the state has been used by a version that counts.
async fn is_counted(pool: &SqlitePool) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(pool).await? >= SINCE)
}

pub(super) async fn coverage(pool: &SqlitePool) -> Result<Vec<Covered>, sqlx::Error> {
    if !is_counted(pool).await? {
        return Ok(Vec::new());
    }
    let columns: Vec<&str> = COUNTS.iter().chain(&FACTS).copied().collect();
    let text = format!("SELECT task, destination, feed, {} FROM coverage", columns.join(", "));
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(pool).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.extend(decode(&row)?);
    }
    Ok(all)
}

fn decode(row: &SqliteRow) -> Result<Option<Covered>, sqlx::Error> {
    let Some(feed) = Feed::parse(row.try_get("feed")?) else { return Ok(None) };
    let count = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(name)?.unsigned_abs());
    let maybe =
        |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(i64::unsigned_abs));
    let id = |name: &str| {
        let id: Option<String> = row.try_get(name)?;
        Ok::<_, sqlx::Error>(id.and_then(|id| id.parse().ok()).map(RowId))
    };
    let (after, upto) = (id("counted_after")?, id("counted_upto")?);
    Ok(Some(Covered {
        task: TaskName::new(row.try_get::<String, _>("task")?),
        destination: DestinationName::new(row.try_get::<String, _>("destination")?),
        feed,
        looks: counts::read(row)?,
        looked_at: row.try_get("looked_at")?,
        facts: Facts {
            caught_up: row.try_get("caught_up")?,
            settled: row.try_get("settled")?,
            settled_at: row.try_get("settled_at")?,
            told: row.try_get("told")?,
            forgets: row.try_get("forgets")?,
            uncovered: maybe("uncovered")?,
            uncovered_more: row.try_get("uncovered_more")?,
            unreadable: row.try_get("unreadable")?,
            ahead_s: maybe("ahead_s")?,
            counted: maybe("counted")?.map(|rows| Counted { after, upto, rows }),
            unsettled: count("unsettled")?,
        },
    }))
}

pub(super) async fn standing(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    from: Option<RowId>,
) -> Result<Standing, sqlx::Error> {
    let mut standing = Standing::default();
    if !is_counted(pool).await? {
        return Ok(standing);
    }
    for text in [OPEN, LEFT] {
        let rows = sqlx::query(text)
            .bind(task.as_str())
            .bind(destination.as_str())
            .bind(from.map(saturated))
            .fetch_all(pool)
            .await?;
        for row in rows {
            let (state, kind) = (State::parse(row.try_get(0)?), DeliveryKind::from_number(row.try_get(1)?));
            let (Some(state), Some(kind)) = (state, kind) else { continue };
            let count = row.try_get::<i64, _>(2)?.unsigned_abs();
            standing.deliveries.push(Stands { state, kind, count, oldest: row.try_get(3)? });
        }
    }
    let rows = sqlx::query(UNFIT_BY_REASON)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(from.map(|from| row_bytes(from).to_vec()))
        .fetch_all(pool)
        .await?;
    for row in rows {
        let Some(why) = Unfit::parse(row.try_get(0)?) else { continue };
        standing.unfit.push((why, row.try_get::<i64, _>(1)?.unsigned_abs()));
    }
    standing.unfit_more = standing.unfit.iter().map(|(_, count)| count).sum::<u64>() >= MOST.unsigned_abs();
    Ok(standing)
}
