//! What servers do to a daemon: zones of their own, going away, giving no rights but reading.

use std::sync::Arc;
use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::{copy, legacy, with};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, id_of, ids_of};
use crate::support::receiver::Receiver;
use crate::support::servers::{Server, start_mysql, start_postgres};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// Ways to write down when a row was last changed: MySQL type, PostgreSQL type, and whether it is text.
const TIMES: [(&str, &str, &str, bool); 3] = [
    ("wall", "DATETIME", "TIMESTAMP", false),
    ("instant", "TIMESTAMP NULL", "TIMESTAMPTZ", false),
    ("written", "VARCHAR(30)", "VARCHAR(30)", true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_update_feed_finds_rows_in_any_zone_mysql() {
    for (options, env) in
        [(vec!["--default-time-zone=+08:00"], vec![]), (vec![], vec![("TZ", "America/New_York")])]
    {
        let Some(server) = start_mysql(&options, &env).await else { return };
        update_feed_in_the_zone_of(server, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_update_feed_finds_rows_in_any_zone_postgres() {
    for zone in ["Asia/Shanghai", "America/New_York"] {
        let Some(server) = start_postgres(&[&format!("timezone={zone}")], &[]).await else { return };
        // The test's own driver asks for UTC; an application takes what the server gives.
        update_feed_in_the_zone_of(server, &format!("SET TIME ZONE '{zone}'; ")).await;
    }
}

/// The same rows are changed and found whatever the server's zone; an application's session has that zone.
async fn update_feed_in_the_zone_of(server: Server, as_application: &str) {
    let server = Arc::new(server);
    let (src, des) = (Db::on(&server).await, Db::on(&server).await);
    let receiver = Receiver::answering(200).await;
    let now = |text: bool| match (src.engine, text) {
        (_, false) => "CURRENT_TIMESTAMP",
        (Engine::MySql, true) => "DATE_FORMAT(NOW(), '%Y-%m-%d %H:%i:%s')",
        (_, true) => "to_char(now(), 'YYYY-MM-DD HH24:MI:SS')",
    };
    let mut tasks = serde_json::Map::new();
    for (name, mysql, postgres, text) in TIMES {
        let kind = if src.engine == Engine::MySql { mysql } else { postgres };
        for db in [&src, &des] {
            db.run(format!(
                "{as_application}CREATE TABLE {name} (id INTEGER PRIMARY KEY, v VARCHAR(20), changed {kind});
                 CREATE INDEX {name}_changed ON {name} (changed);
                 INSERT INTO {name} VALUES (1, 'a', {n}), (2, 'a', {n}), (3, 'a', {n}), (4, 'a', {n})",
                n = now(text)
            ))
            .await;
        }
        let source = json!({
            "dsn": src.url(), "table": name, "byColumn": "id", "insert": false, "update": true,
            "updateColumn": "changed", "updateIntervalMillisecond": 100, "updateScanSecond": 5,
            "updateTimeFormate": "Y-m-d H:i:s",
        });
        let des = copy(&des, name, "id", &[("v", "v")], &format!("{}/{name}", receiver.url()));
        tasks.insert(name.to_owned(), json!({ "src": source, "des": [des] }));
    }
    let site = Site::new(&json!({ "workerNumber": 4, "verify": false, "tasks": tasks }));
    let mut daemon = site.start();
    wait_for("every feed has begun", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM cursor WHERE feed = 'update'").await? == 3)
            .then_some(())
    })
    .await;
    for (name, _, _, text) in TIMES {
        src.run(format!(
            "{as_application}UPDATE {name} SET v = 'b', changed = {} WHERE id IN (2, 3)",
            now(text)
        ))
        .await;
    }
    daemon.until("the changed rows are called back", LIMIT, || receiver.count() >= 6).await;
    // One more each: had anything else been found, it would have come before.
    for (name, _, _, text) in TIMES {
        src.run(format!("{as_application}UPDATE {name} SET v = 'b', changed = {} WHERE id = 4", now(text)))
            .await;
    }
    daemon.until("the last changed rows are called back", LIMIT, || receiver.count() >= 9).await;
    for (name, ..) in TIMES {
        let of_table: Vec<_> = receiver.calls().into_iter().filter(|c| c.path.ends_with(name)).collect();
        assert_eq!(ids_of(&of_table), [2, 3, 4], "{name}");
        assert!(of_table.iter().all(|c| c.kind() == 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_away_catches_up_and_the_others_do_not_wait() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    let Some(other) = start_mysql(&[], &[]).await else { return };
    let other = Arc::new(other);
    let away = Pair { src: pair.src.clone(), des: Pair::new_copy(&other).await };
    let (here, there) = (pair.repairer().await, away.repairer().await);
    let mut config = pair.inserts(&here.url());
    config["des"].as_array_mut().unwrap().insert(0, away.copy(&there.url()));
    let site = Site::new(&config);

    // Away from the start.
    other.stop().await;
    pair.fill_source(1..=100).await;
    let mut daemon = site.start();
    daemon.until("the one that is there has all", LIMIT, || here.count() >= 100).await;
    assert_eq!(there.count(), 0, "nothing can be said about a copy nobody can look at");
    other.start().await;
    daemon.until("the other has caught up", LIMIT * 2, || there.answered() >= 100).await;

    // Gone in between.
    other.stop().await;
    pair.fill_source(101..=150).await;
    daemon.until("the one that is there has all", LIMIT, || here.count() >= 150).await;
    other.start().await;
    daemon.until("the other has caught up", LIMIT * 2, || there.answered() >= 150).await;
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    let all: Vec<i64> = (1..=150).collect();
    assert_eq!(ids_of(&here.calls()), all);
    assert_eq!(ids_of(&there.calls()), all, "each once: it caught up from where it stood");
    assert!(pair.differences().await.is_empty() && away.differences().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_away_is_waited_for() {
    let Some(server) = start_mysql(&[], &[]).await else { return };
    let server = Arc::new(server);
    let pair = Pair::of(Db::on(&server).await, Db::sqlite().await).await;
    pair.fill_source(1..=2).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    server.stop().await;
    let mut daemon = site.start();
    // The line names the place, without user and password.
    daemon.wait_output(&format!("{}:{}", server.host, server.port)).await;
    assert!(!daemon.output().contains(&server.password));
    server.start().await;
    daemon.until("the rows are called back", LIMIT * 2, || receiver.count() >= 2).await;
    server.stop().await;
    server.start().await;
    pair.fill_source(3..=3).await;
    daemon.until("the new row is called back", LIMIT * 2, || receiver.count() >= 3).await;
    assert_eq!(ids_of(&receiver.calls()), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_rights_suffice_and_nothing_is_written_mysql() {
    let Some(server) =
        start_mysql(&["--general-log=1", "--general-log-file=all.log", "--log-output=FILE"], &[]).await
    else {
        return;
    };
    let server = Arc::new(server);
    let pair = Pair::of(Db::on(&server).await, Db::on(&server).await).await;
    for db in [&pair.src, &pair.des] {
        let name = &db.name;
        db.run(format!(
            "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'reader-pw';
             GRANT SELECT ON {}.* TO reader@'%'; GRANT SELECT ON {name}.* TO reader@'%'",
            pair.src.name
        ))
        .await;
    }
    pair.src.run(format!("GRANT SELECT ON {}.* TO reader@'%'", pair.des.name)).await;
    work_as_reader(&pair).await;

    let log = std::fs::read_to_string(server.dir().join("data/all.log")).unwrap();
    // `<time> <thread> <command> <argument>`; who a thread is, its Connect line says.
    let mut readers = std::collections::HashSet::new();
    let mut statements = Vec::new();
    for line in log.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let Some((thread, command)) = fields.iter().find_map(|f| thread_and_command(f)) else { continue };
        let argument = fields.last().unwrap();
        if command == "Connect" && argument.starts_with("reader@") {
            readers.insert(thread.to_owned());
        } else if readers.contains(thread) && matches!(command, "Query" | "Execute" | "Prepare") {
            statements.push((*argument).to_owned());
        }
    }
    only_reads(&statements);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_rights_suffice_and_nothing_is_written_postgres() {
    let Some(server) = start_postgres(&["log_statement=all", "log_line_prefix=%u|"], &[]).await else {
        return;
    };
    let server = Arc::new(server);
    let pair = Pair::of(Db::on(&server).await, Db::on(&server).await).await;
    pair.src.run("CREATE ROLE reader LOGIN PASSWORD 'reader-pw'").await;
    for db in [&pair.src, &pair.des] {
        db.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader").await;
    }
    work_as_reader(&pair).await;
    let log = server.log();
    let statements: Vec<String> = log
        .lines()
        .filter_map(|l| l.strip_prefix("reader|LOG:  "))
        .filter_map(|l| {
            l.strip_prefix("statement: ")
                .or_else(|| l.strip_prefix("execute ").and_then(|l| l.split_once(": ")).map(|(_, s)| s))
        })
        .map(str::to_owned)
        .collect();
    only_reads(&statements);
}

fn thread_and_command(field: &str) -> Option<(&str, &str)> {
    let (thread, command) = field.trim().split_once(' ')?;
    (thread.parse::<u32>().is_ok() && command.chars().all(char::is_alphabetic)).then_some((thread, command))
}

/// Both feeds and a repair between an account that may only read.
async fn work_as_reader(pair: &Pair) {
    pair.fill(1..=50).await;
    pair.lose(&[7]).await;
    let receiver = pair.repairer().await;
    let mut config = pair.both_feeds(&receiver.url());
    config["src"]["dsn"] = pair.src.url_as("reader", "reader-pw").into();
    config["des"][0]["dsn"] = pair.des.url_as("reader", "reader-pw").into();
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the lost row is called back", LIMIT, || receiver.count() >= 1).await;
    pair.update(&[8], "renamed").await;
    daemon.until("the changed row is called back", LIMIT, || receiver.count() >= 2).await;
    daemon.stop().await;
    assert_eq!(receiver.calls().iter().map(id_of).collect::<Vec<_>>(), [7, 8]);
    let checked = site.run(&["check", "-c", "{c}", "--connect"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

fn only_reads(statements: &[String]) {
    assert!(statements.iter().any(|s| s.contains(TABLE)), "the log was read: {statements:?}");
    const READS: [&str; 9] =
        ["SELECT", "SET", "SHOW", "BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK", "KILL QUERY", "WITH"];
    for statement in statements {
        let text = statement.trim_start().to_uppercase();
        assert!(READS.iter().any(|r| text.starts_with(r)), "not a read: {statement}");
        let writes = ["INSERT ", "UPDATE ", "DELETE ", "CREATE ", " FOR UPDATE", "LOCK "];
        assert!(!writes.iter().any(|w| text.contains(w)), "a write: {statement}");
    }
}

/// SQLite has no accounts: the files must be byte for byte what they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_sqlite() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=50).await;
    pair.lose(&[7]).await;
    for db in [&pair.src, &pair.des] {
        db.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    }
    let bytes = || [&pair.src, &pair.des].map(|db| std::fs::read(&db.name).unwrap());
    let before = bytes();
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "verify": false })));
    let mut daemon = site.start();
    daemon.until("the lost row is called back", LIMIT, || receiver.count() >= 1).await;
    daemon.stop().await;
    assert!(bytes() == before, "a database file changed");
}

/// One task whose place is wrong does not keep the others from working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_a_wrong_place_is_blocked_and_the_others_run() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill_source(1..=2).await;
    let receiver = Receiver::answering(200).await;
    let good = with(pair.inserts(&receiver.url()), json!({}));
    let task = |config: &Value| json!({ "src": config["src"], "des": config["des"] });
    let mut bad = legacy(good["src"].clone(), vec![good["des"][0].clone()]);
    bad["src"]["table"] = "no_such_table".into();
    let config = json!({
        "workerNumber": 4, "verify": false, "tasks": { "bad": task(&bad), "good": task(&good) },
    });
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the good task works", LIMIT, || receiver.count() >= 2).await;
    daemon.wait_output("no_such_table").await;
    // It goes on by itself when the cause is gone.
    let t = pair.src.quote(TABLE);
    pair.src
        .run(format!("CREATE TABLE no_such_table LIKE {t}; INSERT INTO no_such_table SELECT * FROM {t}"))
        .await;
    daemon
        .until("the blocked task goes on by itself", Duration::from_secs(90), || {
            receiver.calls().iter().any(|c| c.header("cupid-task") == "bad")
        })
        .await;
    daemon.stop().await;

    // With --strict it would not have started.
    pair.src.run("DROP TABLE no_such_table").await;
    state::forget(&site);
    let strict = site.run(&["-c", "{c}", "--strict"]);
    assert_eq!(strict.code, Some(2), "{strict:?}");
    assert!(strict.all().contains("no_such_table"), "{strict:?}");
}
