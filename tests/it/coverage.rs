//! What `cupid status` says is true: its numbers are those of the tables, and what was not looked at is not spoken of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::{legacy, updated_source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// A pass rests for most of its time.
const PATIENCE: Duration = Duration::from_secs(90);

const BOTH: [Engine; 2] = [Engine::MySql, Engine::Postgres];
const ALL: [Engine; 3] = [Engine::MySql, Engine::Postgres, Engine::Sqlite];

fn status(site: &Site) -> String {
    let ran = site.run(&["status", "-c", "{c}"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// The one destination of `status --json`.
fn report(site: &Site) -> Value {
    let ran = site.run(&["status", "-c", "{c}", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let tasks = answer["coverage"].as_object().unwrap();
    let destinations = tasks.values().next().unwrap().as_object().unwrap();
    assert_eq!((tasks.len(), destinations.len()), (1, 1));
    destinations.values().next().unwrap().clone()
}

/// Rows, and those that agree.
fn numbers(report: &Value) -> (i64, i64) {
    (report["rows"].as_i64().unwrap(), report["agree"].as_i64().unwrap())
}

async fn until(daemon: &mut Daemon, site: &Site, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, PATIENCE, async || {
        assert!(daemon.running(), "{}", daemon.output());
        let report = report(site);
        holds(&report).then_some(report)
    })
    .await
}

/// Everything that was read has settled, and everything was looked at.
fn at_rest(report: &Value) -> bool {
    report["basis"] == "whole" && report["feeds"]["insert"]["unsettled"] == 0
}

/// The sentence of the destination and the lines behind it, without what passes with time.
fn timeless(text: &str) -> Vec<String> {
    let of_time = |part: &&str| part.starts_with("updates settled") || part.starts_with("last pass");
    let part = |part: &str| {
        let words = part.split(", ").filter(|words| !words.starts_with("oldest") && !words.ends_with(" ago"));
        words.collect::<Vec<_>>().join(", ")
    };
    let lines = text.lines().skip(1).filter(|line| !line.contains("(slow)"));
    lines
        .map(|line| line.split(" · ").filter(|p| !of_time(p)).map(part).collect::<Vec<_>>().join(" · "))
        .collect()
}

/// A key may be NULL.
async fn free_the_key(pair: &Pair) {
    for db in [&pair.src, &pair.des] {
        let t = db.quote(TABLE);
        db.run(match db.engine {
            Engine::MySql => format!("ALTER TABLE {t} MODIFY number VARCHAR(40) NULL"),
            _ => format!("ALTER TABLE {t} ALTER COLUMN number DROP NOT NULL"),
        })
        .await;
    }
}

/// What the tables themselves say: rows, those that agree, those without a key.
async fn truth(pair: &Pair) -> (i64, i64, i64) {
    let t = pair.src.quote(TABLE);
    let rows = pair.src.number(format!("SELECT count(*) FROM {t}")).await;
    let nulls = pair.src.number(format!("SELECT count(*) FROM {t} WHERE number IS NULL")).await;
    let differences = pair.differences().await;
    let keyless = pair.src.texts(format!("SELECT id FROM {t} WHERE number IS NULL")).await;
    let keyless: Vec<i64> = keyless.iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect();
    let differ = differences.iter().filter(|id| !keyless.contains(id)).count();
    (rows, rows - nulls - i64::try_from(differ).unwrap(), nulls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_are_those_of_the_tables() {
    for pair in Pair::everywhere(&BOTH).await {
        free_the_key(&pair).await;
        pair.fill(1..=1500).await;
        pair.lose(&[3, 700]).await;
        pair.spoil(&[10]).await;
        let t = pair.src.quote(TABLE);
        pair.src.run(format!("UPDATE {t} SET number = NULL WHERE id IN (20, 21, 1400)")).await;
        let receiver = Receiver::answering(503).await;
        let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "breaker": false })));
        assert!(
            status(&site).ends_with("nothing has been looked at yet · nothing waits\n"),
            "{}",
            status(&site)
        );
        let mut daemon = site.start_ready().await;
        let what = "all is counted";
        let first = until(&mut daemon, &site, what, |r| at_rest(r) && numbers(r) == (1500, 1494)).await;
        assert_eq!(truth(&pair).await, (1500, 1494, 3));
        assert_eq!((&first["waiting"], &first["unfit"]), (&json!(3), &json!({ "null_key": 3 })), "{first}");

        // New rows, rows that change, and rows that are read again and again in the overlap of the windows.
        pair.fill(1501..=1600).await;
        pair.fill_source(1601..=1604).await;
        pair.update(&[30, 31], "changed").await;
        pair.update(&[1404], "changed").await;
        let (rows, agree, _) = truth(&pair).await;
        assert_eq!((rows, agree), (1604, 1591));
        let now =
            until(&mut daemon, &site, "the new ones too", |r| at_rest(r) && numbers(r) == (rows, agree))
                .await;
        assert_eq!(now["waiting"], 10, "{now}");
        assert!(
            now["feeds"]["update"]["looks"]["rows"].as_i64().unwrap() > 1604,
            "read more than once: {now}"
        );
        let said = status(&site);
        assert!(said.contains(": 1 591 of 1 604 rows agree · 10 waiting, oldest "), "{said}");
        assert!(said.contains(" · settled to id 1 604, "), "{said}");
        assert!(said.contains("\n  3 rows without a key (NULL), not comparable"), "{said}");

        // The same is said by the state alone, after a kill too.
        daemon.kill();
        let alone = status(&site);
        assert_eq!(alone.lines().next(), Some("not running"));
        assert_eq!(timeless(&alone), timeless(&said));
        let mut daemon = site.start_ready().await;
        daemon.wait_output("caught up").await;
        until(&mut daemon, &site, "the same after it", |r| at_rest(r) && numbers(r) == (rows, agree)).await;

        // A key that comes is compared.
        pair.src
            .run(format!("UPDATE {t} SET number = 'n20', update_time = CURRENT_TIMESTAMP WHERE id = 20"))
            .await;
        until(&mut daemon, &site, "the key is there", |r| numbers(r) == (rows, agree + 1)).await;
        assert_eq!(truth(&pair).await, (rows, agree + 1, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_counted_once_however_often_it_is_killed() {
    for engine in ALL {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=8_000).await;
        pair.lose(&[5, 7_900]).await;
        let receiver = Receiver::answering(503).await;
        let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "sweep": "1s" })));
        for kill in 1..=4 {
            let mut daemon = site.start();
            let before =
                state::try_number(&site, "SELECT coalesce(sum(rows), 0) FROM coverage").await.unwrap_or(0);
            wait_for("it goes on", LIMIT, async || {
                assert!(daemon.running(), "{}", daemon.output());
                let rows = state::try_number(&site, "SELECT sum(rows) FROM coverage").await?;
                (rows > before + kill * 300).then_some(())
            })
            .await;
            daemon.kill();
            let (rows, agree) = numbers(&report(&site));
            assert!(rows <= 8_000 && agree <= 7_998, "{engine}: {rows} {agree}");
            pair.fill(8_000 + kill..=8_000 + kill).await;
            pair.src.run(format!("DELETE FROM {} WHERE id = {}", pair.src.quote(TABLE), 8_000 + kill)).await;
        }
        let mut daemon = site.start();
        until(&mut daemon, &site, "all is counted", |r| at_rest(r) && numbers(r) == (8_000, 7_998)).await;
        // With the next pass those that are gone leave the count.
        pair.src.run(format!("DELETE FROM {} WHERE id > 7910", pair.src.quote(TABLE))).await;
        until(&mut daemon, &site, "they are gone", |r| at_rest(r) && numbers(r) == (7_910, 7_908)).await;
        pair.fill(40_001..=40_010).await;
        until(&mut daemon, &site, "new ones come", |r| at_rest(r) && numbers(r) == (7_920, 7_918)).await;
        let pass = &report(&site)["feeds"]["sweep"]["pass"]["counts"];
        assert!(pass["rows"].as_i64().unwrap() >= 7_910, "each row of a pass once: {pass}");
    }
}

/// A transaction that is open holds what is settled, and the sentence says since when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_is_as_old_as_it_is_said_to_be() {
    for (engine, inserts) in BOTH.into_iter().flat_map(|engine| [(engine, false), (engine, true)]) {
        let Some(pair) = Pair::apart(&[engine]).await.into_iter().next() else { continue };
        pair.fill(1..=50).await;
        let receiver = Receiver::answering(503).await;
        let source =
            with(updated_source(&pair.src, TABLE, "number", "update_time"), json!({ "insert": inserts }));
        let site = Site::new(&legacy(source, vec![pair.copy(&receiver.url())]));
        let mut daemon = site.start_ready().await;
        let feed = if inserts { "insert" } else { "update" };
        let age = move |r: &Value| {
            let f = &r["feeds"][feed];
            Some(f["looked_at"].as_i64()? - f["settled_at"].as_i64()?)
        };
        let what = "it is settled to a few seconds ago";
        let fresh = move |r: &Value| age(r).is_some_and(|age| age < 3000);
        until(&mut daemon, &site, what, fresh).await;
        let t = pair.src.quote(TABLE);
        let mut held = Held::begin(&pair.src).await;
        held.run(&format!("INSERT INTO {t} (id, number, name) VALUES (51, 'n51', 'late')")).await;
        pair.fill(52..=53).await;
        let held_back =
            until(&mut daemon, &site, "it is held", move |r| age(r).is_some_and(|age| age > 6000)).await;
        let (_, agree) = numbers(&held_back);
        if inserts {
            assert_eq!(
                (held_back["feeds"]["insert"]["unsettled"].as_i64(), agree),
                (Some(2), 52),
                "{held_back}"
            );
        }
        let said = status(&site);
        let settled = said.lines().nth(1).unwrap().split(" · ").filter(|part| part.contains("settled to"));
        for part in settled {
            let ago: i64 = part.rsplit(", ").next().unwrap().trim_end_matches(" s ago").parse().unwrap();
            assert!(ago >= 6, "{said}");
        }
        held.end("COMMIT").await;
        until(&mut daemon, &site, what, fresh).await;
        if inserts {
            until(&mut daemon, &site, "the late one too", |r| at_rest(r) && numbers(r) == (53, 52)).await;
        }
        // Rows without a time are named when they are next counted.
        pair.src.run(format!("UPDATE {t} SET update_time = NULL WHERE id <= 30")).await;
        daemon.stop().await;
        let mut daemon = site.start_ready().await;
        until(&mut daemon, &site, "they are counted", |r| r["feeds"]["update"]["uncovered"] == 30).await;
        assert!(
            status(&site).contains("\n  30 rows without an update time, left to the sweep\n"),
            "{}",
            status(&site)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_blocked_says_so_and_speaks_of_no_pass() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=5).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let d = pair.des.quote(TABLE);
    let mut daemon = site.start_ready().await;
    until(&mut daemon, &site, "all is counted", |r| at_rest(r) && numbers(r) == (5, 5)).await;
    assert!(status(&site).contains("last pass began "), "{}", status(&site));
    pair.des.run(format!("RENAME TABLE {d} TO away")).await;
    pair.fill_source(6..=6).await;
    daemon.until("it is blocked", LIMIT, || status(&site).contains("blocked: ")).await;
    let said = status(&site);
    assert!(said.contains("5 of 5 rows agree") && !said.contains("pass"), "{said}");
    daemon.stop().await;

    // Nothing was looked at, and nothing is said of it.
    let empty = Site::new(&pair.inserts(&receiver.url()));
    let mut daemon = empty.start();
    assert_ne!(daemon.wait().await.code(), Some(0), "no task can start");
    assert!(
        status(&empty).contains(": nothing has been looked at yet · nothing waits\n"),
        "{}",
        status(&empty)
    );
}

/// What was handed over or lies dead stands against its row until that is seen to agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_looks_at_any_more_is_not_said_to_agree() {
    for engine in ALL {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=100).await;
        pair.lose(&[7, 8]).await;
        let t = pair.des.quote(TABLE);
        pair.des
            .run(if engine == Engine::MySql {
                format!("DROP INDEX user_number ON {t}")
            } else {
                "DROP INDEX user_number".to_owned()
            })
            .await;
        pair.des.run(format!("INSERT INTO {t} (id, number, name) VALUES (1009, 'n9', 'twice')")).await;
        let receiver = Receiver::answering(200).await;
        let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false, "sweep": "1s" })));
        let mut daemon = site.start_ready().await;
        let ended =
            |r: &Value| r["deliveries"]["delivered"]["count"] == 2 && r["deliveries"]["dead"]["count"] == 1;
        let said = until(&mut daemon, &site, "all is handed over", move |r| at_rest(r) && ended(r)).await;
        assert_eq!((numbers(&said), &said["waiting"]), ((100, 97), &json!(0)), "{engine}: {said}");
        let text = status(&site);
        assert!(text.contains("97 of 100 rows agree · nothing waits · "), "{text}");
        assert!(text.contains("\n  2 rows handed over, not seen to agree since, oldest "), "{text}");
        assert!(
            text.contains("\n  1 row of keys that several rows carry (ambiguous), not called back\n"),
            "{text}"
        );
        // Passes that meet them change nothing about that.
        let passed = report(&site)["feeds"]["sweep"]["pass"]["began"].clone();
        let said =
            until(&mut daemon, &site, "another pass", |r| r["feeds"]["sweep"]["pass"]["began"] != passed)
                .await;
        assert_eq!(numbers(&said), (100, 97), "{engine}: {said}");

        // One is put right, one is deleted at the source, one is no longer double.
        pair.fill_copy(7).await;
        pair.src.run(format!("DELETE FROM {} WHERE id = 8", pair.src.quote(TABLE))).await;
        pair.des.run(format!("DELETE FROM {t} WHERE id = 1009")).await;
        let said = until(&mut daemon, &site, "all agree", |r| numbers(r) == (99, 99)).await;
        assert_eq!((&said["deliveries"], &said["unfit"]), (&json!({}), &json!({})), "{engine}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_from_a_given_id_says_so_and_holds_no_other_rows() {
    for engine in ALL {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=300).await;
        let receiver = Receiver::answering(503).await;
        let mut site = Site::new(&pair.both_feeds(&receiver.url()));
        let mut daemon = site.args(&["-s", "201"]).start();
        until(&mut daemon, &site, "all is counted", |r| at_rest(r) && numbers(r) == (100, 100)).await;
        assert!(status(&site).contains(": 100 of 100 rows from id 201 on agree · "), "{}", status(&site));
        // One before it and one behind it come to differ.
        pair.update(&[5, 250], "changed").await;
        let said = until(&mut daemon, &site, "they are found", |r| numbers(r) == (100, 99)).await;
        until(&mut daemon, &site, "both wait", |r| r["waiting"] == 2).await;
        assert_eq!(said["from"], "201", "{said}");
        assert!(receiver.calls().iter().all(|call| call.kind() == 2));
    }
}

/// A row that never stands still is not reported. It is counted; and when it has been so for long, people hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "an application beside the daemon; the test waits for its end")]
async fn a_row_that_never_stands_still_is_counted_and_people_hear_of_it_once() {
    let Some(pair) = Pair::new(Engine::Postgres).await else { return };
    pair.fill(1..=20).await;
    let receiver = Receiver::answering(200).await;
    let people = Receiver::with(|_| async {
        Answer::Full(200, ("x", "y".to_owned()), r#"{"code":0,"message":"","data":"1"}"#.to_owned())
    })
    .await;
    let config = json!({ "hot": "1s", "confirm": "6s", "pushbearSendKey": "k", "pushbearUrl": people.url() });
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), config));
    let (moving, writer) = (Arc::new(AtomicBool::new(true)), pair.clone());
    let still = moving.clone();
    let moves = tokio::spawn(async move {
        let (s, d) = (writer.src.quote(TABLE), writer.des.quote(TABLE));
        let mut version = 0;
        while still.load(Ordering::Relaxed) {
            version += 1;
            let sql =
                format!("UPDATE {s} SET name = 'v{version}', update_time = CURRENT_TIMESTAMP WHERE id = 7");
            writer.src.run(sql).await;
            // The copy follows, one version behind.
            writer.des.run(format!("UPDATE {d} SET name = 'v{}' WHERE id = 7", version - 1)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        writer.des.run(format!("UPDATE {d} SET name = 'v{version}' WHERE id = 7")).await;
    });
    let mut daemon = site.start_ready().await;
    let hot = until(&mut daemon, &site, "it is counted", |r| r["hot"]["count"] == 1).await;
    assert_eq!(numbers(&hot), (20, 19), "nobody can say that it agrees: {hot}");
    assert!(
        status(&site).contains("\n  1 row that never stands still while its copy follows (hot), oldest "),
        "{}",
        status(&site)
    );
    daemon.stop().await;
    assert_eq!(people.count(), 0);
    // As if eleven minutes had gone by.
    state::change(&site, "UPDATE delivery SET found_at = found_at - 660000 WHERE state = 'suspect'").await;
    let mut daemon = site.start_ready().await;
    let told = |word: &str| people.calls().iter().filter(|call| call.path.contains(word)).count();
    daemon
        .until("people are told", LIMIT, || told("never+stand+still") + told("never%20stand%20still") == 1)
        .await;
    moving.store(false, Ordering::Relaxed);
    moves.await.unwrap();
    daemon.until("and that it is over", LIMIT, || told("recovered") == 1).await;
    until(&mut daemon, &site, "all agree", |r| r["hot"].is_null() && numbers(r) == (20, 20)).await;
    assert_eq!((receiver.count(), people.count()), (0, 2), "nothing is reported of it: {}", daemon.output());
}
