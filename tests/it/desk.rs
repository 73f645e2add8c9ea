//! What a person on call can type: `cupid queue` and `cupid deliveries`, with a daemon and without one.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Daemon, Ran, Site};
use crate::support::pair::Pair;
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for, wait_until};

mod bulk;
mod edit;
mod files;
mod parked;

/// Differences are believed and given up quickly.
fn quick() -> Value {
    json!({ "confirm": "100ms", "verify": "1s", "retry": { "delay": "50ms", "tries": 1, "then": "dead" } })
}

async fn pair() -> Pair {
    Pair::new(Engine::Sqlite).await.expect("SQLite is always there")
}

fn named(pair: &Pair, url: &str, more: Value) -> Value {
    let mut config = with(pair.inserts(url), with(quick(), more));
    config["des"][0]["name"] = "crm".into();
    config
}

/// The answer of a command that says `--json`.
fn read(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

fn listed(site: &Site, filter: &[&str]) -> Vec<Value> {
    let words = [&["deliveries", "list", "-c", "{c}", "--json"][..], filter].concat();
    read(&site.run(&words))["deliveries"].as_array().unwrap().clone()
}

/// How many are in a state, as `queue` says.
fn queued(site: &Site, state: &str) -> u64 {
    let queue = read(&site.run(&["queue", "-c", "{c}", "--json"]));
    let receivers = queue["receivers"].as_array().unwrap();
    receivers.iter().map(|r| r["states"][state].as_u64().unwrap_or(0)).sum()
}

async fn dead(site: &Site, count: u64) -> Vec<Value> {
    wait_until("they are dead", LIMIT, || queued(site, "dead") == count).await;
    listed(site, &["--state", "dead"])
}

fn number(delivery: &Value) -> String {
    delivery["number"].to_string()
}

fn ok(ran: &Ran, says: &str) {
    assert!(ran.code == Some(0) && ran.stdout.contains(says), "{says:?} in {ran:?}");
}

fn refused(ran: &Ran, code: i32, says: &str) {
    assert!(ran.code == Some(code) && ran.stderr.contains(says), "{says:?} in {ran:?}");
}

/// Answers 500 with words until told otherwise, then repairs.
async fn broken(pair: &Pair) -> (Receiver, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let works = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (des, good) = (pair.des.clone(), works.clone());
    let receiver = Receiver::with(move |call| {
        let (des, good) = (des.clone(), good.clone());
        async move {
            if good.load(std::sync::atomic::Ordering::SeqCst) {
                crate::support::pair::repair(&des, &call).await;
                return Answer::Status(200);
            }
            Answer::Full(
                500,
                ("content-type", "text/plain".to_owned()),
                "no room in \u{1b}[31mCRM".to_owned(),
            )
        }
    });
    (receiver.await, works)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_found_understood_and_replayed() {
    let pair = pair().await;
    let (receiver, works) = broken(&pair).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    refused(&site.run(&["deliveries", "show", "-c", "{c}", "1"]), 2, "nothing was found");
    ok(&site.run(&["deliveries", "list", "-c", "{c}"]), "nothing was found yet");
    ok(&site.run(&["queue", "-c", "{c}"]), "no daemon runs");
    refused(&site.run(&["resume", "-c", "{c}", "--task", "nix"]), 2, "its tasks are: main");
    refused(&site.run(&["resume", "-c", "{c}", "--destination", "nix"]), 2, "there are: crm");
    pair.fill(1..=3).await;
    pair.spoil(&[2]).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    assert_eq!(
        (&letter["key"], &letter["task"], &letter["destination"]),
        (&json!("n2"), &json!("main"), &json!("crm"))
    );
    assert_eq!(letter["attempts"], 2);

    let queue = site.run(&["queue", "-c", "{c}"]);
    for word in [
        "a daemon runs",
        "main → crm",
        "http://127.0.0.1",
        "/callback",
        "1 dead, they wait for you",
        "0 of 2 calls of the last",
        "last failure http_5xx (500)",
    ] {
        ok(&queue, word);
    }
    let list = site.run(&["deliveries", "list", "-c", "{c}", "--text", "crm", "--since", "1h"]);
    for word in ["NO  STATE", "dead", "n2", "differs", "waits for you", "http_5xx: "] {
        ok(&list, word);
    }
    let show = site.run(&["deliveries", "show", "-c", "{c}", &number(&letter)]);
    for word in [
        "main → crm",
        "n2 (id 2), differs",
        "dead: waits for you",
        "name",
        "\"name 2\"",
        "\"spoilt\"",
        "http_5xx (system)",
        "no room in \\u{1b}[31mCRM",
        "message of revision 1",
        "\"srcColumn\"",
    ] {
        ok(&show, word);
    }
    assert!(!show.stdout.contains('\u{1b}'), "nothing acts on the terminal");

    works.store(true, std::sync::atomic::Ordering::SeqCst);
    let id = letter["delivery"].as_str().unwrap();
    let words = ["deliveries", "replay", "-c", "{c}", &id[..26], "--note", "repaired", "--author", "mei"];
    ok(&site.run(&words), "to be sent again: 1 delivery");
    daemon.until("it is healed", LIMIT, || listed(&site, &["--state", "healed"]).len() == 1).await;
    let calls = receiver.calls();
    assert_eq!(calls.iter().map(|call| call.header("cupid-delivery")).filter(|of| *of == id).count(), 3);
    assert_eq!(calls[2].id(), format!("{id}-2"), "a new message of the same delivery");
    let whole = read(&site.run(&["deliveries", "show", "-c", "{c}", id, "--json"]));
    assert_eq!((whole["attempts"].as_array().unwrap().len(), whole["state"].as_str()), (3, Some("healed")));
    assert_eq!(whole["differs"], json!([{ "column": "name", "src": "name 2", "des": "spoilt" }]));
    let act = &whole["acts"][0];
    assert_eq!(
        (&act["author"], &act["note"], &act["was"]),
        (&json!("mei"), &json!("repaired"), &json!("dead"))
    );
    assert!(whole["healed_after_ms"].as_i64().unwrap() > 0);
    let show = site.run(&["deliveries", "show", "-c", "{c}", id]);
    ok(&show, "replay by mei, was dead: repaired");
    // Once more from its end: both sides are read first, and they agree.
    ok(&site.run(&["deliveries", "replay", "-c", "{c}", id]), "to be sent again: 1 delivery");
    daemon.until("it is healed again", LIMIT, || listed(&site, &["--state", "healed"]).len() == 1).await;
    assert_eq!(receiver.count(), 3, "a copy that agrees is not called back");
    daemon.stop().await;
    assert!(!site.everything_written().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_is_not_told_again_unless_it_is_something_else() {
    let pair = pair().await;
    let (receiver, _) = broken(&pair).await;
    let site = Site::new(&with(named(&pair, &receiver.url(), json!({})), json!({ "sweep": "1s" })));
    pair.fill(1..=3).await;
    pair.spoil(&[2]).await;
    let mut daemon = site.start();
    let letter = dead(&site, 1).await.remove(0);
    let closed = site.run(&["deliveries", "close", "-c", "{c}", &number(&letter), "--note", "a test row"]);
    ok(&closed, "closed: 1 delivery");
    ok(&site.run(&["deliveries", "close", "-c", "{c}", &number(&letter)]), "closed before: 1");
    let calls = receiver.count();
    let passes = "SELECT same FROM coverage WHERE feed = 'sweep'";
    let swept = async || state::try_number(&site, passes).await.unwrap_or(0);
    let before = swept().await;
    wait_for("it is swept again", LIMIT, async || (swept().await > before + 4).then_some(())).await;
    assert_eq!((receiver.count(), listed(&site, &[]).len()), (calls, 0));
    ok(&site.run(&["deliveries", "list", "-c", "{c}", "--state", "closed"]), ": a test row");
    let t = pair.des.quote(crate::support::pair::TABLE);
    pair.des.run(format!("UPDATE {t} SET name = 'other' WHERE id = 2")).await;
    daemon.until("another difference is told", LIMIT, || receiver.count() > calls).await;
    let again = dead(&site, 1).await.remove(0);
    assert_eq!(again["delivery"], letter["delivery"], "a key keeps its delivery");
    ok(&site.run(&["deliveries", "show", "-c", "{c}", &number(&again)]), "other deliveries of this row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_explained() {
    let pair = pair().await;
    let (receiver, _) = broken(&pair).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    pair.fill_source(1..=2).await;
    let mut daemon = site.start();
    let letters = dead(&site, 2).await;
    daemon.stop().await;
    let run = |words: &[&str]| site.run(&[&["deliveries"], words, &["-c", "{c}"]].concat());
    refused(&run(&["show", "4711"]), 2, "there is no delivery `4711`");
    refused(&run(&["show", "01"]), 2, "at least 4 digits");
    refused(&run(&["show", "0xyz"]), 2, "neither the number nor the id");
    let id = letters[0]["delivery"].as_str().unwrap();
    refused(&run(&["replay", &id[..6]]), 2, "several deliveries begin with");
    refused(&run(&["replay", "--state", "dead"]), 2, "--yes");
    refused(&run(&["close", "--key", "n1"]), 2, "this would close 1 delivery");
    refused(&run(&["list", "--state", "gone"]), 2, "open, ended, all");
    refused(&run(&["list", "--since", "soon"]), 2, "30m, 2h, 7d");
    refused(&run(&["edit", &number(&letters[0]), "--body", "{c}.none"]), 2, "cannot be read");
    std::fs::write(site.path("body"), "{ not: json").unwrap();
    let body = site.path("body").display().to_string();
    refused(&run(&["edit", &number(&letters[0]), "--body", &body]), 2, "--raw");
    refused(&run(&["import", &body]), 1, "line 1: not a delivery");
    // Looking changes nothing.
    for verb in ["replay", "close", "export"] {
        ok(&run(&[verb, "--state", "dead", "--dry-run"]), "2");
    }
    ok(&run(&["replay", "--state", "retry", "--yes"]), "nothing to do");
    assert_eq!(queued(&site, "dead"), 2);
    assert_eq!(state::number(&site, "SELECT count(*) FROM act").await, 0);
}
