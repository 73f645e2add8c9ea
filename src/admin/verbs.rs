//! What may be asked of a daemon, verb by verb.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::ControlHandle;
use crate::store::{Record, Select, StoreError, Verb};

/// Verbs that are a line.
const LINES: [&str; 4] = ["status", "resume", "act", "job"];
/// Verbs that are followed by bytes.
const WITH_BYTES: [&str; 2] = ["edit", "import"];

/// Something to be done with any number of deliveries.
#[derive(Debug, Deserialize)]
struct Asked {
    act: Verb,
    #[serde(default)]
    select: Select,
    author: String,
    note: Option<String>,
}

/// A body to be sent.
#[derive(Debug, Deserialize)]
struct Edited {
    number: i64,
    author: String,
    note: Option<String>,
}

fn told<T>(result: Result<T, StoreError>, answer: impl FnOnce(T) -> Value) -> Value {
    result.map_or_else(|e| json!({ "error": e.to_string() }), answer)
}

fn unknown(request: &Value) -> Value {
    let known: Vec<&str> = LINES.into_iter().chain(WITH_BYTES).collect();
    match request["verb"].as_str() {
        Some(verb) if known.contains(&verb) => {
            json!({ "error": format!("`{verb}` is asked for in another way"), "known": known })
        }
        Some(verb) => json!({ "error": format!("unknown verb `{verb}`"), "known": known }),
        None => json!({ "error": "the request has no `verb`", "known": known }),
    }
}

/// Does what a line asks for.
pub(super) async fn answer(control: &ControlHandle, request: &Value) -> Value {
    match request["verb"].as_str() {
        Some("status") => told(control.status().await, |status| status),
        Some("resume") => {
            let (task, destination) = (request["task"].as_str(), request["destination"].as_str());
            told(control.resume(task, destination).await, |resumed| json!({ "resumed": resumed }))
        }
        Some("act") => match Asked::deserialize(request) {
            Ok(Asked { act: Verb::Edit, .. }) => unknown(request),
            Ok(Asked { act, select, author, note }) => {
                told(control.clerk().begin(act, select, author, note), |job| json!({ "job": job }))
            }
            Err(e) => json!({ "error": format!("the request cannot be read: {e}") }),
        },
        Some("job") => {
            let job = request["number"].as_u64().and_then(|number| control.clerk().job(number));
            json!({ "job": job })
        }
        _ => unknown(request),
    }
}

/// Does what a line asks for with the bytes that follow it.
pub(super) async fn answer_with(control: &ControlHandle, request: &Value, payload: Vec<u8>) -> Value {
    match request["verb"].as_str() {
        Some("edit") => match Edited::deserialize(request) {
            Ok(Edited { number, author, note }) => {
                let acted = control.clerk().edit(number, payload.into(), author, note).await;
                told(acted, |acted| json!({ "acted": acted }))
            }
            Err(e) => json!({ "error": format!("the request cannot be read: {e}") }),
        },
        Some("import") => {
            let records: Result<Vec<Record>, _> =
                serde_json::Deserializer::from_slice(&payload).into_iter().collect();
            match records {
                Ok(records) => {
                    told(control.clerk().take_in(records).await, |taken| json!({ "taken": taken }))
                }
                Err(e) => json!({ "error": format!("a delivery cannot be read: {e}") }),
            }
        }
        _ => unknown(request),
    }
}
