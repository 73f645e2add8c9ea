//! Configurations as people write them, fast enough for tests.

use serde_json::{Value, json};

use super::db::Db;

/// `src` of a table whose insert feed is on.
pub fn source(db: &Db, table: &str, by_column: &str) -> Value {
    json!({
        "dsn": db.url(), "table": table, "byColumn": by_column,
        "insert": true, "insertIntervalMillisecond": 100,
        "update": false, "updateIntervalMillisecond": 100,
    })
}

/// `src` of a table whose update feed is on as well.
pub fn updated_source(db: &Db, table: &str, by_column: &str, update_column: &str) -> Value {
    with(
        source(db, table, by_column),
        json!({ "update": true, "updateColumn": update_column, "updateScanSecond": 5 }),
    )
}

/// One entry of `des`; `columns` are (source, destination) pairs.
pub fn copy(db: &Db, table: &str, by_column: &str, columns: &[(&str, &str)], url: &str) -> Value {
    let columns: serde_json::Map<String, Value> =
        columns.iter().map(|&(s, d)| (s.to_owned(), Value::from(d))).collect();
    json!({
        "dsn": db.url(), "table": table, "byColumn": by_column, "columns": columns,
        "callbackNotification": { "url": url },
    })
}

/// The legacy file: one source, its copies.
pub fn legacy(src: Value, des: Vec<Value>) -> Value {
    json!({ "workerNumber": 4, "failureJobRetrySecond": 1, "src": src, "des": des })
}

/// Adds or replaces keys.
pub fn with(mut config: Value, more: Value) -> Value {
    let (Value::Object(into), Value::Object(more)) = (&mut config, more) else { panic!("two objects") };
    into.extend(more);
    config
}
