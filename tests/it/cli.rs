//! The command line as people meet it first.

use std::os::unix::fs::PermissionsExt;

use cupid::config::Engine;
use serde_json::Value;

use crate::support::daemon::Site;
use crate::support::pair::Pair;
use crate::support::wait::LIMIT;

#[test]
fn help_and_version() {
    let site = Site::with_text("{}");
    let version = site.run(&["--version"]);
    assert_eq!(
        (version.code, version.stdout.trim()),
        (Some(0), concat!("cupid ", env!("CARGO_PKG_VERSION")))
    );
    let help = site.run(&["-h"]);
    assert_eq!(help.code, Some(0));
    for word in ["--configPath", "--startId", "--dry-run", "check", "explain", "schema", "demo", "stop"] {
        assert!(help.stdout.contains(word), "{word}:\n{}", help.stdout);
    }
    let long = site.run(&["--help"]);
    assert!(long.stdout.contains("cupid -c config.json -s 1"), "an example:\n{}", long.stdout);
    for verb in ["check", "explain", "schema", "demo", "stop"] {
        let help = site.run(&[verb, "--help"]);
        assert_eq!(help.code, Some(0), "{help:?}");
    }
}

#[test]
fn a_start_id_that_is_no_number_is_explained() {
    let site = Site::with_text("{}");
    for (words, wrong) in [(["-s", "abc"], "abc"), (["--startId", "1.5"], "1.5"), (["-s", ""], "''")] {
        let ran = site.run(&[&["-c", "{c}"][..], &words].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(wrong) && ran.stderr.contains("a whole number such as 1"), "{ran:?}");
        assert!(!ran.stderr.contains("digit"), "in words for people: {ran:?}");
    }
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let ran = Site::with_text("{}").run(&["schema"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let schema: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(schema["$schema"].is_string());
    for key in ["workerNumber", "failureJobRetrySecond", "src", "des", "tasks", "connections"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relative_paths_work_in_every_spelling() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = pair.repairer().await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    for words in [&["check", "-c", "config.json"][..], &["check", "--configPath", "./config.json"]] {
        let ran = tokio::task::block_in_place(|| site.run(words));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        // What to type next works as it stands.
        let next = tokio::task::block_in_place(|| site.run(&[words, &["--connect"]].concat()));
        assert!(next.stdout.contains(&format!("`cupid -c {} -s 1 --dry-run`", words[2])), "{next:?}");
    }
    let explained = tokio::task::block_in_place(|| site.run(&["explain", "-c", "config.json"]));
    assert_eq!(explained.code, Some(0));
    for word in ["failureJobRetrySecond", "insertIntervalMillisecond", "default"] {
        assert!(explained.stdout.contains(word), "{word}:\n{}", explained.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_connect_compares_a_sample() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=20).await;
    pair.lose(&[3]).await;
    pair.spoil(&[4, 5]).await;
    let receiver = pair.repairer().await;
    let site = Site::new(&pair.both_feeds(&receiver.url()));
    let ran = tokio::task::block_in_place(|| site.run(&["check", "-c", "{c}", "--connect"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for word in ["agree", "missing", "differ", "name"] {
        assert!(ran.stdout.contains(word), "{word}:\n{}", ran.stdout);
    }
    assert_eq!(receiver.count(), 0);
}

/// One rolling file beside standard output; the task on every line that is about one; text or JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_a_file_too() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = pair.repairer().await;
    for format in ["text", "json"] {
        let mut config = pair.inserts(&receiver.url());
        config["log"] = serde_json::json!({ "level": "debug", "format": format, "days": 2 });
        let site = Site::new(&config);
        let mut daemon = site.start();
        let (count, id) = (receiver.count(), 1 + i64::try_from(receiver.count()).unwrap());
        pair.fill_source(id..=id).await;
        daemon.until("the row is called back", LIMIT, || receiver.count() > count).await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        let mut logs: Vec<_> =
            std::fs::read_dir(site.path("log")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
        let log = std::fs::read_to_string(logs.remove(0)).unwrap();
        assert!(log.contains(&daemon.pid().to_string()) && log.contains(env!("CARGO_PKG_VERSION")), "{log}");
        assert!(!log.contains('\u{1b}'), "no colours in a file");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            }
        }
        assert!(!log.contains(&format!("name {id}")), "no row contents");
    }
}

/// Also when the log, which is made first, lies in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_folder_is_for_its_owner_only() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = pair.repairer().await;
    let mut config = pair.inserts(&receiver.url());
    config["state"] = "state".into();
    config["logDir"] = "state/log".into();
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.wait_output("started").await;
    let mode = std::fs::metadata(site.path("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let (status, _) = daemon.stop().await;
    assert!(status.success());
}
