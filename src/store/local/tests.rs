//! The statements that run for each row or each look use the index that was made for them, whatever the table holds.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::{LocalStore, coverage, history, memory, outbox, plight, scan, schema, standing};
use crate::model::{DestinationName, TaskName};
use crate::store::Store;

#[tokio::test]
async fn statements_use_their_indexes() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    for migration in schema::MIGRATIONS {
        connection.execute(*migration).await.unwrap();
    }
    let by_id = "delivery USING INDEX delivery_id (id=?)";
    let statements = [
        (
            "claim to look",
            outbox::LOOK.1,
            vec![
                "delivery USING INTEGER PRIMARY KEY (rowid=?)",
                "INDEX delivery_look (task=? AND destination=? AND due<?)",
            ],
        ),
        (
            "claim to call",
            outbox::CALL.1,
            vec![
                "delivery USING INTEGER PRIMARY KEY (rowid=?)",
                "INDEX delivery_call (task=? AND destination=? AND due<?)",
            ],
        ),
        ("next look", outbox::LOOK.0, vec!["INDEX delivery_look (task=? AND destination=?)"]),
        ("next call", outbox::CALL.0, vec!["INDEX delivery_call (task=? AND destination=?)"]),
        ("prepare", outbox::PREPARE.longest(), vec![by_id]),
        ("settle", outbox::SETTLE.longest(), vec![by_id]),
        ("log", outbox::LOG.longest(), vec!["d USING INTEGER PRIMARY KEY (rowid=?)", by_id]),
        ("release", outbox::RELEASE.longest(), vec![by_id]),
        ("expire", outbox::EXPIRE, vec!["INDEX delivery_claimed (claimed_until>? AND claimed_until<?)"]),
        ("open", scan::OPEN, vec!["INDEX delivery_open (task=? AND destination=? AND key=?)"]),
        ("last", scan::LAST, vec!["INDEX delivery_key (task=? AND destination=? AND key=?)"]),
        ("begin", scan::BEGIN, vec!["INDEX delivery_key (task=? AND destination=? AND key=?)"]),
        (
            "fit",
            coverage::FIT.longest(),
            vec!["unfit USING PRIMARY KEY (task=? AND destination=? AND row=?)"],
        ),
        ("leave", coverage::LEAVE, vec!["INDEX delivery_stands (task=? AND destination=?)"]),
        ("open by kind", standing::OPEN, vec!["COVERING INDEX delivery_state (task=? AND destination=?)"]),
        ("counts", history::COUNTS, vec!["SCAN delivery USING COVERING INDEX delivery_state"]),
        ("failing", plight::FAILING, vec!["INDEX delivery_refused (task=? AND destination=? AND state=?)"]),
        ("refused", plight::REFUSED, vec!["INDEX delivery_refused (task=? AND destination=? AND state=?)"]),
        (
            "dead",
            plight::DEAD,
            vec![
                "INDEX delivery_state (task=? AND destination=? AND state=? AND kind<?)",
                "INDEX delivery_state (task=? AND destination=? AND state=? AND kind>?)",
            ],
        ),
        ("prune", history::ENDED_BEFORE, vec!["INDEX delivery_ended (ended_at<?)"]),
        ("prune the unseen", history::UNSEEN_SINCE, vec!["INDEX delivery_told (seen_at<?)"]),
        ("lighten", history::LIGHTEN, vec!["INDEX delivery_heavy (ended_at<?)"]),
        ("remembers", memory::ANY, vec!["INDEX delivery_stands (task=? AND destination=?)"]),
        ("remembered", memory::OF_KEYS, vec!["INDEX delivery_stands (task=? AND destination=? AND key=?)"]),
        ("heal", memory::HEAL, vec!["(task=? AND destination=? AND key=?)"]),
        ("forget", memory::FORGET, vec!["(task=? AND destination=? AND key=?)"]),
        ("gone", memory::GONE, vec!["INDEX delivery_stands (task=? AND destination=?)"]),
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
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let whole = table.is_some_and(|table| ["delivery", "d", "attempt"].contains(&table));
            assert!(!whole || expected.iter().any(|part| step.contains(part)), "{name}: {plan:#?}");
            assert!(!step.contains("TEMP B-TREE"), "{name} sorts: {plan:#?}");
        }
    }
}

/// A state of the second version is lifted: cursors and deliveries stay, and of what was handed over only the last one of
/// a key says something about its row.
#[tokio::test]
async fn a_state_of_the_second_version_is_lifted() {
    let folder = std::env::temp_dir().join(format!("cupid-lifted-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("cupid-old.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    for migration in &schema::MIGRATIONS[..2] {
        connection.execute(*migration).await.unwrap();
    }
    let numbers = format!("PRAGMA user_version = 2; PRAGMA application_id = {}", schema::APPLICATION_ID);
    connection.execute(AssertSqlSafe(numbers)).await.unwrap();
    connection
        .execute("INSERT INTO cursor VALUES ('t', 'd', 'insert', '{\"after\":\"7\"}', 'here', NULL, 1)")
        .await
        .unwrap();
    for (seq, key, state, ended) in [
        (1, 1, "delivered", true),
        (2, 1, "delivered", true),
        (3, 2, "delivered", true),
        (4, 2, "retry", false),
        (5, 3, "healed", true),
    ] {
        let sql = format!(
            "INSERT INTO delivery (seq, id, task, destination, key, row_id, kind, state, due, fingerprint, run, found_at,
                 seen_at, ended_at)
             VALUES ({seq}, randomblob(16), 't', 'd', x'0{key}', '{key}', 2, '{state}', 0, randomblob(16),
                 randomblob(16), {seq}, {seq}, {})",
            if ended { "9" } else { "NULL" }
        );
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();

    let view = LocalStore::view(&path).await.unwrap();
    assert_eq!(view.coverage().await.unwrap(), [], "nothing is known before it is lifted");
    view.close().await;
    let store = LocalStore::open(&path).await.unwrap();
    assert_eq!(store.cursors().await.unwrap()[0].position.as_str(), r#"{"after":"7"}"#);
    let standing = store.standing(&TaskName::new("t"), &DestinationName::new("d"), None).await.unwrap();
    let mut stands: Vec<_> =
        standing.deliveries.iter().map(|s| (s.state.as_str(), s.count, s.oldest)).collect();
    stands.sort_unstable();
    assert_eq!(stands, [("delivered", 1, 2), ("retry", 1, 4)]);
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Of each key only the last delivery is what is remembered.
#[tokio::test]
async fn a_state_of_the_released_schema_remembers_what_it_did() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    for migration in &schema::MIGRATIONS[..2] {
        connection.execute(*migration).await.unwrap();
    }
    let rows = [
        (1, "closed", Some(5)),
        (1, "healed", Some(6)),
        (2, "healed", Some(5)),
        (2, "delivered", Some(6)),
        (3, "closed", Some(5)),
        (3, "slow", None),
        (4, "dead", None),
    ];
    for (key, state, ended) in rows {
        let insert =
            "INSERT INTO delivery (id, task, destination, key, row_id, kind, state, due, fingerprint, run,
                 found_at, seen_at, ended_at)
             VALUES (x'00', 't', 'd', ?1, '1', 1, ?2, 4, x'00', x'00', 4, 4, ?3)";
        sqlx::query(insert).bind(vec![key]).bind(state).bind(ended).execute(&mut connection).await.unwrap();
    }
    for migration in &schema::MIGRATIONS[2..] {
        connection.execute(*migration).await.unwrap();
    }
    let remembered =
        "SELECT key FROM delivery WHERE forgotten = 0 AND state IN ('dead', 'delivered', 'closed')
                      ORDER BY key";
    let rows = connection.fetch_all(AssertSqlSafe(remembered)).await.unwrap();
    let keys: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(keys, [[2], [4]]);
}
