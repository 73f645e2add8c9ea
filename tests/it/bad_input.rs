//! Whatever is wrong, a message that names the place and the next step: no panic, no trace, no secret.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Ran, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::servers::{self, free_port};
use crate::support::state;
use crate::support::wait::LIMIT;

/// Every secret of these tests contains it.
const CANARY: &str = "canary";

/// A complete file, one key a line, so that places can be told.
const FILE: &str = r#"{
  // as cupid-go's
  "workerNumber": 3,
  "failureJobRetrySecond": 1,
  "src": {
    "dsn": "root:canary-password@tcp(127.0.0.1:1)/db?charset=utf8",
    "table": "user",
    "byColumn": "number",
    "insert": true,
    "insertIntervalMillisecond": 2000,
    "update": false,
    "pushbearSendKey": "canary-pushbear",
  },
  "des": [
    {
      "dsn": "root:canary-password@tcp(127.0.0.1:1)/db2",
      "table": "user",
      "columns": { "name": "name" },
      "byColumn": "number",
      "callbackNotification": { "url": "127.0.0.1:20000/callback" },
    },
  ],
}"#;

/// Nothing anybody should see.
fn decent(output: &str) {
    for word in ["panicked", "backtrace", "RUST_BACKTRACE", "thread '", ".rs:", CANARY] {
        assert!(!output.contains(word), "{word:?} in:\n{output}");
    }
}

/// The file problems of `text`: the same from `check` and from the daemon, with exit code 2.
fn refused(text: &str) -> (Site, String) {
    let mut site = Site::with_text(text);
    site.env("RUST_BACKTRACE", "1");
    let (check, run) = (site.run(&["check", "-c", "{c}"]), site.run(&["-c", "{c}"]));
    for ran in [&check, &run] {
        assert_eq!(ran.code, Some(2), "{ran:?}");
        decent(&ran.all());
    }
    (site, format!("{}\n{}", check.all(), run.all()))
}

/// `file:line:` of the line that contains `text`.
fn place(file: &str, text: &str) -> String {
    let line =
        file.lines().position(|l| l.contains(text)).unwrap_or_else(|| panic!("{text:?} is in the file")) + 1;
    format!("config.json:{line}:")
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    for (right, wrong, meant) in [
        (r#""byColumn": "number","#, r#""byColum": "number","#, "byColumn"),
        (r#""workerNumber": 3"#, r#""workersNumber": 3"#, "workerNumber"),
        (r#"{ "url":"#, r#"{ "ulr":"#, "url"),
    ] {
        let text = FILE.replacen(right, wrong, 1);
        let key = wrong.split('"').nth(1).unwrap();
        let (_site, said) = refused(&text);
        for expected in [&place(&text, key), key, meant, "^"] {
            assert!(said.contains(expected), "{expected:?} in:\n{said}");
        }
    }
}

#[test]
fn wrong_types_and_values_are_shown_where_they_are() {
    for (right, wrong) in [
        (r#""insertIntervalMillisecond": 2000"#, r#""insertIntervalMillisecond": "fast""#),
        (r#""insert": true"#, r#""insert": "yes""#),
        (r#""workerNumber": 3"#, r#""workerNumber": -3"#),
        (r#""columns": { "name": "name" }"#, r#""columns": ["name"]"#),
        (r#""table": "user""#, r#""table": """#),
        (r#""url": "127.0.0.1:20000/callback""#, r#""url": "ftp://127.0.0.1/callback""#),
        (r#""url": "127.0.0.1:20000/callback""#, r#""url": "http://""#),
        (
            r#""dsn": "root:canary-password@tcp(127.0.0.1:1)/db2""#,
            r#""dsn": "root:canary-password@tcp(127.0.0.1:1/db2""#,
        ),
        (
            r#""dsn": "root:canary-password@tcp(127.0.0.1:1)/db2""#,
            r#""dsn": "oracle://x:canary-password@127.0.0.1/db2""#,
        ),
        (
            r#""dsn": "root:canary-password@tcp(127.0.0.1:1)/db2""#,
            r#""dsn": "root:canary-password@tcp(127.0.0.1:99999)/db2""#,
        ),
    ] {
        let text = FILE.replacen(right, wrong, 1);
        assert_ne!(text, FILE);
        let (_site, said) = refused(&text);
        let (line, key) = (place(&text, wrong), wrong.split('"').nth(1).unwrap());
        assert!(said.contains(&line) && said.contains(key) && said.contains('^'), "{line} {key} in:\n{said}");
    }
}

#[test]
fn a_missing_key_is_named_with_its_place() {
    for line in [r#""byColumn": "number","#, r#""table": "user","#, r#""columns": { "name": "name" },"#] {
        // The last one of that name: in `des`.
        let at = FILE.rfind(line).unwrap();
        let text = format!("{}{}", &FILE[..at], &FILE[at + line.len()..]);
        let (_site, said) = refused(&text);
        let key = line.split('"').nth(1).unwrap();
        assert!(said.contains(key) && said.contains("config.json:"), "{key} in:\n{said}");
    }
    for text in ["{}", r#"{ "src": {} }"#, r#"{ "tasks": {} }"#, "[]", "null", r#"{ "des": [] }"#] {
        refused(text);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = FILE
        .replacen(r#""workerNumber": 3"#, r#""workerNumber": "three""#, 1)
        .replacen(r#""byColumn": "number","#, r#""byColumm": "number","#, 1)
        .replacen("127.0.0.1:20000/callback", "ftp://somewhere", 1);
    let (_site, said) = refused(&text);
    for wrong in ["\"three\"", "byColumm", "ftp://"] {
        let place = place(&text, wrong);
        assert!(said.contains(&place), "{place} in:\n{said}");
    }
}

#[test]
fn what_is_no_json_or_no_file_is_refused() {
    for text in ["", "{", r#"{ "src": "#, "workerNumber = 3", "{ \"src\": { \"dsn\": \"a", "\u{0}\u{1}"] {
        let (_site, said) = refused(text);
        // There is no place in an empty file.
        let place = if text.is_empty() { "config.json" } else { "config.json:" };
        assert!(said.contains(place), "{text:?}: {said}");
    }
    let site = Site::with_text("{}");
    for path in [site.path("nowhere.json"), site.path("log")] {
        let ran = site.run(&["-c", &path.display().to_string()]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        decent(&ran.all());
        assert!(ran.all().contains(&path.display().to_string()), "{ran:?}");
    }
    // Bytes that are no text.
    let site = Site::with_text("{}");
    std::fs::write(&site.config, b"{ \"src\": \"\xff\xfe\" }").unwrap();
    let ran = site.run(&["-c", "{c}"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    decent(&ran.all());
}

#[test]
fn an_unset_variable_is_named() {
    let text = FILE.replacen("canary-password", "${CUPID_TEST_NOT_SET}", 1);
    let (_site, said) = refused(&text);
    assert!(said.contains("CUPID_TEST_NOT_SET") && said.contains(&place(&text, "NOT_SET")), "{said}");
}

#[test]
fn the_command_line_is_refused_with_help() {
    let site = Site::with_text(FILE);
    for words in [&["-c"][..], &["--nonsense"], &["-c", "{c}", "-s", "first"], &["chekc"]] {
        let ran = site.run(words);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        decent(&ran.all());
        assert!(!ran.stderr.is_empty());
    }
}

/// What the daemon and `check --connect` say about places, both with exit code 2.
async fn refused_place(config: &Value, said: &[&str]) {
    let mut site = Site::new(config);
    site.env("RUST_BACKTRACE", "1");
    for words in [&["check", "-c", "{c}", "--connect"][..], &["-c", "{c}"]] {
        let ran = tokio::task::block_in_place(|| site.run(words));
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
        decent(&ran.all());
        // The log quotes what contains quotes.
        let all = ran.all().replace("\\\"", "\"");
        for text in said {
            assert!(all.contains(text), "{words:?} does not say {text:?}:\n{all}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_places_are_named_with_the_next_step() {
    for pair in Pair::everywhere(&[Engine::MySql, Engine::Postgres]).await {
        let engine = pair.src.engine;
        pair.fill(1..=3).await;
        let good = pair.inserts("http://127.0.0.1:1/callback");
        let server = pair.src.server.clone().unwrap();
        let at = format!("{}:{}", server.host, server.port);
        let at = at.as_str();
        let change = |pointer: &str, value: Value| {
            let mut config = good.clone();
            *config.pointer_mut(pointer).unwrap() = value;
            config
        };

        let wrong = |db: &Db| Value::from(db.url_as(&server.user, "canary-wrong"));
        refused_place(&change("/src/dsn", wrong(&pair.src)), &[at, "password"]).await;
        refused_place(&change("/des/0/dsn", wrong(&pair.des)), &[at, "password"]).await;
        let nowhere = Value::from(server.url("no_such_db"));
        refused_place(&change("/src/dsn", nowhere), &[at, "no_such_db"]).await;

        let missing = Value::from("no_such_thing");
        for pointer in ["/src/table", "/des/0/table", "/src/byColumn", "/des/0/byColumn"] {
            refused_place(&change(pointer, missing.clone()), &["no_such_thing", at]).await;
        }
        refused_place(&change("/des/0/columns", json!({ "no_such_thing": "name" })), &["no_such_thing", at])
            .await;
        refused_place(&change("/des/0/columns", json!({ "name": "no_such_thing" })), &["no_such_thing", at])
            .await;
        let mut updates = good.clone();
        updates["src"] =
            with(good["src"].clone(), json!({ "update": true, "updateColumn": "no_such_thing" }));
        refused_place(&updates, &["no_such_thing", at]).await;

        // No integer primary key: what is there, and `id` as the way out.
        pair.src
            .run("CREATE TABLE loose (number VARCHAR(40) PRIMARY KEY, name VARCHAR(60), phone VARCHAR(30))")
            .await;
        refused_place(&change("/src/table", "loose".into()), &["loose", "\"id\""]).await;

        // An account that may not read the table.
        match engine {
            Engine::MySql => {
                pair.src
                    .run(format!(
                        "CREATE TABLE open_to_all (id INT);
                         DROP USER IF EXISTS nosy@'%'; CREATE USER nosy@'%' IDENTIFIED BY 'canary-nosy';
                         GRANT SELECT ON {}.open_to_all TO nosy@'%'",
                        pair.src.name
                    ))
                    .await;
            }
            _ => pair.src.run("CREATE ROLE nosy LOGIN PASSWORD 'canary-nosy'").await,
        }
        let nosy = pair.src.url_as("nosy", "canary-nosy");
        refused_place(&change("/src/dsn", nosy.into()), &[at, TABLE, "SELECT"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_sqlite_files_are_named() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let good = pair.inserts("http://127.0.0.1:1/callback");
    let mut config = good.clone();
    config["src"]["dsn"] = "sqlite:///nowhere/at-all.db".into();
    refused_place(&config, &["/nowhere/at-all.db"]).await;
    let site = Site::new(&good);
    let garbage = site.path("garbage.db");
    std::fs::write(&garbage, "this is not a database, whatever it is called").unwrap();
    let mut config = good.clone();
    config["des"][0]["dsn"] = format!("sqlite://{}", garbage.display()).into();
    refused_place(&config, &["garbage.db"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_index_on_the_update_column_is_a_warning() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.src.run("DROP INDEX user_time").await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "verify": false })));
    let checked = tokio::task::block_in_place(|| site.run(&["check", "-c", "{c}", "--connect"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.all().contains("update_time") && checked.all().contains("index"), "{checked:?}");
    let mut daemon = site.start();
    pair.fill_source(1..=1).await;
    daemon.until("it works all the same", LIMIT, || receiver.count() >= 1).await;
    let line =
        daemon.output().lines().find(|l| l.contains("update_time") && l.contains("index")).map(str::to_owned);
    assert!(line.is_some_and(|l| l.contains("WARN")), "{}", daemon.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_nobody_listens_at_is_waited_for() {
    let port = free_port();
    let text = FILE.replace("127.0.0.1:1)", &format!("127.0.0.1:{port})"));
    let mut site = Site::with_text(&text);
    site.env("RUST_BACKTRACE", "1");
    let mut daemon = site.start();
    daemon.wait_output("it is waited for").await;
    assert!(daemon.running());
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    decent(&daemon.output());
    assert!(daemon.output().contains("it is waited for"), "{}", daemon.output());
    // `check` does not wait, nor say so.
    let checked = tokio::task::block_in_place(|| site.run(&["check", "-c", "{c}", "--connect"]));
    assert_eq!(checked.code, Some(2), "{checked:?}");
    for expected in [&format!("127.0.0.1:{port}"), "check that the server runs", "2 problem(s)"] {
        assert!(checked.all().contains(expected), "{expected}: {checked:?}");
    }
    for wrong in ["waiting", "waited", "trying"] {
        assert!(!checked.all().contains(wrong), "{wrong}: {checked:?}");
    }
    decent(&checked.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_cannot_be_written_are_named() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let good = pair.inserts("http://127.0.0.1:1/callback");
    let site = Site::new(&good);
    let file = site.path("a-file");
    std::fs::write(&file, "").unwrap();
    // Not even root can make a folder below a file.
    let below = file.join("folder").display().to_string();
    for key in ["logDir", "state"] {
        site.write(&with(good.clone(), json!({ key: below })));
        for words in [&["-c", "{c}"][..], &["check", "-c", "{c}"], &["check", "-c", "{c}", "--connect"]] {
            let ran = tokio::task::block_in_place(|| site.run(words));
            assert_eq!(ran.code, Some(2), "{key} {words:?}: {ran:?}");
            assert!(ran.all().contains(&below) && ran.all().contains(key), "{key}: {ran:?}");
            decent(&ran.all());
        }
    }
    // Folders that are missing and can be made are no problem, and `check` leaves making them to the daemon.
    let new = site.path("new");
    site.write(&with(good, json!({ "logDir": new.join("log"), "state": new.join("state") })));
    let ran = tokio::task::block_in_place(|| site.run(&["check", "-c", "{c}"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!new.exists(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_state_is_refused_and_left_alone() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    daemon.until("there is a state", LIMIT, || receiver.count() >= 1).await;
    daemon.stop().await;
    let file = state::file(&site);
    let whole = std::fs::read(&file).unwrap();
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    let mut torn = whole.clone();
    torn[100..3000].fill(0xa5);
    let broken = [b"not a database at all".to_vec(), newer, torn, whole[..whole.len() / 3].to_vec()];
    for bytes in broken {
        std::fs::write(&file, &bytes).unwrap();
        let ran = tokio::task::block_in_place(|| site.run(&["-c", "{c}"]));
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert!(ran.all().contains(&file.display().to_string()), "{ran:?}");
        decent(&ran.all());
        assert!(std::fs::read(&file).unwrap() == bytes, "left as it was");
    }
    std::fs::write(&file, &whole).unwrap();
    let mut daemon = site.start();
    pair.fill_source(2..=2).await;
    daemon.until("the restored state works", LIMIT, || receiver.count() >= 2).await;
}

/// Secrets in every place that takes one, everything logged, everything going wrong that can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_written() {
    let Some(mysql) = servers::mysql().await else { return };
    let pair = Pair::of(Db::on(&mysql).await, Db::on(&mysql).await).await;
    pair.fill_source(1..=3).await;
    pair.src
        .run(format!(
            "CREATE OR REPLACE USER canary_reader@'%' IDENTIFIED BY 'canary-password';
             GRANT SELECT ON {}.* TO canary_reader@'%'; GRANT SELECT ON {}.* TO canary_reader@'%'",
            pair.src.name, pair.des.name
        ))
        .await;
    let receiver = Receiver::answering(500).await;
    // In the URL: HTTP basic authentication.
    let url = receiver.url().replacen("http://", "http://robot:canary-basic@", 1);
    let mut config = pair.both_feeds(&url);
    config["src"]["dsn"] = pair.src.url_as("canary_reader", "${CUPID_TEST_SECRET}").into();
    config["des"][0]["dsn"] = pair.des.url_as("canary_reader", "canary-password").into();
    config["src"]["pushbearSendKey"] = "canary-pushbear".into();
    let bear = Receiver::answering(500).await;
    config["pushbearUrl"] = bear.url().into();
    config["des"][0]["callbackNotification"]["secret"] =
        "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LQ==".into();
    let config = with(config, json!({ "log": { "level": "trace" } }));
    let mut site = Site::new(&config);
    site.env("CUPID_TEST_SECRET", "canary-password");
    let outputs = tokio::task::block_in_place(|| {
        [&["check", "-c", "{c}"][..], &["check", "-c", "{c}", "--connect"], &["explain", "-c", "{c}"]]
            .map(|w| site.run(w))
    });
    for ran in &outputs {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        free_of_secrets(&ran.all());
    }
    let mut daemon = site.start();
    daemon.until("calls fail, and telling people too", LIMIT, || bear.count() >= 1).await;
    assert!(receiver.calls()[0].header("webhook-signature").starts_with("v1,"));
    assert!(receiver.calls()[0].header("authorization").starts_with("Basic "));
    let second: Ran = tokio::task::block_in_place(|| site.run(&["-c", "{c}"]));
    free_of_secrets(&second.all());
    daemon.stop().await;
    free_of_secrets(&daemon.output());
    free_of_secrets(&site.everything_written());
}

fn free_of_secrets(text: &str) {
    for secret in ["canary-", "Y2FuYXJ5", "cm9ib3Q6"] {
        if let Some(at) = text.find(secret) {
            let from = text[..at].rfind('\n').map_or(0, |i| i + 1);
            panic!("a secret was written: {:.300}", &text[from..]);
        }
    }
}
