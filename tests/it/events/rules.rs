//! `where` and `deletedWhen`, and what `cupid check` says of them.

use cupid::config::Engine;
use serde_json::json;

use super::journal::Journal;
use super::{Site, config, events, nothing_waits};
use crate::support::config::with;
use crate::support::db::ENGINES;
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::Receiver;
use crate::support::wait::LIMIT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_versions_for_which_where_holds_are_told() {
    for pair in Pair::everywhere(&ENGINES).await {
        let engine = pair.src.engine;
        let receiver = Receiver::answering(200).await;
        let entry = with(events(&receiver), json!({ "where": "name.startsWith('name') && id != 3" }));
        let site = Site::new(&config(&pair, vec![entry]));
        pair.fill_source(1..=6).await;
        let t = pair.src.quote(TABLE);
        // Nobody can say whether NULL begins with anything.
        pair.src.run(format!("UPDATE {t} SET name = NULL WHERE id = 2")).await;
        let said = site.run(&["check", "-c", "{c}", "--connect"]).all();
        let wanted = "sample of cache: 6 rows read: 4 would be told\n    where \"name.startsWith('name') && id != 3\": holds \
                      for 4, does not for 1\n    1 rows for which `where` or `deletedWhen` cannot be worked out";
        assert!(said.contains(wanted), "{engine}: {said}");

        let mut daemon = site.start();
        daemon.until("those are told", LIMIT, || receiver.answered() >= 4).await;
        let said = site.run(&["status", "-c", "{c}"]).all();
        let undecided = "1 row for which `where` or `deletedWhen` cannot be worked out, not told";
        assert!(said.contains(undecided), "{engine}: {said}");
        // A version of its own each: what no longer matches is not told, what does now is.
        pair.update(&[4], "other").await;
        pair.update(&[2], "name again").await;
        daemon.until("the one that can be worked out now is told", LIMIT, || receiver.answered() >= 5).await;
        pair.update(&[1], "name changed").await;
        daemon.until("so is the last one", LIMIT, || receiver.answered() >= 6).await;
        nothing_waits(&site).await;
        let journal = Journal::of(&receiver.calls());
        journal.is_in_order();
        assert_eq!(journal.keys(), ["n1", "n2", "n4", "n5", "n6"], "{engine}");
        assert_eq!(journal.kinds("n1"), [1, 2], "{engine}");
        assert_eq!(journal.all("n4", "name"), ["name 4"], "{engine}");
        let said = site.run(&["status", "-c", "{c}"]).all();
        assert!(said.contains("6 events delivered") && !said.contains("worked out"), "{engine}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_deletes_are_told_as_such() {
    for pair in Pair::everywhere(&ENGINES).await {
        let engine = pair.src.engine;
        let (told, plain) = (Receiver::answering(200).await, Receiver::answering(200).await);
        let deletes = with(events(&told), json!({ "delete": true }));
        let ordinary = with(events(&plain), json!({ "name": "plain" }));
        let mut config = config(&pair, vec![deletes, ordinary]);
        config["src"]["deletedWhen"] = json!("name == 'gone'");
        let site = Site::new(&config);
        pair.fill_source(1..=2).await;
        let mut daemon = site.start();
        daemon.until("both are told", LIMIT, || told.answered() >= 2 && plain.answered() >= 2).await;
        pair.update(&[2], "gone").await;
        daemon.until("it is told", LIMIT, || told.answered() >= 3 && plain.answered() >= 3).await;
        pair.update(&[2], "back").await;
        daemon.until("it is back", LIMIT, || told.answered() >= 4 && plain.answered() >= 4).await;
        let journal = Journal::of(&told.calls());
        journal.is_in_order();
        assert_eq!(journal.kinds("n2"), [1, 3, 2], "{engine}");
        assert_eq!(journal.all("n2", "name"), ["name 2", "gone", "back"], "{engine}");
        assert_eq!(told.calls()[2].json()["srcColumn"], json!(null), "{engine}");
        // Without `delete` it is an ordinary version.
        assert_eq!(Journal::of(&plain.calls()).kinds("n2"), [1, 2, 2], "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_does_not_fit_the_table_is_placed() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    for (rule, wanted) in [
        ("id > 0 && state == 'paid'", "the source has no column \"state\" (line "),
        (
            "id == '5'",
            "\"where\": \"id == '5'\" cannot be used: \"id\" (INTEGER) is never equal to the text \"5\"",
        ),
        ("id + 1", "gives int and not true or false; write a comparison, such as id == 1"),
    ] {
        let entry = with(events(&receiver), json!({ "where": rule }));
        let site = Site::new(&config(&pair, vec![entry]));
        pair.src.run(format!("DELETE FROM {}", pair.src.quote(TABLE))).await;
        pair.fill_source(1..=1).await;
        let said = site.run(&["check", "-c", "{c}", "--connect"]).all();
        assert!(said.contains(wanted), "{rule}: {said}");
    }
}
