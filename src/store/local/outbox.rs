//! Claims, messages and what becomes of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use tracing::error;
use uuid::Uuid;

use super::rows::ForRows;
use crate::base::clock::UnixMs;
use crate::model::{
    AttemptOutcome, Delivery, DeliveryId, DeliveryKind, DestinationName, Key, RowId, Sent, State, TaskName,
};
use crate::store::{ClaimRequest, Prepared, Settlement, Work};

/// The statements of one kind of work: when it is next due, and the claim. A claim begins with a clean slate (`found`
/// is NULL): its look will see whatever was found before it. It ends with the delivery that fills it.
macro_rules! work {
    ($states:literal) => {
        (
            concat!(
                "SELECT min(due) FROM delivery WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL
                     AND claimed_until IS NULL AND state ",
                $states
            ),
            concat!(
                "UPDATE delivery SET claimed_until = ?5, claims = claims + 1
                 WHERE seq IN (
                     SELECT seq FROM (
                         SELECT seq, sum(size) OVER (
                             ORDER BY due, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                         FROM (
                             SELECT seq, due, length(key) + coalesce(length(watch), 0)
                                 + coalesce(length(body), 0) AS size
                             FROM delivery
                             WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL
                                 AND state ",
                $states,
                " AND due <= ?3 ORDER BY due, seq LIMIT ?4))
                     WHERE coalesce(before, 0) < ?6)
                 RETURNING seq, CAST(due AS INTEGER) AS due, id, task, destination, key, row_id, kind, state, revision,
                     tries, attempts, body, sent, fingerprint, looks, unhealed, renew, found_at, acked_at, watch, claims,
                     evidence IS NOT NULL AS shown"
            ),
        )
    };
}

/// Bytes of messages, keys and what is known of them that one claim hands out; the last one may go beyond.
const HEAVIEST_CLAIM: i64 = 16 << 20;

pub(super) const LOOK: (&str, &str) = work!("IN ('suspect', 'verify')");
pub(super) const CALL: (&str, &str) = work!("NOT IN ('suspect', 'verify', 'dead')");

fn statements(work: Work) -> (&'static str, &'static str) {
    match work {
        Work::Look => LOOK,
        Work::Call => CALL,
    }
}

/// A message that nobody has answered yet is not one that a copy is verified by.
pub(super) static PREPARE: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["to_id", "claim", "to_kind", "to_revision", "to_body", "to_sent", "seen", "attempt", "now"],
        "UPDATE delivery
         SET kind = to_kind, revision = to_revision, body = to_body, sent = to_sent, fingerprint = seen,
             attempts = attempt, calling = now, renew = 0, acked_at = NULL,
             state = CASE state WHEN 'verify' THEN 'main' ELSE state END
         FROM v WHERE id = to_id AND claims = claim AND claimed_until IS NOT NULL RETURNING id, claims",
    )
});

/// What was found since the claim keeps a delivery open, and if it is another difference, out of `dead`.
const BACK: &str =
    "(found IS NOT NULL AND (ends OR (to_state = 'dead' AND found <> coalesce(seen, fingerprint))))";

/// `ends`: the state asked for is an end. A dead one comes back afresh, and what was seen healed needs a new message,
/// which a receiver that drops known ones does not drop.
pub(super) static SETTLE: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &[
            "to_id",
            "claim",
            "to_state",
            "ends",
            "now",
            "to_due",
            "to_tries",
            "to_looks",
            "to_unhealed",
            "to_renew",
            "to_acked",
            "to_note",
            "seen",
            "to_watch",
            "to_evidence",
        ],
        "UPDATE delivery
         SET state = CASE WHEN {back} THEN 'suspect' ELSE to_state END,
             ended_at = CASE WHEN ends AND NOT {back} THEN now END,
             due = CASE WHEN {back} THEN now ELSE to_due END,
             tries = CASE WHEN {back} AND NOT ends THEN 0 ELSE to_tries END,
             unhealed = CASE WHEN {back} AND NOT ends THEN 0 ELSE to_unhealed END,
             renew = CASE WHEN {back} AND to_state = 'healed' THEN 1 ELSE to_renew END,
             kind = CASE WHEN to_evidence IS NULL THEN kind ELSE 9 END, evidence = coalesce(to_evidence, evidence),
             looks = to_looks, acked_at = to_acked, note = to_note, watch = coalesce(to_watch, watch),
             fingerprint = coalesce(found, seen, fingerprint), found = NULL, calling = 0, claimed_until = NULL
         FROM v WHERE id = to_id AND claims = claim AND claimed_until IS NOT NULL"
            .replace("{back}", BACK)
            .as_str(),
    )
});

/// Whether or not the claim still holds: what was answered is evidence. Deliveries of one key share an id and count
/// their claims on, so the claim says whose attempt it was.
pub(super) static LOG: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["of", "claim", "number", "revision", "began", "took_ms", "outcome", "status", "detail", "answer"],
        "INSERT OR REPLACE INTO attempt
             (delivery, number, revision, began, took_ms, outcome, status, detail, answer)
         SELECT seq, v.number, v.revision, v.began, v.took_ms, v.outcome, v.status, v.detail, v.answer
         FROM v CROSS JOIN delivery AS d ON seq = (
             SELECT min(seq) FROM delivery INDEXED BY delivery_id WHERE id = v.of AND claims >= v.claim)",
    )
});

pub(super) static RELEASE: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["to_id", "claim", "least_due", "to_note"],
        "UPDATE delivery
         SET claimed_until = NULL, calling = 0, fingerprint = coalesce(found, fingerprint), found = NULL,
             due = max(due, least_due), note = coalesce(to_note, note)
         FROM v WHERE id = to_id AND claims = claim AND claimed_until IS NOT NULL",
    )
});

pub(super) const EXPIRE: &str = "UPDATE delivery
    SET claimed_until = NULL, calling = 0, fingerprint = coalesce(found, fingerprint), found = NULL
    WHERE claimed_until IS NOT NULL AND claimed_until <= ?1";

pub(super) async fn next_due(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    work: Work,
) -> Result<Option<UnixMs>, sqlx::Error> {
    let row = sqlx::query(statements(work).0)
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
    let rows = sqlx::query(statements(request.work).1)
        .bind(request.task.as_str())
        .bind(request.destination.as_str())
        .bind(request.now)
        .bind(i64::try_from(request.limit).unwrap_or(i64::MAX))
        .bind(until)
        .bind(HEAVIEST_CLAIM)
        .fetch_all(&mut *connection)
        .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let order: (i64, i64) = (row.try_get("due")?, row.try_get("seq")?);
        match decode(&row) {
            Ok(delivery) => claimed.push((order, delivery)),
            // One row that cannot be read must not hold up the others.
            Err(problem) => {
                let (task, destination) = (&request.task, &request.destination);
                error!(%task, %destination, number = order.1, error = %problem,
                    "a delivery cannot be read, it waits for a person");
                bury(connection, order.1, &problem.to_string()).await?;
            }
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

fn uuid(bytes: Vec<u8>) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(&bytes).map_err(|_| sqlx::Error::Decode("the id cannot be read".into()))
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
    let row_id: String = row.try_get("row_id")?;
    let state: String = row.try_get("state")?;
    Ok(Delivery {
        id: DeliveryId(uuid(row.try_get("id")?)?),
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
        watch: row.try_get::<Option<Vec<u8>>, _>("watch")?.map(Into::into),
        shown: row.try_get("shown")?,
        claim: row.try_get("claims")?,
    })
}

/// Returns the claims that held.
pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    messages: &[&Prepared],
) -> Result<HashSet<(DeliveryId, i64)>, sqlx::Error> {
    let mut held = HashSet::with_capacity(messages.len());
    for (text, piece) in PREPARE.pieces(messages) {
        let mut query = sqlx::query(text);
        for m in piece {
            let kind = m.sent.kind.number();
            let mut sent = vec![u8::try_from(kind).unwrap_or(u8::MAX)];
            sent.extend_from_slice(&m.sent.row);
            query = query
                .bind(m.id.0.as_bytes().as_slice())
                .bind(m.claim)
                .bind(kind)
                .bind(m.revision)
                .bind(&*m.body)
                .bind(sent)
                .bind(m.fingerprint.as_slice())
                .bind(m.attempt)
                .bind(m.now);
        }
        for row in query.fetch_all(&mut *connection).await? {
            held.insert((DeliveryId(uuid(row.try_get(0)?)?), row.try_get(1)?));
        }
    }
    Ok(held)
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    settlements: &[&Settlement],
) -> Result<(), sqlx::Error> {
    for (text, piece) in SETTLE.pieces(settlements) {
        let mut query = sqlx::query(text);
        for s in piece {
            query = query
                .bind(s.id.0.as_bytes().as_slice())
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
                .bind(s.watch.as_deref())
                .bind(s.evidence.as_deref().and_then(|evidence| serde_json::to_string(evidence).ok()));
        }
        query.execute(&mut *connection).await?;
    }
    let attempts: Vec<_> = settlements.iter().filter_map(|s| Some((s, s.attempt.as_ref()?))).collect();
    for (text, piece) in LOG.pieces(&attempts) {
        let mut query = sqlx::query(text);
        for (s, attempt) in piece {
            let (outcome, status, detail, answer) = match &attempt.outcome {
                AttemptOutcome::Accepted { status, answer } => {
                    ("accepted", Some(*status), None, answer.as_deref())
                }
                AttemptOutcome::Failed { class, status, detail, answer, .. } => {
                    (class.as_str(), *status, Some(detail.as_str()), answer.as_deref())
                }
                AttemptOutcome::Unknown => ("unknown", None, None, None),
            };
            query = query
                .bind(s.id.0.as_bytes().as_slice())
                .bind(s.claim)
                .bind(attempt.number)
                .bind(attempt.revision)
                .bind(attempt.began)
                .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
                .bind(outcome)
                .bind(status)
                .bind(detail)
                .bind(answer);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    claims: &[(DeliveryId, i64)],
    due: UnixMs,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    for (text, piece) in RELEASE.pieces(claims) {
        let mut query = sqlx::query(text);
        for (id, claim) in piece {
            query = query.bind(id.0.as_bytes().as_slice()).bind(*claim).bind(due).bind(note);
        }
        query.execute(&mut *connection).await?;
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

pub(super) async fn bring_forward(
    connection: &mut SqliteConnection,
    work: Work,
    latest: UnixMs,
) -> Result<u64, sqlx::Error> {
    let late = match work {
        Work::Look => {
            "UPDATE delivery SET due = ?1 WHERE ended_at IS NULL AND due > ?1 AND state IN ('suspect', 'verify')"
        }
        Work::Call => {
            "UPDATE delivery SET due = ?1 WHERE ended_at IS NULL AND due > ?1 AND state NOT IN ('suspect', 'verify')"
        }
    };
    Ok(sqlx::query(late).bind(latest).execute(connection).await?.rows_affected())
}
