//! Keys are given out at the insert and seen at the commit: rows that appear behind the newest one are found.

use std::sync::Arc;

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::{legacy, source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::wait::{LIMIT, wait_for};
use crate::support::{faketime, servers, state};

/// Smaller keys commit after larger ones were read; in between the daemon is killed and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_key_that_commits_later_is_found() {
    for pair in Pair::apart(&[Engine::MySql, Engine::Postgres]).await {
        let table = pair.src.quote(TABLE);
        pair.fill(1..=20).await;
        let row = |id: i64| {
            format!("INSERT INTO {table} (id, number, name, phone) VALUES ({id}, 'n{id}', 'late {id}', NULL)")
        };
        let (mut first, mut second) = (Held::begin(&pair.src).await, Held::begin(&pair.src).await);
        first.run(&row(21)).await;
        second.run(&row(22)).await;
        pair.fill_source(23..=23).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&pair.inserts(&receiver.url()));
        let mut daemon = site.start();
        daemon
            .until("the larger key is called back", LIMIT, || ids_of(&receiver.calls()).contains(&23))
            .await;
        first.end("COMMIT").await;
        daemon.until("the late row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&21)).await;
        daemon.kill();
        second.end("COMMIT").await;
        let mut daemon = site.start();
        daemon.until("also over a kill", LIMIT, || ids_of(&receiver.calls()).contains(&22)).await;
        wait_for("all are seen to agree", LIMIT, async || {
            (state::try_number(&site, "SELECT count(*) FROM delivery WHERE state = 'healed'").await? == 3)
                .then_some(())
        })
        .await;
        assert_eq!(pair.differences().await, [0_i64; 0]);
        let mut ids = ids_of(&receiver.calls());
        ids.dedup();
        assert_eq!(ids, [21, 22, 23], "none else is called back");
    }
}

/// Statements that a source has answered while the insert feed made so many looks for the first destination.
async fn statements(daemon: &mut Daemon, site: &Site, source: &Db, looks: usize) -> i64 {
    let executed = async || {
        let name = "VARIABLE_NAME = 'COM_STMT_EXECUTE'";
        source
            .number(format!("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE {name}"))
            .await
    };
    let looked = || {
        let output = site.everything_written();
        output
            .lines()
            .filter(|l| l.contains(" looked ") && l.contains("feed=insert") && l.contains("=one"))
            .count()
    };
    let (before, from) = (executed().await, looked());
    daemon.until("it has looked again and again", LIMIT * 2, || looked() >= from + looks).await;
    executed().await - before
}

/// Two destinations, and a transaction that is open all the while. One destination is away for a time, and is read for
/// on its own from what had settled; then one read serves both again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_drift_apart_share_their_reads_again() {
    const ROWS: i64 = 20_000;
    const LOOKS: usize = 40;
    let Some(server) = servers::start_mysql(&[], &[]).await else { return };
    let Some(away) = servers::start_mysql(&[], &[]).await else { return };
    let away = Arc::new(away);
    let one = Pair::of(Db::on(&Arc::new(server)).await, Db::sqlite().await).await;
    let two = Pair { src: one.src.clone(), des: Pair::new_copy(&away).await };
    let beside = Pair { src: one.des.clone(), des: two.des.clone() };
    one.fill_source(1..=10).await;
    beside.fill(1..=10).await;
    let table = one.src.quote(TABLE);
    let mut held = Held::begin(&one.src).await;
    held.run(&format!("INSERT INTO {table} (id, number) VALUES (11, 'held')")).await;
    one.fill_source(12..=ROWS).await;
    beside.fill(12..=ROWS).await;

    let receivers = [one.repairer().await, two.repairer().await];
    let copies = vec![
        with(one.copy(&receivers[0].url()), json!({ "name": "one" })),
        with(two.copy(&receivers[1].url()), json!({ "name": "two" })),
    ];
    let config =
        with(legacy(source(&one.src, TABLE, "number"), copies), json!({ "log": { "level": "debug" } }));
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("both have caught up", LIMIT, || daemon_says(&site, "caught up", 2)).await;
    let before = statements(&mut daemon, &site, &one.src, LOOKS).await;

    away.stop().await;
    one.fill_source(ROWS + 1..=ROWS + 50).await;
    daemon.until("the other goes on", LIMIT, || receivers[0].count() == 50).await;
    // Where there is nothing to compare, nobody is asked.
    daemon.until("one is away", LIMIT, || daemon_says(&site, "a database cannot be used now", 1)).await;
    let apart = statements(&mut daemon, &site, &one.src, LOOKS).await;
    away.start().await;
    daemon.until("it is back", LIMIT, || receivers[1].count() == 50).await;
    daemon
        .until("all is quiet", LIMIT, || site.run(&["status", "-c", "{c}"]).all().contains("nothing waits"))
        .await;
    let after = statements(&mut daemon, &site, &one.src, LOOKS).await;
    eprintln!("{LOOKS} looks: {before} statements together, {apart} apart, {after} together again");
    // Now and then the catalogue is looked at as well.
    assert!(after * 2 <= before * 3, "{after} statements, {before} before");
    assert!(apart <= before * 3 + 100, "{apart} statements, {before} before");

    held.end("COMMIT").await;
    for receiver in &receivers {
        daemon.until("the late row is told", LIMIT, || ids_of(&receiver.calls()).contains(&11)).await;
        assert_eq!(receiver.count(), 51);
    }
}

fn daemon_says(site: &Site, words: &str, times: usize) -> bool {
    site.everything_written().matches(words).count() >= times
}

/// A clock that was set while the daemon was down says nothing about how long a row has stood: its copy gets its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_while_the_daemon_is_down_believes_nothing() {
    let pair = Pair::of(Db::sqlite().await, Db::sqlite().await).await;
    pair.fill(1..=5).await;
    let receiver = pair.repairer().await;
    let mut site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "confirm": "10s" })));
    let mut daemon = site.start();
    pair.fill_source(6..=6).await;
    wait_for("it has been looked at, and where the clock stood is kept", LIMIT, async || {
        let looked = "SELECT count(*) FROM delivery WHERE watch IS NOT NULL AND state = 'suspect'";
        let kept = "SELECT count(*) FROM note WHERE name = 'clock'";
        (state::try_number(&site, looked).await? == 1 && state::try_number(&site, kept).await? > 0)
            .then_some(())
    })
    .await;
    daemon.kill();
    if !faketime::set(&mut site, "+1h") {
        return;
    }
    let mut daemon = site.start();
    let looked = state::number(&site, "SELECT claims FROM delivery").await;
    daemon.until("the daemon runs", LIMIT, || daemon_says(&site, "started", 2)).await;
    wait_for("it has been looked at again, and is claimed once more", LIMIT, async || {
        (state::try_number(&site, "SELECT claims FROM delivery").await? >= looked + 2).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 0, "it has not stood for an hour");
    pair.fill_copy(6).await;
    wait_for("it is seen to agree", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM delivery WHERE state = 'healed'").await? == 1)
            .then_some(())
    })
    .await;
    assert!(daemon.running());
    assert_eq!(receiver.count(), 0, "it was only late");
}
