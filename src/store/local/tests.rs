//! The statements that run for each row or each look use the index that was made for them, whatever the table holds.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::{history, outbox, scan, schema};

#[tokio::test]
async fn statements_use_their_indexes() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    for migration in schema::MIGRATIONS {
        connection.execute(*migration).await.unwrap();
    }
    let by_id = "delivery USING INDEX delivery_id (id=?)";
    let statements = [
        (
            "claim",
            outbox::CLAIM,
            vec![
                "delivery USING INTEGER PRIMARY KEY (rowid=?)",
                "INDEX delivery_due (task=? AND destination=? AND due<?)",
            ],
        ),
        ("next_due", outbox::NEXT_DUE, vec!["INDEX delivery_due (task=? AND destination=?)"]),
        ("prepare", outbox::PREPARE, vec![by_id]),
        ("settle", outbox::SETTLE, vec![by_id, "delivery USING INTEGER PRIMARY KEY (rowid=?)"]),
        ("release", outbox::RELEASE, vec![by_id]),
        ("expire", outbox::EXPIRE, vec!["INDEX delivery_claimed (claimed_until>? AND claimed_until<?)"]),
        ("open", scan::OPEN, vec!["INDEX delivery_open (task=? AND destination=? AND key=?)"]),
        ("last", scan::LAST, vec!["INDEX delivery_key (task=? AND destination=? AND key=?)"]),
        ("revision", scan::REVISION, vec!["INDEX delivery_key (task=? AND destination=? AND key=?)"]),
        ("counts", history::COUNTS, vec!["SCAN delivery USING COVERING INDEX delivery_state"]),
        ("prune", history::ENDED_BEFORE, vec!["COVERING INDEX delivery_ended (ended_at<?)"]),
        (
            "attempts",
            history::ATTEMPTS_BEFORE,
            vec![
                "COVERING INDEX attempt_began (began<?)",
                "attempt USING PRIMARY KEY (delivery=? AND number=?)",
            ],
        ),
    ];
    for (name, sql, expected) in statements {
        let rows = connection.fetch_all(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        for part in &expected {
            assert!(plan.iter().any(|step| step.contains(part)), "{name} without {part}: {plan:#?}");
        }
        for step in &plan {
            let whole = step.starts_with("SCAN") && !expected.iter().any(|part| step.contains(part));
            // `mark` has a row at most; a subquery's result is no table.
            assert!(
                !whole || step.contains("CONSTANT ROW") || step.contains("SUBQUERY"),
                "{name}: {plan:#?}"
            );
            assert!(!step.contains("TEMP B-TREE"), "{name} sorts: {plan:#?}");
        }
    }
}
