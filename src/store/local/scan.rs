//! Cursors, and the transaction that moves them together with what was found.

use sqlx::Row;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqlitePool};

use super::{coverage, events, memory, runs};
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, Feed, Finding, Position, RowId, State, TaskName};
use crate::store::{Committed, Cursor, ScanCommit};

pub(super) async fn cursors(pool: &SqlitePool) -> Result<Vec<Cursor>, sqlx::Error> {
    let rows = sqlx::query("SELECT task, destination, feed, position, identity, start_id FROM cursor")
        .fetch_all(pool)
        .await?;
    let mut cursors = Vec::with_capacity(rows.len());
    for row in rows {
        let feed: String = row.try_get(2)?;
        let Some(feed) = Feed::parse(&feed) else { continue };
        let start: Option<String> = row.try_get(5)?;
        cursors.push(Cursor {
            task: TaskName::new(row.try_get::<String, _>(0)?),
            destination: DestinationName::new(row.try_get::<String, _>(1)?),
            feed,
            position: Position::new(row.try_get::<String, _>(3)?),
            identity: row.try_get(4)?,
            start_id: start.and_then(|s| s.parse().ok()).map(RowId),
        });
    }
    Ok(cursors)
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    task: &TaskName,
    feed: Option<Feed>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM cursor WHERE task = ?1 AND (?2 IS NULL OR feed = ?2)")
        .bind(task.as_str())
        .bind(feed.map(Feed::as_str))
        .execute(&mut *connection)
        .await?;
    if feed.is_none_or(|feed| feed == Feed::Insert) {
        events::begin_again(connection, task).await?;
    }
    coverage::forget(connection, task, feed).await
}

pub(super) async fn commit(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
) -> Result<Committed, sqlx::Error> {
    let mut counts = Committed::default();
    for finding in &commit.findings {
        match record(connection, commit, finding).await? {
            Recorded::Opened => counts.opened += 1,
            Recorded::Known => counts.known += 1,
            Recorded::Changed => counts.changed += 1,
        }
    }
    if let Some(versions) = commit.versions.as_ref().filter(|versions| !versions.list.is_empty()) {
        events::record(connection, commit, versions, &mut counts).await?;
    }
    if let Some(agreed) = &commit.agreed {
        counts.healed = memory::agree(connection, agreed, commit.now).await?;
    }
    if let Some(step) = &commit.step {
        runs::step(connection, step, counts).await?;
    }
    for cursor in &commit.cursors {
        sqlx::query(
            "INSERT INTO cursor (task, destination, feed, position, identity, start_id, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET position = ?4, identity = ?5, start_id = ?6, updated_at = ?7",
        )
        .bind(cursor.task.as_str())
        .bind(cursor.destination.as_str())
        .bind(cursor.feed.as_str())
        .bind(cursor.position.as_str())
        .bind(&cursor.identity)
        .bind(cursor.start_id.map(|id| id.to_string()))
        .bind(commit.now)
        .execute(&mut *connection)
        .await?;
    }
    coverage::save(connection, commit).await?;
    Ok(counts)
}

/// How often it is written down that what is remembered still stands, in milliseconds.
const DAY: i64 = 86_400_000;

enum Recorded {
    Opened,
    Known,
    Changed,
}

pub(super) const OPEN: &str =
    "SELECT seq, state, fingerprint, row_id, claimed_until IS NOT NULL, found FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL";

pub(super) const LAST: &str = "SELECT state, fingerprint, id, claims, forgotten, seq, seen_at FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT 1";

/// Revisions of a key go on where the last delivery ended, and never below those of deliveries that were deleted: a
/// clock that was set back may have made the last one the first to be deleted.
pub(super) const BEGIN: &str =
    "INSERT INTO delivery (task, destination, key, id, claims, row_id, kind, state, due, found_at, seen_at,
        fingerprint, run, watch, revision)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?13, ?9, ?9, ?10, ?11, ?12, max(
        coalesce((SELECT max(revision) FROM delivery
                  WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL), 0),
        coalesce((SELECT value FROM mark WHERE name = 'revision'), 0)))";

/// At most one open delivery per (task, destination, key): a newer finding updates it.
async fn record(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
    finding: &Finding,
) -> Result<Recorded, sqlx::Error> {
    let open = of_key(OPEN, finding).fetch_optional(&mut *connection).await?;
    let Some(open) = open else { return begin(connection, commit, finding).await };

    let seq: i64 = open.try_get(0)?;
    let dead = State::parse(open.try_get(1)?) == Some(State::Dead);
    let known = open.try_get::<Vec<u8>, _>(2)? == finding.fingerprint;
    let row_id = finding.row.to_string();
    let moved = open.try_get::<String, _>(3)? != row_id;
    if open.try_get(4)? {
        let found: Option<Vec<u8>> = open.try_get(5)?;
        let said = found.as_deref() == Some(finding.fingerprint.as_slice());
        if moved || !said {
            // Whoever works on it may have looked before this came to be, also if it is what was there at first.
            sqlx::query("UPDATE delivery SET found = ?2, row_id = ?3, seen_at = ?4 WHERE seq = ?1")
                .bind(seq)
                .bind(finding.fingerprint.as_slice())
                .bind(row_id)
                .bind(commit.now)
                .execute(connection)
                .await?;
        }
        return Ok(if said || (known && found.is_none()) { Recorded::Known } else { Recorded::Changed });
    }
    if known {
        // Writing "seen again" for each of a million open rows at each look would cost more than it tells.
        if moved {
            sqlx::query("UPDATE delivery SET row_id = ?2 WHERE seq = ?1")
                .bind(seq)
                .bind(row_id)
                .execute(&mut *connection)
                .await?;
        }
        if dead && walks(commit) {
            seen(connection, seq, commit.now).await?;
        }
        return Ok(Recorded::Known);
    }
    // A person's verdict was about another difference: it is confirmed anew.
    sqlx::query(
        "UPDATE delivery SET fingerprint = ?2, kind = ?3, row_id = ?4, seen_at = ?5,
             state = CASE WHEN ?6 THEN 'suspect' ELSE state END, note = CASE WHEN ?6 THEN NULL ELSE note END,
             watch = CASE WHEN ?6 THEN ?7 ELSE watch END,
             due = CASE WHEN ?6 THEN ?8 WHEN state = 'verify' THEN ?5 ELSE due END,
             tries = CASE WHEN ?6 THEN 0 ELSE tries END, looks = CASE WHEN ?6 THEN 0 ELSE looks END,
             unhealed = CASE WHEN ?6 THEN 0 ELSE unhealed END
         WHERE seq = ?1",
    )
    .bind(seq)
    .bind(finding.fingerprint.as_slice())
    .bind(finding.kind.number())
    .bind(row_id)
    .bind(commit.now)
    .bind(dead)
    .bind(&*finding.watch)
    .bind(commit.due)
    .execute(connection)
    .await?;
    Ok(Recorded::Changed)
}

/// Whether this may be a step of a pass over all there is, as the first walk of the insert feed is: at its end, what that
/// has not seen is gone. The update feed alone reads the same rows at every look.
fn walks(commit: &ScanCommit) -> bool {
    commit.cursors.iter().any(|cursor| cursor.feed != Feed::Update)
}

async fn seen(connection: &mut SqliteConnection, seq: i64, now: UnixMs) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE delivery SET seen_at = ?2 WHERE seq = ?1")
        .bind(seq)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

fn of_key<'q>(sql: &'static str, finding: &'q Finding) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(sql)
        .bind(finding.task.as_str())
        .bind(finding.destination.as_str())
        .bind(finding.key.as_bytes())
}

async fn begin(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
    finding: &Finding,
) -> Result<Recorded, sqlx::Error> {
    let (mut id, mut claims) = (uuid::Uuid::now_v7().as_bytes().to_vec(), 0_i64);
    if let Some(last) = of_key(LAST, finding).fetch_optional(&mut *connection).await? {
        // What was handed over or closed by a person is not said again; what was healed and differs anew is.
        let told = matches!(State::parse(last.try_get(0)?), Some(State::Delivered | State::Closed));
        let seq: i64 = last.try_get(5)?;
        if told && !last.try_get::<bool, _>(4)? {
            if last.try_get::<Vec<u8>, _>(1)? == finding.fingerprint {
                if walks(commit) || last.try_get::<i64, _>(6)? < commit.now.saturating_sub(DAY) {
                    seen(connection, seq, commit.now).await?;
                }
                return Ok(Recorded::Known);
            }
            sqlx::query("UPDATE delivery SET forgotten = 1 WHERE seq = ?1")
                .bind(seq)
                .execute(&mut *connection)
                .await?;
        }
        // A receiver tells a late older version by the revision of one delivery, so a key keeps its id; and claims
        // are counted on, so that nobody holds a claim of both.
        (id, claims) = (last.try_get(2)?, last.try_get(3)?);
    }
    of_key(BEGIN, finding)
        .bind(id)
        .bind(claims)
        .bind(finding.row.to_string())
        .bind(finding.kind.number())
        .bind(State::Suspect.as_str())
        .bind(commit.now)
        .bind(finding.fingerprint.as_slice())
        .bind(commit.run.0.as_bytes().as_slice())
        .bind(&*finding.watch)
        .bind(commit.due)
        .execute(connection)
        .await?;
    Ok(Recorded::Opened)
}
