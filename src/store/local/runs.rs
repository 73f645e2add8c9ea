//! Runs: written in the transaction that moves the cursors, read for whoever asks.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::LocalStore;
use super::counts::{self, COUNTS};
use super::coverage::int;
use crate::base::clock::UnixMs;
use crate::model::{DeliveryId, DeliveryKind, DestinationName, Feed, RowId, RunId, State, TaskName};
use crate::store::{
    Called, Committed, Opened, Run, RunError, RunFilter, RunResult, RunStep, Runs, StoreError,
};

/// Columns beside the key and the counts.
const FACTS: [&str; 15] = [
    "task",
    "destination",
    "feed",
    "from_at",
    "to_at",
    "result",
    "passes",
    "opened",
    "changed",
    "healed",
    "errors",
    "first_error",
    "last_error",
    "started_at",
    "ended_at",
];

fn columns() -> String {
    FACTS.iter().chain(&COUNTS).copied().collect::<Vec<_>>().join(", ")
}

static KEEP: LazyLock<String> = LazyLock::new(|| {
    let marks = vec!["?"; FACTS.len() + COUNTS.len() + 1].join(", ");
    let set = FACTS.iter().chain(&COUNTS).map(|column| format!("{column} = excluded.{column}"));
    format!(
        "INSERT INTO run (id, {}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {}",
        columns(),
        set.collect::<Vec<_>>().join(", ")
    )
});

/// A process that is gone ends nothing any more.
pub(super) const CUT_OFF: &str = "UPDATE run SET result = 'cut-off' WHERE result = 'running'";

pub(super) const BEFORE: &str =
    "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";

pub(super) const OPENED: &str =
    "SELECT seq, id, destination, kind, state, row_id, found_at, ended_at FROM delivery
    WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT 1000";

pub(super) const CALLS: &str =
    "SELECT began, number, took_ms, outcome, status FROM attempt WHERE delivery = ?1 ORDER BY number";

/// Keeps a run as it is now.
pub(super) async fn keep(connection: &mut SqliteConnection, run: &Run) -> Result<(), sqlx::Error> {
    let error = |error: &Option<RunError>| {
        error.as_ref().map(|e| serde_json::to_string(e).expect("strings and numbers always serialise"))
    };
    let mut query = sqlx::query(KEEP.as_str())
        .bind(run.id.0.as_bytes().as_slice())
        .bind(run.task.as_str())
        .bind(run.destination.as_str())
        .bind(run.feed.map_or("", Feed::as_str))
        .bind(run.from.as_deref())
        .bind(run.to.as_deref())
        .bind(run.result.as_str())
        .bind(int(run.passes))
        .bind(int(run.opened))
        .bind(int(run.changed))
        .bind(int(run.healed))
        .bind(int(run.errors))
        .bind(error(&run.first_error))
        .bind(error(&run.last_error))
        .bind(run.started)
        .bind(run.ended);
    for count in counts::values(run.counts) {
        query = query.bind(count);
    }
    query.execute(connection).await?;
    Ok(())
}

/// Keeps the pass that a commit is a step of.
pub(super) async fn step(
    connection: &mut SqliteConnection,
    step: &RunStep,
    committed: Committed,
) -> Result<(), sqlx::Error> {
    if let Some(before) = &step.before {
        keep(connection, before).await?;
    }
    let run = step.run.with(committed);
    match &step.quiet {
        Some(quiet) if run.opened == 0 => {
            if run.id != quiet.id {
                // It had a row as long as it ran.
                sqlx::query("DELETE FROM run WHERE id = ?1")
                    .bind(run.id.0.as_bytes().as_slice())
                    .execute(&mut *connection)
                    .await?;
            }
            keep(connection, &quiet.with(committed)).await
        }
        _ => keep(connection, &run).await,
    }
}

#[async_trait]
impl Runs for LocalStore {
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        some(self.readers(), filter).await.map_err(|e| self.read_error(e))
    }

    async fn runs_between(&self, first: RunId, last: RunId) -> Result<Vec<Run>, StoreError> {
        between(self.readers(), first, last).await.map_err(|e| self.read_error(e))
    }

    async fn opened_by(&self, run: RunId, after: i64) -> Result<Vec<Opened>, StoreError> {
        opened(self.readers(), run, after).await.map_err(|e| self.read_error(e))
    }

    async fn calls_of(&self, seq: i64) -> Result<Vec<Called>, StoreError> {
        calls(self.readers(), seq).await.map_err(|e| self.read_error(e))
    }
}

/// Whether the state has been used by a version that keeps runs.
async fn are_kept(pool: &SqlitePool) -> Result<bool, sqlx::Error> {
    let sql = "SELECT count(*) FROM pragma_table_info('run') WHERE name = 'result'";
    Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await? > 0)
}

async fn some(pool: &SqlitePool, filter: &RunFilter) -> Result<Vec<Run>, sqlx::Error> {
    if !are_kept(pool).await? {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT id, {} FROM run WHERE true", columns()));
    if let Some(task) = &filter.task {
        query.push(" AND task = ").push_bind(task.as_str().to_owned());
    }
    if let Some(result) = filter.result {
        query.push(" AND result = ").push_bind(result.as_str());
    }
    if let Some(since) = filter.since {
        query.push(" AND ended_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" AND started_at <= ").push_bind(until);
    }
    let (behind, order) = if filter.oldest_first { (" AND id > ", "") } else { (" AND id < ", " DESC") };
    if let Some(page) = filter.page {
        query.push(behind).push_bind(page.0.as_bytes().to_vec());
    }
    query.push(" ORDER BY id").push(order).push(" LIMIT ").push_bind(int(filter.limit as u64));
    let rows = query.build().fetch_all(pool).await?;
    rows.iter().map(decode).collect()
}

async fn between(pool: &SqlitePool, first: RunId, last: RunId) -> Result<Vec<Run>, sqlx::Error> {
    if !are_kept(pool).await? {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT id, {} FROM run WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 3", columns());
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(first.0.as_bytes().to_vec())
        .bind(last.0.as_bytes().to_vec())
        .fetch_all(pool)
        .await?;
    rows.iter().map(decode).collect()
}

async fn opened(pool: &SqlitePool, run: RunId, after: i64) -> Result<Vec<Opened>, sqlx::Error> {
    let rows = sqlx::query(OPENED).bind(run.0.as_bytes().to_vec()).bind(after).fetch_all(pool).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let (kind, state) = (DeliveryKind::from_number(row.try_get(3)?), State::parse(row.try_get(4)?));
        let id = Uuid::from_slice(row.try_get(1)?);
        let (Some(kind), Some(state), Ok(id)) = (kind, state, id) else { continue };
        all.push(Opened {
            seq: row.try_get(0)?,
            id: DeliveryId(id),
            destination: DestinationName::new(row.try_get::<String, _>(2)?),
            kind,
            state,
            row: row.try_get::<String, _>(5)?.parse().map_or(RowId::NONE, RowId),
            found_at: row.try_get(6)?,
            ended_at: row.try_get(7)?,
        });
    }
    Ok(all)
}

async fn calls(pool: &SqlitePool, seq: i64) -> Result<Vec<Called>, sqlx::Error> {
    let rows = sqlx::query(CALLS).bind(seq).fetch_all(pool).await?;
    let call = |row: &SqliteRow| {
        Ok(Called {
            began: row.try_get(0)?,
            number: row.try_get(1)?,
            took_ms: row.try_get(2)?,
            outcome: row.try_get(3)?,
            status: row.try_get(4)?,
        })
    };
    rows.iter().map(call).collect()
}

fn decode(row: &SqliteRow) -> Result<Run, sqlx::Error> {
    let unreadable = |what: &str| sqlx::Error::Decode(format!("{what} of a run cannot be read").into());
    let count = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(name)?.unsigned_abs());
    let error = |name: &str| {
        let text: Option<String> = row.try_get(name)?;
        let error = text.map(|text| serde_json::from_str(&text)).transpose();
        error.map_err(|_| unreadable("an error"))
    };
    let time = |name: &str| row.try_get::<UnixMs, _>(name);
    Ok(Run {
        id: RunId(Uuid::from_slice(row.try_get("id")?).map_err(|_| unreadable("the id"))?),
        task: TaskName::new(row.try_get::<String, _>("task")?),
        destination: DestinationName::new(row.try_get::<String, _>("destination")?),
        feed: Feed::parse(row.try_get("feed")?),
        from: row.try_get("from_at")?,
        to: row.try_get("to_at")?,
        result: RunResult::parse(row.try_get("result")?).ok_or_else(|| unreadable("the result"))?,
        passes: count("passes")?,
        counts: counts::read(row)?,
        opened: count("opened")?,
        changed: count("changed")?,
        healed: count("healed")?,
        errors: count("errors")?,
        first_error: error("first_error")?,
        last_error: error("last_error")?,
        started: time("started_at")?,
        ended: time("ended_at")?,
    })
}
