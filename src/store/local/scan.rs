//! Cursors, and the transaction that moves them together with what was found.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::model::{DeliveryKind, DestinationName, Feed, Finding, Position, RowId, State, TaskName};
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
        .execute(connection)
        .await?;
    Ok(())
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
    if let Some(first) = commit.findings.first() {
        sqlx::query(
            "INSERT INTO run (id, task, ended_at, found) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET ended_at = ?3, found = found + ?4",
        )
        .bind(commit.run.0.as_bytes().as_slice())
        .bind(first.task.as_str())
        .bind(commit.now)
        .bind(i64::try_from(commit.findings.len()).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
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
    Ok(counts)
}

enum Recorded {
    Opened,
    Known,
    Changed,
}

/// At most one open delivery per (task, destination, key): a newer finding updates it.
async fn record(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
    finding: &Finding,
) -> Result<Recorded, sqlx::Error> {
    let open = sqlx::query(
        "SELECT seq, state, fingerprint, claimed_until IS NOT NULL FROM delivery
         WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL",
    )
    .bind(finding.task.as_str())
    .bind(finding.destination.as_str())
    .bind(finding.key.as_bytes())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(open) = open else { return begin(connection, commit, finding).await };

    let seq: i64 = open.try_get(0)?;
    let state: String = open.try_get(1)?;
    let fingerprint: Vec<u8> = open.try_get(2)?;
    let claimed: bool = open.try_get(3)?;
    if fingerprint == finding.fingerprint {
        // Writing "seen again" for each of a million open rows at each look would cost more than it tells.
        return Ok(Recorded::Known);
    }
    let dead = State::parse(&state) == Some(State::Dead);
    // A delivery that only waits to be seen healed is looked at now: the source may have moved on, and the new version
    // must not wait for the next look at the old one.
    let reopened = if finding.kind == DeliveryKind::Ambiguous { State::Dead } else { State::Main };
    let next =
        if dead || finding.kind == DeliveryKind::Ambiguous { reopened.as_str() } else { state.as_str() };
    sqlx::query(
        "UPDATE delivery SET fingerprint = ?2, kind = CASE WHEN ?3 THEN kind ELSE ?4 END, row_id = ?5, seen_at = ?6,
             dirty = dirty OR ?3, state = CASE WHEN ?3 THEN state ELSE ?7 END,
             tries = CASE WHEN ?8 THEN 0 ELSE tries END,
             due = CASE WHEN ?8 OR state = 'verify' THEN ?6 ELSE due END
         WHERE seq = ?1",
    )
    .bind(seq)
    .bind(finding.fingerprint.as_slice())
    .bind(claimed)
    .bind(finding.kind.number())
    .bind(finding.row.to_string())
    .bind(commit.now)
    .bind(next)
    .bind(dead && !claimed)
    .execute(connection)
    .await?;
    Ok(Recorded::Changed)
}

async fn begin(
    connection: &mut SqliteConnection,
    commit: &ScanCommit,
    finding: &Finding,
) -> Result<Recorded, sqlx::Error> {
    let last = sqlx::query(
        "SELECT state, fingerprint, revision FROM delivery
         WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT 1",
    )
    .bind(finding.task.as_str())
    .bind(finding.destination.as_str())
    .bind(finding.key.as_bytes())
    .fetch_optional(&mut *connection)
    .await?;
    let mut revision = 0_i64;
    if let Some(last) = last {
        let state: String = last.try_get(0)?;
        let fingerprint: Vec<u8> = last.try_get(1)?;
        revision = last.try_get(2)?;
        // What was handed over or closed by a person is not said again; what was healed and differs anew is.
        let remembers = matches!(State::parse(&state), Some(State::Delivered | State::Closed));
        if remembers && fingerprint == finding.fingerprint {
            return Ok(Recorded::Known);
        }
    }
    let ambiguous = finding.kind == DeliveryKind::Ambiguous;
    let state = if ambiguous { State::Dead } else { State::Main };
    sqlx::query(
        "INSERT INTO delivery (id, task, destination, key, row_id, kind, state, due, revision, fingerprint, run, note,
                               found_at, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?8, ?8)",
    )
    .bind(uuid::Uuid::now_v7().as_bytes().as_slice())
    .bind(finding.task.as_str())
    .bind(finding.destination.as_str())
    .bind(finding.key.as_bytes())
    .bind(finding.row.to_string())
    .bind(finding.kind.number())
    .bind(state.as_str())
    .bind(commit.now)
    .bind(revision)
    .bind(finding.fingerprint.as_slice())
    .bind(commit.run.0.as_bytes().as_slice())
    .bind(ambiguous.then_some("several rows carry this key; it is never called back"))
    .execute(connection)
    .await?;
    Ok(Recorded::Opened)
}
