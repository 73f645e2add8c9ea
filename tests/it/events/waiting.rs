//! Receivers that are away, refuse, or are too slow.

use cupid::config::Engine;
use serde_json::json;

use super::journal::Journal;
use super::{Site, config, events, nothing_waits, told, versions};
use crate::support::config::with;
use crate::support::pair::Pair;
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_while_the_receiver_was_away_comes_in_order() {
    for pair in Pair::everywhere(&[Engine::MySql, Engine::Postgres]).await {
        let receiver = Receiver::answering(200).await;
        receiver.down();
        let site = Site::new(&config(&pair, vec![events(&receiver)]));
        pair.fill_source(1..=3).await;
        let mut daemon = site.start();
        for round in 0..4 {
            let known = 3 + round;
            wait_for("the version is read", LIMIT, async || (versions(&site).await == known).then_some(()))
                .await;
            pair.update(&[2], &format!("round {round}")).await;
        }
        wait_for("the last one is read", LIMIT, async || (versions(&site).await == 7).then_some(())).await;
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(said.contains("0 events delivered · 7 waiting, oldest"), "{said}");
        // Only one of a key may go; the others wait behind it.
        let free = "SELECT count(*) FROM delivery WHERE due < 253402300799000";
        assert_eq!(state::number(&site, free).await, 3);
        // What is known survives any end.
        daemon.kill();
        let mut daemon = site.start_ready().await;
        receiver.up();
        told(&mut daemon, &pair, &receiver).await;
        nothing_waits(&site).await;
        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        let mut names = journal.all("n2", "name");
        names.dedup();
        assert_eq!(
            names,
            ["name 2", "round 0", "round 1", "round 2", "round 3"],
            "every version that was read"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_versions_go_on_behind_a_dead_one() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::with(async |call| {
        Answer::Status(if call.src("name").as_deref() == Some("poison") { 400 } else { 200 })
    })
    .await;
    let entry = with(events(&receiver), json!({ "retry": { "tries": 0, "then": "dead" } }));
    let site = Site::new(&config(&pair, vec![entry]));
    pair.fill_source(1..=2).await;
    let mut daemon = site.start();
    told(&mut daemon, &pair, &receiver).await;
    pair.update(&[1], "poison").await;
    wait_for("it is dead", LIMIT, async || {
        (state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'dead'").await == 1).then_some(())
    })
    .await;
    pair.update(&[1], "cured").await;
    told(&mut daemon, &pair, &receiver).await;
    wait_for("it is delivered", LIMIT, async || {
        (state::number(&site, "SELECT count(*) FROM delivery WHERE state = 'delivered'").await == 3)
            .then_some(())
    })
    .await;
    let journal = Journal::of(&receiver.calls());
    journal.is_in_order();
    assert_eq!(journal.all("n1", "name"), ["name 1", "poison", "cured"]);
    let said = site.run(&["status", "-c", "{c}"]).all();
    assert!(said.contains("1 event left to a person (dead); later versions of their rows go on"), "{said}");

    // A person lets the dead one go once more: as a new revision of its key.
    daemon.stop().await;
    let again = "UPDATE delivery SET state = 'main', renew = 1, due = 0 WHERE state = 'dead'";
    state::change(&site, again).await;
    let mut daemon = site.start();
    daemon.until("it is told again", LIMIT, || receiver.count() >= 5).await;
    let calls = receiver.calls();
    let (third, fourth) = (&calls[calls.len() - 2], &calls[calls.len() - 1]);
    assert_eq!(third.header("cupid-delivery"), fourth.header("cupid-delivery"));
    let revision =
        |call: &crate::support::receiver::Call| call.header("cupid-revision").parse::<i64>().unwrap();
    assert!(revision(fourth) > revision(third), "{} then {}", third.id(), fourth.id());
}

/// A receiver that is away for long must not fill the disk: what is told has a bound, and scanning waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scanning_waits_while_too_much_waits_for_the_receiver() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let (repairer, receiver) = (pair.repairer().await, Receiver::answering(200).await);
    receiver.down();
    let site = Site::new(&config(&pair, vec![pair.copy(&repairer.url()), events(&receiver)]));
    pair.fill(1..=2).await;
    let mut daemon = site.start();
    wait_for("two versions are read", LIMIT, async || (versions(&site).await == 2).then_some(())).await;
    daemon.stop().await;
    state::change(&site, "UPDATE event_lane SET waiting = waiting + 100000").await;
    let mut daemon = site.start_ready().await;
    daemon.wait_output("scanning waits for the receiver").await;
    let said = site.run(&["status", "-c", "{c}"]).all();
    assert!(
        said.contains("main scan → cache: waiting: 100002 versions (0 MiB) wait for the receiver"),
        "{said}"
    );
    // Nobody else waits.
    pair.fill_source(3..=3).await;
    daemon.until("the copy is told", LIMIT, || repairer.answered() == 1).await;
    assert_eq!(versions(&site).await, 2);
    state::change(&site, "UPDATE event_lane SET waiting = waiting - 100000").await;
    receiver.up();
    told(&mut daemon, &pair, &receiver).await;
    daemon.wait_output("scanning goes on").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_in_a_dry_run_and_everything_after_it() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let mut site = Site::new(&config(&pair, vec![events(&receiver)]));
    pair.fill_source(1..=5).await;
    site.args(&["--dry-run"]);
    let mut daemon = site.start();
    wait_for("all are read", LIMIT, async || (versions(&site).await == 5).then_some(())).await;
    daemon.stop().await;
    assert_eq!(receiver.count(), 0);
    site.set_args(&[]);
    state::change(&site, "UPDATE delivery SET due = 0").await;
    let mut daemon = site.start();
    told(&mut daemon, &pair, &receiver).await;
    nothing_waits(&site).await;
    assert_eq!(receiver.count(), 5);
}

/// 410: what waits is kept, and goes on when a person says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_waited_for() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::scripted(vec![Answer::Status(410), Answer::Status(200)]).await;
    let site = Site::new(&config(&pair, vec![events(&receiver)]));
    pair.fill_source(1..=1).await;
    let mut daemon = site.start();
    daemon.wait_output("paused, nothing is sent").await;
    pair.update(&[1], "changed").await;
    wait_for("the next version is read", LIMIT, async || (versions(&site).await == 2).then_some(())).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(site.run(&["resume", "-c", "{c}"]).code, Some(0));
    told(&mut daemon, &pair, &receiver).await;
    let journal = Journal::of(&receiver.calls());
    journal.is_in_order();
    assert_eq!(journal.all("n1", "name"), ["name 1", "name 1", "changed"]);
}

/// As dead letters do: they keep their order, and what is known of them is not told again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_waited_move_to_a_fresh_state() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let config = config(&pair, vec![events(&receiver)]);
    let site = Site::new(&with(config.clone(), json!({ "callbacks": "off" })));
    pair.fill_source(1..=2).await;
    let mut daemon = site.start();
    wait_for("both are read", LIMIT, async || (versions(&site).await == 2).then_some(())).await;
    pair.update(&[1], "changed").await;
    wait_for("the change is read", LIMIT, async || (versions(&site).await == 3).then_some(())).await;
    daemon.stop().await;
    let listed = site.run(&["deliveries", "list", "-c", "{c}"]).all();
    assert_eq!(listed.matches("behind an older version").count(), 1, "{listed}");
    let exported = site.run(&["deliveries", "export", "-c", "{c}"]).stdout;
    assert!(!exported.contains("253402300799000"), "{exported}");
    let file = site.path("waiting.jsonl").display().to_string();
    std::fs::write(&file, &exported).unwrap();

    let fresh = Site::new(&config);
    let import =
        |more: &[&str]| fresh.run(&[&["deliveries", "import", "-c", "{c}", &file], more].concat()).all();
    for _ in 0..2 {
        let said = import(&["--dry-run"]);
        assert!(said.contains("would be taken in: 3"), "{said}");
    }
    let said = import(&[]);
    assert!(said.contains("taken in: 3"), "{said}");
    let said = import(&["--dry-run"]);
    assert!(said.contains("were there already: 3"), "{said}");
    let mut daemon = fresh.start();
    told(&mut daemon, &pair, &receiver).await;
    nothing_waits(&fresh).await;
    pair.update(&[2], "changed too").await;
    told(&mut daemon, &pair, &receiver).await;
    nothing_waits(&fresh).await;
    let journal = Journal::of(&receiver.calls());
    journal.is_in_order();
    assert_eq!(journal.all("n1", "name"), ["name 1", "changed"]);
    assert_eq!(receiver.count(), 4);
}
