//! Answers of every kind, and none.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use super::{check, quick, until, until_delivered};
use crate::calls::tls::{fixture, tls_receiver};
use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::pair::Pair;
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::LIMIT;

/// One missing row for each of these endpoints, all of one task.
async fn one_row(urls: &[String], callback: Value, more: Value) -> (Pair, Site, Daemon) {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let mut config = pair.inserts(&urls[0]);
    config["des"] = urls
        .iter()
        .enumerate()
        .map(|(i, url)| {
            let mut des = with(pair.copy(url), json!({ "name": format!("d{i}") }));
            des["callbackNotification"] = with(des["callbackNotification"].clone(), callback.clone());
            des
        })
        .collect();
    let site = Site::new(&with(config, with(json!({ "verify": false, "confirm": "0s" }), more)));
    let daemon = site.start();
    (pair, site, daemon)
}

async fn outcome(site: &Site, destination: usize, wanted: &str) {
    let sql = format!(
        "SELECT count(*) > 0 FROM attempt JOIN delivery ON delivery = seq
         WHERE destination = 'd{destination}' AND outcome IN ({wanted})"
    );
    until(site, &format!("d{destination} has {wanted}"), &sql, 1).await;
}

/// Hangs after it accepted, hangs in its answer: the slot is free again after the deadline, and others see nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_holds_up_nobody_else() {
    let hangs = Receiver::scripted(vec![Answer::Hang]).await;
    let drips = Receiver::scripted(vec![Answer::Drip(Duration::from_secs(2))]).await;
    let works = Receiver::answering(200).await;
    let urls = [hangs.url(), drips.url(), works.url()];
    let callback = json!({ "timeout": "1s", "concurrency": 1 });
    let (pair, site, mut daemon) =
        one_row(&urls, callback, json!({ "retry": { "tries": 100, "delay": "100ms" } })).await;
    let began = std::time::Instant::now();
    pair.fill_source(2..=60).await;
    daemon.until("the one that works has all of it", LIMIT, || works.count() == 60).await;
    let took = began.elapsed();
    for hung in [0, 1] {
        outcome(&site, hung, "'timeout'").await;
    }
    daemon.until("the slots are used again", LIMIT, || hangs.count() >= 3 && drips.count() >= 3).await;
    assert!(took < Duration::from_secs(20), "{took:?}");
    check(&hangs.calls());
    check(&drips.calls());
}

/// An answer without end is read for 64 KiB, and its status counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = Receiver::scripted(vec![Answer::Flood]).await;
    let (_pair, site, mut daemon) = one_row(&[endless.url()], json!({ "timeout": "60s" }), json!({})).await;
    until_delivered(&site, 1).await;
    assert_eq!(endless.count(), 1);
    daemon.until("the connection is closed", LIMIT, || endless.open() == 0).await;
    let kept = state::number(&site, "SELECT coalesce(max(length(answer)), 0) FROM attempt").await;
    assert!(kept <= 4096, "{kept}");
}

/// Redirects are not followed, to a metadata service or anywhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_leads_nowhere() {
    let other = Receiver::answering(200).await;
    let to = |target: &str| Answer::Full(302, ("location", target.to_owned()), String::new());
    let inside = Receiver::scripted(vec![to(&other.url())]).await;
    let metadata = Receiver::scripted(vec![to("http://169.254.169.254/latest/meta-data")]).await;
    let retry = json!({ "retry": { "delay": "100ms", "tries": 1000 } });
    let (_pair, site, mut daemon) = one_row(&[inside.url(), metadata.url()], json!({}), retry).await;
    daemon.until("both are tried again", LIMIT, || inside.count() >= 3 && metadata.count() >= 3).await;
    for redirected in [0, 1] {
        outcome(&site, redirected, "'http_3xx'").await;
    }
    assert_eq!(other.count(), 0);
}

/// A certificate of an unknown authority, one for another name, and one that has expired: class `tls`, nothing is sent, and
/// the history says which it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_good_is_no_receiver() {
    let (port, expired) = (tls_receiver("server").await, tls_receiver("expired").await);
    let (cert, key) =
        (fixture("client.pem").display().to_string(), fixture("client.key").display().to_string());
    let ours = json!({ "cert": cert, "certKey": key });
    let trusts = with(ours.clone(), json!({ "ca": fixture("ca.pem").display().to_string() }));
    for (url, settings, why) in [
        (format!("https://localhost:{port}/"), &ours, "UnknownIssuer"),
        (format!("https://127.0.0.1:{port}/"), &trusts, "not valid for name"),
        (format!("https://localhost:{expired}/"), &trusts, "expired"),
    ] {
        let (_pair, site, _daemon) = one_row(&[url], settings.clone(), json!({})).await;
        outcome(&site, 0, "'tls'").await;
        let says = format!("SELECT count(*) FROM attempt WHERE detail LIKE '%{why}%'");
        assert!(state::number(&site, &says).await >= 1, "{why}");
    }
}

/// Odd answers and odd wishes: each is tried again under the same id, and no wish stops anything for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_answers_are_failures_and_odd_wishes_are_bounded() {
    let asks = |status, wish: &str| Answer::Full(status, ("retry-after", wish.to_owned()), String::new());
    let then = |first: Answer, last: u16| vec![first, Answer::Status(last)];
    let mut receivers = Vec::new();
    for script in [
        then(Answer::Raw("HTP/9 hello\r\n\r\n"), 204),
        then(Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\ncut"), 202),
        then(Answer::Reset, 200),
        then(asks(429, "-5"), 201),
        then(asks(503, "soon"), 200),
        then(asks(503, "Thu, 01 Jan 1970 00:00:00 GMT"), 200),
        then(Answer::Status(408), 200),
        vec![asks(503, "99999999999")],
    ] {
        receivers.push(Receiver::scripted(script).await);
    }
    let urls: Vec<String> = receivers.iter().map(Receiver::url).collect();
    let more = json!({ "breaker": quick(), "retry": { "delay": "200ms", "tries": 20 } });
    let (pair, site, mut daemon) = one_row(&urls, json!({}), more).await;
    let (greedy, others) = receivers.split_last().unwrap();
    daemon.until("all others are called again", LIMIT, || others.iter().all(|r| r.answered() >= 2)).await;
    until_delivered(&site, 7).await;
    for receiver in others {
        check(&receiver.calls());
        assert_eq!(receiver.calls()[0].id(), receiver.calls()[1].id());
    }
    // The row that was answered so waits for an hour at most, others for the longest pause of the breaker.
    let waits = "SELECT due - (SELECT max(began) FROM attempt WHERE delivery = seq) FROM delivery
                 WHERE destination = 'd7' AND tries > 0";
    let waits = state::number(&site, waits).await;
    assert!((3_500_000..=3_610_000).contains(&waits), "{waits}");
    pair.fill_source(2..=2).await;
    daemon.until("another row is called", LIMIT, || greedy.count() == 2).await;
    let pause = greedy.calls()[1].at - greedy.calls()[0].at;
    assert!(pause >= Duration::from_millis(1900), "it gets its time: {pause:?}");
}

/// The work was done and the answer got lost: the same id comes again, so that it can be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_got_lost_is_a_duplicate_with_the_same_id() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=5).await;
    let receiver = Receiver::with(|call| async move {
        if call.attempt() == 1 { Answer::Reset } else { Answer::Status(200) }
    })
    .await;
    let more = json!({ "verify": false, "retry": { "delay": "200ms" } });
    let site = Site::new(&with(pair.inserts(&receiver.url()), more));
    let _daemon = site.start();
    until_delivered(&site, 5).await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 10);
    check(&calls);
    let mut ids: Vec<&str> = calls.iter().map(|call| call.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each twice");
}
