//! The operation log: every delivery and every line of the log that belongs to a run carries its id, whatever feed it is
//! of, and what a run did can be listed, shown, followed and exported.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use cupid::base::clock::Clock;
use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// A pass rests for most of its time.
const PATIENCE: Duration = Duration::from_secs(60);

fn runs(site: &Site, more: &[&str]) -> Vec<Value> {
    let words = [&["runs", "list", "-c", "{c}", "--json"], more].concat();
    let ran = site.run(&words);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Feed and run of each delivery, by the row's id.
async fn run_of(site: &Site, row: i64) -> Option<String> {
    let sql = format!("SELECT 1 FROM delivery WHERE row_id = '{row}'");
    state::try_number(site, &sql).await?;
    let found = runs(site, &[]).into_iter().find(|run| {
        let shown = site.run(&["runs", "export", "-c", "{c}", "--format", "operation-log"]).stdout;
        let line = shown.lines().find(|line| line.contains(run["id"].as_str().unwrap())).unwrap_or_default();
        line.contains(&format!(" row {row}:"))
    });
    Some(found?["feed"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_found_from_its_deliveries_its_log_and_its_id() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=50).await;
    pair.lose(&[3, 17]).await;
    pair.spoil(&[40]).await;
    let receiver = Receiver::answering(503).await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let mut daemon = site.start_ready().await;
    daemon.until("three were called", LIMIT, || receiver.count() >= 3).await;
    daemon.stop().await;

    let listed = runs(&site, &[]);
    let run = listed.iter().find(|run| run["opened"] == 3).unwrap_or_else(|| panic!("{listed:#?}"));
    let id = run["id"].as_str().unwrap();
    let expected = json!({ "task": "main", "feed": "insert", "from": null, "to": "id 50", "result": "ok",
        "passes": 1, "opened": 3, "errors": 0, "first_error": null });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&run[key], value, "{key}: {run:#}");
    }
    let counts = &run["counts"];
    assert_eq!((&counts["rows"], &counts["same"]), (&json!(50), &json!(47)), "{run:#}");
    assert_eq!((&counts["missing"], &counts["differs"]), (&json!(2), &json!(1)), "{run:#}");
    let hex = id.replace('-', "");
    let carried = format!("SELECT count(*) FROM delivery WHERE lower(hex(run)) = '{hex}'");
    assert_eq!(state::number(&site, &carried).await, 3, "every delivery carries it");

    // By the beginning of its id, too.
    let shown = site.run(&["runs", "show", "-c", "{c}", &id[..13]]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for words in
        ["from, to    the beginning → id 50", "50 rows, 47 same, 2 missing, 1 differ", "3 opened", "row 17"]
    {
        assert!(shown.stdout.contains(words), "{words:?} in {}", shown.stdout);
    }
    let shown = site.run(&["runs", "show", "-c", "{c}", id, "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["deliveries"].as_array().unwrap().len(), 3);

    // From the log files what was logged, and nothing else.
    let lines = site.run(&["runs", "log", "-c", "{c}", id]).stdout;
    for words in ["differences found", "caught up", "callback failed", "class=http_5xx group=system"] {
        assert!(lines.contains(words), "{words:?} in {lines}");
    }
    assert!(lines.lines().all(|line| line.contains(&format!("run={id}"))), "{lines}");
    // Without them, from the state.
    fs::remove_dir_all(site.path("log")).unwrap();
    let told = site.run(&["runs", "log", "-c", "{c}", id]);
    assert!(told.stderr.contains("this is what the state knows"), "{told:?}");
    let events: Vec<&str> = told.stdout.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert_eq!(events[0], "run began");
    assert_eq!(events.iter().filter(|event| event.starts_with("found ")).count(), 3, "{told:?}");
    assert!(events.iter().any(|event| event.contains("attempt 1: http_5xx 503")), "{told:?}");
    assert!(events.iter().any(|event| event.starts_with("run ended at id 50: ok, 50 rows")), "{told:?}");

    for (words, code) in [
        (vec!["runs", "show", "-c", "{c}", "00000000"], 2),
        (vec!["runs", "log", "-c", "{c}", "00000000"], 2),
        (vec!["runs", "show", "-c", "{c}", "short"], 2),
        (vec!["runs", "list", "-c", "{c}", "--since", "soon"], 2),
        (vec!["runs", "list", "-c", "{c}", "--since", "1h", "--result", "failed"], 0),
    ] {
        let ran = site.run(&words);
        assert_eq!(ran.code, Some(code), "{words:?} {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operation_log_has_the_shape_that_was_asked_for() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=20).await;
    pair.lose(&[4, 5]).await;
    let receiver = Receiver::answering(503).await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let none = site.run(&["runs", "export", "-c", "{c}"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "there is no state yet");
    let before = Clock::system().now();
    let mut daemon = site.start_ready().await;
    daemon.until("both were called", LIMIT, || receiver.count() >= 2).await;
    daemon.stop().await;
    // One that failed is told as such.
    pair.des.run(format!("DROP TABLE {}", pair.des.quote(TABLE))).await;
    let mut daemon = site.start_ready().await;
    daemon.wait_output("blocked").await;
    wait_for("the failure is kept", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM run WHERE result = 'failed'").await? > 0)
            .then_some(())
    })
    .await;
    daemon.stop().await;
    let after = Clock::system().now();

    let ran = site.run(&["runs", "export", "-c", "{c}", "--format", "operation-log"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    for line in &lines {
        let mut keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["data", "end_at", "id", "result", "start_at"]);
        assert!(uuid::Uuid::parse_str(line["id"].as_str().unwrap()).is_ok());
        let (start, end) = (line["start_at"].as_i64().unwrap(), line["end_at"].as_i64().unwrap());
        assert!(before <= start && start <= end && end <= after, "{line}");
        assert!([0, 1].contains(&line["result"].as_i64().unwrap()), "{line}");
    }
    let with_data: Vec<&Value> = lines.iter().filter(|line| line["data"] != json!([])).collect();
    assert_eq!(with_data.len(), 1, "{lines:#?}");
    assert_eq!(with_data[0]["result"], 1);
    let data: Vec<&str> =
        with_data[0]["data"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    assert_eq!(data.len(), 2, "one text for each delivery");
    assert!(data[0].contains("missing at ") && data[0].contains(" row 4: "), "{data:?}");
    assert!(lines.iter().any(|line| line["result"] == 0), "{lines:#?}");

    let ran = site.run(&["runs", "export", "-c", "{c}", "--result", "failed"]);
    let failed: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!failed.is_empty());
    for run in &failed {
        let error = &run["last_error"];
        assert_eq!(
            (&error["class"], &error["group"]),
            (&json!("db_missing_table"), &json!("data")),
            "{run:#}"
        );
        assert_eq!(run["deliveries"], json!([]), "{run:#}");
    }
}

/// What a daemon had not ended when it was killed, nobody ends: that is said at once, and kept by the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_a_kill_is_cut_off() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=5).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    daemon.kill();
    // As a kill in the middle of a pass leaves it.
    state::change(&site, "UPDATE run SET result = 'running'").await;
    let of = |result: &str| runs(&site, &["--result", result]).len();
    assert!(of("cut-off") >= 1 && of("running") == 0);
    assert_eq!(runs(&site, &["--result", "cut-off", "--limit", "1"]).len(), 1);
    let exported = site.run(&["runs", "export", "-c", "{c}", "--format", "operation-log"]).stdout;
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!exported.is_empty() && exported.iter().all(|line| line["result"] == 0), "{exported:#?}");
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    assert!(of("cut-off") >= 1, "also beside the next daemon");
    daemon.stop().await;
}

/// Insert, update, sweep and extra: each delivery has the run of the feed that found it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_has_runs_of_its_own() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=30).await;
    let t = pair.src.quote(TABLE);
    pair.src.run(format!("UPDATE {t} SET update_time = '2020-01-01 00:00:00'")).await;
    let receiver = Receiver::answering(503).await;
    // What the quick feeds find, the slow ones must not have found before.
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "sweep": false })));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    pair.fill_source(31..=31).await;
    let feed = wait_for("the new row", PATIENCE, async || run_of(&site, 31).await).await;
    assert!(["insert", "update"].contains(&feed.as_str()), "{feed}");
    pair.update(&[5], "changed").await;
    let feed = wait_for("the changed row", PATIENCE, async || run_of(&site, 5).await).await;
    assert_eq!(feed, "update");
    daemon.stop().await;
    let slow = json!({ "sweep": "1s", "delete": true });
    site.write(&with(pair.both_feeds(&receiver.url()), slow));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    pair.spoil(&[9]).await;
    let feed = wait_for("the spoilt copy", PATIENCE, async || run_of(&site, 9).await).await;
    assert_eq!(feed, "sweep");
    pair.des
        .run(format!("INSERT INTO {} (id, number, name) VALUES (77, 'n77', 'orphan')", pair.des.quote(TABLE)))
        .await;
    wait_for("the row that only the copy has", PATIENCE, async || {
        let feeds = runs(&site, &[]);
        feeds.iter().any(|run| run["feed"] == "extra" && run["opened"] == 1).then_some(())
    })
    .await;
    daemon.stop().await;
    let orphans = "SELECT count(*) FROM delivery WHERE run NOT IN (SELECT id FROM run)";
    assert_eq!(state::number(&site, orphans).await, 0, "each has a run that is kept");
    let kept = state::number(&site, "SELECT sum(opened) FROM run").await;
    assert_eq!(usize::try_from(kept).unwrap(), state::deliveries(&site).await);
}

/// Passes that find nothing are counted, and do not fill the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_daemon_keeps_one_row_an_hour() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=10).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&pair.both_feeds(&receiver.url()));
    let mut daemon = site.start_ready().await;
    wait_for("many passes", PATIENCE, async || {
        assert!(daemon.running(), "{}", daemon.output());
        let passes = "SELECT min(passes) FROM (SELECT max(passes) AS passes FROM run WHERE feed <> 'sweep' GROUP BY feed)";
        (state::try_number(&site, passes).await? >= 60).then_some(())
    })
    .await;
    let mut rows: HashMap<String, usize> = HashMap::new();
    // One may be under way, until it has found nothing as well.
    for run in runs(&site, &[]).iter().filter(|run| run["result"] != "running") {
        *rows.entry(run["feed"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!(run["result"], "ok", "{run:#}");
    }
    assert_eq!((rows["insert"], rows["update"]), (2, 2), "the first pass, and all others");
    let counted = state::number(&site, "SELECT sum(passes) FROM run").await;
    daemon.stop().await;
    assert!(state::number(&site, "SELECT sum(passes) FROM run").await >= counted, "the end writes the rest");
}

/// An outage is one run with all its tries; the class of the failure is in the log, in `status` and in the run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_one_run() {
    let Some(pair) = Pair::new(Engine::Sqlite).await else { return };
    pair.fill(1..=10).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let (t, away) = (pair.des.quote(TABLE), pair.des.quote("away"));
    pair.des.run(format!("ALTER TABLE {t} RENAME TO {away}")).await;
    daemon.wait_output("class=db_missing_table group=data").await;
    let status = site.run(&["status", "-c", "{c}"]).stdout;
    assert!(status.contains("(db_missing_table, data)"), "{status}");
    let status = site.run(&["status", "-c", "{c}", "--json"]).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let trouble = status["status"]["tasks"]["main"]["trouble"].as_object().unwrap().values().next().unwrap();
    assert_eq!((&trouble["class"], &trouble["group"]), (&json!("db_missing_table"), &json!("data")));
    let failed = wait_for("the failure is kept", LIMIT, async || {
        runs(&site, &["--result", "failed"]).into_iter().find(|run| run["feed"] == "insert")
    })
    .await;
    let id = failed["id"].as_str().unwrap();
    assert!(daemon.output().contains(&format!("run={id}")), "the line about it carries its id");
    // Some tries later it works again.
    wait_for("tried more than once", PATIENCE, async || {
        let status = site.run(&["status", "-c", "{c}", "--json"]).stdout;
        let status: Value = serde_json::from_str(&status).unwrap();
        let since =
            status["status"]["tasks"]["main"]["trouble"].as_object()?.values().next()?["since"].as_i64()?;
        (Clock::system().now() > since + 2500).then_some(())
    })
    .await;
    pair.des.run(format!("ALTER TABLE {away} RENAME TO {t}")).await;
    daemon.wait_output("works again").await;
    let all = wait_for("the run after it", LIMIT, async || {
        let all = runs(&site, &[]);
        let at = all.iter().position(|run| run["id"] == *id)?;
        all[..at].iter().any(|run| run["result"] == "ok" && run["feed"] == "insert").then_some(all)
    })
    .await;
    let outage: Vec<&Value> =
        all.iter().filter(|r| r["feed"] == "insert" && r["result"] == "failed").collect();
    assert_eq!(outage.len(), 1, "{all:#?}");
    assert!(outage[0]["errors"].as_i64().unwrap() >= 2, "{:#}", outage[0]);
    assert!(outage[0]["last_error"]["at"].as_i64() > outage[0]["first_error"]["at"].as_i64());
    assert_eq!(outage[0]["first_error"]["class"], "db_missing_table");
    daemon.stop().await;
}
