use std::path::Path;

use super::*;
use crate::engine::status::Trouble;
use crate::engine::{LastRead, TaskStatus};

const FILE: &str = r#"{ "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k", "insertIntervalMillisecond": 1000 },
    "des": [ { "name": "crm", "dsn": "sqlite:b.db", "table": "t", "byColumn": "k", "columns": { "k": "k" },
               "callbackNotification": { "url": "127.0.0.1:1/" } } ] }"#;

fn conditions() -> Conditions {
    let loaded = crate::config::parse(FILE, Path::new("/etc/c.json"), &|_| None).unwrap();
    Conditions::new(&loaded.config.tasks)
}

fn status(last_read: UnixMs, caught_up: bool) -> Status {
    let feeds = BTreeMap::from([("insert".to_owned(), LastRead { at: last_read, caught_up })]);
    let task = TaskStatus { reads: BTreeMap::from([("crm".to_owned(), feeds)]), ..TaskStatus::default() };
    Status { started: 1, tasks: BTreeMap::from([("main".to_owned(), task)]), ..Status::default() }
}

fn events(found: &BTreeMap<Cause, What>) -> Vec<Event> {
    found.keys().map(|cause| cause.event).collect()
}

#[test]
fn trouble_becomes_a_condition_when_it_lasts() {
    let mut conditions = conditions();
    for (class, blocked, after, event) in [
        ("db_connect", false, UNREACHABLE, Event::Unreachable),
        ("db_missing_table", true, BLOCKED, Event::Blocked),
        ("paused", true, 0, Event::Emptied),
        ("gone", true, 0, Event::Gone),
    ] {
        let mut status = status(1_000, true);
        let trouble =
            Trouble { since: 1_000, class, group: "system", reason: "a row: 4711".to_owned(), blocked };
        status.tasks.get_mut("main").unwrap().trouble.insert("deliveries → crm".to_owned(), trouble);
        if after > 0 {
            assert!(conditions.look(&status, 1_000 + after - 1).is_empty(), "{class}");
        }
        let found = conditions.look(&status, 1_000 + after);
        assert_eq!(events(&found), [event]);
        assert_eq!(found.keys().next().unwrap().destination.as_ref().unwrap().as_str(), "crm");
        // Nobody else's words reach people.
        assert!(!format!("{found:?}").contains("4711"));
    }
    let mut status = status(1_000, true);
    status.state_trouble = Some("disk full".to_owned());
    assert!(conditions.look(&status, 1_000).is_empty());
    assert_eq!(events(&conditions.look(&status, 1_000 + BLOCKED)), [Event::State]);
    status.state_trouble = None;
    assert!(conditions.look(&status, 1_000 + BLOCKED).is_empty());
}

#[test]
fn late_is_what_was_in_time_before() {
    let mut conditions = conditions();
    assert!(conditions.look(&status(1_000, false), 1_000 + LATE).is_empty(), "the first way takes its time");
    assert!(conditions.look(&status(LATE, true), LATE).is_empty());
    assert!(conditions.look(&status(LATE + 1, false), LATE + 1).is_empty());
    assert_eq!(events(&conditions.look(&status(3 * LATE, false), 3 * LATE)), [Event::Lag]);
    assert!(conditions.look(&status(3 * LATE, true), 3 * LATE).is_empty());
    assert_eq!(events(&conditions.look(&status(3 * LATE, true), 4 * LATE + 1)), [Event::Lag], "not read");
}

/// One receiver that takes nothing must not make cupid look dead, nor its table look forgotten.
#[test]
fn a_lane_that_waits_for_its_receiver_is_neither_late_nor_overdue() {
    let mut conditions = conditions();
    assert!(conditions.look(&status(1_000, true), 1_000).is_empty());
    let mut waits = status(1_000, false);
    let trouble =
        Trouble { since: 1_000, class: BACKLOG, group: "system", reason: "full".to_owned(), blocked: false };
    waits.tasks.get_mut("main").unwrap().trouble.insert("scan → crm".to_owned(), trouble);
    for now in [1_000, LATE, 9 * LATE] {
        assert!(conditions.look(&waits, now).is_empty());
        assert!(conditions.is_healthy(&waits, Some(Duration::ZERO), now));
    }
    // From then on it has its time again.
    let read = status(1_000, true);
    assert!(conditions.look(&read, 10 * LATE).is_empty());
    assert_eq!(events(&conditions.look(&read, 10 * LATE + 1)), [Event::Lag]);
}

#[test]
fn who_has_not_caught_up_is_not_in_time() {
    let mut conditions = conditions();
    let cause = Cause::at(Event::Lag, &TaskName::new("main"), &DestinationName::new("crm"));
    conditions.look(&status(1_000, false), 1_000);
    assert!(!conditions.is_in_time(&cause));
    conditions.look(&status(2_000, true), 2_000);
    assert!(conditions.is_in_time(&cause));
}

#[test]
fn healthy_is_a_daemon_that_works() {
    let mut conditions = conditions();
    let second = Some(Duration::from_secs(1));
    assert!(conditions.is_healthy(&status(1_000, true), second, 2_000));
    assert!(!conditions.is_healthy(&status(1_000, true), None, 2_000), "the manager has not begun");
    assert!(!conditions.is_healthy(&status(1_000, true), Some(ROUND), 2_000), "the manager hangs");
    assert!(!conditions.is_healthy(&status(1_000, true), second, 1_001 + LATE), "a task is overdue");
    let troubled = Status { state_trouble: Some("full".to_owned()), ..status(1_000, true) };
    assert!(!conditions.is_healthy(&troubled, second, 2_000));
    // Never read: overdue from the start on.
    let fresh = Status { started: 1_000, ..Status::default() };
    assert!(conditions.is_healthy(&fresh, second, 2_000));
    assert!(!conditions.is_healthy(&fresh, second, 1_001 + LATE));
}

#[test]
fn scarce_is_not_enough_again_at_once() {
    let disk = |free| Resources { disk: Some(Left { free, of: 100_000 }), ..Resources::default() };
    let none = BTreeSet::new();
    assert!(scarce(&disk(256), &none).is_empty());
    let found = scarce(&disk(255), &none);
    assert_eq!(events(&found), [Event::Disk]);
    let before: BTreeSet<Cause> = found.into_keys().collect();
    assert_eq!(scarce(&disk(300), &before).len(), 1);
    assert!(scarce(&disk(320), &before).is_empty());
    let all = Resources {
        disk: None,
        memory: Some(Left { free: 49, of: 1000 }),
        descriptors: Some(Left { free: 199, of: 1000 }),
    };
    assert_eq!(events(&scarce(&all, &none)), [Event::Memory, Event::Descriptors]);
}
