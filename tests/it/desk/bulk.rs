//! Very many deliveries at once.

use super::*;

const MANY: i64 = 20_000;

/// Puts that many deliveries into the state of a daemon that does not run.
async fn plant(site: &Site, count: i64, state: &str) {
    let found = 1_790_000_000_000_i64;
    state::change(
        site,
        &format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO delivery (id, task, destination, key, row_id, kind, state, due, fingerprint, run, note, found_at,
                 seen_at)
             SELECT randomblob(16), 'main', 'crm', CAST('n' || (1000 + i) AS BLOB), CAST(1000 + i AS TEXT), 1 + i % 2,
                 '{state}', {found}, randomblob(16), randomblob(16), 'http_5xx: planted', {found} + i / 10, {found}
             FROM n"
        ),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_are_replayed_once_however_often_it_is_asked() {
    let pair = pair().await;
    let receiver = Receiver::answering(200).await;
    // Nothing is sent: what is replayed stays where that put it.
    let site = Site::new(&with(named(&pair, &receiver.url(), json!({})), json!({ "callbacks": "off" })));
    let mut daemon = site.start();
    daemon.wait_output(" started").await;
    daemon.stop().await;
    plant(&site, MANY, "dead").await;
    // Pages of a long list are quick, also from its middle.
    let began = std::time::Instant::now();
    let page = read(&site.run(&["deliveries", "list", "-c", "{c}", "--json", "--limit", "1000"]));
    let next = page["next"].as_str().unwrap().to_owned();
    let page =
        read(&site.run(&["deliveries", "list", "-c", "{c}", "--json", "--limit", "1000", "--after", &next]));
    assert_eq!(page["deliveries"][0]["key"], format!("n{}", 1000 + MANY - 1000));
    eprintln!("two pages of 1000 of {MANY}: {:?}", began.elapsed());
    let dry = site.run(&["deliveries", "replay", "-c", "{c}", "--state", "dead", "--dry-run"]);
    ok(&dry, "would be sent again: 20 000 deliveries; nothing was done");

    let mut daemon = site.start();
    daemon.wait_output(" started").await;
    let began = std::time::Instant::now();
    let click = || site.run(&["deliveries", "replay", "-c", "{c}", "--state", "dead", "--yes"]);
    let (first, second) = std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(click), scope.spawn(click));
        (first.join().unwrap(), second.join().unwrap())
    });
    eprintln!("{MANY} replayed in {:?}", began.elapsed());
    assert!(
        [&first, &second].iter().any(|ran| ran.stdout.contains("to be sent again: 20 000")),
        "{first:?} {second:?}"
    );
    ok(&click(), "nothing to do");
    assert_eq!(queued(&site, "dead"), 0);
    assert_eq!(state::number(&site, "SELECT count(*) FROM act").await, MANY, "each once");
    assert!(daemon.running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_act_works_without_a_daemon_and_within_its_limits() {
    let pair = pair().await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&named(&pair, &receiver.url(), json!({})));
    let mut daemon = site.start();
    daemon.wait_output(" started").await;
    daemon.stop().await;
    plant(&site, 1200, "dead").await;
    let run = |words: &[&str]| site.run(&[&["deliveries"], words, &["-c", "{c}", "--yes"]].concat());
    ok(&run(&["close", "--limit", "10"]), "closed: 10 deliveries");
    ok(&run(&["close", "--key", "n2000", "--note", "gone"]), "closed: 1 delivery");
    ok(&run(&["close", "--text", "PLANTED", "--state", "dead"]), "closed: 1 189 deliveries");
    assert_eq!(
        (queued(&site, "dead"), listed(&site, &["--state", "closed", "--limit", "2000"]).len()),
        (0, 1200)
    );
    // What was closed last year may be wanted again: nothing is there at either side, so it heals.
    ok(&run(&["replay", "--state", "closed", "--until", "2026-12-31"]), "1 200 deliveries");
    let mut daemon = site.start();
    daemon
        .until("all have ended", Duration::from_secs(60), || listed(&site, &["--limit", "5"]).is_empty())
        .await;
    assert_eq!(receiver.count(), 0);
}
