//! What is remembered of keys without being worked on: differences that were closed or handed over, and dead ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::base::clock::UnixMs;
use crate::model::{DeliveryId, DeliveryKind, DestinationName, Evidence, Key, RowId, TaskName};
use crate::store::Agreement;

pub(super) const ANY: &str = "SELECT EXISTS (SELECT 1 FROM delivery
    WHERE task = ?1 AND destination = ?2 AND forgotten = 0 AND state IN ('dead', 'delivered', 'closed'))";

/// Keys come as one JSON list of their bytes in hexadecimal: one statement for any number of them.
pub(super) const OF_KEYS: &str = "SELECT d.key, d.kind FROM (SELECT unhex(value) AS asked FROM json_each(?3))
    CROSS JOIN delivery AS d ON d.task = ?1 AND d.destination = ?2 AND d.key = asked
    WHERE d.forgotten = 0 AND d.state IN ('dead', 'delivered', 'closed')";

/// What was decided after the look began is not what the look is about. A dead delivery is due since it is dead.
pub(super) const HEAL: &str = "UPDATE delivery SET state = 'healed', ended_at = ?5, note = NULL
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND forgotten = 0 AND state = 'dead'
        AND ended_at IS NULL AND claimed_until IS NULL AND due <= ?4";

pub(super) const FORGET: &str = "UPDATE delivery SET forgotten = 1
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND forgotten = 0 AND state IN ('delivered', 'closed')
        AND ended_at <= ?4";

/// Rows that only the copy had: a pass over all that it has would have seen them.
pub(super) const GONE: &str = "UPDATE delivery
    SET forgotten = state <> 'dead', state = CASE state WHEN 'dead' THEN 'healed' ELSE state END,
        ended_at = coalesce(ended_at, ?4), note = CASE state WHEN 'dead' THEN NULL ELSE note END
    WHERE task = ?1 AND destination = ?2 AND forgotten = 0 AND state IN ('dead', 'delivered', 'closed')
        AND (kind = 3 OR (kind = 9 AND row_id = ?5)) AND claimed_until IS NULL
        AND seen_at < ?3 AND coalesce(ended_at, due) < ?3 RETURNING state";

/// Lanes at which nothing is remembered, by how often anything came to be remembered until that was seen.
#[derive(Debug, Default)]
pub(super) struct Memory {
    made: Arc<AtomicU64>,
    none: Mutex<HashMap<(TaskName, DestinationName), u64>>,
}

impl Memory {
    /// To be counted up whenever something may have come to be remembered.
    pub(super) fn made(&self) -> Arc<AtomicU64> {
        self.made.clone()
    }

    pub(super) async fn remembers(
        &self,
        pool: &SqlitePool,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<bool, sqlx::Error> {
        let lane = (task.clone(), destination.clone());
        // Before it is asked: what comes while it is asked is asked for again.
        let made = self.made.load(Ordering::Acquire);
        let none = || self.none.lock().unwrap_or_else(PoisonError::into_inner);
        if none().get(&lane) == Some(&made) {
            return Ok(false);
        }
        let any: bool =
            sqlx::query_scalar(ANY).bind(task.as_str()).bind(destination.as_str()).fetch_one(pool).await?;
        if !any {
            none().insert(lane, made);
        }
        Ok(any)
    }
}

pub(super) async fn of_keys(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    keys: &[&Key],
) -> Result<Vec<(Key, DeliveryKind)>, sqlx::Error> {
    let list: Vec<String> = keys.iter().map(|key| hex(key)).collect();
    let list = serde_json::to_string(&list).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let rows = sqlx::query(OF_KEYS)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(list)
        .fetch_all(pool)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (key, kind): (Vec<u8>, i64) = (row.try_get(0)?, row.try_get(1)?);
        found.extend(DeliveryKind::from_number(kind).map(|kind| (Key::new(key), kind)));
    }
    Ok(found)
}

/// The bytes of a key as digits.
pub(super) fn hex(key: &Key) -> String {
    key.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).expect("half a byte is one digit")
}

/// Returns how many dead deliveries healed.
pub(super) async fn agree(
    connection: &mut SqliteConnection,
    agreed: &Agreement,
    now: UnixMs,
) -> Result<u64, sqlx::Error> {
    let mut healed = 0;
    for key in &agreed.keys {
        for (sql, heals) in [(HEAL, true), (FORGET, false)] {
            let query = sqlx::query(sql)
                .bind(agreed.task.as_str())
                .bind(agreed.destination.as_str())
                .bind(key.as_bytes())
                .bind(agreed.looked);
            let query = if heals { query.bind(now) } else { query };
            let changed = query.execute(&mut *connection).await?.rows_affected();
            healed += if heals { changed } else { 0 };
        }
    }
    if let Some(began) = agreed.passed {
        let gone = sqlx::query(GONE)
            .bind(agreed.task.as_str())
            .bind(agreed.destination.as_str())
            .bind(began)
            .bind(now)
            .bind(RowId::NONE.to_string())
            .fetch_all(&mut *connection)
            .await?;
        healed +=
            gone.iter().filter(|row| row.try_get::<&str, _>(0).is_ok_and(|state| state == "healed")).count()
                as u64;
    }
    Ok(healed)
}

pub(super) async fn evidence(pool: &SqlitePool, id: DeliveryId) -> Result<Option<Evidence>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar(
        "SELECT evidence FROM delivery WHERE id = ?1 AND evidence IS NOT NULL ORDER BY seq DESC LIMIT 1",
    )
    .bind(id.0.as_bytes().as_slice())
    .fetch_optional(pool)
    .await?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| sqlx::Error::Decode(e.into()))).transpose()
}
