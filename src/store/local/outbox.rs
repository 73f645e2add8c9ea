//! Messages and what becomes of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::claim::uuid;
use super::rows::ForRows;
use crate::base::clock::UnixMs;
use crate::model::{AttemptOutcome, DeliveryId};
use crate::store::{Prepared, Settlement, Work};

/// A message that nobody has answered yet is not one that a copy is verified by.
pub(super) static PREPARE: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &[
            "to_id",
            "claim",
            "to_kind",
            "to_revision",
            "to_body",
            "to_sent",
            "to_differs",
            "seen",
            "to_batch",
            "to_place",
            "to_attempt",
            "attempt",
            "now",
        ],
        "UPDATE delivery
         SET kind = to_kind, revision = to_revision, body = to_body, sent = to_sent,
             differs = to_differs, fingerprint = seen,
             attempts = attempt, calling = now, renew = 0, acked_at = NULL,
             batch = to_batch, batch_place = to_place, batch_attempt = to_attempt,
             state = CASE state WHEN 'verify' THEN 'main' ELSE state END
         FROM v WHERE id = to_id AND claims = claim AND claimed_until IS NOT NULL RETURNING id, claims",
    )
});

/// What was found since the claim keeps a delivery open, and if it is another difference, out of `dead`.
const BACK: &str =
    "(found IS NOT NULL AND (ends OR (to_state = 'dead' AND found <> coalesce(seen, fingerprint))))";

/// `ends`: the state asked for is an end. A dead one comes back afresh, and what was seen healed needs a new message,
/// which a receiver that drops known ones does not drop. What a person wrote waits until it is known what became of it.
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
            "unknown",
        ],
        "UPDATE delivery
         SET state = CASE WHEN {back} THEN 'suspect' ELSE to_state END,
             ended_at = CASE WHEN ends AND NOT {back} THEN now END,
             due = CASE WHEN {back} THEN now ELSE to_due END,
             tries = CASE WHEN {back} AND NOT ends THEN 0 ELSE to_tries END,
             unhealed = CASE WHEN {back} AND NOT ends THEN 0 ELSE to_unhealed END,
             renew = CASE WHEN {back} AND to_state = 'healed' THEN 1 ELSE to_renew END,
             kind = CASE WHEN to_evidence IS NULL THEN kind ELSE 9 END, evidence = coalesce(to_evidence, evidence),
             edited = CASE WHEN calling = 0 OR unknown THEN edited END,
             looks = to_looks, acked_at = to_acked, note = to_note, watch = coalesce(to_watch, watch),
             fingerprint = coalesce(found, seen, fingerprint), found = NULL, calling = 0, claimed_until = NULL,
             lost = 0
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
             SELECT seq FROM delivery INDEXED BY delivery_id WHERE id = v.of AND claims >= v.claim
             ORDER BY claims, seq LIMIT 1)",
    )
});

/// What was prepared has not been sent: it was no attempt.
pub(super) static RELEASE: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["to_id", "claim", "least_due", "to_note"],
        "UPDATE delivery
         SET claimed_until = NULL, attempts = attempts - (calling <> 0), calling = 0,
             fingerprint = coalesce(found, fingerprint), found = NULL, lost = 0, due = max(due, least_due),
             note = coalesce(to_note, note)
         FROM v WHERE id = to_id AND claims = claim AND claimed_until IS NOT NULL",
    )
});

/// Whoever works on a delivery settles it or gives it back. If that fails three times in a row while the process lives
/// on, it is the delivery. What is lost with a process says nothing about it.
pub(super) const EXPIRE: &str = "UPDATE delivery
    SET claimed_until = NULL, calling = 0, fingerprint = coalesce(found, fingerprint), found = NULL,
        lost = lost + (?1 < 9223372036854775807),
        state = CASE WHEN lost >= 2 AND ?1 < 9223372036854775807 THEN 'dead' ELSE state END,
        due = CASE WHEN lost >= 2 AND ?1 < 9223372036854775807 THEN ?1 ELSE due END,
        note = CASE WHEN lost >= 2 AND ?1 < 9223372036854775807 THEN ?2 ELSE note END
    WHERE claimed_until IS NOT NULL AND claimed_until <= ?1";

/// Why such a delivery is dead.
const POISONED: &str =
    "poisoned: three times in a row, whoever worked on it did not come to an end; the log says why";

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
                .bind(m.differs.as_ref().and_then(|list| serde_json::to_string(list).ok()))
                .bind(m.fingerprint.as_slice())
                .bind(m.batch.as_ref().map(|batch| batch.id.as_slice()))
                .bind(m.batch.as_ref().map(|batch| batch.place))
                .bind(m.batch.as_ref().map(|batch| batch.attempt))
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
                .bind(s.evidence.as_deref().and_then(|evidence| serde_json::to_string(evidence).ok()))
                .bind(s.attempt.as_ref().is_some_and(|attempt| attempt.outcome == AttemptOutcome::Unknown));
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
    for (s, attempt) in attempts {
        let Some(old) = attempt.number.checked_sub(KEPT.1).filter(|old| *old > KEPT.0) else { continue };
        let query = sqlx::query(OLDER).bind(s.id.0.as_bytes().as_slice()).bind(s.claim).bind(old);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Attempts kept of each delivery: the first ones, and the last ones.
const KEPT: (u32, u32) = (10, 50);

/// Of the same delivery as [`LOG`].
pub(super) const OLDER: &str = "DELETE FROM attempt WHERE delivery = (
    SELECT seq FROM delivery INDEXED BY delivery_id WHERE id = ?1 AND claims >= ?2 ORDER BY claims, seq LIMIT 1)
    AND number = ?3";

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
    Ok(sqlx::query(EXPIRE).bind(now).bind(POISONED).execute(connection).await?.rows_affected())
}

/// The next lane of which anything is open.
pub(super) const NEXT_LANE: &str = "SELECT task, destination FROM delivery INDEXED BY delivery_state
    WHERE ended_at IS NULL AND (task, destination) > (?1, ?2) ORDER BY task, destination LIMIT 1";

/// What waits in some states for later than it may. What waits behind an older version does not wait for a time.
macro_rules! late {
    ($states:literal) => {
        concat!(
            "UPDATE delivery SET due = ?3 WHERE seq IN (
                 SELECT seq FROM delivery WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL
                     AND claimed_until IS NULL AND state ",
            $states,
            " AND due > ?3 AND due < 253402300799000 ORDER BY due LIMIT ?4)"
        )
    };
}

pub(super) const LATE_LOOK: &str = late!("IN ('suspect', 'verify')");
pub(super) const LATE_CALL: &str = late!("= 'main'");
pub(super) const LATE_AGAIN: &str = late!("NOT IN ('suspect', 'verify', 'dead', 'main')");
/// What somebody works on is due then if it is given back.
pub(super) const LATE_CLAIMED: &str = "UPDATE delivery SET due = ?1
    WHERE claimed_until IS NOT NULL AND due > ?1 AND (state IN ('suspect', 'verify')) = ?2";

/// Most deliveries of one piece.
const FORWARD: usize = 1000;

pub(super) async fn bring_forward(
    connection: &mut SqliteConnection,
    work: Work,
    latest: UnixMs,
) -> Result<u64, sqlx::Error> {
    let claimed = sqlx::query(LATE_CLAIMED).bind(latest).bind(work == Work::Look);
    let mut moved = claimed.execute(&mut *connection).await?.rows_affected();
    let late: &[&'static str] = match work {
        Work::Look => &[LATE_LOOK],
        Work::Call | Work::Fresh => &[LATE_CALL, LATE_AGAIN],
    };
    let mut at = (String::new(), String::new());
    loop {
        let next = sqlx::query(NEXT_LANE).bind(&at.0).bind(&at.1).fetch_optional(&mut *connection).await?;
        let Some(next) = next else { return Ok(moved) };
        at = (next.try_get(0)?, next.try_get(1)?);
        for text in late {
            let left = FORWARD.saturating_sub(usize::try_from(moved).unwrap_or(FORWARD));
            if left == 0 {
                return Ok(moved);
            }
            let query = sqlx::query(*text).bind(&at.0).bind(&at.1).bind(latest);
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            moved += query.bind(left).execute(&mut *connection).await?.rows_affected();
        }
    }
}
