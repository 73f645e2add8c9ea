//! A canary in every place where a secret can stand, everything going wrong that can, everybody repeating what they were
//! sent: none is written anywhere but where it belongs.

use std::time::Duration;

use base64::Engine as _;
use cupid::config::Engine;
use serde_json::{Value, json};

use super::smtp::{MailServer, Security};
use crate::support::config::{source, with};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::{Answer, Receiver};
use crate::support::servers;
use crate::support::temp::TempDir;
use crate::support::wait::{LIMIT, wait_until};

/// Every secret contains it, or is its base64.
const CANARY: &str = "canary";

/// Answers with everything it was sent, which the worst of services do.
async fn parrot(status: u16) -> Receiver {
    Receiver::with(move |call| async move {
        let headers: Vec<String> =
            call.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let said =
            format!("{} | {} | {}", call.path, headers.join(", "), String::from_utf8_lossy(&call.body));
        Answer::Full(status, ("location", format!("http://127.0.0.1:1{}", call.path)), said)
    })
    .await
}

fn base(server: &Receiver) -> String {
    server.url().trim_end_matches("/callback").to_owned()
}

/// One of each kind, all at a server that takes nothing.
fn channels(base: &str, mail: u16) -> Value {
    let key = base64::engine::general_purpose::STANDARD.encode("canary-webhook-secret-32-bytes!!");
    json!({
        "wecom": { "wecom": format!("{base}/send?key=canary-wecom") },
        "dingtalk": { "dingtalk": { "url": format!("{base}/robot/send?access_token=canary-dingtalk"),
                                    "secret": "SECcanary-dingtalk" } },
        "feishu": { "feishu": { "url": format!("{base}/hook/canary-feishu"), "secret": "canary-feishu-sign" } },
        "serverchan": { "serverchan": { "key": "SCTcanary", "url": format!("{base}/serverchan") } },
        "pushplus": { "pushplus": { "token": "canary-pushplus", "url": format!("{base}/pushplus") } },
        "slack": { "slack": format!("{base}/services/T0/B0/canary-slack") },
        "telegram": { "telegram": { "token": "123:canary-telegram", "chat": "-1001", "url": base } },
        "discord": { "discord": format!("{base}/api/webhooks/1/canary-discord") },
        "teams": { "teams": format!("{base}/workflows/canary-teams?sig=canary-sig") },
        "pagerduty": { "pagerduty": { "key": "canary-pagerduty", "url": format!("{base}/v2/enqueue") } },
        "webhook": { "webhook": { "url": base.replacen("http://", "http://robot:canary-hook@", 1) + "/hook/canary-webhook",
                                  "secret": format!("whsec_{key}") } },
        "mail": { "mail": { "smtp": format!("smtp://u:canary-mail@127.0.0.1:{mail}"), "from": "a@b.c", "to": ["a@b.c"] } },
    })
}

fn secret(of: &str) -> String {
    format!(
        "whsec_{}",
        base64::engine::general_purpose::STANDARD.encode(format!("canary-{of}-0123456789abcdef"))
    )
}

/// A task whose databases are there, with a receiver that is told `settings`.
fn working(pair: &Pair, url: &str, settings: Value) -> Value {
    let mut des = pair.copy(url);
    des["callbackNotification"] = with(des["callbackNotification"].clone(), settings);
    json!({ "src": source(&pair.src, TABLE, "number"), "des": [des] })
}

/// A task at databases that are not there, or let nobody in.
fn failing(src: Value, des: Value) -> Value {
    json!({
        "src": with(src, json!({ "table": "t", "byColumn": "k", "insertIntervalMillisecond": 200 })),
        "des": [with(des, json!({ "table": "t", "byColumn": "k", "columns": { "k": "k" },
                                  "callbackNotification": { "url": "http://u:canary-unused@127.0.0.1:1/x?sign=canary-unused" } }))],
    })
}

fn free(what: &str, text: &str) {
    let coded = ["cm9ib3Q6", "Y2FuYXJ5", "Nhbmfyc", "jYW5hcn"];
    for secret in [CANARY].into_iter().chain(coded) {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            panic!("{what} has {secret}: {:.400}", &text[from..]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_anywhere() {
    let elsewhere = TempDir::new("secrets");
    let file = elsewhere.path().join("password");
    std::fs::write(&file, "canary-file\n").unwrap();
    let (no, moved, people) = (parrot(500).await, parrot(302).await, parrot(500).await);
    let mail = MailServer::new(Security::Plain).await;
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=3).await;
    let with_account = no.url().replacen("http://", "http://robot:canary-user@", 1) + "?token=canary-query";
    let mut tasks = serde_json::Map::new();
    let mut add = |name: &str, task: Value| tasks.insert(name.to_owned(), task);
    add(
        "url",
        working(
            &pair,
            &with_account,
            json!({
                "headers": { "X-Api-Key": "canary-header" }, "secret": [secret("new"), secret("old")],
            }),
        ),
    );
    add("bearer", working(&pair, &moved.url(), json!({ "bearer": "canary-bearer", "gzip": true })));
    add("basic", working(&pair, &no.url(), json!({ "basic": "robot:canary-basic" })));
    add(
        "proxy",
        working(
            &pair,
            "http://receiver.example/x",
            json!({
                "proxy": base(&no).replacen("http://", "http://robot:canary-proxy@", 1),
            }),
        ),
    );
    add("unresolved", working(&pair, "http://u:canary-dns@nobody.invalid/x?key=canary-dns", json!({})));
    add("tls", working(&pair, &no.url().replacen("http://", "https://u:canary-tls@", 1), json!({})));
    add(
        "go",
        failing(
            json!({ "dsn": "root:canary-go@tcp(127.0.0.1:1)/db?charset=utf8" }),
            json!({ "dsn": "mysql://u:${CUPID_TEST_CANARY}@127.0.0.1:1/db" }),
        ),
    );
    add(
        "pdo",
        failing(
            json!({ "dsn": "mysql:host=127.0.0.1;port=1;dbname=db", "user": "u", "password": "canary-pdo" }),
            json!({ "dsn": format!("postgres://u:${{file:{}}}@127.0.0.1:1/db", file.display()) }),
        ),
    );
    let mut servers_there = 0;
    for engine in [Engine::MySql, Engine::Postgres] {
        let server = if engine == Engine::MySql { servers::mysql().await } else { servers::postgres().await };
        let Some(server) = server else { continue };
        servers_there += 1;
        let db = Db::on(&server).await;
        let wrong = json!({ "dsn": db.url_as(&server.user, "canary-wrong") });
        add(&format!("wrong-{engine}"), failing(wrong.clone(), wrong));
    }
    let config = json!({
        "log": { "level": "trace" }, "language": "en", "verify": false, "confirm": "100ms",
        "retry": { "delay": "100ms", "tries": 1, "then": "every 1s" },
        "connections": { "spare": { "dsn": "mysql://u:canary-spare@127.0.0.1:1/db" } },
        "heartbeat": format!("{}/canary-beat?k=canary-beat", base(&people)),
        "pushbearSendKey": "canary-pushbear", "pushbearUrl": base(&people).replacen("http://", "http://u:canary-bear@", 1) + "/bear",
        "notify": channels(&base(&people), mail.port),
        "tasks": tasks,
    });
    let mut site = Site::new(&config);
    site.env("CUPID_TEST_CANARY", "canary-environment");
    let run = |words: &[&str]| {
        let ran = tokio::task::block_in_place(|| site.run(words));
        free(&words.join(" "), &ran.all());
        ran
    };
    let checked = run(&["check", "-c", "{c}"]);
    assert_eq!(checked.code, Some(0), "the file itself is right: {}", checked.all());
    assert_eq!(run(&["explain", "-c", "{c}"]).code, Some(0));
    assert_ne!(run(&["check", "-c", "{c}", "--connect"]).code, Some(0), "places are not");
    let told = run(&["notify", "test", "-c", "{c}"]);
    assert_eq!(told.stdout.lines().filter(|line| line.starts_with("failed")).count(), 13, "{}", told.all());
    let mut daemon = site.start_ready().await;
    daemon.until("receivers fail", LIMIT, || no.count() >= 10 && moved.count() >= 3).await;
    let mut output = String::new();
    wait_until("channels and the heartbeat fail", LIMIT * 2, || {
        output = daemon.output();
        output.matches("people could not be told").count() >= 12
    })
    .await;
    wait_until("databases fail", Duration::from_secs(60), || {
        output = daemon.output();
        ["go", "pdo"].iter().all(|task| output.contains(&format!("task={task}")))
    })
    .await;
    for words in [
        &["status", "-c", "{c}"][..],
        &["status", "-c", "{c}", "--json"],
        &["resume", "-c", "{c}"],
        // A second one, which must not start.
        &["-c", "{c}"],
    ] {
        run(words);
    }
    daemon.stop().await;
    for words in [&["status", "-c", "{c}"][..], &["status", "-c", "{c}", "--json"]] {
        run(words);
    }
    free("the output", &daemon.output());
    free("a log or the state", &site.everything_written());
    let sent =
        |receiver: &Receiver| receiver.calls().iter().map(|c| format!("{:?}", c.headers)).collect::<String>();
    for secret in ["canary-header", "Bearer canary-bearer"] {
        assert!(
            sent(&no).contains(secret) || sent(&moved).contains(secret),
            "{secret} was sent, and repeated"
        );
    }
    eprintln!("{servers_there} servers that let nobody in");
}
