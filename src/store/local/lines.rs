//! Deliveries as lines of a list, and what they are called by.

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::events::HELD;
use super::find::list;
use crate::model::{DeliveryKind, Key};
use crate::store::record::{hex, unhex};
use crate::store::{Line, shown_key};

pub(super) const LINES: &str = "SELECT d.seq, d.id, d.task, d.destination, d.key, d.kind, d.state,
        d.claimed_until IS NOT NULL AS claimed, d.edited IS NOT NULL AS edited, d.revision, d.attempts, d.found_at,
        d.due, d.ended_at, d.note
    FROM (SELECT key AS at, value AS asked FROM json_each(?1)) CROSS JOIN delivery AS d ON d.seq = asked";

pub(super) const BEGINNING: &str =
    "SELECT id, max(coalesce(CASE WHEN ended_at IS NULL THEN seq END, -1)), max(seq)
    FROM delivery WHERE id >= ?1 AND id <= ?2 GROUP BY id ORDER BY id LIMIT 3";

pub(super) async fn lines(pool: &SqlitePool, numbers: &[i64]) -> Result<Vec<Line>, sqlx::Error> {
    let rows = sqlx::query(LINES).bind(list(numbers.iter().copied())).fetch_all(pool).await?;
    rows.iter().map(line).collect()
}

fn line(row: &SqliteRow) -> Result<Line, sqlx::Error> {
    let key = Key::new(row.try_get::<Vec<u8>, _>("key")?);
    Ok(Line {
        number: row.try_get("seq")?,
        id: shown_id(row.try_get("id")?),
        task: row.try_get("task")?,
        destination: row.try_get("destination")?,
        key: shown_key(&key),
        kind: shown_kind(row.try_get("kind")?),
        state: row.try_get("state")?,
        claimed: row.try_get("claimed")?,
        edited: row.try_get("edited")?,
        revision: row.try_get("revision")?,
        attempts: row.try_get("attempts").unwrap_or_default(),
        found_at: row.try_get("found_at")?,
        due: Some(row.try_get("due").unwrap_or_default()).filter(|due| *due != HELD),
        ended_at: row.try_get("ended_at")?,
        note: row.try_get("note")?,
    })
}

/// An id, also one that cannot be read.
pub(super) fn shown_id(bytes: Vec<u8>) -> String {
    uuid::Uuid::from_slice(&bytes)
        .map_or_else(|_| format!("0x{}", hex(&bytes)), |id| id.as_hyphenated().to_string())
}

/// A kind, also one that is not known.
pub(super) fn shown_kind(number: i64) -> String {
    DeliveryKind::from_number(number)
        .map_or_else(|| format!("kind {number}"), |kind| kind.as_str().to_owned())
}

pub(super) async fn beginning_with(
    pool: &SqlitePool,
    digits: &str,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let whole = |filler: &str| {
        let text: String =
            digits.chars().filter(|c| *c != '-').chain(filler.repeat(32).chars()).take(32).collect();
        unhex(&text)
    };
    let (Some(from), Some(to)) = (whole("0"), whole("f")) else { return Ok(Vec::new()) };
    let rows = sqlx::query(BEGINNING).bind(from).bind(to).fetch_all(pool).await?;
    let one = |row: &SqliteRow| {
        let (open, last): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok((shown_id(row.try_get(0)?), if open < 0 { last } else { open }))
    };
    rows.iter().map(one).collect()
}
