//! Each service as its maker describes it: what it is sent, signed how, and what its answers mean. The fakes answer 200
//! on failure where the services do.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::smtp::{MailServer, PASSWORD, Security, USER};
use crate::support::config::with;
use crate::support::daemon::{Ran, Site};
use crate::support::receiver::{Answer, Call, Receiver};

/// Every secret of these tests contains it.
const CANARY: &str = "canary";

fn sqlite() -> Value {
    json!({
        "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" },
        "des": [{ "dsn": "sqlite:b.db", "table": "t", "byColumn": "k", "columns": { "k": "k" },
                  "callbackNotification": { "url": "127.0.0.1:1/" } }],
    })
}

/// One channel of each kind, all at one server.
fn channels(base: &str) -> Value {
    json!({
        "wecom": { "wecom": { "url": format!("{base}/cgi-bin/webhook/send?key=canary-wecom"),
                              "mention": ["@all", "zhangsan", "13800000000"] } },
        "dingtalk": { "dingtalk": { "url": format!("{base}/robot/send?access_token=canary-dingtalk"),
                                    "secret": "SECcanary-dingtalk", "mention": ["@all", "13800000000"] } },
        "feishu": { "feishu": { "url": format!("{base}/open-apis/bot/v2/hook/canary-feishu"),
                                "secret": "canary-feishu-sign", "mention": ["@all"] } },
        "serverchan": { "serverchan": { "key": "SCTcanary", "url": format!("{base}/serverchan") } },
        "pushplus": { "pushplus": { "token": "canary-pushplus", "topic": "ops", "url": format!("{base}/pushplus") } },
        "slack": { "slack": format!("{base}/services/T0/B0/canary-slack") },
        "telegram": { "telegram": { "token": "123:canary-telegram", "chat": "-1001", "url": base } },
        "discord": { "discord": { "url": format!("{base}/api/webhooks/1/canary-discord"), "mention": ["@all"] } },
        "teams": { "teams": format!("{base}/workflows/canary-teams?sig=canary-sig") },
        "pagerduty": { "pagerduty": { "key": "canary-pagerduty", "url": format!("{base}/v2/enqueue") } },
        "webhook": { "webhook": { "url": format!("{base}/hook/canary-webhook"),
            "secret": format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode("canary-webhook-secret-32-bytes!!")),
            "template": "{ \"msg\": {{ title }}, \"at\": {{ since }} }" } },
    })
}

fn base(server: &Receiver) -> String {
    server.url().trim_end_matches("/callback").to_owned()
}

fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// Query parameters, decoded.
fn query(call: &Call) -> std::collections::BTreeMap<String, String> {
    let query = call.path.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Answers as each service does when it takes a message, having looked at it as closely as the service would.
fn accepts(call: &Call) -> Answer {
    let ok = |status: u16, body: &str| {
        Answer::Full(status, ("content-type", "text/plain".to_owned()), body.to_owned())
    };
    let refused = |why: &str| {
        Answer::Full(
            200,
            ("x", "y".to_owned()),
            json!({ "errcode": 40_058, "code": 40_058, "errmsg": why }).to_string(),
        )
    };
    let path = call.path.split('?').next().unwrap();
    assert_eq!(call.method, "POST", "{path}");
    if path.starts_with("/serverchan") {
        let fields: std::collections::BTreeMap<String, String> =
            url::form_urlencoded::parse(&call.body).into_owned().collect();
        assert_eq!(path, "/serverchan/SCTcanary.send");
        assert!(fields["title"].chars().count() <= 32 && fields["desp"].contains("\n\n"), "{fields:?}");
        return ok(200, r#"{"code":0,"message":"","data":{"pushid":"1"}}"#);
    }
    assert_eq!(call.header("content-type"), "application/json");
    let body = call.json();
    match path {
        "/cgi-bin/webhook/send" => {
            assert_eq!(query(call)["key"], "canary-wecom");
            if body["text"]["content"].as_str().unwrap().len() > 2048 {
                return refused("content exceeds max length");
            }
            assert_eq!(body["msgtype"], "text");
            assert_eq!(body["text"]["mentioned_list"], json!(["@all", "zhangsan"]));
            assert_eq!(body["text"]["mentioned_mobile_list"], json!(["13800000000"]));
            ok(200, r#"{"errcode":0,"errmsg":"ok"}"#)
        }
        "/robot/send" => {
            let query = query(call);
            let signed = format!("{}\nSECcanary-dingtalk", query["timestamp"]);
            if query["sign"] != hmac(b"SECcanary-dingtalk", signed.as_bytes()) {
                return Answer::Full(
                    200,
                    ("x", "y".to_owned()),
                    r#"{"errcode":310000,"errmsg":"sign not match"}"#.to_owned(),
                );
            }
            let age = cupid::base::clock::Clock::system().now() - query["timestamp"].parse::<i64>().unwrap();
            assert!(age.abs() < 60_000, "milliseconds: {age}");
            assert_eq!(query["access_token"], "canary-dingtalk");
            assert_eq!(body["at"], json!({ "isAtAll": true, "atMobiles": ["13800000000"], "atUserIds": [] }));
            assert!(body["text"]["content"].is_string() && call.body.len() <= 20_000);
            ok(200, r#"{"errcode":0,"errmsg":"ok"}"#)
        }
        "/open-apis/bot/v2/hook/canary-feishu" => {
            let key = format!("{}\ncanary-feishu-sign", body["timestamp"].as_str().unwrap());
            if body["sign"] != hmac(key.as_bytes(), b"") {
                return Answer::Full(
                    200,
                    ("x", "y".to_owned()),
                    r#"{"code":19021,"msg":"sign match fail"}"#.to_owned(),
                );
            }
            assert_eq!(body["msg_type"], "text");
            assert!(body["content"]["text"].as_str().unwrap().ends_with("<at user_id=\"all\"></at>"));
            ok(200, r#"{"code":0,"msg":"success","data":{}}"#)
        }
        "/pushplus" => {
            assert_eq!(
                (&body["token"], &body["topic"], &body["template"]),
                (&json!("canary-pushplus"), &json!("ops"), &json!("txt"))
            );
            assert!(body["title"].as_str().unwrap().chars().count() <= 100 && body["content"].is_string());
            ok(200, r#"{"code":200,"msg":"请求成功","data":"1"}"#)
        }
        "/services/T0/B0/canary-slack" => {
            assert!(body["text"].is_string() && body["blocks"][1]["text"]["type"] == "plain_text", "{body}");
            ok(200, "ok")
        }
        "/bot123:canary-telegram/sendMessage" => {
            assert_eq!(body["chat_id"], "-1001");
            assert!(
                body["text"].as_str().unwrap().encode_utf16().count() <= 4096
                    && body.get("parse_mode").is_none()
            );
            ok(200, r#"{"ok":true,"result":{}}"#)
        }
        "/api/webhooks/1/canary-discord" => {
            assert!(body["content"].as_str().unwrap().encode_utf16().count() <= 2000);
            assert_eq!(body["allowed_mentions"], json!({ "parse": ["everyone"], "users": [] }));
            ok(204, "")
        }
        "/workflows/canary-teams" => {
            let card = &body["attachments"][0];
            assert_eq!(
                (&body["type"], &card["contentType"]),
                (&json!("message"), &json!("application/vnd.microsoft.card.adaptive"))
            );
            assert_eq!(card["content"]["type"], "AdaptiveCard");
            assert_eq!(query(call)["sig"], "canary-sig");
            ok(202, "")
        }
        "/v2/enqueue" => {
            assert_eq!(
                (&body["routing_key"], &body["event_action"]),
                (&json!("canary-pagerduty"), &json!("trigger"))
            );
            assert!(body["dedup_key"].as_str().unwrap().len() <= 255);
            assert!(
                ["critical", "error", "warning", "info"]
                    .contains(&body["payload"]["severity"].as_str().unwrap())
            );
            assert!(body["payload"]["summary"].is_string() && body["payload"]["source"].is_string());
            ok(202, r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#)
        }
        "/hook/canary-webhook" => {
            let signed =
                [call.id().as_bytes(), b".", call.header("webhook-timestamp").as_bytes(), b".", &call.body]
                    .concat();
            let expected = format!("v1,{}", hmac(b"canary-webhook-secret-32-bytes!!", &signed));
            assert_eq!(call.header("webhook-signature"), expected);
            assert_eq!(body["msg"], "[cupid] test message");
            ok(200, "")
        }
        other => panic!("nobody lives at {other}"),
    }
}

fn told(ran: &Ran, word: &str) -> Vec<String> {
    ran.stdout
        .lines()
        .filter_map(|l| l.strip_prefix(word))
        .map(|l| l.trim().split(' ').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_gets_what_it_wants() {
    let server = Receiver::with(|call| async move { accepts(&call) }).await;
    let channels = channels(&base(&server));
    let site = Site::new(&with(sqlite(), json!({ "notify": channels })));
    let ran = site.run(&["notify", "test", "-c", "{c}"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let all: Vec<String> = channels.as_object().unwrap().keys().cloned().collect();
    assert_eq!(told(&ran, "ok").len(), all.len(), "{}", ran.all());
    assert_eq!(server.count(), all.len());
    assert!(!ran.all().contains(CANARY), "{}", ran.all());
    // One of them, and one that is not there.
    let ran = site.run(&["notify", "test", "-c", "{c}", "--channel", "feishu"]);
    assert_eq!((ran.code, told(&ran, "ok")), (Some(0), vec!["feishu".to_owned()]), "{}", ran.all());
    let ran = site.run(&["notify", "test", "-c", "{c}", "--channel", "feischu"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there are: wecom, dingtalk"), "{}", ran.all());
}

/// What counts is what the body says; and whatever it says, keys in it are not shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_that_says_no_is_a_failure() {
    let server = Receiver::with(|call| async move {
        let path = call.path.split('?').next().unwrap().to_owned();
        let (status, body) = match path.as_str() {
            "/cgi-bin/webhook/send" => {
                (200, r#"{"errcode":93000,"errmsg":"invalid webhook url canary-wecom"}"#)
            }
            "/robot/send" => {
                (200, r#"{"errcode":130101,"errmsg":"send too fast canary-dingtalk SECcanary-dingtalk"}"#)
            }
            "/open-apis/bot/v2/hook/canary-feishu" => {
                (200, r#"{"code":19024,"msg":"Key Words Not Found canary-feishu"}"#)
            }
            "/serverchan/SCTcanary.send" => (200, r#"{"code":40001,"message":"bad key SCTcanary"}"#),
            "/pushplus" => (200, r#"{"code":900,"msg":"blocked canary-pushplus"}"#),
            "/services/T0/B0/canary-slack" => (200, "no_service canary-slack"),
            "/bot123:canary-telegram/sendMessage" => {
                (200, r#"{"ok":false,"description":"chat not found 123:canary-telegram"}"#)
            }
            "/api/webhooks/1/canary-discord" => (404, r#"{"message":"Unknown Webhook canary-discord"}"#),
            "/workflows/canary-teams" => (400, "bad canary-teams canary-sig"),
            "/v2/enqueue" => (400, r#"{"status":"invalid event","errors":["canary-pagerduty"]}"#),
            _ => (301, "moved"),
        };
        Answer::Full(status, ("location", "http://127.0.0.1:1/elsewhere".to_owned()), body.to_owned())
    })
    .await;
    let site = Site::new(&with(sqlite(), json!({ "notify": channels(&base(&server)) })));
    let ran = site.run(&["notify", "test", "-c", "{c}"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert_eq!(told(&ran, "failed").len(), 11, "{}", ran.all());
    for said in [
        "93000",
        "too fast",
        "Key Words Not Found",
        "40001",
        "900",
        "no_service",
        "chat not found",
        "Unknown Webhook",
    ] {
        assert!(ran.stdout.contains(said), "{said}:\n{}", ran.all());
    }
    assert!(!ran.all().contains(CANARY), "{}", ran.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_tls_with_a_password() {
    let ca = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/ca.pem");
    let password = "canary-mail%3A%2F%40%20password";
    let user = "alerts%40example.org";
    for (security, scheme) in
        [(Security::Plain, "smtp"), (Security::StartTls, "smtp+starttls"), (Security::Tls, "smtps")]
    {
        let server = MailServer::new(security).await;
        let mail = |password: &str| {
            json!({ "mail": { "smtp": format!("{scheme}://{user}:{password}@localhost:{}", server.port),
                              "from": "cupid <cupid@example.org>", "to": ["ops@example.org", "dba@example.org"] } })
        };
        let mut site =
            Site::new(&with(sqlite(), json!({ "language": "zh", "notify": { "ops": mail(password) } })));
        if security != Security::Plain {
            let ran = site.run(&["notify", "test", "-c", "{c}"]);
            assert_eq!(ran.code, Some(1), "its certificate is not trusted: {}", ran.all());
            assert!(!ran.all().contains(CANARY), "{}", ran.all());
        }
        site.env("SSL_CERT_FILE", ca.display().to_string());
        let ran = site.run(&["notify", "test", "-c", "{c}"]);
        assert!(ran.code == Some(0) && ran.stdout.contains("kept as 42"), "{scheme}: {}", ran.all());
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].encrypted, security != Security::Plain);
        assert_eq!(mails[0].user.as_deref(), Some(USER));
        assert!(mails[0].from.contains("cupid@example.org"));
        assert_eq!(mails[0].to.len(), 2, "{:?}", mails[0].to);
        assert!(mails[0].text.contains("Subject: ") && mails[0].text.contains("utf-8"), "{}", mails[0].text);
        // A wrong one is refused, and not shown although the server repeats it.
        site.write(&with(sqlite(), json!({ "notify": { "ops": mail("canary-wrong") } })));
        let ran = site.run(&["notify", "test", "-c", "{c}"]);
        assert!(ran.code == Some(1) && ran.stdout.contains("535"), "{}", ran.all());
        assert!(!ran.all().contains(CANARY) && !ran.all().contains(PASSWORD), "{}", ran.all());
        assert_eq!(server.mails().len(), 1);
    }
}

/// Who cannot be written to keeps the mail from nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refused_address_is_no_reason_to_tell_nobody() {
    let server = MailServer::new(Security::Plain).await;
    let mail = |to: &[&str]| {
        let smtp = format!("smtp://127.0.0.1:{}", server.port);
        json!({ "notify": { "ops": { "mail": { "smtp": smtp, "from": "a@b.c", "to": to } } } })
    };
    let site =
        Site::new(&with(sqlite(), mail(&["ops@example.org", "refused@example.org", "dba@example.org"])));
    let ran = site.run(&["notify", "test", "-c", "{c}"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.all().contains("refused@example.org") && ran.all().contains("no such user"), "{}", ran.all());
    let to: Vec<String> = server.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["RCPT TO:<ops@example.org>", "RCPT TO:<dba@example.org>"]);
    site.write(&with(sqlite(), mail(&["refused@example.org", "refused@example.com"])));
    let ran = site.run(&["notify", "test", "-c", "{c}"]);
    assert!(ran.code == Some(1) && ran.all().contains("no such user"), "{}", ran.all());
    assert_eq!(server.mails().len(), 2);
}

/// A server that takes the connection and says nothing is given up after the deadline of the whole message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let notify = json!({ "ops": { "mail": { "smtp": format!("smtp://127.0.0.1:{port}"), "from": "a@b.c", "to": ["a@b.c"] } } });
    let site = Site::new(&with(sqlite(), json!({ "notify": notify })));
    let began = std::time::Instant::now();
    let ran = tokio::task::block_in_place(|| site.run(&["notify", "test", "-c", "{c}"]));
    assert!(ran.code == Some(1) && ran.stdout.contains("did not finish within 20 s"), "{}", ran.all());
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
}

/// In no message about the file, in no explanation, whatever is wrong with it.
#[test]
fn the_file_keeps_its_secrets() {
    let mut config = with(
        sqlite(),
        json!({ "heartbeat": "https://beat.example/canary-beat", "notify": channels("https://h.example") }),
    );
    config["notify"]["mail"] = json!({ "mail": {
        "smtp": "smtps://u:canary-mail@mail.example", "from": "a@b.c", "to": ["a@b.c"] } });
    let site = Site::new(&config);
    for words in [&["explain", "-c", "{c}"][..], &["check", "-c", "{c}"]] {
        let ran = site.run(words);
        assert!(ran.code == Some(0) && !ran.all().contains(CANARY), "{}", ran.all());
    }
    assert!(site.run(&["explain", "-c", "{c}"]).stdout.contains("https://h.example/***"));
    // On one line, so that every message shows the secrets' line.
    for kind in channels("https://h.example").as_object().unwrap().keys() {
        for broken in [
            json!({ "typo": 1 }),
            json!({ "on": ["ded"] }),
            json!({ "fallback": "nobody" }),
            json!({ "smtp": "x" }),
        ] {
            let mut config = config.clone();
            let entry = with(config["notify"][kind].clone(), broken);
            config["notify"][kind] = entry;
            let site = Site::with_text(&config.to_string());
            let ran = site.run(&["check", "-c", "{c}"]);
            assert_eq!(ran.code, Some(2), "{}", ran.all());
            assert!(!ran.all().contains(CANARY), "{kind}: {}", ran.all());
        }
        // Under a name that nobody knows.
        let mut config = config.clone();
        let inner = config["notify"][kind][kind].take();
        config["notify"][kind] = json!({ "unknown": inner });
        let ran = Site::with_text(&config.to_string()).run(&["check", "-c", "{c}"]);
        assert!(ran.code == Some(2) && !ran.all().contains(CANARY), "{kind}: {}", ran.all());
    }
}

#[test]
fn every_mistake_is_said_at_once() {
    let file = r#"{
  "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" },
  "des": [ { "dsn": "sqlite:b.db", "table": "t", "byColumn": "k", "columns": { "k": "k" },
             "callbackNotification": { "url": "127.0.0.1:1/" } } ],
  "pushbearSendKey": "canary",
  "language": "de",
  "notify": {
    "a": { "wecom": "h.example/x?key=canary" },
    "b": { "slack": "https://h/x", "teams": "https://h/x" },
    "c": { "on": ["dead"] },
    "d": { "webhook": { "url": "https://h/x", "template": "{ {{ titel }} }" } },
    "e": { "dingtalk": { "url": "https://h/x", "sekret": "canary" }, "on": ["critcal"], "fallback": "f" },
    "f": { "telegram": { "token": "1:canary" } },
    "g": { "discord": "https://h/x", "fallback": "g" }
  }
}"#;
    let ran = Site::with_text(file).run(&["check", "-c", "{c}"]);
    assert_eq!(ran.code, Some(2));
    for said in [
        "the URL has no scheme",
        "`teams` stands beside `slack`",
        "says no way to tell people",
        "known are title",
        "did you mean `secret`?",
        "did you mean \"critical\"?",
        "`chat` is missing",
        "names the channel itself",
        "`language` must be",
        "PushBear has been shut down",
    ] {
        assert!(ran.all().contains(said), "{said}:\n{}", ran.all());
    }
    assert!(!ran.all().contains(CANARY), "{}", ran.all());
}
