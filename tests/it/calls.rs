//! Who cupid says it is, what it believes of an answer, and where it does not go.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::pair::Pair;
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

pub mod tls;

const NEW: &str = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw==";
const OLD: &str = "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZA==";

/// One row that the copy lacks, and a daemon that calls `url` with these settings.
async fn one_lost(url: &str, settings: Value, policies: Value) -> (Pair, Site, Daemon) {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let mut config = with(pair.inserts(url), policies);
    let callback = &mut config["des"][0]["callbackNotification"];
    *callback = with(callback.clone(), settings);
    let site = Site::new(&config);
    let daemon = site.start();
    (pair, site, daemon)
}

async fn attempts(site: &Site, wanted: i64) {
    wait_for("so many attempts are in the history", LIMIT, async || {
        (state::try_number(site, "SELECT count(*) FROM attempt").await? >= wanted).then_some(())
    })
    .await;
}

fn answering(status: u16, body: &str) -> Answer {
    Answer::Full(status, ("content-type", "application/json".to_owned()), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_secret_are_both_accepted_by_an_independent_implementation() {
    let receiver = Receiver::answering(200).await;
    let (_pair, site, mut daemon) =
        one_lost(&receiver.url(), json!({ "secret": [NEW, OLD], "gzip": true }), json!({ "verify": false }))
            .await;
    daemon.until("it is called back", LIMIT, || receiver.count() == 1).await;
    let call = receiver.calls().remove(0);
    let mut body = Vec::new();
    assert_eq!(call.header("content-encoding"), "gzip");
    flate2::read::GzDecoder::new(&call.body[..]).read_to_end(&mut body).unwrap();
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, call.header(name).parse().unwrap());
    }
    assert_eq!(call.header("webhook-signature").split(' ').count(), 2);
    for secret in [NEW, OLD] {
        standardwebhooks::Webhook::new(secret).unwrap().verify(&body, &headers).unwrap();
    }
    let other = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC0=";
    standardwebhooks::Webhook::new(other).unwrap().verify(&body, &headers).unwrap_err();

    // What people debug with says the same.
    let file = site.path("body.json");
    std::fs::write(&file, &body).unwrap();
    let file = file.display().to_string();
    let verify = |id: &str| {
        let config = site.config.display().to_string();
        let (stamp, signature) = (call.header("webhook-timestamp"), call.header("webhook-signature"));
        site.run(&[
            "verify-signature",
            "-c",
            &config,
            "--id",
            id,
            "--timestamp",
            stamp,
            "--signature",
            signature,
            &file,
        ])
    };
    let good = verify(call.id());
    assert_eq!(good.code, Some(0), "{}", good.all());
    assert!(good.stdout.starts_with("valid, signed "), "{}", good.all());
    assert_eq!(verify("another-1").code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_and_tokens_arrive_and_are_shown_nowhere() {
    for (key, value, wanted) in [
        ("bearer", "canary-token", "Bearer canary-token"),
        ("basic", "robot:canary-pw", "Basic cm9ib3Q6Y2FuYXJ5LXB3"),
    ] {
        let receiver = Receiver::answering(500).await;
        let settings = json!({ key: value, "headers": { "X-Api-Key": "canary-key" } });
        let (_pair, site, mut daemon) = one_lost(&receiver.url(), settings, json!({})).await;
        daemon.until("it is called back", LIMIT, || receiver.count() >= 1).await;
        let call = receiver.calls().remove(0);
        assert_eq!(call.header("authorization"), wanted);
        assert_eq!(call.header("x-api-key"), "canary-key");
        attempts(&site, 1).await;
        daemon.stop().await;
        let explained = site.run(&["explain", "-c", &site.config.display().to_string()]);
        for text in [site.everything_written(), daemon.output(), explained.all()] {
            assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"), "a secret was written");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_that_says_no_is_a_failure_and_its_answer_is_kept() {
    let no = answering(200, r#"{"code":"7","msg":"row is locked"}"#);
    let receiver =
        Receiver::scripted(vec![no, answering(200, "fine"), answering(200, r#"{"code":"0"}"#)]).await;
    let (_pair, site, mut daemon) =
        one_lost(&receiver.url(), json!({ "success": "code == \"0\"" }), json!({ "verify": false })).await;
    daemon.until("the third is believed", LIMIT, || receiver.answered() == 3).await;
    attempts(&site, 3).await;
    daemon.stop().await;
    let ids: Vec<String> = receiver.calls().iter().map(|call| call.id().to_owned()).collect();
    assert_eq!(ids, vec![ids[0].clone(); 3], "the same message again");
    let kept = "SELECT count(*) FROM attempt WHERE outcome = 'body_rule' AND answer LIKE '%row is locked%'";
    assert_eq!(state::try_number(&site, kept).await, Some(1));
    let ended = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
    assert_eq!(state::try_number(&site, ended).await, Some(1));
}

/// A receiver that ends in the middle of its answer: the connection broke, whatever the first line said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_a_broken_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"co").await;
        }
    });
    let (_pair, site, _daemon) = one_lost(&url, json!({}), json!({})).await;
    attempts(&site, 1).await;
    assert_eq!(state::number(&site, "SELECT count(*) FROM attempt WHERE outcome <> 'reset'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_left_alone_until_somebody_says_otherwise() {
    let receiver = Receiver::scripted(vec![Answer::Status(410), Answer::Status(200)]).await;
    let (pair, site, mut daemon) = one_lost(&receiver.url(), json!({}), json!({ "verify": false })).await;
    daemon.wait_output("410 Gone").await;
    attempts(&site, 1).await;
    daemon.stop().await;
    // Over a restart, and with more to tell.
    pair.fill_source(2..=3).await;
    let mut daemon = site.start_ready().await;
    let waiting = "SELECT count(*) FROM delivery WHERE state = 'main' AND tries = 0";
    wait_for("three wait and have spent no try", LIMIT, async || {
        (state::try_number(&site, waiting).await? == 3).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 1, "nothing is sent");
    let config = site.config.display().to_string();
    let status = site.run(&["status", "-c", &config]);
    assert!(status.stdout.contains("paused") && status.stdout.contains("410 Gone"), "{}", status.all());
    let resumed = site.run(&["resume", "-c", &config]);
    assert!(resumed.stdout.contains("callbacks go on"), "{}", resumed.all());
    daemon.until("all three are delivered", LIMIT, || receiver.answered() == 4).await;
}

/// It is gone for all who call it, and there again for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_so_for_every_destination_that_calls_it() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let back = Arc::new(AtomicBool::new(false));
    let is_back = back.clone();
    let receiver = Receiver::with(move |_| {
        let status = if is_back.load(Ordering::SeqCst) { 200 } else { 410 };
        async move { Answer::Status(status) }
    })
    .await;
    let mut config = with(pair.inserts(&receiver.url()), json!({ "verify": false }));
    let mut second = config["des"][0].clone();
    (config["des"][0]["name"], second["name"]) = ("one".into(), "two".into());
    config["des"].as_array_mut().unwrap().push(second);
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    daemon.wait_output("410 Gone").await;
    wait_for("both are parked", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM note WHERE name = 'parked'").await? == 2)
            .then_some(())
    })
    .await;
    // The other may just have been at it.
    let called = receiver.count();
    assert!(called <= 2);
    daemon.stop().await;
    pair.fill_source(2..=2).await;
    let mut daemon = site.start_ready().await;
    let waiting = "SELECT count(*) FROM delivery WHERE state = 'main'";
    wait_for("all of them wait", LIMIT, async || {
        (state::try_number(&site, waiting).await? == 4).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), called, "nothing is sent");
    back.store(true, Ordering::SeqCst);
    let config = site.config.display().to_string();
    let resumed = site.run(&["resume", "-c", &config, "--destination", "one"]);
    assert!(resumed.stdout.contains("one") && resumed.stdout.contains("two"), "{}", resumed.all());
    daemon.until("all are called back", LIMIT, || receiver.answered() >= called + 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_time_gets_it() {
    let busy = Answer::Full(503, ("retry-after", "3".to_owned()), String::new());
    let receiver = Receiver::scripted(vec![busy, Answer::Status(200)]).await;
    let (_pair, _site, mut daemon) = one_lost(&receiver.url(), json!({}), json!({ "verify": false })).await;
    daemon.until("it is called again", LIMIT, || receiver.count() == 2).await;
    let calls = receiver.calls();
    let pause = calls[1].at.duration_since(calls[0].at);
    assert!(pause >= Duration::from_millis(2900), "{pause:?}, planned was 1 s");
    assert_eq!(calls[0].id(), calls[1].id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_classes_that_are_named_are_tried_again() {
    let receiver = Receiver::answering(422).await;
    let retry = json!({ "retry": { "delay": "1s", "on": ["connect", "timeout", "http_5xx"] } });
    let (_pair, site, _daemon) = one_lost(&receiver.url(), json!({}), retry).await;
    let dead = "SELECT count(*) FROM delivery WHERE state = 'dead' AND note LIKE 'http_4xx%'";
    wait_for("a person decides", LIMIT, async || (state::try_number(&site, dead).await? == 1).then_some(()))
        .await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_grow_by_the_factor() {
    let receiver = Receiver::answering(500).await;
    let retry = json!({ "retry": { "delay": "500ms", "factor": 2, "tries": 3, "then": "dead" } });
    let (_pair, site, mut daemon) = one_lost(&receiver.url(), json!({}), retry).await;
    daemon.until("four attempts were made", LIMIT, || receiver.count() == 4).await;
    let calls = receiver.calls();
    for (i, least) in [450_u64, 950, 1950].into_iter().enumerate() {
        let pause = calls[i + 1].at.duration_since(calls[i].at);
        assert!(pause >= Duration::from_millis(least), "pause {i}: {pause:?}");
    }
    let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
    wait_for("then a person decides", LIMIT, async || {
        (state::try_number(&site, dead).await? == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metadata_address_is_never_called() {
    let (_pair, site, _daemon) = one_lost("http://0xa9fea9fe/latest/meta-data", json!({}), json!({})).await;
    let dead = "SELECT count(*) FROM attempt WHERE outcome = 'blocked_address' AND took_ms < 1000";
    wait_for("it is refused at once", LIMIT, async || {
        (state::try_number(&site, dead).await? == 1).then_some(())
    })
    .await;
    let waits = "SELECT count(*) FROM delivery WHERE state = 'dead'";
    wait_for("a person decides", LIMIT, async || (state::try_number(&site, waits).await? == 1).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_used_if_it_is_configured_and_only_then() {
    let proxy = Receiver::answering(200).await;
    let nowhere = "http://receiver.invalid/fix";
    let (_pair, _site, mut daemon) = one_lost(
        nowhere,
        json!({ "proxy": proxy.url().trim_end_matches("/callback") }),
        json!({ "verify": false }),
    )
    .await;
    daemon.until("the proxy is asked", LIMIT, || proxy.count() == 1).await;
    assert_eq!(proxy.calls()[0].path, nowhere);

    // The environment's proxies would see every row.
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=1).await;
    let mut site = Site::new(&pair.inserts(nowhere));
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        site.env(name, proxy.url());
    }
    let _daemon = site.start();
    let dns = "SELECT count(*) FROM attempt WHERE outcome = 'dns'";
    wait_for("the name leads nowhere", LIMIT, async || {
        (state::try_number(&site, dns).await? >= 1).then_some(())
    })
    .await;
    assert_eq!(proxy.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_told_at_the_start_all_at_once() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let mut config = pair.inserts("https://example.com/fix");
    config["retry"] =
        json!({ "factor": 0.5, "max": "1s", "delay": "5s", "jitter": "200%", "on": ["http_6xx"] });
    let callback = &mut config["des"][0]["callbackNotification"];
    *callback = with(
        callback.clone(),
        json!({
            "secret": [], "bearer": "a", "basic": "b:c", "headers": { "host": "x", "a b": "y" }, "ca": "/missing.pem",
            "cert": tls::fixture("client.pem").display().to_string(), "success": "code ==", "allow": ["somewhere"],
            "proxy": "ftp://x",
        }),
    );
    let site = Site::new(&config);
    let ran = site.run(&["check", "-c", &site.config.display().to_string()]);
    assert_eq!(ran.code, Some(2));
    for problem in [
        "`factor` must be a number from 1 to 100",
        "`max` is shorter than `delay`",
        "`jitter` must be a percentage",
        "did you mean \"http_3xx\"?",
        "`secret` is an empty list",
        "`bearer` and `basic` are both given",
        "cupid writes this header itself",
        "this is no name of a header",
        "`ca` cannot be read",
        "`cert` is given and `certKey` is not",
        "`success` cannot be used",
        "neither an address nor a network",
        "`proxy` cannot be used: only http and https are spoken",
    ] {
        assert!(ran.stderr.contains(problem) || ran.stdout.contains(problem), "{problem} in {}", ran.all());
    }
}
