//! A copy that is emptied while applications and replicator go on: what hits nothing at the copy does not arrive.

use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use super::{LIMIT, alerts, start, told};
use crate::support::canal::{Canal, Load};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::dice::{Dice, seed};
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::wait_for;

const ROWS: i64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_copy_is_paused_before_one_in_a_hundred_rows_is_called_back() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    for db in [&pair.src, &pair.des] {
        db.run(format!(
            "INSERT INTO `{TABLE}` SELECT seq, concat('n', seq), 'v0', concat('+86 ', seq), '2020-01-01 00:00:00'
             FROM seq_1_to_{ROWS}"
        ))
        .await;
    }
    let mut dice = Dice::new(seed());
    let canal = Canal::new(&pair, dice.roll(), 0..300, 0);
    let (receiver, people) = (canal.repairer().await, Receiver::answering(200).await);
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), told(json!({ "lag": "3s" }), &people)));
    let mut daemon = start(&site).await;
    let mut tasks = JoinSet::new();
    canal.copy(&mut tasks);
    let (writer, load) = (canal.clone(), Load { rate: 500, inserts: 10, keys: 1..ROWS + 1, warm: 50 });
    let chance = dice.roll();
    tasks.spawn(async move { writer.write(&load, chance, Duration::from_secs(600)).await });
    wait_for("copies have been seen to follow", LIMIT, async || {
        let healed = "SELECT count(*) FROM delivery WHERE state = 'healed'";
        (state::try_number(&site, healed).await? > 500).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 0, "only late");

    canal.freeze(1..=ROWS);
    pair.des.run(format!("TRUNCATE TABLE `{TABLE}`")).await;
    daemon.wait_output("paused, nothing is sent").await;
    let changes = || canal.journal().changes.len();
    let paused = changes();
    daemon.until("calls that were under way are answered", LIMIT, || changes() > paused + 500).await;
    let called = receiver.count();
    let status = site.run(&["status", "-c", "{c}"]).all();
    eprintln!("{called} of {ROWS} rows were called back; status says:\n{status}");
    assert!(called <= 1000, "{called} of {ROWS} rows were called back");
    assert!(
        status.contains("paused")
            && status.contains("rows that agreed before, looked up as a sample, are missing"),
        "{status}"
    );
    daemon.until("applications go on", LIMIT, || changes() > paused + 2000).await;
    tasks.shutdown().await;
    assert_eq!(receiver.count(), called, "nothing more is sent");

    // Restored, with everything that went by.
    let (from, into) = (&pair.src.name, &pair.des.name);
    pair.des.run(format!("REPLACE INTO `{into}`.`{TABLE}` SELECT * FROM `{from}`.`{TABLE}`")).await;
    daemon.wait_output("callbacks go on").await;
    wait_for("all are seen to agree", LIMIT, async || {
        let open = "SELECT count(*) FROM delivery WHERE ended_at IS NULL";
        (state::try_number(&site, open).await? == 0).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), called, "what is back is not called back");
    assert_eq!(alerts(&people, "emptied"), 1, "people are told once");
}
