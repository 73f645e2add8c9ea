//! A destination that is taken out of the configuration while deliveries wait for it.

use cupid::config::Engine;
use serde_json::json;

use super::{many, until_healed};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, repair};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_it_is_kept_as_it_is_and_goes_on_when_it_is_back() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    many(&pair, 5).await;
    let des = pair.des.clone();
    let receiver = Receiver::with(move |call| {
        let (des, fails) = (des.clone(), call.path.ends_with("/fails"));
        async move {
            if !fails {
                repair(&des, &call).await;
            }
            Answer::Status(if fails { 500 } else { 200 })
        }
    })
    .await;
    let hook = Receiver::answering(200).await;
    let keeps = Pair::new(Engine::Sqlite).await.unwrap();
    let more =
        json!({ "retry": { "delay": "1h" }, "notify": { "ops": { "webhook": { "url": hook.url() } } } });
    let named = |url: &str, name: &str| with(pair.copy(url), json!({ "name": name }));
    let both = |first: serde_json::Value| {
        let mut config = with(pair.inserts(&receiver.url()), more.clone());
        config["des"] =
            json!([first, with(keeps.copy(&receiver.url()), json!({ "name": "stays", "callbacks": "off" }))]);
        config
    };
    let whole = both(named(&format!("{}/fails", receiver.url()), "goes"));
    let site = Site::new(&whole);
    let mut daemon = site.start();
    daemon.until("each was tried", LIMIT, || receiver.count() == 5).await;
    wait_for("they wait for their next try", LIMIT, async || {
        let waits = "SELECT count(*) FROM delivery WHERE destination = 'goes' AND state = 'retry'";
        (state::try_number(&site, waits).await? == 5).then_some(())
    })
    .await;
    daemon.stop().await;
    let picture =
        "SELECT sum(due) + sum(tries) + sum(claims) + sum(revision) FROM delivery WHERE destination = 'goes'";
    let before = state::number(&site, picture).await;

    let mut without = whole.clone();
    without["des"].as_array_mut().unwrap().remove(0);
    site.write(&without);
    state::change(&site, "UPDATE delivery SET due = due - 3600000 WHERE destination = 'goes'").await;
    let before_due = before - 5 * 3_600_000;
    let mut daemon = site.start_ready().await;
    daemon.wait_output("deliveries wait for a destination that is not in the configuration").await;
    let told = || {
        hook.calls()
            .iter()
            .filter(|c| c.json()["event"] == "blocked" && c.json()["destination"] == "goes")
            .count()
    };
    daemon.until("people are told", LIMIT, || told() == 1).await;
    let status = site.run(&["status", "-c", "{c}", "--json"]);
    assert!(status.stdout.contains("5 open deliveries are for this destination"), "{}", status.all());
    daemon.stop().await;
    assert_eq!(state::number(&site, picture).await, before_due, "nobody has touched them");
    assert_eq!(receiver.count(), 5);
    let said = daemon.output();
    assert_eq!(said.lines().filter(|l| l.contains("deliveries wait for a destination")).count(), 1, "{said}");

    site.write(&both(named(&receiver.url(), "goes")));
    let mut daemon = site.start();
    until_healed(&site, 5).await;
    daemon
        .until("people are told that it is over", 3 * LIMIT, || {
            hook.calls().iter().any(|c| c.json()["recovered"] == true)
        })
        .await;
    assert!(pair.differences().await.is_empty());
}
