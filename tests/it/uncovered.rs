//! What the configuration, `check` and the feeds say of what they cannot cover.

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::{copy, legacy, source, updated_source, with};
use crate::support::daemon::Site;
use crate::support::db::{Db, ENGINES};
use crate::support::pair::{Pair, TABLE, id_of, ids_of, now};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// One text that is no time is left to the sweep and named; the feed goes on for all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_no_time_stops_nobody() {
    for engine in ENGINES {
        for layout in [None, Some("YmdHis")] {
            let Some(pair) = Pair::new(engine).await else { continue };
            let s = pair.src.quote(TABLE);
            let retype = match engine {
                Engine::MySql => format!("ALTER TABLE {s} MODIFY update_time VARCHAR(30)"),
                Engine::Postgres => format!(
                    "ALTER TABLE {s} ALTER COLUMN update_time DROP DEFAULT, ALTER COLUMN update_time TYPE VARCHAR(30)"
                ),
                Engine::Sqlite => format!("SELECT 1 FROM {s}"),
            };
            pair.src.run(retype).await;
            pair.fill(1..=9).await;
            let stamp = |days: i64| {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
                let at = chrono::DateTime::from_timestamp(now - days * 86_400, 0).unwrap();
                at.format(if layout.is_some() { "%Y%m%d%H%M%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
            };
            pair.src.run(format!("UPDATE {s} SET update_time = '{}'", stamp(30))).await;
            pair.src
                .run(format!(
                    "UPDATE {s} SET update_time = 'never' WHERE id = 4; UPDATE {s} SET update_time = '' WHERE id = 6; \
                     UPDATE {s} SET update_time = NULL WHERE id = 8"
                ))
                .await;
            let receiver = pair.repairer().await;
            let mut src =
                with(updated_source(&pair.src, TABLE, "number", "update_time"), json!({ "zone": "UTC" }));
            src["insert"] = false.into();
            if let Some(layout) = layout {
                src["updateTimeFormate"] = layout.into();
            }
            let config = with(
                legacy(src, vec![pair.copy(&receiver.url())]),
                json!({ "confirm": "0s", "sweep": "2s" }),
            );
            let site = Site::new(&config);

            let checked = site.run(&["check", "-c", "{c}", "--connect"]);
            assert_eq!(checked.code, Some(0), "{engine} {}", checked.all());
            let all = checked.all();
            assert!(
                all.contains("2 rows have a \"update_time\" that is no time") && all.contains("(id 4, 6)"),
                "{all}"
            );
            assert!(all.contains("one row has no \"update_time\" (NULL)"), "{all}");

            let mut daemon = site.start();
            daemon.wait_output("cannot be read, they are left to the sweep").await;
            assert!(daemon.output().contains("ids=\"4, 6\""), "{}", daemon.output());
            pair.src
                .run(format!("UPDATE {s} SET name = 'new', update_time = '{}' WHERE id = 2", stamp(0)))
                .await;
            daemon
                .until("the feed goes on", LIMIT, || receiver.calls().iter().any(|call| id_of(call) == 2))
                .await;
            pair.src.run(format!("UPDATE {s} SET name = 'new' WHERE id IN (4, 8)")).await;
            daemon.until("the sweep finds them", LIMIT, || receiver.count() >= 3).await;
            assert_eq!(ids_of(&receiver.calls()), [2, 4, 8]);
            let status = site.run(&["status", "-c", "{c}"]).all();
            assert!(
                status.contains("3 rows without an update time") && status.contains("id 4, 6"),
                "{status}"
            );
            assert_eq!(daemon.output().matches("ids=\"4, 6\"").count(), 1, "{}", daemon.output());
            daemon.stop().await;
        }
    }
}

/// Nor does a time that never comes, or never was; and one far ahead is told of beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_outside_of_time_stops_nobody() {
    for (engine, odd) in [
        (Engine::Postgres, ["'infinity'", "'-infinity'"]),
        (Engine::MySql, ["'0000-00-00 00:00:00'", "'0000-00-00 00:00:00'"]),
    ] {
        let Some(pair) = Pair::new(engine).await else { continue };
        let s = pair.src.quote(TABLE);
        pair.fill(1..=9).await;
        let lax = if engine == Engine::MySql { "SET sql_mode = ''; " } else { "" };
        let old = "UPDATE {s} SET update_time = '2020-01-01 00:00:00'; \
                   UPDATE {s} SET update_time = '2099-01-01 00:00:00' WHERE id = 3";
        let odd = format!(
            "UPDATE {{s}} SET update_time = {} WHERE id = 4; UPDATE {{s}} SET update_time = {} WHERE id = 6",
            odd[0], odd[1]
        );
        pair.src.run(format!("{lax}{old}; {odd}").replace("{s}", &s)).await;
        let receiver = pair.repairer().await;
        let mut src = updated_source(&pair.src, TABLE, "number", "update_time");
        src["insert"] = false.into();
        let config =
            with(legacy(src, vec![pair.copy(&receiver.url())]), json!({ "confirm": "0s", "sweep": "2s" }));
        let site = Site::new(&config);
        let checked = site.run(&["check", "-c", "{c}", "--connect"]).all();
        assert!(checked.contains("2 rows have a \"update_time\" that is no time"), "{engine} {checked}");
        assert!(checked.contains("(id 4, 6)"), "{engine} {checked}");
        assert!(checked.contains("in the future") || checked.contains("ahead"), "{engine} {checked}");
        let mut daemon = site.start();
        daemon.wait_output("cannot be read, they are left to the sweep").await;
        let now = now(&pair.src);
        pair.src.run(format!("UPDATE {s} SET name = 'new', update_time = {now} WHERE id = 2")).await;
        daemon
            .until("the feed goes on", LIMIT, || receiver.calls().iter().any(|call| id_of(call) == 2))
            .await;
        pair.src.run(format!("{lax}UPDATE {s} SET name = 'new' WHERE id IN (4, 6)")).await;
        daemon.until("the sweep finds them", LIMIT, || receiver.count() >= 3).await;
        assert_eq!(ids_of(&receiver.calls()), [2, 4, 6]);
        let status = site.run(&["status", "-c", "{c}"]).all();
        assert!(status.contains("2 rows without an update time") && status.contains("id 4, 6"), "{status}");
        daemon.stop().await;
    }
}

/// All that does not fit is named in one run, the same column twice if need be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_every_policy_that_does_not_fit() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let time = if engine == Engine::MySql { "DATETIME" } else { "TIMESTAMP" };
        for db in [&src, &des] {
            db.run(format!(
                "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, n INTEGER, u {time}, v VARCHAR(9))"
            ))
            .await;
        }
        let url = "http://127.0.0.1:1/";
        let mut config = legacy(source(&src, "t", "id"), vec![copy(&des, "t", "id", &[("id", "id")], url)]);
        config["des"][0]["columns"] = json!({
            "id": "id",
            "n": { "column": "n", "trim": true, "ignoreCase": true, "zone": "UTC" },
            "u": { "column": "u", "emptyIsNull": true, "zone": "UTC" },
            "v": { "column": "v", "zone": "UTC" },
        });
        let site = Site::new(&config);
        let ran = site.run(&["check", "-c", "{c}", "--connect"]);
        assert_eq!(ran.code, Some(2), "{}", ran.all());
        let wanted = [
            ("trim", "n"),
            ("ignoreCase", "n"),
            ("zone", "n"),
            ("emptyIsNull", "u"),
            ("zone", "u"),
            ("zone", "v"),
        ];
        let problems = ran.all().matches("problem  policy:").count();
        assert_eq!(problems, wanted.len(), "{}", ran.all());
        for (policy, column) in wanted {
            let words = format!("`{policy}` in \"columns\" cannot apply to \"{column}\"");
            assert!(ran.all().contains(&words), "{words}: {}", ran.all());
        }
        // Four columns, one of which is the key.
        assert!(ran.all().contains("all 4 that are needed are there"), "{}", ran.all());
    }
}

/// What rights promise a file system need not keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tries_to_write_and_leaves_nothing() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let config = pair.inserts("http://127.0.0.1:1/");
    let site = Site::new(&with(config.clone(), json!({ "state": "not/there/yet" })));
    let before = std::fs::read_dir(site.path("")).unwrap().count();
    let ran = site.run(&["check", "-c", "{c}"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(std::fs::read_dir(site.path("")).unwrap().count(), before, "nothing is left");
    assert_eq!(std::fs::read_dir(site.path("log")).unwrap().count(), 0, "nothing is left");
    for (key, below) in [("state", "/proc/cupid"), ("state", "/sys/cupid/state"), ("logDir", "/proc/cupid")] {
        site.write(&with(config.clone(), json!({ key: below })));
        let ran = site.run(&["check", "-c", "{c}"]);
        assert_eq!(ran.code, Some(2), "{key} {below}: {}", ran.all());
        assert!(ran.all().contains(&format!("problem  {key}:")), "{}", ran.all());
        assert!(ran.all().contains("cannot be written"), "{}", ran.all());
    }
}

/// Rows without a key, and the right that is missing, with the words to give it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_counts_rows_without_a_key_and_says_what_to_grant() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, k VARCHAR(9)); CREATE UNIQUE INDEX t_k ON t (k)").await;
        }
        src.run("INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, NULL)").await;
        let config =
            legacy(source(&src, "t", "k"), vec![copy(&des, "t", "k", &[("k", "k")], "http://127.0.0.1:1/")]);
        let ran = Site::new(&config).run(&["check", "-c", "{c}", "--connect"]);
        assert!(ran.all().contains("2 rows have no \"k\" (NULL): without a key"), "{}", ran.all());
        assert!(ran.all().contains("the one that is needed is there"), "{}", ran.all());
        let told = ran.all().contains("open transactions are visible");
        assert!(told || engine == Engine::Sqlite || ran.all().contains("run `GRANT "), "{}", ran.all());
    }
}

/// Each feed that stands still is found in the log; the reason, which may be long, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_blocked_feed_is_in_the_log() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=3).await;
    let receiver = Receiver::answering(200).await;
    let mut config = pair.both_feeds(&receiver.url());
    let mut second = pair.copy(&receiver.url());
    (config["des"][0]["name"], second["name"]) = ("one".into(), "two".into());
    config["des"].as_array_mut().unwrap().push(second);
    let site = Site::new(&with(config, json!({ "confirm": "0s" })));
    let mut daemon = site.start_ready().await;
    daemon.until("all have caught up", LIMIT, || daemon_says(&site, "caught up") >= 4).await;
    pair.src.run(format!("RENAME TABLE {} TO away", pair.src.quote(TABLE))).await;
    let blocked = |destination: &str, work: &str| {
        let (destination, work) = (format!("destination={destination} "), format!("work={work} "));
        let log = log(&site);
        log.lines().filter(|l| l.contains("blocked") && l.contains(&destination) && l.contains(&work)).count()
    };
    daemon
        .until("each is in the log", LIMIT, || {
            ["one", "two"].iter().all(|d| ["insert", "update"].iter().all(|work| blocked(d, work) >= 1))
        })
        .await;
    // Tries go on; nothing is said again.
    let looks = || site.run(&["status", "-c", "{c}"]).all().matches("blocked").count();
    wait_for("all are blocked", LIMIT, async || (looks() >= 4).then_some(())).await;
    // The server words it in two ways.
    let mut reasons: Vec<String> =
        log(&site).lines().filter_map(|l| Some(l.split_once(" error=")?.1.to_owned())).collect();
    let told = reasons.len();
    reasons.sort();
    reasons.dedup();
    assert!(told == reasons.len() && told <= 2, "{}", log(&site));
    for (destination, work) in [("one", "insert"), ("one", "update"), ("two", "insert"), ("two", "update")] {
        assert!((1..=told).contains(&blocked(destination, work)), "{}", log(&site));
    }
    pair.src.run(format!("RENAME TABLE away TO {}", pair.src.quote(TABLE))).await;
    daemon.until("all work again", LIMIT, || daemon_says(&site, "works again") >= 4).await;
}

fn log(site: &Site) -> String {
    let files = std::fs::read_dir(site.path("log")).unwrap().flatten();
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}

fn daemon_says(site: &Site, words: &str) -> usize {
    log(site).matches(words).count()
}

/// A supervisor that passes the same `-s` at every restart does not start again what was started again once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_start_id_goes_on_after_restart() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=20).await;
    let receiver = Receiver::answering(200).await;
    let config = with(
        pair.inserts(&receiver.url()),
        json!({ "confirm": "0s", "verify": false, "sweep": false, "settle": "1s" }),
    );
    let mut site = Site::new(&config);
    let rows = |log: &str| -> Vec<u64> {
        let lines = log.lines().filter(|line| line.contains("caught up"));
        let field = |line: &str| line.split_once(" rows=")?.1.split(' ').next()?.parse().ok();
        lines.filter_map(field).collect()
    };
    let mut read = Vec::new();
    for (args, wanted) in [
        (&["-s", "11"][..], 10),
        // Everything has settled; only what may still change is looked at.
        (&["-s", "11"], 0),
        (&["-s", "11", "--restart", "main"], 10),
        (&["-s", "11"], 0),
        (&["-s", "16"], 5),
        (&["-s", "16", "--restart", "main"], 5),
        (&["-s", "16"], 0),
        (&["--restart", "main"], 20),
        (&[], 0),
    ] {
        site.set_args(args);
        let mut daemon = site.start();
        daemon.wait_output("caught up").await;
        // Until all of it has settled, and so is not read again.
        wait_for("it has settled", LIMIT, async || {
            let status = tokio::task::block_in_place(|| site.run(&["status", "-c", "{c}"])).all();
            status.contains("settled to id 20").then_some(())
        })
        .await;
        read.push((args, rows(&daemon.output())[0], wanted));
        daemon.stop().await;
    }
    for (args, rows, wanted) in read {
        assert_eq!(rows, wanted, "{args:?}");
    }
    assert_eq!(state::deliveries(&site).await, 0);
}
