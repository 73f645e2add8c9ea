//! What was closed by a person or handed over is not told again while it stands, and is told again when the copy has
//! been seen to agree in between and differs in the same way once more.

use cupid::config::Engine;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::pair::{Pair, TABLE};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};
use crate::sweep::{cursor, pairs, pass_after};

/// A daemon that may be stopped and started between any two steps.
struct Scene {
    pair: Pair,
    receiver: Receiver,
    site: Site,
    daemon: Daemon,
    restarts: bool,
    /// The slow feed whose passes are waited for; `None`: looks are waited for by the clock of the quick feeds.
    feed: Option<&'static str>,
}

impl Scene {
    async fn new(pair: Pair, status: u16, config: Value, feed: Option<&'static str>, restarts: bool) -> Self {
        let receiver = Receiver::answering(status).await;
        let config = with(pair.both_feeds(&receiver.url()), with(json!({ "confirm": "100ms" }), config));
        let site = Site::new(&config);
        let daemon = site.start_ready().await;
        Self { pair, receiver, site, daemon, restarts, feed }
    }

    /// Whatever has changed has been looked at, with a stop and a start in between if that is so.
    async fn looked(&mut self) {
        if self.restarts {
            self.daemon.stop().await;
            self.daemon = self.site.start_ready().await;
        }
        match self.feed {
            Some(feed) => {
                let mut began = cursor(&self.site, feed, "last.began").await.unwrap_or_default();
                for _ in 0..2 {
                    began = pass_after(&self.site, feed, began).await;
                }
            }
            None => {
                // The update feed reads its window again and again.
                let looks = self.looks();
                wait_for("it is looked at", LIMIT, async || (self.looks() >= looks + 3).then_some(())).await;
            }
        }
    }

    fn looks(&self) -> usize {
        self.daemon.output().matches("feed=update").count()
    }

    async fn until(&self, count: i64, condition: &str) {
        let sql = format!("SELECT count(*) FROM delivery WHERE {condition}");
        wait_for(&format!("{count} of: {condition}"), LIMIT, async || {
            (state::try_number(&self.site, &sql).await? == count).then_some(())
        })
        .await;
    }

    async fn called(&mut self, count: usize) {
        let receiver = &self.receiver;
        self.daemon.until("it is called back", LIMIT, || receiver.count() >= count).await;
    }
}

/// How the copy of row 3 is broken, and mended by hand.
async fn spoil(pair: &Pair) {
    pair.spoil(&[3]).await;
}

async fn mend(pair: &Pair) {
    let t = pair.des.quote(TABLE);
    pair.des.run(format!("UPDATE {t} SET name = 'name 3' WHERE id = 3")).await;
}

/// Told, not told again while it stands, told again after it was seen to agree.
async fn told_twice(mut scene: Scene, close: bool) {
    spoil(&scene.pair).await;
    scene.called(1).await;
    if close {
        scene.until(1, "state = 'dead'").await;
        scene.daemon.stop().await;
        state::change(&scene.site, "UPDATE delivery SET state = 'closed', ended_at = due").await;
        scene.daemon = scene.site.start_ready().await;
    } else {
        scene.until(1, "state = 'delivered'").await;
    }
    scene.looked().await;
    assert_eq!(scene.receiver.count(), 1, "it stands, and is not told again");
    mend(&scene.pair).await;
    scene.looked().await;
    assert_eq!(state::deliveries(&scene.site).await, 1);
    spoil(&scene.pair).await;
    scene.called(2).await;
    let again = "SELECT count(DISTINCT id) FROM delivery";
    assert_eq!(state::number(&scene.site, again).await, 1, "a receiver tells late older versions by one id");
    let calls = scene.receiver.calls();
    assert_ne!(calls[0].id(), calls[1].id(), "a new message");
}

fn handed_over() -> Value {
    json!({ "verify": false })
}

fn put_aside() -> Value {
    json!({ "retry": { "tries": 0, "then": "dead" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sweep_sees_to_agree_is_told_again() {
    let stories = pairs().await.into_iter().flat_map(|pair| [(pair, false)]).collect::<Vec<_>>();
    let more =
        [(Pair::new(Engine::Sqlite).await.unwrap(), true), (Pair::new(Engine::Sqlite).await.unwrap(), true)];
    let stories = stories.into_iter().chain(more).enumerate().map(|(n, (pair, restarts))| async move {
        pair.fill(1..=5).await;
        let old = "UPDATE {t} SET update_time = '2020-01-01 00:00:00'";
        pair.src.run(old.replace("{t}", &pair.src.quote(TABLE))).await;
        let close = n % 2 == 1;
        let (config, status) = if close { (put_aside(), 500) } else { (handed_over(), 200) };
        let config = with(config, json!({ "sweep": "500ms" }));
        told_twice(Scene::new(pair, status, config, Some("sweep"), restarts).await, close).await;
    });
    join_all(stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_quick_feed_sees_to_agree_is_told_again() {
    let stories = [false, true].map(|restarts| async move {
        let pair = Pair::new(Engine::Sqlite).await.unwrap();
        pair.fill(1..=5).await;
        // Each look reads the last hour.
        let mut config = with(handed_over(), json!({ "sweep": false, "log": { "level": "debug" } }));
        let both = pair.both_feeds("http://127.0.0.1:1/");
        config["src"] = with(both["src"].clone(), json!({ "updateScanSecond": 3600 }));
        told_twice(Scene::new(pair, 200, config, None, restarts).await, false).await;
    });
    join_all(stories).await;
}

/// The copy's own rows: gone is what a complete pass has not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_copy_had_is_told_again_when_it_was_gone() {
    for (n, pair) in pairs().await.into_iter().enumerate() {
        pair.fill(1..=10).await;
        let config = with(handed_over(), json!({ "sweep": "500ms", "delete": true }));
        let mut scene = Scene::new(pair, 200, config, Some("extra"), n == 0).await;
        let t = scene.pair.des.quote(TABLE);
        let orphan =
            format!("INSERT INTO {t} (id, number, name, phone) VALUES (101, 'n101', 'orphan', NULL)");
        scene.pair.des.run(orphan.clone()).await;
        scene.called(1).await;
        scene.until(1, "state = 'delivered' AND kind = 3").await;
        scene.looked().await;
        assert_eq!(scene.receiver.count(), 1, "it stands");
        scene.pair.lose(&[101]).await;
        scene.looked().await;
        scene.pair.des.run(orphan).await;
        scene.called(2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_person_heals_when_the_copy_is_seen_to_agree() {
    for (n, pair) in pairs().await.into_iter().enumerate() {
        pair.fill(1..=5).await;
        let config = with(put_aside(), json!({ "sweep": "500ms", "delete": true }));
        let mut scene = Scene::new(pair, 500, config, Some("sweep"), n == 0).await;
        spoil(&scene.pair).await;
        let t = scene.pair.des.quote(TABLE);
        let orphan =
            format!("INSERT INTO {t} (id, number, name, phone) VALUES (101, 'n101', 'orphan', NULL)");
        scene.pair.des.run(orphan).await;
        scene.until(2, "state = 'dead'").await;
        scene.looked().await;
        scene.until(2, "state = 'dead'").await;
        mend(&scene.pair).await;
        scene.until(1, "state = 'healed' AND kind = 2").await;
        scene.pair.lose(&[101]).await;
        scene.until(1, "state = 'healed' AND kind = 3").await;
        assert_eq!(scene.receiver.count(), 2);
        spoil(&scene.pair).await;
        scene.called(3).await;
    }
}

/// A key that several rows carry is put aside once, with both lists, told once, and heals when one is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_several_rows_is_put_aside_with_both_lists_and_told_once() {
    use cupid::store::Store;
    for pair in pairs().await {
        for db in [&pair.src, &pair.des] {
            let index = if db.engine == Engine::MySql {
                "DROP INDEX user_number ON {t}"
            } else {
                "DROP INDEX user_number"
            };
            let t = db.quote(TABLE);
            db.run(index.replace("{t}", &t)).await;
            db.run(format!("CREATE INDEX user_by_number ON {t} (number)")).await;
        }
        pair.fill(1..=5).await;
        let people = Receiver::with(|_| async {
            Answer::Full(200, ("x", "y".to_owned()), r#"{"code":0,"message":"","data":"1"}"#.to_owned())
        })
        .await;
        let told = json!({ "sweep": "500ms", "pushbearSendKey": "key", "pushbearUrl": people.url() });
        let mut scene = Scene::new(pair, 200, told, Some("sweep"), false).await;
        scene.looked().await;
        // Two of each side, which are looked at in one batch and alone.
        let (s, d) = (scene.pair.src.quote(TABLE), scene.pair.des.quote(TABLE));
        let insert = |t: &str, id: i64, n: &str| {
            format!("INSERT INTO {t} (id, number, name, phone) VALUES ({id}, '{n}', 'other', NULL)")
        };
        scene.pair.src.run(insert(&s, 12, "n2")).await;
        scene.pair.des.run(insert(&d, 13, "n3")).await;
        scene.until(2, "state = 'dead' AND kind = 9").await;
        scene.looked().await;
        scene.daemon.stop().await;
        scene.daemon = scene.site.start_ready().await;
        scene.looked().await;
        scene.until(2, "state = 'dead' AND kind = 9").await;
        assert_eq!(state::deliveries(&scene.site).await, 2, "put aside once");
        let alerts =
            || people.calls().iter().filter(|c| c.path.contains("several") && c.path.contains("key")).count();
        scene.daemon.until("people are told", LIMIT, || alerts() >= 1).await;
        assert_eq!(alerts(), 1, "one for both: {:?}", people.calls());

        let view = cupid::store::local::LocalStore::view(&state::file(&scene.site)).await.unwrap();
        let mut lists = Vec::new();
        for id in state::ids(&scene.site).await {
            let evidence = view.evidence(cupid::model::DeliveryId(id)).await.unwrap().unwrap();
            lists.push((evidence.source.count, evidence.copy.count));
            for (listed, id_of) in [(&evidence.source, "id"), (&evidence.copy, "name")] {
                assert_eq!(listed.rows.len(), listed.count);
                assert!(
                    listed.rows.iter().all(|row| row[id_of].is_some() && row["number"].is_some()),
                    "{listed:?}"
                );
            }
        }
        lists.sort_unstable();
        assert_eq!(lists, [(1, 2), (2, 1)]);

        scene.pair.src.run(format!("DELETE FROM {s} WHERE id = 12")).await;
        scene.pair.des.run(format!("DELETE FROM {d} WHERE id = 13")).await;
        scene.until(2, "state = 'healed'").await;
        assert_eq!(scene.receiver.count(), 0, "nobody was called");
    }
}

/// A walk that begins anew meets what was handed over, and does not take it for gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_walk_from_the_start_meets_again_is_not_told_again() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=20).await;
    pair.lose(&[3]).await;
    let receiver = Receiver::answering(200).await;
    let config = json!({ "verify": false, "confirm": "100ms", "sweep": "500ms" });
    let mut site = Site::new(&with(pair.inserts(&receiver.url()), config));
    let mut daemon = site.start();
    daemon.until("it is handed over", LIMIT, || receiver.answered() == 1).await;
    let began = pass_after(&site, "sweep", 0).await;
    daemon.stop().await;
    site.args(&["--restart", "main"]);
    let mut daemon = site.start();
    let mut began = pass_after(&site, "sweep", began).await;
    for _ in 0..2 {
        began = pass_after(&site, "sweep", began).await;
    }
    daemon.stop().await;
    assert_eq!(receiver.count(), 1, "it stands: {}", daemon.output());
    let remembered = "SELECT count(*) FROM delivery WHERE state = 'delivered' AND forgotten = 0";
    assert_eq!(state::number(&site, remembered).await, 1);
}
