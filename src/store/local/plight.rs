//! How many deliveries are in what people are told of: asked every few seconds, so never read through.

use sqlx::sqlite::SqlitePool;

use crate::model::{DestinationName, TaskName};
use crate::store::Plight;

/// `?3`: count no further.
macro_rules! up_to {
    ($($from:literal),+) => {
        concat!("SELECT count(*) FROM (", $($from),+, " LIMIT ?3)")
    };
}

pub(super) const FAILING: &str = up_to!(
    "SELECT 1 FROM delivery INDEXED BY delivery_refused
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND tries > 0
         AND state IN ('main', 'retry', 'slow') AND state = 'slow'"
);

pub(super) const REFUSED: &str = up_to!(
    "SELECT 1 FROM delivery INDEXED BY delivery_refused
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND tries > 0
         AND state IN ('main', 'retry', 'slow')"
);

/// All kinds but 9, several rows of a key, which are passed over by the index; also kinds that nobody knows.
pub(super) const DEAD: &str = up_to!(
    "SELECT 1 FROM delivery
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND state = 'dead' AND kind < 9
     UNION ALL
     SELECT 1 FROM delivery
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND state = 'dead' AND kind > 9"
);

pub(super) const AMBIGUOUS: &str = up_to!(
    "SELECT 1 FROM delivery
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND state = 'dead' AND kind = 9"
);

/// Reads what waits for a call, so it is asked rarely.
pub(super) const UNHEALED: &str = up_to!(
    "SELECT 1 FROM delivery
     WHERE task = ?1 AND destination = ?2 AND ended_at IS NULL AND state IN ('main', 'retry', 'slow', 'verify')
         AND unhealed > 0"
);

pub(super) async fn count(
    pool: &SqlitePool,
    task: &TaskName,
    destination: &DestinationName,
    plight: Plight,
    most: u64,
) -> Result<u64, sqlx::Error> {
    let sql = match plight {
        Plight::Failing => FAILING,
        Plight::Refused => REFUSED,
        Plight::Dead => DEAD,
        Plight::Ambiguous => AMBIGUOUS,
        Plight::Unhealed => UNHEALED,
    };
    let counted = sqlx::query_scalar::<_, i64>(sql)
        .bind(task.as_str())
        .bind(destination.as_str())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_one(pool);
    Ok(counted.await?.unsigned_abs())
}
