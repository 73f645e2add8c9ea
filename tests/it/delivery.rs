//! Callbacks as a receiver sees them, through everything that can happen to it.

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::Site;
use crate::support::db::{Db, ENGINES};
use crate::support::pair::{Pair, id_of, ids_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// `callbackNotification`'s one deadline.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_feeds_tell_every_difference_once_with_the_documented_body() {
    for pair in Pair::everywhere(&ENGINES).await {
        let engine = pair.src.engine;
        pair.fill(1..=50).await;
        let receiver = pair.repairer().await;
        // As cupid-go's example writes it: without a scheme.
        let site = Site::new(&pair.both_feeds(&receiver.bare_url()));
        let mut daemon = site.start();

        pair.fill_source(51..=52).await;
        daemon.until("both new rows are called back", LIMIT, || receiver.count() >= 2).await;
        pair.update(&[7], "renamed").await;
        daemon.until("the changed row is called back", LIMIT, || receiver.count() >= 3).await;
        // Once more after everything was repaired: had anything else been found, it would have come before.
        pair.fill_source(53..=53).await;
        daemon.until("the last row is called back", LIMIT, || receiver.answered() >= 4).await;

        let calls = receiver.calls();
        assert_eq!(ids_of(&calls), [7, 51, 52, 53], "{engine}");
        for call in &calls {
            let kind = if id_of(call) == 7 { 2 } else { 1 };
            assert_eq!(call.json(), pair.body(id_of(call), kind).await, "{engine}");
            assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/callback"));
            assert_eq!(call.header("content-type"), "application/json");
            assert_eq!(call.attempt(), 1);
            let id = format!("{}-{}", call.header("cupid-delivery"), call.header("cupid-revision"));
            assert_eq!(call.id(), id);
            let sent: i64 = call.header("webhook-timestamp").parse().unwrap();
            assert!((chrono_now() - sent).abs() < 120, "seconds since 1970: {sent}");
        }
        assert!(pair.differences().await.is_empty());
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with what another process took from its own clock")]
fn chrono_now() -> i64 {
    chrono::Utc::now().timestamp()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_then_fails_then_works_gets_one_message() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill_source(1..=1).await;
    let receiver = Receiver::scripted(vec![Answer::Status(500), Answer::Status(200)]).await;
    receiver.down();
    let config = with(pair.inserts(&receiver.url()), json!({ "verify": false }));
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    wait_for("an attempt has failed", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM attempt").await? > 0).then_some(())
    })
    .await;
    receiver.up();
    daemon.until("the row is delivered", LIMIT, || receiver.count() >= 2).await;
    let (status, _) = daemon.stop().await;
    assert!(status.success());

    let calls = receiver.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].id(), calls[1].id());
    assert_eq!(calls[0].body, calls[1].body);
    assert_eq!(calls[0].header("cupid-delivery"), calls[1].header("cupid-delivery"));
    assert!(calls[0].attempt() >= 2, "attempts at a closed port count");
    assert_eq!(calls[1].attempt(), calls[0].attempt() + 1);
    // All of them are on record.
    let last = i64::from(calls[1].attempt());
    assert_eq!(state::number(&site, "SELECT count(*) FROM attempt").await, last);
    assert_eq!(state::number(&site, "SELECT max(number) FROM attempt").await, last);
    assert_eq!(state::number(&site, "SELECT max(status) FROM attempt").await, 500);
    assert_eq!(state::number(&site, "SELECT status FROM attempt ORDER BY number DESC LIMIT 1").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_quick_tries_then_every_ten_minutes() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    let site = Site::new(&pair.inserts(&format!("{}?key=canary", receiver.url())));
    let mut daemon = site.start();
    daemon.until("the first attempt and three tries are made", LIMIT, || receiver.count() >= 4).await;
    wait_for("the delivery waits in the slow lane", LIMIT, async || {
        (state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'slow'").await == 1).then_some(())
    })
    .await;
    let waits = "SELECT due - (SELECT max(began + took_ms) FROM attempt) FROM delivery";
    let waits = state::number(&site, waits).await;
    assert!((590_000..=610_000).contains(&waits), "next try in {waits} ms");
    let calls = receiver.calls();
    assert_eq!(calls.iter().map(|c| c.attempt()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for pause in calls.windows(2) {
        let pause = pause[1].at - pause[0].at;
        assert!(pause >= Duration::from_millis(900), "failureJobRetrySecond is 1, the pause was {pause:?}");
    }
    // The log says who did not take it, why, and when it comes again, once for each place where it then waits; never
    // what may be a key.
    let said = daemon.output();
    let failures: Vec<&str> = said.lines().filter(|line| line.contains("callback failed")).collect();
    assert_eq!(failures.len(), 2, "{said}");
    for (line, (attempt, next)) in failures.iter().zip([(1, "1.0"), (4, "600.0")]) {
        let (attempt, next) = (format!("attempt={attempt} "), format!("next_s={next}"));
        for word in [&attempt, &next, &receiver.url(), "503"] {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_resets_and_endless_answers_are_failures() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    // Three copies, each with a receiver that misbehaves once in its own way.
    let elsewhere = Receiver::answering(200).await;
    let away = Answer::Full(307, ("location", elsewhere.url()), String::new());
    let quick = Receiver::scripted(vec![away, Answer::Reset, Answer::Status(200)]).await;
    let silent = Receiver::scripted(vec![Answer::Hang, Answer::Status(200)]).await;
    let endless =
        Receiver::scripted(vec![Answer::Drip(Duration::from_millis(100)), Answer::Status(200)]).await;
    let mut config = with(pair.inserts(&quick.url()), json!({ "verify": false }));
    for other in [&silent, &endless] {
        config["des"].as_array_mut().unwrap().push(pair.copy(&other.url()));
    }
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the quick one is done", LIMIT, || quick.count() >= 3).await;
    for slow in [&silent, &endless] {
        daemon.until("the deadline ended a call", LIMIT, || slow.count() >= 2).await;
        let calls = slow.calls();
        let waited = calls[1].at - calls[0].at;
        assert!(waited >= DEADLINE, "one deadline, to the last byte: {waited:?}");
        assert!(waited < DEADLINE * 2, "{waited:?}");
        assert_eq!(calls[0].id(), calls[1].id());
    }
    assert_eq!(elsewhere.count(), 0, "redirects are not followed");
    assert_eq!(quick.calls().iter().map(|c| c.attempt()).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_receiver_does_not_slow_the_other() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    let rows = 500;
    pair.fill_source(1..=rows).await;
    let alive = Receiver::answering(200).await;
    let dead = Receiver::with(async |_| Answer::Hang).await;
    // The dead one first: whoever goes through destinations in order would meet it first.
    let mut config = with(pair.inserts(&dead.url()), json!({ "verify": false }));
    config["des"].as_array_mut().unwrap().push(pair.copy(&alive.url()));
    let site = Site::new(&config);
    let mut daemon = site.start();
    let began = Instant::now();
    let count = usize::try_from(rows).unwrap();
    daemon.until("the living receiver has everything", LIMIT, || alive.count() >= count).await;
    let took = began.elapsed();
    eprintln!("{rows} rows beside a hanging receiver: {took:?}");
    assert!(took < DEADLINE, "before the first call to the dead one even timed out: {took:?}");
    assert_eq!(ids_of(&alive.calls()), (1..=rows).collect::<Vec<_>>());
    assert!(dead.count() > 0);
}

/// A row is one message however often it is seen and however many of its columns differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_seen_again_and_again_is_told_once() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=3).await;
    let receiver = Receiver::answering(200).await;
    let config = with(pair.both_feeds(&receiver.url()), json!({ "verify": false }));
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    pair.update(&[2], "first").await;
    daemon.until("the change is told", LIMIT, || receiver.count() >= 1).await;
    // The window of five seconds is looked at every 100 ms: the same difference is seen again and again. A later row
    // by each feed shows that the looks went on.
    for id in 10..=14 {
        pair.fill_source(id..=id).await;
        daemon.until("a new row is told", LIMIT, || ids_of(&receiver.calls()).contains(&id)).await;
    }
    assert_eq!(ids_of(&receiver.calls()), [2, 10, 11, 12, 13, 14]);
    // Another version of the row is another message.
    pair.update(&[2], "second").await;
    daemon.until("the next version is told", LIMIT, || receiver.count() >= 7).await;
    let calls = receiver.calls();
    let of_two: Vec<_> = calls.iter().filter(|c| id_of(c) == 2).collect();
    assert_eq!(of_two.len(), 2);
    assert_eq!(of_two[1].src("name").as_deref(), Some("second"));
    assert_ne!(of_two[0].id(), of_two[1].id());
}

/// Hundreds of deliveries with one cause are a handful of lines, and one when it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_a_cause_once_however_many_deliveries_it_is_about() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=300).await;
    let works = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (des, up) = (pair.des.clone(), works.clone());
    let receiver = Receiver::with(move |call| {
        let (des, up) = (des.clone(), up.clone());
        async move {
            if !up.load(std::sync::atomic::Ordering::Relaxed) {
                return Answer::Status(503);
            }
            crate::support::pair::repair(&des, &call).await;
            Answer::Status(200)
        }
    })
    .await;
    let retry = json!({ "tries": 1000, "delay": "1s" });
    // Each is to fail, however many have.
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "retry": retry, "breaker": false })));
    let mut daemon = site.start();
    daemon.until("each has failed twice", LIMIT, || receiver.count() >= 600).await;
    works.store(true, std::sync::atomic::Ordering::Relaxed);
    wait_for("all are seen to agree", LIMIT, async || {
        let healed = "SELECT count(*) FROM delivery WHERE state = 'healed'";
        (state::try_number(&site, healed).await? == 300).then_some(())
    })
    .await;
    daemon.stop().await;
    let said = daemon.output();
    let lines = |word: &str| said.lines().filter(|line| line.contains(word)).count();
    assert_eq!(lines("callback failed"), 1, "{said}");
    assert!(lines("callbacks fail") <= 3, "{said}");
    assert!((1..=2).contains(&lines("callbacks work again")), "{said}");
    assert_eq!(lines(" healed "), lines("after_s="), "{said}");
    assert!(lines("after_s=") == 300, "{said}");
}

/// SQLite writes a REAL with a point, whatever it is worth; numbers stay numbers where those are asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_of_sqlite_is_sent_as_sqlite_writes_it() {
    let (src, des) = (Db::sqlite().await, Db::sqlite().await);
    for db in [&src, &des] {
        db.run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, r REAL, n INTEGER)").await;
    }
    src.run("INSERT INTO t VALUES (1, 1, 1), (2, 0, 2), (3, -2.5, 3), (4, 1e20, 4), (5, 1e14, 5)").await;
    des.run("INSERT INTO t VALUES (1, 7, 1)").await;
    let written = src.texts("SELECT CAST(r AS TEXT) FROM t ORDER BY id").await;
    for json in [false, true] {
        let receiver = Receiver::answering(200).await;
        let mut config = legacy(
            source(&src, "t", "id"),
            vec![copy(&des, "t", "id", &[("id", "id"), ("r", "r"), ("n", "n")], &receiver.url())],
        );
        config["des"][0]["callbackNotification"]["body"] = "diff".into();
        config["des"][0]["callbackNotification"]["values"] = if json { "json" } else { "text" }.into();
        let site = Site::new(&with(config, json!({ "confirm": "0s", "verify": false })));
        let mut daemon = site.start();
        daemon.until("all are told", LIMIT, || receiver.count() == 5).await;
        for call in receiver.calls() {
            let body = call.json();
            let id = &body["srcColumn"]["id"];
            let id = id.as_u64().unwrap_or_else(|| id.as_str().unwrap().parse().unwrap());
            let text = written[usize::try_from(id - 1).unwrap()][0].as_deref().unwrap();
            let sent = &body["srcColumn"]["r"];
            if json {
                assert_eq!(sent.as_f64(), text.parse().ok(), "{body}");
            } else {
                assert_eq!(sent, text, "{body}");
                if id == 1 {
                    let changed = json!([{ "column": "r", "src": "1.0", "des": "7.0" }]);
                    assert_eq!(body["changed"], changed);
                }
            }
        }
        daemon.stop().await;
    }
}

/// However young they are; what is open is none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_finished_deliveries_are_kept_than_the_file_says() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let receiver = pair.repairer().await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    pair.fill_source(1..=8).await;
    let mut daemon = site.start_ready().await;
    let healed = "SELECT count(*) FROM delivery WHERE state = 'healed'";
    wait_for("all are healed", LIMIT, async || (state::try_number(&site, healed).await? == 8).then_some(()))
        .await;
    daemon.stop().await;
    state::change(&site, "UPDATE delivery SET ended_at = ended_at - 1000 * (100 - row_id)").await;
    state::change(
        &site,
        "UPDATE delivery SET state = 'slow', ended_at = NULL, due = due + 3600000 WHERE row_id = 1",
    )
    .await;

    site.write(&with(pair.inserts(&receiver.url()), json!({ "keepAtMost": 3 })));
    assert!(site.run(&["explain", "-c", "{c}"]).all().contains("\"keepAtMost\": 3, // line "));
    let mut daemon = site.start_ready().await;
    wait_for("the oldest are gone", LIMIT, async || {
        (state::try_number(&site, healed).await? <= 3).then_some(())
    })
    .await;
    daemon.stop().await;
    let left = "SELECT count(*) FROM delivery WHERE row_id IN (1, 6, 7, 8)";
    assert_eq!(state::number(&site, left).await, 4, "the newest, and what is not finished");
    assert_eq!(state::number(&site, "SELECT count(*) FROM delivery").await, 4);
}
