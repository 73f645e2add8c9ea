//! Who is told when callbacks keep failing.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::Pair;
use crate::support::receiver::Receiver;
use crate::support::wait::{LIMIT, wait_until};

/// A mail server that takes everything; the mails as they came.
fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let inbox = mails.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let _ = stream.write_all(b"220 test\r\n");
            while let Some(Ok(line)) = lines.next() {
                let word = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
                let answer: &[u8] = match word.as_str() {
                    "DATA" => {
                        let _ = stream.write_all(b"354 go on\r\n");
                        let mail: Vec<String> =
                            lines.by_ref().map_while(Result::ok).take_while(|l| l != ".").collect();
                        inbox.lock().unwrap().push(mail.join("\n"));
                        b"250 kept\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 fine\r\n",
                };
                let _ = stream.write_all(answer);
            }
        }
    });
    (port, mails)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_enters_the_slow_lane_is_told_once() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    let bear = Receiver::answering(200).await;
    let (port, mails) = mail_server();
    let config = with(
        pair.inserts(&receiver.url()),
        json!({
            "pushbearSendKey": "key of the bear", "pushbearUrl": bear.url(),
            "notify": { "ops": {
                "smtp": format!("smtp://127.0.0.1:{port}"), "from": "cupid@example.org",
                "to": ["ops@example.org", "dba@example.org"],
            } },
        }),
    );
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the quick tries are used up", LIMIT, || receiver.count() >= 4).await;
    wait_until("mail has come", LIMIT, || !mails.lock().unwrap().is_empty()).await;
    daemon.until("the bear was told", LIMIT, || bear.count() >= 1).await;
    daemon.stop().await;

    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 1, "{mails:?}");
    for word in ["ops@example.org", "dba@example.org", "cupid@example.org", "Subject: ", "503"] {
        assert!(mails[0].contains(word), "{word}:\n{}", mails[0]);
    }
    assert_eq!(bear.count(), 1);
    let path = &bear.calls()[0].path;
    assert!(path.contains("sendkey=key+of+the+bear") || path.contains("sendkey=key%20of"), "{path}");
    assert!(path.contains("text=") && path.contains("desp="), "{path}");
    assert!(!daemon.output().contains("of the bear") && !daemon.output().contains("of+the+bear"));
}

/// A mail server that is away delays nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_away_delays_nothing() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=1).await;
    let receiver = Receiver::answering(503).await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = with(
        pair.inserts(&receiver.url()),
        json!({ "notify": { "ops": {
            "smtp": format!("smtp://127.0.0.1:{port}"), "from": "cupid@example.org", "to": ["ops@example.org"],
        } } }),
    );
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("the quick tries are used up", LIMIT, || receiver.count() >= 4).await;
    pair.fill_source(2..=2).await;
    daemon.until("the next row is tried all the same", LIMIT, || receiver.count() >= 5).await;
    let (status, took) = daemon.stop().await;
    assert!(status.success() && took.as_secs() < 2, "{status} after {took:?}");
}
