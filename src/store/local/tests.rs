//! The statements that run for each row or each look use the index that was made for them, whatever the table holds.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::{
    LocalStore, act, claim, coverage, events, find, history, lines, memory, outbox, plight, runs, scan,
    schema, standing, take, told,
};
use crate::model::{DestinationName, State, TaskName};
use crate::store::{ClaimRequest, History, Order, RunFilter, RunResult, Runs, Select, Store, Work};

#[tokio::test]
async fn statements_use_their_indexes() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    for migration in schema::MIGRATIONS {
        connection.execute(*migration).await.unwrap();
    }
    let by_number = "d USING INTEGER PRIMARY KEY (rowid=?)";
    let open_page = "COVERING INDEX delivery_state (task=? AND destination=? AND state=? AND kind=? AND found_at>? AND found_at<?)";
    let past_page = "COVERING INDEX delivery_past (task=? AND destination=? AND state=? AND kind=? AND found_at>? AND found_at<?)";
    let by_id = "delivery USING INDEX delivery_id (id=? AND claims=?)";
    let of_key = "INDEX event_of_key (task=? AND destination=? AND key=? AND event>?)";
    let by_seq = "delivery USING INTEGER PRIMARY KEY (rowid=?)";
    let statements = [
        (
            "claim to look",
            claim::LOOK,
            vec![by_seq, "INDEX delivery_look (task=? AND destination=? AND due<?)"],
        ),
        (
            "claim the newest",
            claim::NEWEST,
            vec![by_seq, "INDEX delivery_fresh (task=? AND destination=? AND due<?)"],
        ),
        (
            "claim the oldest",
            claim::OLDEST,
            vec![by_seq, "INDEX delivery_fresh (task=? AND destination=? AND due<?)"],
        ),
        (
            "claim again",
            claim::AGAIN,
            vec![by_seq, "INDEX delivery_again (task=? AND destination=? AND due<?)"],
        ),
        ("claim mates", claim::MATES, vec![by_seq, "INDEX delivery_batch (batch=?)"]),
        ("weigh mates", claim::WEIGH, vec!["INDEX delivery_batch (batch=?)"]),
        ("unclaim", claim::UNCLAIM, vec![by_seq]),
        ("next look", claim::LOOK_DUE, vec!["INDEX delivery_look (task=? AND destination=?)"]),
        ("next fresh", claim::FRESH_DUE, vec!["INDEX delivery_fresh (task=? AND destination=?)"]),
        (
            "next call",
            claim::CALL_DUE,
            vec![
                "INDEX delivery_fresh (task=? AND destination=?)",
                "INDEX delivery_again (task=? AND destination=?)",
            ],
        ),
        ("prepare", outbox::PREPARE.longest(), vec![by_id]),
        ("settle", outbox::SETTLE.longest(), vec![by_id]),
        (
            "log",
            outbox::LOG.longest(),
            vec!["d USING INTEGER PRIMARY KEY (rowid=?)", "COVERING INDEX delivery_id (id=? AND claims>?)"],
        ),
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
        ("prune runs", runs::BEFORE, vec!["INDEX run_ended (ended_at<?)"]),
        ("opened", runs::OPENED, vec!["INDEX delivery_run (run=? AND rowid>?)"]),
        ("calls", runs::CALLS, vec!["attempt USING PRIMARY KEY (delivery=?)"]),
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
        (
            "ambiguous",
            plight::AMBIGUOUS,
            vec!["INDEX delivery_state (task=? AND destination=? AND state=? AND kind=?)"],
        ),
        ("unhealed", plight::UNHEALED, vec!["INDEX delivery_state (task=? AND destination=? AND state=?)"]),
        ("prune", history::ENDED_BEFORE, vec!["INDEX delivery_ended (ended_at<?)"]),
        ("prune what passed", history::PASSING_BEFORE, vec!["INDEX delivery_passing (ended_at<?)"]),
        ("kept from", history::KEPT_FROM, vec!["INDEX delivery_ended (ended_at>?)"]),
        (
            "kept from, of one",
            history::KEPT_FROM_OF_LANE,
            vec!["INDEX event_ended (task=? AND destination=?"],
        ),
        ("crowded", history::CROWDED, vec!["INDEX delivery_passing (ended_at>?)"]),
        ("older attempts", outbox::OLDER, vec!["attempt USING PRIMARY KEY (delivery=? AND number=?)"]),
        ("prune the unseen", history::UNSEEN_SINCE, vec!["INDEX delivery_told (seen_at<?)"]),
        ("lighten", history::LIGHTEN, vec!["INDEX delivery_heavy (ended_at<?)"]),
        (
            "prune one",
            history::ENDED_OF_LANE,
            vec!["INDEX delivery_ended_of (task=? AND destination=? AND ended_at>? AND ended_at<?)"],
        ),
        (
            "next destination with old versions",
            events::NEXT_ENDED,
            vec!["INDEX event_ended ((task,destination)>(?,?))", "l USING PRIMARY KEY"],
        ),
        ("next lane", outbox::NEXT_LANE, vec!["COVERING INDEX delivery_state ((task,destination)>(?,?))"]),
        (
            "late for a look",
            outbox::LATE_LOOK,
            vec![by_seq, "INDEX delivery_look (task=? AND destination=? AND due>? AND due<?)"],
        ),
        (
            "late for a call",
            outbox::LATE_CALL,
            vec![by_seq, "INDEX delivery_fresh (task=? AND destination=? AND due>? AND due<?)"],
        ),
        (
            "late to be tried again",
            outbox::LATE_AGAIN,
            vec![by_seq, "INDEX delivery_again (task=? AND destination=? AND due>? AND due<?)"],
        ),
        ("late and claimed", outbox::LATE_CLAIMED, vec!["INDEX delivery_claimed (claimed_until>?)"]),
        (
            "versions",
            events::NEW.longest(),
            vec![
                "w USING INDEX event_waits (task=? AND destination=? AND key=? AND event>?)",
                "t USING COVERING INDEX delivery_id (id=?)",
                of_key,
            ],
        ),
        ("told", events::OF_ROWS, vec![of_key]),
        (
            "prune versions",
            events::ENDED,
            vec!["INDEX event_ended (task=? AND destination=? AND ended_at>? AND ended_at<?)"],
        ),
        ("remembers", memory::ANY, vec!["INDEX delivery_stands (task=? AND destination=?)"]),
        ("remembered", memory::OF_KEYS, vec!["INDEX delivery_stands (task=? AND destination=? AND key=?)"]),
        ("heal", memory::HEAL, vec!["(task=? AND destination=? AND key=?)"]),
        ("forget", memory::FORGET, vec!["(task=? AND destination=? AND key=?)"]),
        ("gone", memory::GONE, vec!["INDEX delivery_stands (task=? AND destination=?)"]),
        ("next range", find::NEXT_OPEN, vec!["COVERING INDEX delivery_state ("]),
        ("next range of the past", find::NEXT_PAST, vec!["COVERING INDEX delivery_past ("]),
        ("page, oldest", find::OPEN_OLDEST, vec![open_page]),
        ("page, newest", find::OPEN_NEWEST, vec![open_page]),
        ("page of the past, oldest", find::PAST_OLDEST, vec![past_page]),
        ("page of the past, newest", find::PAST_NEWEST, vec![past_page]),
        ("count", find::COUNT_OPEN, vec![open_page]),
        ("count the past", find::COUNT_PAST, vec![past_page]),
        ("by key", find::BY_KEY_OPEN, vec!["INDEX delivery_open (task=? AND destination=? AND key=?)"]),
        (
            "by key in the past",
            find::BY_KEY_PAST,
            vec!["INDEX delivery_key (task=? AND destination=? AND key=?)"],
        ),
        ("text", find::SAYS, vec![by_number, "a USING PRIMARY KEY (delivery=?)"]),
        ("lines", lines::LINES, vec![by_number]),
        ("beginning", lines::BEGINNING, vec!["delivery USING INDEX delivery_id (id>? AND id<?)"]),
        ("one", told::ONE, vec!["delivery USING INTEGER PRIMARY KEY (rowid=?)"]),
        ("its attempts", told::ATTEMPTS, vec!["attempt USING PRIMARY KEY (delivery=?)"]),
        ("its acts", told::ACTS, vec!["act USING PRIMARY KEY (delivery=?)"]),
        ("others", told::OTHERS_OPEN, vec!["INDEX delivery_open (task=? AND destination=? AND key=?)"]),
        (
            "others in the past",
            told::OTHERS_PAST,
            vec!["INDEX delivery_key (task=? AND destination=? AND key=?"],
        ),
        (
            "targets",
            act::TARGETS,
            vec![
                by_number,
                "t USING INTEGER PRIMARY KEY (rowid=?)",
                "n USING INDEX event_of_key (task=? AND destination=? AND key=? AND event>?)",
                "w USING INDEX event_waits (task=? AND destination=? AND key=?",
                "l USING COVERING INDEX event_of_key (task=? AND destination=? AND key=?",
            ],
        ),
        ("record an act", act::RECORD, vec![by_number, "before USING PRIMARY KEY (delivery=?)"]),
        ("replay", act::REPLAY, vec!["delivery USING INTEGER PRIMARY KEY (rowid=?)"]),
        ("close", act::CLOSE, vec!["delivery USING INTEGER PRIMARY KEY (rowid=?)"]),
        ("versions of a key", take::VERSIONS_OF_KEY, vec![of_key, "last USING INDEX event_of_key"]),
        ("of a key", take::OF_KEY, vec!["INDEX delivery_open (task=? AND destination=? AND key=?)"]),
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
            // What was found at one moment may be sorted, a whole list may not; named deliveries are few.
            let few = ["LAST TERM", "RIGHT PART"].iter().any(|part| step.contains(part))
                || sql.contains("json_each");
            assert!(few || !step.contains("TEMP B-TREE"), "{name} sorts: {plan:#?}");
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
    connection
        .execute("INSERT INTO run VALUES (x'0102030405060708090a0b0c0d0e0f10', 't', 7, 3)")
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();

    let view = LocalStore::view(&path).await.unwrap();
    assert_eq!(view.coverage().await.unwrap(), [], "nothing is known before it is lifted");
    let every = RunFilter { limit: 9, ..RunFilter::default() };
    assert_eq!(view.runs(&every).await.unwrap(), [], "nor of runs");
    let all = Select::default();
    let refused = view.find(&all, Order::Oldest, None, 9).await.unwrap_err();
    assert!(refused.to_string().contains("start the daemon of this version"), "{refused}");
    view.close().await;
    let store = LocalStore::open(&path).await.unwrap();
    assert_eq!(store.cursors().await.unwrap()[0].position.as_str(), r#"{"after":"7"}"#);
    let found = store.find(&all, Order::Oldest, None, 9).await.unwrap();
    assert_eq!(found.places.iter().map(|place| place.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let standing = store.standing(&TaskName::new("t"), &DestinationName::new("d"), None).await.unwrap();
    let mut stands: Vec<_> =
        standing.deliveries.iter().map(|s| (s.state.as_str(), s.count, s.oldest)).collect();
    stands.sort_unstable();
    assert_eq!(stands, [("delivered", 1, 2), ("retry", 1, 4)]);
    let runs = store.runs(&every).await.unwrap();
    let kept: Vec<_> = runs.iter().map(|run| (run.feed, run.result, run.opened, run.ended)).collect();
    assert_eq!(kept, [(None, RunResult::Ok, 3, 7)]);
    let request = ClaimRequest {
        task: TaskName::new("t"),
        destination: DestinationName::new("d"),
        work: Work::Call,
        limit: 10,
        turn: 0,
        now: 10,
        lease: Duration::from_secs(1),
    };
    let called = store.claim(request).await.unwrap();
    assert_eq!(called.iter().map(|d| (d.state, d.batch)).collect::<Vec<_>>(), [(State::Retry, None)]);
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

/// Versions of a key share an id; one that was replayed has the newest claim, whatever its number is.
#[tokio::test]
async fn the_attempt_that_is_left_out_is_one_of_the_delivery_that_was_tried() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    for migration in schema::MIGRATIONS {
        connection.execute(*migration).await.unwrap();
    }
    connection
        .execute(
            "INSERT INTO delivery (seq, id, task, destination, key, row_id, kind, state, due, fingerprint, run, found_at,
                 seen_at, ended_at, claims, event)
             VALUES (1, x'01', 't', 'd', x'01', '1', 2, 'main', 0, x'00', x'00', 1, 1, NULL, 9, 1),
                    (2, x'01', 't', 'd', x'01', '1', 2, 'delivered', 0, x'00', x'00', 2, 2, 3, 5, 2);
             INSERT INTO attempt (delivery, number, revision, began, took_ms, outcome)
             VALUES (1, 11, 1, 1, 1, 'unknown'), (2, 11, 1, 1, 1, 'unknown')",
        )
        .await
        .unwrap();
    sqlx::query(outbox::OLDER).bind(vec![1]).bind(5).bind(11).execute(&mut connection).await.unwrap();
    let left: Vec<i64> =
        sqlx::query_scalar("SELECT delivery FROM attempt").fetch_all(&mut connection).await.unwrap();
    assert_eq!(left, [1]);
}
