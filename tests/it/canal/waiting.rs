//! What changes while a difference waits: the right thing is sent, or nothing.

use cupid::config::Engine;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{LIMIT, start};
use crate::support::config::{copy, legacy, updated_source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, id_of, ids_of};
use crate::support::receiver::Receiver;
use crate::support::state;
use crate::support::wait::wait_for;

const SERVERS: [Engine; 2] = [Engine::MySql, Engine::Postgres];

struct Scene {
    pair: Pair,
    receiver: Receiver,
    site: Site,
    daemon: Daemon,
}

impl Scene {
    /// Rows 1 to 20 that agree, a repairing receiver, a daemon that has caught up.
    async fn new(pair: Pair, more: Value) -> Self {
        pair.fill(1..=20).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&with(pair.both_feeds(&receiver.url()), more));
        let daemon = start(&site).await;
        Self { pair, receiver, site, daemon }
    }

    /// What arrives at the copy.
    async fn follow(&self, ids: &[i64], name: &str) {
        let t = self.pair.des.quote(TABLE);
        for id in ids {
            self.pair.des.run(format!("UPDATE {t} SET name = '{name}' WHERE id = {id}")).await;
        }
    }

    async fn delete(&self, id: i64) {
        let t = self.pair.src.quote(TABLE);
        self.pair.src.run(format!("DELETE FROM {t} WHERE id = {id}")).await;
    }

    /// Waits until so many deliveries fit.
    async fn until(&self, count: i64, condition: &str) {
        let sql = format!("SELECT count(*) FROM delivery WHERE {condition}");
        wait_for(&format!("{count} of: {condition}"), LIMIT, async || {
            (state::try_number(&self.site, &sql).await? == count).then_some(())
        })
        .await;
    }

    /// Ids of all calls, and after them one of a row that is lost now: nothing else was to come.
    async fn calls(&mut self) -> Vec<i64> {
        self.pair.update(&[20], "the last").await;
        let receiver = &self.receiver;
        self.daemon
            .until("the last row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&20))
            .await;
        self.until(0, "ended_at IS NULL").await;
        assert_eq!(self.pair.differences().await, [0_i64; 0]);
        ids_of(&self.receiver.calls())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_that_settle_by_themselves_are_not_called_back() {
    join_all(Pair::everywhere(&SERVERS).await.into_iter().map(settle_by_themselves)).await;
}

async fn settle_by_themselves(pair: Pair) {
    // Long enough to change what waits.
    let mut scene = Scene::new(pair, json!({ "confirm": "5s" })).await;
    scene.pair.update(&[1, 2, 3, 4], "Y").await;
    scene.pair.fill_source(30..=31).await;
    scene.until(6, "state = 'suspect'").await;
    // There and back again; arrived late; gone, also before it arrived; arrived late as a new row.
    scene.pair.update(&[1], "name 1").await;
    scene.follow(&[2], "Y").await;
    for id in [3, 30] {
        scene.delete(id).await;
    }
    // The source goes on, and the copy with it.
    scene.pair.update(&[4], "Z").await;
    scene.follow(&[4], "Z").await;
    let t = scene.pair.des.quote(TABLE);
    scene
        .pair
        .des
        .run(format!("INSERT INTO {t} (id, number, name, phone) VALUES (31, 'n31', 'name 31', '+86 31')"))
        .await;
    scene.until(6, "state = 'healed' AND attempts = 0").await;
    scene.until(2, "note = 'gone at the source'").await;
    assert_eq!(scene.calls().await, [20], "{}", scene.pair.src.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_the_receiver_is_down_is_sent_as_it_is_then_or_not_at_all() {
    join_all(Pair::everywhere(&SERVERS).await.into_iter().map(while_the_receiver_is_down)).await;
}

async fn while_the_receiver_is_down(pair: Pair) {
    let retry = json!({ "tries": 1000, "delay": "1s" });
    let mut scene = Scene::new(pair, json!({ "confirm": "3s", "retry": retry, "breaker": false })).await;
    scene.receiver.down();
    scene.pair.update(&[1, 2, 3, 4, 5, 6, 7], "V1").await;
    scene.pair.fill_source(30..=32).await;
    scene.until(10, "state = 'retry' AND attempts > 0").await;

    // 1: there and back again. 2 and 30: arrived after all. 3 and 31: gone at the source.
    scene.pair.update(&[1], "name 1").await;
    scene.follow(&[2], "V1").await;
    let t = scene.pair.des.quote(TABLE);
    let arrives = |id: i64, name: &str| {
        format!("INSERT INTO {t} (id, number, name, phone) VALUES ({id}, 'n{id}', '{name}', '+86 {id}')")
    };
    scene.pair.des.run(arrives(30, "name 30")).await;
    for id in [3, 31] {
        scene.delete(id).await;
    }
    scene.until(5, "state = 'healed'").await;
    scene.until(2, "note = 'gone at the source'").await;
    // 4 goes on, its copy does not. 32 arrived, but not as it is. 5 stays as it was.
    scene.pair.update(&[4], "V2").await;
    scene.pair.des.run(arrives(32, "an older name")).await;
    // 6 and 7 go on, and V1 arrives: V2 may be on its way.
    scene.pair.update(&[6, 7], "V2").await;
    scene.follow(&[6, 7], "V1").await;
    scene.until(2, "row_id IN ('6', '7') AND state = 'suspect'").await;
    // What was read up to two seconds ago may still be sent: all of this has been seen.
    scene.until(2, "row_id IN ('4', '32') AND revision = 2").await;
    scene.receiver.up();
    // It was, for one of them.
    scene.follow(&[6], "V2").await;
    scene.until(1, "row_id = '6' AND state = 'healed'").await;
    scene.until(1, "row_id = '7' AND state = 'healed'").await;

    assert_eq!(scene.calls().await, [4, 5, 7, 20, 32], "{}", scene.pair.src.engine);
    for (id, kind, name) in [(4, 2, "V2"), (5, 2, "V1"), (7, 2, "V2"), (32, 2, "name 32")] {
        let calls = scene.receiver.calls();
        let call = calls.iter().find(|c| id_of(c) == id).unwrap();
        assert_eq!((call.kind(), call.src("name").as_deref()), (kind, Some(name)), "row {id}");
        // A message that was never answered and stays as it was keeps its id; one that says something else has its own.
        let revision = if id == 5 { "1" } else { "2" };
        assert_eq!(call.header("cupid-revision"), revision, "row {id}");
    }
}

/// A receiver drops messages that it knows: the third one says what the first one said, and is another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_the_flips_that_are_lost_is_told_as_a_message_of_its_own() {
    join_all(Pair::everywhere(&SERVERS).await.into_iter().map(lost_flips)).await;
}

async fn lost_flips(pair: Pair) {
    let mut scene = Scene::new(pair, json!({})).await;
    for (round, name) in (1..).zip(["Y", "name 5", "Y"]) {
        scene.pair.update(&[5], name).await;
        let receiver = &scene.receiver;
        scene.daemon.until("it is called back", LIMIT, || receiver.answered() >= round).await;
        scene.until(0, "ended_at IS NULL").await;
    }
    let calls = scene.receiver.calls();
    let said: Vec<_> = calls.iter().map(|c| (id_of(c), c.src("name").unwrap())).collect();
    let expected = ["Y", "name 5", "Y"].map(|name| (5, name.to_owned()));
    assert_eq!(said, expected, "{}", scene.pair.src.engine);
    let ids = calls.iter().map(|c| c.header("cupid-delivery")).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids.len(), 1, "one key is one delivery");
    let revisions: Vec<_> = calls.iter().map(|c| c.header("cupid-revision")).collect();
    assert_eq!(revisions, ["1", "2", "3"]);
    assert_eq!(scene.pair.differences().await, [0_i64; 0]);
}

/// Rows that were lost at once, and a copy that rests since: nobody can say that it has stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_rests_has_not_stopped_following() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(21..=60).await;
    let scene = Scene::new(pair, json!({ "confirm": "1s", "lag": "2s" })).await;
    scene.pair.update(&[1, 2, 3, 4, 5], "Y").await;
    scene.until(5, "state = 'suspect'").await;
    scene.follow(&[1, 2, 3, 4, 5], "Y").await;
    scene.until(5, "state = 'healed' AND attempts = 0").await;
    scene.pair.update(&(21..=60).collect::<Vec<_>>(), "lost").await;
    scene.until(40, "state = 'healed' AND attempts = 1").await;
    // Twice as long as it takes to say so.
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    assert!(!scene.daemon.output().contains("stopped following"), "{}", scene.daemon.output());
    assert!(scene.site.run(&["status", "-c", "{c}"]).all().contains("nothing waits"));
}

/// A number that may differ by a little, in a row that never stands still: its copy follows and nobody is told, and when
/// the copy stops, that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_whose_copy_follows_is_silent_whatever_may_be_near() {
    const LATE: usize = 6;
    let (src, des) = (Db::new(Engine::Sqlite).await.unwrap(), Db::new(Engine::Sqlite).await.unwrap());
    for db in [&src, &des] {
        db.run("CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT, price DECIMAL(10,2), u DATETIME)").await;
        db.run("INSERT INTO p VALUES (1, 'a', 100.00, CURRENT_TIMESTAMP)").await;
    }
    let receiver = Receiver::answering(500).await;
    let mut copy = copy(&des, "p", "k", &[], &receiver.url());
    copy["columns"] = json!({ "k": "k", "price": { "column": "price", "tolerance": 0.01 } });
    let from = updated_source(&src, "p", "k", "u");
    let more = json!({ "hot": "3s", "confirm": "1s", "verify": false });
    let site = Site::new(&with(legacy(from, vec![copy]), more));
    let mut daemon = super::start(&site).await;
    let began = std::time::Instant::now();
    let (mut prices, mut follows) = (std::collections::VecDeque::new(), true);
    let mut price = 100.0;
    while follows || receiver.count() == 0 {
        assert!(daemon.running() && began.elapsed() < LIMIT, "{}", daemon.output());
        price += 1.25;
        src.run(format!("UPDATE p SET price = {price}, u = CURRENT_TIMESTAMP WHERE id = 1")).await;
        prices.push_back(price);
        if let (true, Some(old)) = (follows && prices.len() > LATE, prices.front().copied()) {
            prices.pop_front();
            des.run(format!("UPDATE p SET price = {old} WHERE id = 1")).await;
        }
        // So long that it would have been told more than once.
        if follows && began.elapsed() > std::time::Duration::from_secs(12) {
            assert_eq!(receiver.count(), 0, "its copy follows");
            follows = false;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
