//! Versions of rows for event destinations: what was told last, and what is new.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::memory::hex;
use super::rows::ForRows;
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, Feed, Key, RowId, State, TaskName, Version};
use crate::store::{Backlog, Committed, Lane, Last, ScanCommit, Told, Versions};

/// When a version is due that waits behind an older one of its key: at the end of time, Unix ms. The schema has it too.
pub(super) const HELD: UnixMs = 253_402_300_799_000;

/// Rows come as one JSON list of the key in hexadecimal and the id: one statement for any number of them.
pub(super) const OF_ROWS: &str = "
    WITH asked AS (
        SELECT j.key AS place, unhex(j.value ->> 0) AS of_key, j.value ->> 1 AS of_row,
            coalesce((SELECT after FROM event_lane WHERE task = ?1 AND destination = ?2), 0) AS after
        FROM json_each(?3) AS j)
    SELECT place, (SELECT fingerprint FROM delivery WHERE task = ?1 AND destination = ?2 AND delivery.key = of_key
                AND event > 0 AND event > after AND row_id = of_row ORDER BY event DESC LIMIT 1),
        EXISTS (SELECT 1 FROM delivery WHERE task = ?1 AND destination = ?2 AND delivery.key = of_key
                AND event > 0 AND event > after)
    FROM asked";

/// A version that is the last one known of its row is none; one of a key that has another one open waits behind it. A
/// key keeps its id, and goes on with its claims and revisions. No key may be given twice in one statement, except by
/// what fills it up.
pub(super) static NEW: LazyLock<ForRows> = LazyLock::new(|| {
    let columns = [
        "of_task",
        "of_destination",
        "of_key",
        "of_row",
        "of_kind",
        "of_digest",
        "of_body",
        "number",
        "new_id",
        "of_run",
        "now",
        "floor",
        "after",
    ];
    let of_key = |of: &str| {
        format!(
            "{of}.task = of_task AND {of}.destination = of_destination AND {of}.key = of_key AND {of}.event > 0"
        )
    };
    let statement = format!(
        "INSERT INTO delivery (task, destination, key, id, claims, revision, row_id, kind, state, due, found_at, seen_at,
             fingerprint, run, body, forgotten, event)
         SELECT of_task, of_destination, of_key, coalesce(last.id, new_id), coalesce(last.claims, 0),
             max(coalesce(last.revision, 0), floor), of_row, of_kind, 'main',
             CASE WHEN EXISTS (SELECT 1 FROM delivery AS w WHERE {} AND w.ended_at IS NULL AND w.state <> 'dead')
                 THEN {HELD} ELSE now END,
             now, now, of_digest, of_run, of_body, 1, number
         FROM v LEFT JOIN delivery AS last ON last.seq = (
             SELECT t.seq FROM delivery AS t
             WHERE t.id = (SELECT k.id FROM delivery AS k WHERE {} ORDER BY k.event DESC LIMIT 1)
             ORDER BY t.claims DESC LIMIT 1)
         WHERE (SELECT o.fingerprint FROM delivery AS o WHERE {} AND o.event > after AND o.row_id = of_row
                ORDER BY o.event DESC LIMIT 1) IS NOT of_digest
         ON CONFLICT DO NOTHING RETURNING length(body)",
        of_key("w"),
        of_key("k"),
        of_key("o")
    );
    ForRows::new(&columns, &statement)
});

/// Most versions of one statement.
const PIECE: usize = 64;

pub(super) const ENDED: &str = "DELETE FROM delivery
    WHERE seq IN (SELECT seq FROM delivery
                  WHERE task = ?1 AND destination = ?2 AND event > 0 AND ended_at IS NOT NULL AND ended_at < ?3
                  ORDER BY ended_at LIMIT ?4) RETURNING revision";

/// The next destination of which versions have ended, and whether it is none that is told versions.
pub(super) const NEXT_ENDED: &str = "SELECT task, destination, NOT EXISTS (
        SELECT 1 FROM event_lane AS l WHERE l.task = delivery.task AND l.destination = delivery.destination)
    FROM delivery INDEXED BY event_ended
    WHERE event > 0 AND ended_at IS NOT NULL AND (task, destination) > (?1, ?2)
    ORDER BY task, destination LIMIT 1";

/// What was open of a destination that compared.
const CLOSE: &str = "UPDATE delivery
    SET state = ?4, ended_at = ?3, claimed_until = NULL, calling = 0, forgotten = 1,
        note = 'the destination no longer compares'
    WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND event = 0";

const FORGET: &str = "UPDATE delivery SET forgotten = 1
    WHERE task = ?1 AND destination = ?2 AND forgotten = 0 AND state IN ('dead', 'delivered', 'closed') AND event = 0";

pub(super) async fn told(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    rows: &[(&Key, RowId)],
) -> Result<Told, sqlx::Error> {
    let inserted: Option<String> = sqlx::query_scalar(
        "SELECT counted_upto FROM coverage WHERE task = ?1 AND destination = ?2 AND feed = ?3",
    )
    .bind(task.as_str())
    .bind(destination.as_str())
    .bind(Feed::Insert.as_str())
    .fetch_optional(pool)
    .await?
    .flatten();
    let list: Vec<(String, String)> = rows.iter().map(|(key, row)| (hex(key), row.to_string())).collect();
    let list = serde_json::to_string(&list).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let found = sqlx::query(OF_ROWS)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(list)
        .fetch_all(pool)
        .await?;
    let mut told = vec![Last::default(); rows.len()];
    for row in found {
        let (place, digest): (i64, Option<Vec<u8>>) = (row.try_get(0)?, row.try_get(1)?);
        let place = usize::try_from(place).ok().and_then(|place| told.get_mut(place));
        let Some(last) = place else { continue };
        *last = Last { digest: digest.and_then(|d| d.try_into().ok()), known: row.try_get(2)? };
    }
    Ok(Told { rows: told, inserted: inserted.and_then(|id| id.parse().ok()).map(RowId) })
}

/// Takes in what was read, in its order; adds to `counts`.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
    versions: &Versions,
    counts: &mut Committed,
) -> Result<(), sqlx::Error> {
    let lane = (versions.task.as_str(), versions.destination.as_str());
    let after: Option<i64> =
        sqlx::query_scalar("SELECT after FROM event_lane WHERE task = ?1 AND destination = ?2")
            .bind(lane.0)
            .bind(lane.1)
            .fetch_optional(&mut *connection)
            .await?;
    let mark = "SELECT coalesce((SELECT value FROM mark WHERE name = ?1), 0)";
    let mut number: i64 = sqlx::query_scalar(mark).bind("event").fetch_one(&mut *connection).await?;
    let floor: i64 = sqlx::query_scalar(mark).bind("revision").fetch_one(&mut *connection).await?;
    let (mut opened, mut bytes) = (0_i64, 0_i64);
    let mut rest = &versions.list[..];
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(apart(rest));
        rest = behind;
        let numbered: Vec<(i64, uuid::Uuid, &Version)> =
            piece.iter().zip(number + 1..).map(|(v, n)| (n, uuid::Uuid::now_v7(), v)).collect();
        number += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        for (text, piece) in NEW.pieces(&numbered) {
            let mut query = sqlx::query(text);
            for (number, id, version) in piece {
                query = query
                    .bind(lane.0)
                    .bind(lane.1)
                    .bind(version.key.as_bytes())
                    .bind(version.row.to_string())
                    .bind(version.kind.number())
                    .bind(version.digest.as_slice())
                    .bind(&*version.body)
                    .bind(number)
                    .bind(id.as_bytes().as_slice())
                    .bind(commit.run.0.as_bytes().as_slice())
                    .bind(commit.now)
                    .bind(floor)
                    .bind(after.unwrap_or(0));
            }
            for row in query.fetch_all(&mut *connection).await? {
                opened += 1;
                bytes += row.try_get::<i64, _>(0)?;
            }
        }
    }
    sqlx::query("INSERT INTO mark (name, value) VALUES ('event', ?1) ON CONFLICT DO UPDATE SET value = ?1")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO event_lane (task, destination, waiting, bytes, delivered, after) VALUES (?1, ?2, ?3, ?4, 0, 0)
         ON CONFLICT DO UPDATE SET waiting = waiting + ?3, bytes = bytes + ?4",
    )
    .bind(lane.0)
    .bind(lane.1)
    .bind(opened)
    .bind(bytes)
    .execute(connection)
    .await?;
    let opened = opened.unsigned_abs();
    counts.opened += opened;
    counts.known += (versions.list.len() as u64).saturating_sub(opened);
    Ok(())
}

/// How many versions come before a key that is among them already, at most a piece.
fn apart(versions: &[Version]) -> usize {
    let mut keys = HashSet::new();
    versions.iter().take(PIECE).take_while(|version| keys.insert(&version.key)).count()
}

/// From now on versions that were told before count as not told: the task begins again.
pub(super) async fn begin_again(
    connection: &mut SqliteConnection,
    task: &TaskName,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE event_lane SET after = coalesce((SELECT value FROM mark WHERE name = 'event'), 0) WHERE task = ?1",
    )
    .bind(task.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// What is open from an earlier time, or was taken in before, is counted; what was told in an earlier time is told again.
const BEGIN: &str = "INSERT INTO event_lane (task, destination, waiting, bytes, delivered, after, begun)
    SELECT ?1, ?2, count(*), coalesce(sum(length(body)), 0), 0,
        coalesce((SELECT value FROM mark WHERE name = 'event'), 0), 1
    FROM delivery WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND event > 0
    ON CONFLICT DO UPDATE SET begun = 1 WHERE begun = 0";

/// A destination that has never been told versions begins with nothing: what it was before, if it was a copy, is over.
/// Returns how many open deliveries were closed.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
    now: UnixMs,
) -> Result<u64, sqlx::Error> {
    let of_lane = |text: &'static str| sqlx::query(text).bind(task.as_str()).bind(destination.as_str());
    let is_one =
        "SELECT EXISTS (SELECT 1 FROM event_lane WHERE task = ?1 AND destination = ?2 AND begun = 1)";
    let is_one: bool = sqlx::query_scalar(is_one)
        .bind(task.as_str())
        .bind(destination.as_str())
        .fetch_one(&mut *connection)
        .await?;
    if is_one {
        return Ok(0);
    }
    of_lane(BEGIN).execute(&mut *connection).await?;
    let closed = of_lane(CLOSE)
        .bind(now)
        .bind(State::Closed.as_str())
        .execute(&mut *connection)
        .await?
        .rows_affected();
    for text in [
        FORGET,
        "DELETE FROM cursor WHERE task = ?1 AND destination = ?2",
        "DELETE FROM coverage WHERE task = ?1 AND destination = ?2",
        "DELETE FROM unfit WHERE task = ?1 AND destination = ?2",
    ] {
        of_lane(text).execute(&mut *connection).await?;
    }
    Ok(closed)
}

/// A destination that compares is told no versions: what was told need not be known any more. What is open goes on.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM event_lane WHERE task = ?1 AND destination = ?2")
        .bind(task.as_str())
        .bind(destination.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn backlog(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
) -> Result<Option<Backlog>, sqlx::Error> {
    // A state that an older version has written is read as it is.
    let made: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'event_lane')")
            .fetch_one(pool)
            .await?;
    if !made {
        return Ok(None);
    }
    let row =
        sqlx::query("SELECT waiting, bytes, delivered FROM event_lane WHERE task = ?1 AND destination = ?2")
            .bind(task.as_str())
            .bind(destination.as_str())
            .fetch_optional(pool)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let count = |at: usize| Ok::<_, sqlx::Error>(u64::try_from(row.try_get::<i64, _>(at)?).unwrap_or(0));
    Ok(Some(Backlog { versions: count(0)?, bytes: count(1)?, delivered: count(2)? }))
}

/// Deletes what ended of one destination. Returns the revisions of what is gone.
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    lane: &Lane,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let query = sqlx::query_scalar(ENDED).bind(lane.task.as_str()).bind(lane.destination.as_str());
    query.bind(lane.before).bind(limit).fetch_all(connection).await
}

/// The same of destinations that are told no versions any more.
pub(super) async fn prune_former(
    connection: &mut SqliteConnection,
    before: UnixMs,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let (mut gone, mut at) = (Vec::new(), (String::new(), String::new()));
    loop {
        let next = sqlx::query(NEXT_ENDED).bind(&at.0).bind(&at.1).fetch_optional(&mut *connection).await?;
        let Some(next) = next else { return Ok(gone) };
        at = (next.try_get(0)?, next.try_get(1)?);
        let left = limit - i64::try_from(gone.len()).unwrap_or(limit);
        if next.try_get(2)? && left > 0 {
            let query = sqlx::query_scalar(ENDED).bind(&at.0).bind(&at.1).bind(before).bind(left);
            let revisions: Vec<i64> = query.fetch_all(&mut *connection).await?;
            gone.extend(revisions);
        }
    }
}

#[cfg(test)]
mod tests;
