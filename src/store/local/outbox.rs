//! Claims, messages and what becomes of them.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use crate::base::clock::UnixMs;
use crate::model::{
    Attempt, AttemptOutcome, Delivery, DeliveryId, DeliveryKind, DestinationName, Key, RowId, Sent, State,
    TaskName,
};
use crate::store::{ClaimRequest, Prepared, Settlement};

pub(super) async fn next_due(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
) -> Result<Option<UnixMs>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT min(due) FROM delivery
         WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL AND state <> 'dead'",
    )
    .bind(task.as_str())
    .bind(destination.as_str())
    .fetch_one(pool)
    .await?;
    row.try_get(0)
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let until = request.now.saturating_add(i64::try_from(request.lease.as_millis()).unwrap_or(i64::MAX));
    let rows = sqlx::query(
        "UPDATE delivery SET claimed_until = ?5 WHERE seq IN (
             SELECT seq FROM delivery
             WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL AND state <> 'dead'
                 AND due <= ?3
             ORDER BY due, seq LIMIT ?4)
         RETURNING seq, due, id, task, destination, key, row_id, kind, state, revision, tries, attempts, body, sent,
             fingerprint, looks, unhealed, renew, found_at, acked_at",
    )
    .bind(request.task.as_str())
    .bind(request.destination.as_str())
    .bind(request.now)
    .bind(i64::try_from(request.limit).unwrap_or(i64::MAX))
    .bind(until)
    .fetch_all(&mut *connection)
    .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let order: (i64, i64) = (row.try_get("due")?, row.try_get("seq")?);
        match decode(&row) {
            Ok(delivery) => claimed.push((order, delivery)),
            // One row that cannot be read must not hold up the others.
            Err(problem) => bury(connection, order.1, &problem.to_string()).await?,
        }
    }
    claimed.sort_by_key(|(order, _)| *order);
    Ok(claimed.into_iter().map(|(_, delivery)| delivery).collect())
}

async fn bury(connection: &mut SqliteConnection, seq: i64, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE delivery SET state = 'dead', claimed_until = NULL, note = ?2 WHERE seq = ?1")
        .bind(seq)
        .bind(format!("undecodable: {why}"))
        .execute(connection)
        .await?;
    Ok(())
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 16], sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("a digest has 16 bytes".into()))
}

/// One byte for the kind, then the digest of the row.
fn sent(bytes: &[u8]) -> Result<Sent, sqlx::Error> {
    let unreadable = || sqlx::Error::Decode("what was sent cannot be read".into());
    let (kind, row) = bytes.split_first().ok_or_else(unreadable)?;
    let kind = DeliveryKind::from_number(i64::from(*kind)).ok_or_else(unreadable)?;
    Ok(Sent { kind, row: digest(row.to_vec())? })
}

fn decode(row: &SqliteRow) -> Result<Delivery, sqlx::Error> {
    let unreadable = |what: &str| sqlx::Error::Decode(format!("{what} cannot be read").into());
    let id: Vec<u8> = row.try_get("id")?;
    let row_id: String = row.try_get("row_id")?;
    let state: String = row.try_get("state")?;
    Ok(Delivery {
        id: DeliveryId(uuid::Uuid::from_slice(&id).map_err(|_| unreadable("the id"))?),
        task: TaskName::new(row.try_get::<String, _>("task")?),
        destination: DestinationName::new(row.try_get::<String, _>("destination")?),
        key: Key::new(row.try_get::<Vec<u8>, _>("key")?),
        row: RowId(row_id.parse().map_err(|_| unreadable("the row id"))?),
        kind: DeliveryKind::from_number(row.try_get("kind")?).ok_or_else(|| unreadable("the kind"))?,
        state: State::parse(&state).ok_or_else(|| unreadable("the state"))?,
        revision: row.try_get("revision")?,
        tries: row.try_get("tries")?,
        attempts: row.try_get("attempts")?,
        body: row.try_get::<Option<Vec<u8>>, _>("body")?.map(Into::into),
        sent: row.try_get::<Option<Vec<u8>>, _>("sent")?.map(|bytes| sent(&bytes)).transpose()?,
        fingerprint: digest(row.try_get("fingerprint")?)?,
        looks: row.try_get("looks")?,
        unhealed: row.try_get("unhealed")?,
        renew: row.try_get("renew")?,
        found_at: row.try_get("found_at")?,
        acked_at: row.try_get("acked_at")?,
    })
}

pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    messages: &[Prepared],
) -> Result<(), sqlx::Error> {
    for m in messages {
        let kind = m.sent.kind.number();
        let mut sent = vec![u8::try_from(kind).unwrap_or(u8::MAX)];
        sent.extend_from_slice(&m.sent.row);
        sqlx::query(
            "UPDATE delivery SET kind = ?2, revision = ?3, body = ?4, sent = ?5, fingerprint = ?6, attempts = ?7,
                 renew = 0, dirty = 0, calling = ?8
             WHERE id = ?1",
        )
        .bind(m.id.0.as_bytes().as_slice())
        .bind(kind)
        .bind(m.revision)
        .bind(&*m.body)
        .bind(sent)
        .bind(m.fingerprint.as_slice())
        .bind(m.attempt)
        .bind(m.now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
) -> Result<(), sqlx::Error> {
    for s in settlements {
        let ended = !s.to.state.is_open();
        // A difference that arrived while this one was worked on must be looked at before anything ends.
        let row = sqlx::query(
            "UPDATE delivery SET
                 state = CASE WHEN dirty AND ?3 THEN 'main' ELSE ?2 END,
                 ended_at = CASE WHEN ?3 AND NOT dirty THEN ?4 END,
                 due = CASE WHEN dirty AND ?3 THEN ?4 ELSE ?5 END,
                 tries = ?6, looks = ?7, unhealed = ?8, renew = ?9, acked_at = ?10, note = ?11,
                 dirty = 0, calling = 0, claimed_until = NULL
             WHERE id = ?1 RETURNING seq",
        )
        .bind(s.id.0.as_bytes().as_slice())
        .bind(s.to.state.as_str())
        .bind(ended)
        .bind(s.now)
        .bind(s.due)
        .bind(s.to.tries)
        .bind(s.to.looks)
        .bind(s.to.unhealed)
        .bind(s.to.renew)
        .bind(s.to.acked_at)
        .bind(s.note.as_deref())
        .fetch_optional(&mut *connection)
        .await?;
        if let (Some(row), Some(attempt)) = (row, &s.attempt) {
            log_attempt(connection, row.try_get(0)?, attempt).await?;
        }
    }
    Ok(())
}

async fn log_attempt(
    connection: &mut SqliteConnection,
    seq: i64,
    attempt: &Attempt,
) -> Result<(), sqlx::Error> {
    let (outcome, status, detail) = match &attempt.outcome {
        AttemptOutcome::Accepted { status } => ("accepted", Some(*status), None),
        AttemptOutcome::Failed { class, status, detail } => (class.as_str(), *status, Some(detail.as_str())),
        AttemptOutcome::Unknown => ("unknown", None, None),
    };
    sqlx::query(
        "INSERT OR REPLACE INTO attempt (delivery, number, revision, began, took_ms, outcome, status, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(seq)
    .bind(attempt.number)
    .bind(attempt.revision)
    .bind(attempt.began)
    .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
    .bind(outcome)
    .bind(status)
    .bind(detail)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    ids: &[DeliveryId],
    due: UnixMs,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    for id in ids {
        sqlx::query(
            "UPDATE delivery SET claimed_until = NULL, due = max(due, ?2), note = coalesce(?3, note) WHERE id = ?1",
        )
        .bind(id.0.as_bytes().as_slice())
        .bind(due)
        .bind(note)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Calls that were open become attempts of unknown outcome; they spend no try and keep their id and bytes.
pub(super) async fn expire(connection: &mut SqliteConnection, now: UnixMs) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO attempt (delivery, number, revision, began, took_ms, outcome)
         SELECT seq, attempts, revision, calling, 0, 'unknown' FROM delivery
         WHERE claimed_until IS NOT NULL AND claimed_until < ?1 AND calling <> 0",
    )
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let given_back = sqlx::query(
        "UPDATE delivery SET claimed_until = NULL, calling = 0
         WHERE claimed_until IS NOT NULL AND claimed_until < ?1",
    )
    .bind(now)
    .execute(connection)
    .await?;
    Ok(given_back.rows_affected())
}
