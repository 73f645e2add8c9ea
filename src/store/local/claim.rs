//! What is due, who gets how much of it, and the claims themselves.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use tracing::error;
use uuid::Uuid;

use super::shares::{Part, Share, fresh_shares, mixed, shares};
use crate::base::clock::UnixMs;
use crate::model::{
    Batched, Delivery, DeliveryId, DeliveryKind, DestinationName, Key, RowId, RunId, Sent, State, TaskName,
};
use crate::store::{ClaimRequest, Work};

/// What a claim hands out.
macro_rules! columns {
    () => {
        " RETURNING seq, CAST(due AS INTEGER) AS due, id, task, destination, key, row_id, run, kind, state, revision, tries,
             attempts, body, sent, edited, fingerprint, looks, unhealed, renew, found_at, acked_at, watch, claims,
             evidence IS NOT NULL AS shown, batch, batch_place, batch_attempt"
    };
}

/// A claim of what is in some states. It begins with a clean slate (`found` is NULL): its look will see whatever was
/// found before it. It ends with the delivery that fills it, and one whose claim was lost fills it: what takes down whoever
/// works on it must not take others along for ever.
macro_rules! claim {
    ($states:literal, $order:literal) => {
        concat!(
            "UPDATE delivery SET claimed_until = ?5, claims = claims + 1
             WHERE seq IN (
                 SELECT seq FROM (
                     SELECT seq, sum(size) OVER (
                         ORDER BY ", $order, " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                     FROM (
                         SELECT seq, due, length(key) + coalesce(length(watch), 0) + coalesce(length(body), 0)
                             + coalesce(length(edited), 0) + iif(lost > 0, 16777216, 0) AS size
                         FROM delivery
                         WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND claimed_until IS NULL AND state ",
            $states,
            " AND due <= ?3 ORDER BY ", $order, " LIMIT ?4))
                 WHERE coalesce(before, 0) < ?6)",
            columns!()
        )
    };
}

/// When something in some states is due next.
macro_rules! due {
    ($states:literal) => {
        concat!(
            "SELECT min(due) AS due FROM delivery WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL
                 AND claimed_until IS NULL AND state ",
            $states
        )
    };
}

/// Bytes of messages, keys and what is known of them that one claim hands out; the last one may go beyond.
const HEAVIEST_CLAIM: i64 = 16 << 20;

pub(super) const LOOK: &str = claim!("IN ('suspect', 'verify')", "due, seq");
/// Never called, or not to any end: what became due last.
pub(super) const NEWEST: &str = claim!("= 'main'", "due DESC, seq DESC");
pub(super) const OLDEST: &str = claim!("= 'main'", "due, seq");
/// Tried again; and a state that this version does not know, which is found unreadable and shown as dead.
pub(super) const AGAIN: &str = claim!("NOT IN ('suspect', 'verify', 'dead', 'main')", "due, seq");
pub(super) const LOOK_DUE: &str = due!("IN ('suspect', 'verify')");
pub(super) const FRESH_DUE: &str = due!("= 'main'");
pub(super) const CALL_DUE: &str = concat!(
    "SELECT min(due) FROM (",
    due!("= 'main'"),
    " UNION ALL ",
    due!("NOT IN ('suspect', 'verify', 'dead', 'main')"),
    ")"
);

/// The others of some batches, as far as they are due.
macro_rules! mates {
    () => {
        " FROM (SELECT unhex(value) AS asked FROM json_each(?4)) CROSS JOIN delivery AS d INDEXED BY delivery_batch
             ON d.batch = asked
         WHERE d.ended_at IS NULL AND d.batch IS NOT NULL AND d.claimed_until IS NULL AND d.task = ?1
             AND d.destination = ?2 AND d.due <= ?3 AND d.state NOT IN ('suspect', 'verify', 'dead')"
    };
}

/// How heavy those are.
pub(super) const WEIGH: &str = concat!(
    "SELECT d.batch AS batch, sum(length(d.key) + coalesce(length(d.watch), 0) + coalesce(length(d.body), 0)) AS size",
    mates!(),
    " GROUP BY d.batch"
);

/// Claims those.
pub(super) const MATES: &str = concat!(
    "UPDATE delivery SET claimed_until = ?5, claims = claims + 1 WHERE seq IN (SELECT d.seq",
    mates!(),
    ")",
    columns!()
);

/// What has been claimed just now is not.
pub(super) const UNCLAIM: &str =
    "UPDATE delivery SET claimed_until = NULL WHERE seq IN (SELECT value FROM json_each(?1))";

pub(super) async fn next_due(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    work: Work,
) -> Result<Option<UnixMs>, sqlx::Error> {
    let text = match work {
        Work::Look => LOOK_DUE,
        Work::Call => CALL_DUE,
        Work::Fresh => FRESH_DUE,
    };
    let row = sqlx::query(text).bind(task.as_str()).bind(destination.as_str()).fetch_one(pool).await?;
    row.try_get(0)
}

/// A delivery and its order.
type Claimed = ((UnixMs, i64), Delivery);

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let claimed = match request.work {
        Work::Look => take(connection, request, LOOK, request.limit, HEAVIEST_CLAIM).await?,
        Work::Call => calls(connection, request, shares(request.limit, request.turn)).await?,
        Work::Fresh => calls(connection, request, fresh_shares(request.limit, request.turn)).await?,
    };
    Ok(claimed.into_iter().map(|(_, delivery)| delivery).collect())
}

async fn calls(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
    shares: Vec<Share>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut parts: [Vec<Claimed>; 3] = Default::default();
    let (mut left, mut bytes) = (request.limit, HEAVIEST_CLAIM);
    let mut used_up = [false; 3];
    for Share { part, most } in shares {
        let most = most.min(left);
        if most == 0 || bytes <= 0 || used_up[part as usize] {
            continue;
        }
        let text = match part {
            Part::Newest => NEWEST,
            Part::Again => AGAIN,
            Part::Oldest => OLDEST,
        };
        let some = take(connection, request, text, most, bytes).await?;
        if some.len() < most {
            used_up[part as usize] = true;
            // Both are about the same deliveries.
            if part != Part::Again {
                used_up[Part::Newest as usize] = true;
                used_up[Part::Oldest as usize] = true;
            }
        }
        left -= some.len();
        bytes -= some.iter().map(|(_, d)| size(d)).sum::<i64>();
        parts[part as usize].extend(some);
    }
    let all_there_is = left > 0 && bytes > 0;
    let mut claimed = if all_there_is {
        let mut all: Vec<Claimed> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(order, _)| *order);
        all
    } else {
        mixed(parts)
    };
    mates(connection, request, &mut claimed).await?;
    Ok(together(claimed))
}

/// Members of a batch one after the other, where the first of them stands: so a batch is begun only if it is next.
fn together(claimed: Vec<Claimed>) -> Vec<Claimed> {
    let mut first: HashMap<[u8; 16], usize> = HashMap::new();
    let place = |(at, claimed): (usize, Claimed)| match claimed.1.batch {
        Some(batch) => ((*first.entry(batch.id).or_insert(at), batch.place), claimed),
        None => ((at, 0), claimed),
    };
    let mut placed: Vec<((usize, u32), Claimed)> = claimed.into_iter().enumerate().map(place).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, claimed)| claimed).collect()
}

fn size(d: &Delivery) -> i64 {
    let size = d.key.as_bytes().len()
        + d.watch.as_ref().map_or(0, |watch| watch.len())
        + d.body.as_ref().map_or(0, |body| body.len())
        + d.edited.as_ref().map_or(0, |body| body.len());
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Adds what was sent together with what is claimed. Batches are handed out whole, and no more of them than one claim
/// hands out, but at least one.
async fn mates(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
    claimed: &mut Vec<Claimed>,
) -> Result<(), sqlx::Error> {
    let mut batches: Vec<[u8; 16]> = Vec::new();
    let mut known = HashSet::new();
    batches.extend(claimed.iter().filter_map(|(_, d)| d.batch).map(|b| b.id).filter(|id| known.insert(*id)));
    if batches.is_empty() {
        return Ok(());
    }
    let list = |ids: &[[u8; 16]]| {
        let digits = ids.iter().map(|id| format!("{:032X}", u128::from_be_bytes(*id)));
        serde_json::Value::from_iter(digits).to_string()
    };
    let mut sizes: HashMap<[u8; 16], i64> = HashMap::new();
    let rows = sqlx::query(WEIGH)
        .bind(request.task.as_str())
        .bind(request.destination.as_str())
        .bind(request.now)
        .bind(list(&batches))
        .fetch_all(&mut *connection)
        .await?;
    for row in rows {
        sizes.insert(digest(row.try_get("batch")?)?, row.try_get("size")?);
    }
    let mut room = HEAVIEST_CLAIM - claimed.iter().map(|(_, d)| size(d)).sum::<i64>();
    let mut first = true;
    let (batches, left): (Vec<_>, Vec<_>) = batches.into_iter().partition(|id| {
        let size = sizes.get(id).copied().unwrap_or(0);
        let fits = std::mem::take(&mut first) || size == 0 || size <= room;
        room -= if fits { size } else { 0 };
        fits
    });
    if !left.is_empty() {
        let is_left = |d: &Delivery| d.batch.is_some_and(|batch| left.contains(&batch.id));
        let numbers: Vec<i64> =
            claimed.iter().filter(|(_, d)| is_left(d)).map(|(order, _)| order.1).collect();
        claimed.retain(|(_, d)| !is_left(d));
        let numbers = serde_json::Value::from(numbers).to_string();
        sqlx::query(UNCLAIM).bind(numbers).execute(&mut *connection).await?;
    }
    let rows = sqlx::query(MATES)
        .bind(request.task.as_str())
        .bind(request.destination.as_str())
        .bind(request.now)
        .bind(list(&batches))
        .bind(until(request))
        .fetch_all(&mut *connection)
        .await?;
    claimed.extend(decoded(connection, request, rows).await?);
    Ok(())
}

fn until(request: &ClaimRequest) -> UnixMs {
    request.now.saturating_add(i64::try_from(request.lease.as_millis()).unwrap_or(i64::MAX))
}

/// In the order of their being due.
async fn take(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
    text: &'static str,
    most: usize,
    bytes: i64,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let rows = sqlx::query(text)
        .bind(request.task.as_str())
        .bind(request.destination.as_str())
        .bind(request.now)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .bind(until(request))
        .bind(bytes)
        .fetch_all(&mut *connection)
        .await?;
    decoded(connection, request, rows).await
}

async fn decoded(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
    rows: Vec<SqliteRow>,
) -> Result<Vec<Claimed>, sqlx::Error> {
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
    Ok(claimed)
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

pub(super) fn uuid(bytes: Vec<u8>) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(&bytes).map_err(|_| sqlx::Error::Decode("the id cannot be read".into()))
}

/// One byte for the kind, then the digest of the row.
fn sent(bytes: &[u8]) -> Result<Sent, sqlx::Error> {
    let unreadable = || sqlx::Error::Decode("what was sent cannot be read".into());
    let (kind, row) = bytes.split_first().ok_or_else(unreadable)?;
    let kind = DeliveryKind::from_number(i64::from(*kind)).ok_or_else(unreadable)?;
    Ok(Sent { kind, row: digest(row.to_vec())? })
}

fn batch(row: &SqliteRow) -> Result<Option<Batched>, sqlx::Error> {
    let Some(id) = row.try_get::<Option<Vec<u8>>, _>("batch")? else { return Ok(None) };
    let (place, attempt) = (row.try_get("batch_place")?, row.try_get("batch_attempt")?);
    Ok(Some(Batched { id: digest(id)?, place, attempt }))
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
        run: RunId(uuid(row.try_get("run")?)?),
        kind: DeliveryKind::from_number(row.try_get("kind")?).ok_or_else(|| unreadable("the kind"))?,
        state: State::parse(&state).ok_or_else(|| unreadable("the state"))?,
        revision: row.try_get("revision")?,
        tries: row.try_get("tries")?,
        attempts: row.try_get("attempts")?,
        body: row.try_get::<Option<Vec<u8>>, _>("body")?.map(Into::into),
        sent: row.try_get::<Option<Vec<u8>>, _>("sent")?.map(|bytes| sent(&bytes)).transpose()?,
        edited: row.try_get::<Option<Vec<u8>>, _>("edited")?.map(Into::into),
        fingerprint: digest(row.try_get("fingerprint")?)?,
        looks: row.try_get("looks")?,
        unhealed: row.try_get("unhealed")?,
        renew: row.try_get("renew")?,
        found_at: row.try_get("found_at")?,
        acked_at: row.try_get("acked_at")?,
        watch: row.try_get::<Option<Vec<u8>>, _>("watch")?.map(Into::into),
        shown: row.try_get("shown")?,
        batch: batch(row)?,
        claim: row.try_get("claims")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_batch_are_handed_out_one_after_the_other() {
        let one = |n: i64, batch: Option<(u8, u32)>| {
            let batch = batch.map(|(id, place)| Batched { id: [id; 16], place, attempt: 1 });
            ((n, n), Delivery { batch, ..Delivery::sample() })
        };
        let claimed = vec![
            one(0, None),
            one(1, Some((7, 2))),
            one(2, None),
            one(3, Some((8, 1))),
            one(4, Some((7, 0))),
            one(5, Some((8, 0))),
            one(6, Some((7, 1))),
        ];
        let order: Vec<i64> = together(claimed).into_iter().map(|((_, n), _)| n).collect();
        assert_eq!(order, [0, 4, 6, 1, 2, 5, 3]);
    }
}
