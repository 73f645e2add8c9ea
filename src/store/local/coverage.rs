//! What was looked at. Written in the transaction that moves the cursors; the rows of one batch cost nothing here as
//! long as nothing is known against any row of their destination.

use std::sync::LazyLock;

use sqlx::sqlite::SqliteConnection;

use super::counts::{self, COUNTS};
use super::rows::ForRows;
use crate::model::{DestinationName, Feed, RowId, TaskName};
use crate::store::{Pass, ScanCommit, Seen};

/// Rows kept at most of one destination that cannot be compared.
pub(super) const MOST: i64 = 100_000;

pub(super) const FACTS: [&str; 14] = [
    "looked_at",
    "caught_up",
    "settled",
    "settled_at",
    "told",
    "forgets",
    "uncovered",
    "uncovered_more",
    "unreadable",
    "ahead_s",
    "counted",
    "counted_after",
    "counted_upto",
    "unsettled",
];

static SAVE: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<&str> = COUNTS.iter().chain(&FACTS).copied().collect();
    let marks = vec!["?"; columns.len() + 3].join(", ");
    let counts = COUNTS.iter().map(|c| format!("{c} = {c} + excluded.{c}"));
    let facts = FACTS.iter().map(|c| match *c {
        // Asked for now and then only; and what was settled stays so.
        "uncovered" | "ahead_s" | "settled_at" => format!("{c} = coalesce(excluded.{c}, {c})"),
        "uncovered_more" | "unreadable" => {
            format!("{c} = CASE WHEN excluded.uncovered IS NULL THEN {c} ELSE excluded.{c} END")
        }
        _ => format!("{c} = excluded.{c}"),
    });
    format!(
        "INSERT INTO coverage (task, destination, feed, {}) VALUES ({marks}) ON CONFLICT DO UPDATE SET {}",
        columns.join(", "),
        counts.chain(facts).collect::<Vec<_>>().join(", ")
    )
});

pub(super) static FIT: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["of_task", "of_destination", "of_row", "read_at"],
        "DELETE FROM unfit WHERE (task, destination, row) IN (SELECT of_task, of_destination, of_row FROM v)
             AND at <= (SELECT read_at FROM v LIMIT 1)",
    )
});

static UNFIT: LazyLock<ForRows> = LazyLock::new(|| {
    ForRows::new(
        &["of_task", "of_destination", "of_row", "of_key", "of_why", "read_at"],
        "INSERT INTO unfit (task, destination, row, key, why, at)
         SELECT of_task, of_destination, of_row, of_key, of_why, read_at FROM v WHERE true
         ON CONFLICT DO UPDATE SET key = excluded.key, why = excluded.why, at = max(at, excluded.at)",
    )
});

/// Ids in their own order as bytes.
pub(super) fn row_bytes(row: RowId) -> [u8; 16] {
    ((row.0 as u128) ^ (1 << 127)).to_be_bytes()
}

pub(super) async fn save(connection: &mut SqliteConnection, commit: &ScanCommit) -> Result<(), sqlx::Error> {
    if let Some(covered) = &commit.covered {
        let f = &covered.facts;
        let mut query = sqlx::query(SAVE.as_str())
            .bind(covered.task.as_str())
            .bind(covered.destination.as_str())
            .bind(covered.feed.as_str());
        for count in counts::values(covered.looks) {
            query = query.bind(count);
        }
        query
            .bind(covered.looked_at)
            .bind(f.caught_up)
            .bind(f.settled.as_deref())
            .bind(f.settled_at)
            .bind(f.told)
            .bind(f.forgets)
            .bind(f.uncovered.map(int))
            .bind(f.uncovered_more)
            .bind(f.unreadable.as_deref())
            .bind(f.ahead_s.map(int))
            .bind(f.counted.map(|counted| int(counted.rows)))
            .bind(f.counted.and_then(|counted| counted.after).map(|id| id.to_string()))
            .bind(f.counted.and_then(|counted| counted.upto).map(|id| id.to_string()))
            .bind(int(f.unsettled))
            .execute(&mut *connection)
            .await?;
        if let Some(seen) = &commit.seen {
            see(connection, &covered.task, &covered.destination, seen).await?;
        }
    }
    Ok(())
}

async fn see(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
    seen: &Seen,
) -> Result<(), sqlx::Error> {
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unfit WHERE task = ?1 AND destination = ?2)")
            .bind(task.as_str())
            .bind(destination.as_str())
            .fetch_one(&mut *connection)
            .await?;
    if any {
        for (text, piece) in FIT.pieces(&seen.agreed) {
            let mut query = sqlx::query(text);
            for row in piece {
                query = query.bind(task.as_str()).bind(destination.as_str());
                query = query.bind(row_bytes(*row).to_vec()).bind(seen.at);
            }
            query.execute(&mut *connection).await?;
        }
    }
    if !seen.unfit.is_empty() && kept(connection, task, destination).await? < MOST {
        for (text, piece) in UNFIT.pieces(&seen.unfit) {
            let mut query = sqlx::query(text);
            for (row, key, why) in piece {
                query = query.bind(task.as_str()).bind(destination.as_str()).bind(row_bytes(*row).to_vec());
                query = query
                    .bind(key.as_ref().map(|key| key.as_bytes().to_vec()))
                    .bind(why.as_str())
                    .bind(seen.at);
            }
            query.execute(&mut *connection).await?;
        }
    }
    match seen.passed {
        Some(pass) => leave(connection, task, destination, pass).await,
        None => Ok(()),
    }
}

async fn kept(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM unfit WHERE task = ?1 AND destination = ?2")
        .bind(task.as_str())
        .bind(destination.as_str())
        .fetch_one(connection)
        .await
}

/// What was handed over or closed of rows that a complete pass has not met: they are gone from the source.
pub(super) const LEAVE: &str = "UPDATE delivery INDEXED BY delivery_stands SET forgotten = 1
    WHERE task = ?1 AND destination = ?2 AND forgotten = 0 AND state IN ('dead', 'delivered', 'closed')
        AND state <> 'dead' AND kind IN (1, 2) AND seen_at < ?3 AND ended_at < ?3
        AND (?4 IS NULL OR CAST(row_id AS INTEGER) >= ?4)";

/// What a complete pass has not met is not there any more.
async fn leave(
    connection: &mut SqliteConnection,
    task: &TaskName,
    destination: &DestinationName,
    pass: Pass,
) -> Result<(), sqlx::Error> {
    sqlx::query(LEAVE)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(pass.began)
        .bind(pass.from.map(saturated))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM unfit WHERE task = ?1 AND destination = ?2 AND at < ?3 AND (?4 IS NULL OR row >= ?4)",
    )
    .bind(task.as_str())
    .bind(destination.as_str())
    .bind(pass.began)
    .bind(pass.from.map(|from| row_bytes(from).to_vec()))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    task: &TaskName,
    feed: Option<Feed>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM coverage WHERE task = ?1 AND (?2 IS NULL OR feed = ?2)")
        .bind(task.as_str())
        .bind(feed.map(Feed::as_str))
        .execute(&mut *connection)
        .await?;
    if feed.is_none() {
        sqlx::query("DELETE FROM unfit WHERE task = ?1").bind(task.as_str()).execute(connection).await?;
    }
    Ok(())
}

pub(super) fn saturated(id: RowId) -> i64 {
    i64::try_from(id.0).unwrap_or(if id.0 < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_order_as_bytes() {
        let ids = [i128::from(i64::MIN), -1, 0, 1, 255, 256, i128::from(u64::MAX)];
        assert!(ids.windows(2).all(|pair| row_bytes(RowId(pair[0])) < row_bytes(RowId(pair[1]))));
    }
}
