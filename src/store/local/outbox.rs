//! Claims, messages and what becomes of them.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use crate::base::clock::UnixMs;
use crate::model::{
    Attempt, AttemptOutcome, Delivery, DeliveryId, DeliveryKind, DestinationName, Key, RowId, Sent, State,
    TaskName,
};
use crate::store::{ClaimRequest, Prepared, Settlement};

pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM delivery
    WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL AND state <> 'dead'";

/// A claim begins with a clean slate (`found` is NULL): its look will see whatever was found before it.
pub(super) const CLAIM: &str = "UPDATE delivery
    SET claimed_until = ?5, claims = claims + 1
    WHERE seq IN (
        SELECT seq FROM delivery
        WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL AND state <> 'dead'
            AND due <= ?3
        ORDER BY due, seq LIMIT ?4)
    RETURNING seq, CAST(due AS INTEGER) AS due, id, task, destination, key, row_id, kind, state, revision, tries,
        attempts, body, sent, fingerprint, looks, unhealed, renew, found_at, acked_at, claims";

/// A message that nobody has answered yet is not one that a copy is verified by.
pub(super) const PREPARE: &str = "UPDATE delivery
    SET kind = ?3, revision = ?4, body = ?5, sent = ?6, fingerprint = ?7, attempts = ?8, calling = ?9, renew = 0,
        acked_at = NULL, state = CASE state WHEN 'verify' THEN 'main' ELSE state END
    WHERE id = ?1 AND claims = ?2 AND claimed_until IS NOT NULL";

/// ?4: the state asked for is an end; what was found since the claim keeps it open. A dead one comes back afresh, and
/// what was seen healed needs a new message, which a receiver that drops known ones does not drop.
pub(super) const SETTLE: &str = "UPDATE delivery
    SET state = CASE WHEN back THEN 'main' ELSE ?3 END,
        ended_at = CASE WHEN ?4 AND NOT back THEN ?5 END,
        due = CASE WHEN back THEN ?5 ELSE ?6 END,
        tries = CASE WHEN back AND NOT ?4 THEN 0 ELSE ?7 END,
        unhealed = CASE WHEN back AND NOT ?4 THEN 0 ELSE ?9 END,
        renew = CASE WHEN back AND ?3 = 'healed' THEN 1 ELSE ?10 END, looks = ?8, acked_at = ?11, note = ?12, fingerprint = coalesce(found, ?13, fingerprint),
        found = NULL, calling = 0, claimed_until = NULL
    FROM (SELECT seq AS at, found IS NOT NULL
              AND (?4 OR (?3 = 'dead' AND found <> coalesce(?13, fingerprint))) AS back
          FROM delivery WHERE id = ?1 AND claims = ?2 AND claimed_until IS NOT NULL)
    WHERE seq = at RETURNING seq";

pub(super) const RELEASE: &str = "UPDATE delivery
    SET claimed_until = NULL, calling = 0, fingerprint = coalesce(found, fingerprint), found = NULL,
        due = max(due, ?3), note = coalesce(?4, note)
    WHERE id = ?1 AND claims = ?2 AND claimed_until IS NOT NULL";

pub(super) const EXPIRE: &str = "UPDATE delivery
    SET claimed_until = NULL, calling = 0, fingerprint = coalesce(found, fingerprint), found = NULL
    WHERE claimed_until IS NOT NULL AND claimed_until <= ?1";

pub(super) async fn next_due(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
) -> Result<Option<UnixMs>, sqlx::Error> {
    let row = sqlx::query(NEXT_DUE).bind(task.as_str()).bind(destination.as_str()).fetch_one(pool).await?;
    row.try_get(0)
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let until = request.now.saturating_add(i64::try_from(request.lease.as_millis()).unwrap_or(i64::MAX));
    let rows = sqlx::query(CLAIM)
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
        claim: row.try_get("claims")?,
    })
}

pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    messages: &[Prepared],
) -> Result<Vec<DeliveryId>, sqlx::Error> {
    let mut held = Vec::with_capacity(messages.len());
    for m in messages {
        let kind = m.sent.kind.number();
        let mut sent = vec![u8::try_from(kind).unwrap_or(u8::MAX)];
        sent.extend_from_slice(&m.sent.row);
        let prepared = sqlx::query(PREPARE)
            .bind(m.id.0.as_bytes().as_slice())
            .bind(m.claim)
            .bind(kind)
            .bind(m.revision)
            .bind(&*m.body)
            .bind(sent)
            .bind(m.fingerprint.as_slice())
            .bind(m.attempt)
            .bind(m.now)
            .execute(&mut *connection)
            .await?;
        if prepared.rows_affected() > 0 {
            held.push(m.id);
        }
    }
    Ok(held)
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
) -> Result<(), sqlx::Error> {
    for s in settlements {
        let id = s.id.0.as_bytes().as_slice();
        let mut row = sqlx::query(SETTLE)
            .bind(id)
            .bind(s.claim)
            .bind(s.to.state.as_str())
            .bind(!s.to.state.is_open())
            .bind(s.now)
            .bind(s.due)
            .bind(s.to.tries)
            .bind(s.to.looks)
            .bind(s.to.unhealed)
            .bind(s.to.renew)
            .bind(s.to.acked_at)
            .bind(s.note.as_deref())
            .bind(s.seen.as_ref().map(<[u8; 16]>::as_slice))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(attempt) = &s.attempt else { continue };
        if row.is_none() {
            // The claim is over. What was answered is evidence all the same.
            row = sqlx::query("SELECT seq FROM delivery WHERE id = ?1 ORDER BY seq DESC LIMIT 1")
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
        }
        if let Some(row) = row {
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
    claims: &[(DeliveryId, i64)],
    due: UnixMs,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    for (id, claim) in claims {
        sqlx::query(RELEASE)
            .bind(id.0.as_bytes().as_slice())
            .bind(*claim)
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
         WHERE claimed_until IS NOT NULL AND claimed_until <= ?1 AND calling <> 0",
    )
    .bind(now)
    .execute(&mut *connection)
    .await?;
    Ok(sqlx::query(EXPIRE).bind(now).execute(connection).await?.rows_affected())
}
