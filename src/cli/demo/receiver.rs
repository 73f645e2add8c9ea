//! The receiver: what the owner of a copy writes. It repairs the row it is called for, and is out of order now and
//! then, on purpose.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use super::dice::Dice;
use super::ledger::Ledger;
use super::tables::{Databases, Row, TABLES, Table, TableNo};

/// First attempts of a hundred that are refused.
const REFUSED: usize = 8;

/// What the handler needs.
pub(super) struct Receiver {
    databases: Arc<Databases>,
    ledger: Arc<Ledger>,
    dice: Mutex<Dice>,
}

impl Receiver {
    pub(super) fn new(databases: Arc<Databases>, ledger: Arc<Ledger>, dice: Dice) -> Self {
        Self { databases, ledger, dice: Mutex::new(dice) }
    }

    /// Answers callbacks until it is dropped.
    pub(super) async fn run(self, listener: TcpListener) -> Result<()> {
        let router = Router::new().route("/{table}", post(callback)).with_state(Arc::new(self));
        Ok(axum::serve(listener, router).into_future().await?)
    }

    fn refuses(&self, headers: &HeaderMap) -> bool {
        let first = headers.get("cupid-attempt").is_some_and(|n| n == "1");
        first && self.dice.lock().unwrap_or_else(PoisonError::into_inner).percent(REFUSED)
    }
}

async fn callback(
    State(receiver): State<Arc<Receiver>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(table) = TABLES.iter().position(|t| t.name == name) else { return StatusCode::NOT_FOUND };
    let Ok(row) = parse(&TABLES[table], &body) else { return StatusCode::BAD_REQUEST };
    let refuse = receiver.refuses(&headers);
    let story = receiver.ledger.called(table, row.id, &row.updated_at, refuse);
    if refuse {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    repair(&receiver, table, &row, story).await
}

async fn repair(receiver: &Receiver, table: TableNo, row: &Row, story: Option<u64>) -> StatusCode {
    match receiver.databases.write_copy(&[(table, row)]).await {
        Ok(()) => {
            if let Some(story) = story {
                receiver.ledger.repaired(story);
            }
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Reads `{"type": 1 or 2, "srcColumn": {…}}`: the whole source row, values as text or null.
fn parse(table: &Table, body: &[u8]) -> Result<Row> {
    let document: Value = serde_json::from_slice(body)?;
    let text = |at: usize| document["srcColumn"][table.columns[at].0].as_str();
    let need = |at: usize| text(at).with_context(|| format!("no `{}`", table.columns[at].0));
    Ok(Row {
        id: need(0)?.parse()?,
        name: need(1)?.to_owned(),
        remark: text(2).map(str::to_owned),
        cents: cents(need(3)?)?,
        updated_at: need(4)?.to_owned(),
    })
}

/// Reads `12`, `12.5` or `12.50` exactly.
fn cents(text: &str) -> Result<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    anyhow::ensure!(part.len() <= 2, "more digits than cents");
    Ok(whole.parse::<i64>()? * 100 + format!("{part:0<2}").parse::<i64>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_documented_body() {
        let body = br#"{"type":1,"srcColumn":{"id":"7","name":"O'Neill","remark":"","credit":"12.5","updated_at":"t"}}"#;
        let row = parse(&TABLES[0], body).unwrap();
        assert_eq!((row.id, row.name.as_str(), row.remark.as_deref()), (7, "O'Neill", Some("")));
        assert_eq!((row.cents, row.amount().as_str(), row.updated_at.as_str()), (1250, "12.50", "t"));
        for bad in ["", "{}", r#"{"type":1,"srcColumn":{"id":"seven"}}"#] {
            assert!(parse(&TABLES[0], bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in [("12", 1200), ("0.07", 7), ("0.7", 70), ("500.99", 50_099)] {
            assert_eq!(cents(text).unwrap(), expected, "{text}");
        }
        assert!(cents("0.123").is_err() && cents("a").is_err());
    }
}
