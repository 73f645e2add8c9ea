//! How fast callbacks are delivered durably, against how fast the same receiver answers somebody who only sends.
//!
//! `cargo bench --bench deliver`: the same axum receiver, the same bodies, 32 connections. First a sender that does nothing
//! but send and wait for the answer, as `wrk` does (its number is printed beside it, if `wrk` is installed); then the daemon,
//! with both sides read before each call, an attempt kept for each, and every message durable before its first byte. With a
//! service time of 5 ms and with none. `CUPID_BENCH_ROWS=2000` sends fewer.

#![allow(
    clippy::allow_attributes,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a program that shares the test ground and uses a part of it"
)]

#[path = "support/receiver.rs"]
mod axum_receiver;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use axum_receiver::Receiver;
use support::config::with;
use support::daemon::Site;
use support::pair::{Pair, TABLE};
use support::servers::free_port;

const CONNECTIONS: usize = 32;
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows =
        std::env::var("CUPID_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_000_i64);
    for service in [Duration::ZERO, Duration::from_millis(5)] {
        let mut receiver = Receiver::at(free_port(), service, i64::MAX);
        receiver.up().await;
        let sender = load(&receiver, rows.unsigned_abs()).await;
        println!("service time {service:?}, {CONNECTIONS} connections");
        println!("  a sender that only sends: {sender:>8.0}/s");
        if let Some(wrk) = wrk(&receiver) {
            println!("  wrk:                      {wrk:>8.0}/s");
        }
        let cupid = daemon(&receiver, rows).await;
        let budget = if service.is_zero() { "budget 5 000/s" } else { "budget 0.5" };
        println!("  cupid, durably:           {cupid:>8.0}/s, {:.2} of it ({budget})", cupid / sender);
    }
}

/// A body as the daemon sends it.
fn body() -> String {
    json!({ "type": 1, "srcColumn": {
        "id": "123456", "number": "n123456", "name": "name 123456", "phone": "+86 123456",
        "update_time": "2026-11-20 08:15:00",
    }})
    .to_string()
}

async fn load(receiver: &Receiver, calls: u64) -> f64 {
    let before = receiver.calls();
    let body = body();
    let request = format!(
        "POST /callback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (request, address, shared) = (request.clone(), receiver.address, receiver.shared.clone());
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut answer = [0; 1024];
            while shared.calls.load(std::sync::atomic::Ordering::Relaxed) - before < calls {
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut got = 0;
                while !answer[..got].windows(4).any(|w| w == b"\r\n\r\n") {
                    got += stream.read(&mut answer[got..]).await.unwrap();
                }
            }
        });
    }
    while senders.join_next().await.is_some() {}
    (receiver.calls() - before) as f64 / began.elapsed().as_secs_f64()
}

fn wrk(receiver: &Receiver) -> Option<f64> {
    let script = std::env::temp_dir().join(format!("cupid-wrk-{}.lua", std::process::id()));
    let text = format!(
        "wrk.method = 'POST'\nwrk.body = [[{}]]\nwrk.headers['Content-Type'] = 'application/json'\n",
        body()
    );
    std::fs::write(&script, text).unwrap();
    let ran = std::process::Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), "-d10s", "-s"])
        .arg(&script)
        .arg(receiver.url())
        .output();
    let _ = std::fs::remove_file(&script);
    let said = String::from_utf8_lossy(&ran.ok()?.stdout).into_owned();
    said.split("Requests/sec:").nth(1)?.split_whitespace().next()?.parse().ok()
}

/// Between the first and the last tenth: neither the start nor the rest.
async fn daemon(receiver: &Receiver, rows: i64) -> f64 {
    let pair = match Pair::new(Engine::MySql).await {
        Some(pair) => pair,
        None => Pair::new(Engine::Sqlite).await.unwrap(),
    };
    for first in (1..=rows).step_by(10_000) {
        pair.fill_source(first..=(first + 9_999).min(rows)).await;
    }
    let more = json!({ "verify": false, "confirm": "0s", "sweep": false, "log": { "level": "warn" } });
    let mut config = with(pair.inserts(&receiver.url()), more);
    config["des"][0]["callbackNotification"]["concurrency"] = CONNECTIONS.into();
    let site = Site::new(&config);
    let (before, all) = (receiver.calls(), rows.unsigned_abs());
    let mut daemon = site.start();
    let mut marks = Vec::new();
    for part in [all / 10, all - all / 10] {
        daemon.until("so many are delivered", LIMIT, || receiver.calls() - before >= part).await;
        marks.push((Instant::now(), receiver.calls()));
    }
    daemon.stop().await;
    (marks[1].1 - marks[0].1) as f64 / (marks[1].0 - marks[0].0).as_secs_f64()
}
