//! `"delete": true`: rows that only the copy has are looked for and told as type 3.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::config::{copy, legacy, source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, repair};
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};
use crate::sweep::{cursor, pairs, pass_after};

/// Adds rows that only the copy has.
async fn orphans(des: &Db, ids: &[i64]) {
    let t = des.quote(TABLE);
    let rows: Vec<String> = ids.iter().map(|id| format!("({id}, 'n{id}', 'orphan {id}', NULL)")).collect();
    des.run(format!("INSERT INTO {t} (id, number, name, phone) VALUES {}", rows.join(", "))).await;
}

/// A receiver that does as it is told: repairs, and deletes what only the copy has.
async fn obeying(pair: &Pair) -> Receiver {
    let des = pair.des.clone();
    Receiver::with(move |call| {
        let des = des.clone();
        async move {
            if call.kind() == 3 {
                let number = call.json()["desColumn"]["number"].as_str().unwrap().to_owned();
                des.run(format!("DELETE FROM {} WHERE number = '{number}'", des.quote(TABLE))).await;
            } else {
                repair(&des, &call).await;
            }
            Answer::Status(200)
        }
    })
    .await
}

/// (type, `number`) of every call, sorted.
fn told(receiver: &Receiver) -> Vec<(i64, String)> {
    let number = |call: &Call| {
        let body = call.json();
        let row = if call.kind() == 3 { &body["desColumn"] } else { &body["srcColumn"] };
        row["number"].as_str().unwrap().to_owned()
    };
    let mut told: Vec<_> = receiver.calls().iter().map(|call| (call.kind(), number(call))).collect();
    told.sort();
    told
}

fn threes(numbers: &[&str]) -> Vec<(i64, String)> {
    numbers.iter().map(|number| (3, (*number).to_owned())).collect()
}

fn config(pair: &Pair, receiver: &Receiver, more: Value) -> Value {
    with(with(pair.inserts(&receiver.url()), json!({ "sweep": "2s", "delete": true })), more)
}

async fn ended(site: &Site, daemon: &mut Daemon, condition: &str, count: i64) {
    let sql = format!("SELECT count(*) FROM delivery WHERE {condition}");
    wait_for(&format!("{count} deliveries are {condition}"), LIMIT, async || {
        assert!(daemon.running(), "{}", daemon.output());
        (state::try_number(site, &sql).await? == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_are_told_and_heal_when_they_are_deleted() {
    for pair in pairs().await {
        pair.fill(1..=40).await;
        orphans(&pair.des, &[101, 102]).await;
        pair.lose(&[5]).await;
        let receiver = obeying(&pair).await;
        let site = Site::new(&config(&pair, &receiver, json!({})));
        let mut daemon = site.start();
        ended(&site, &mut daemon, "state = 'healed'", 3).await;
        let mut wanted = vec![(1, "n5".to_owned())];
        wanted.extend(threes(&["n101", "n102"]));
        assert_eq!(told(&receiver), wanted);
        let body = receiver.calls().iter().map(Call::json).find(|body| body["desColumn"]["number"] == "n101");
        let row = json!({ "number": "n101", "name": "orphan 101", "phone": null });
        assert_eq!(body, Some(json!({ "type": 3, "srcColumn": null, "desColumn": row })));
        // The source loses a row.
        let t = pair.src.quote(TABLE);
        pair.src.run(format!("DELETE FROM {t} WHERE id = 7")).await;
        ended(&site, &mut daemon, "state = 'healed'", 4).await;
        assert_eq!(told(&receiver).last(), Some(&(3, "n7".to_owned())));
        assert_eq!(pair.des.number(format!("SELECT count(*) FROM {}", pair.des.quote(TABLE))).await, 39);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_that_stays_is_told_once() {
    for pair in pairs().await {
        pair.fill(1..=10).await;
        orphans(&pair.des, &[101]).await;
        let receiver = Receiver::answering(200).await;
        let site = Site::new(&config(&pair, &receiver, json!({})));
        let mut daemon = site.start();
        daemon.until("it is told", LIMIT, || receiver.count() == 1).await;
        let mut began = cursor(&site, "extra", "last.began").await.unwrap_or_default();
        for _ in 0..3 {
            began = pass_after(&site, "extra", began).await;
        }
        assert_eq!(told(&receiver), threes(&["n101"]));
        // Somebody else removes it.
        pair.lose(&[101]).await;
        ended(&site, &mut daemon, "state = 'healed' AND kind = 3", 1).await;
        assert_eq!(receiver.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_delete_nobody_looks() {
    for pair in pairs().await {
        pair.fill(1..=10).await;
        orphans(&pair.des, &[101]).await;
        let receiver = Receiver::answering(200).await;
        let site = Site::new(&config(&pair, &receiver, json!({ "delete": false })));
        let _daemon = site.start();
        let first = pass_after(&site, "sweep", 0).await;
        pass_after(&site, "sweep", first).await;
        assert_eq!((receiver.count(), state::deliveries(&site).await), (0, 0));
        assert_eq!(cursor(&site, "extra", "for").await, None);
    }
}

/// A delivery waits for its next try; meanwhile its source row goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_becomes_type_3_when_its_source_row_goes() {
    for delete in [true, false] {
        for pair in pairs().await {
            pair.fill(1..=10).await;
            pair.spoil(&[3]).await;
            pair.lose(&[4]).await;
            let receiver =
                Receiver::with(
                    |call| async move { Answer::Status(if call.kind() == 3 { 200 } else { 500 }) },
                )
                .await;
            let more = json!({ "sweep": false, "delete": delete, "failureJobRetrySecond": 2 });
            let site = Site::new(&config(&pair, &receiver, more));
            let mut daemon = site.start();
            daemon.until("both are told", LIMIT, || receiver.count() >= 2).await;
            let t = pair.src.quote(TABLE);
            pair.src.run(format!("DELETE FROM {t} WHERE id IN (3, 4)")).await;
            if delete {
                daemon.until("it is told as type 3", LIMIT, || told(&receiver).last().unwrap().0 == 3).await;
                assert_eq!(told(&receiver).last(), Some(&(3, "n3".to_owned())));
                // Neither side has the other one.
                ended(&site, &mut daemon, "state = 'healed' AND kind = 1", 1).await;
                pair.lose(&[3]).await;
                ended(&site, &mut daemon, "state = 'healed'", 2).await;
            } else {
                ended(&site, &mut daemon, "state = 'healed' AND note = 'gone at the source'", 2).await;
                assert!(told(&receiver).iter().all(|(kind, _)| *kind != 3));
            }
        }
    }
}

/// The row comes back under another id before the copy's was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_whose_source_row_comes_back_is_compared_again() {
    for pair in pairs().await {
        pair.fill(1..=10).await;
        orphans(&pair.des, &[101, 102]).await;
        let receiver =
            Receiver::with(|call| async move { Answer::Status(if call.kind() == 3 { 500 } else { 200 }) })
                .await;
        let site = Site::new(&config(&pair, &receiver, json!({ "failureJobRetrySecond": 2 })));
        let mut daemon = site.start();
        daemon.until("both are told", LIMIT, || receiver.count() >= 2).await;
        let t = pair.src.quote(TABLE);
        pair.src
            .run(format!(
                "INSERT INTO {t} (id, number, name, phone) VALUES (201, 'n101', 'orphan 101', NULL),
                 (202, 'n102', 'another', NULL)"
            ))
            .await;
        ended(&site, &mut daemon, "state = 'healed'", 1).await;
        daemon.until("the other differs", LIMIT, || told(&receiver).contains(&(2, "n102".to_owned()))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_source_does_not_make_the_copy_extra() {
    for pair in pairs().await {
        pair.fill(1..=40).await;
        let receiver = obeying(&pair).await;
        let site = Site::new(&config(&pair, &receiver, json!({})));
        let mut daemon = site.start();
        pass_after(&site, "extra", 0).await;
        let (s, d) = (pair.src.quote(TABLE), pair.des.quote(TABLE));
        pair.src.run(format!("DELETE FROM {s}")).await;
        daemon.wait_output("the source has no row at all").await;
        let said = || daemon.output().matches("ERROR").count();
        assert_eq!((said(), receiver.count(), state::deliveries(&site).await), (1, 0, 0));
        let status = site.run(&["status", "-c", "{c}"]);
        assert!(status.all().contains("the source has no row at all"), "{}", status.all());
        pair.src.run(format!("INSERT INTO {s} (id, number, name) VALUES (1, 'n1', 'name 1')")).await;
        // 39 of 40 rows are orphans now, and few enough to be told.
        ended(&site, &mut daemon, "state = 'healed' AND kind = 3", 39).await;
        assert_eq!(pair.des.number(format!("SELECT count(*) FROM {d}")).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_lost_most_rows_pauses_the_walk() {
    for pair in pairs().await {
        pair.fill(1..=1500).await;
        let receiver = obeying(&pair).await;
        let s = pair.src.quote(TABLE);
        pair.src.run(format!("DELETE FROM {s} WHERE id > 700")).await;
        let site = Site::new(&config(&pair, &receiver, json!({})));
        let mut daemon = site.start();
        daemon.wait_output("more than half").await;
        // The sweep goes on.
        pair.spoil(&[9]).await;
        daemon.until("what differs is told", LIMIT, || receiver.count() == 1).await;
        assert_eq!(told(&receiver), [(2, "n9".to_owned())]);
        assert_eq!(daemon.output().matches("ERROR").count(), 1);
    }
}

/// `m` and `M` are one place in the order of a collation without case, and the page ends there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_collation_takes_for_equal_are_not_skipped_at_the_edge_of_a_page() {
    let (Some(src), Some(des)) = (Db::new(Engine::Postgres).await, Db::new(Engine::MySql).await) else {
        return;
    };
    src.run("CREATE TABLE k (id INTEGER PRIMARY KEY, key1 VARCHAR(20) NOT NULL UNIQUE)").await;
    des.run(
        "CREATE TABLE k (id INTEGER PRIMARY KEY, key1 VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci);
         CREATE INDEX k_key ON k (key1)",
    )
    .await;
    // One page has 2 000 rows: with `K00007` it ends between the two.
    let mut keys: Vec<String> = (1..1999).map(|n| format!("k{n:05}")).collect();
    keys.extend((1..500).map(|n| format!("z{n:05}")));
    let rows = |keys: &[String]| {
        let rows: Vec<String> = keys.iter().enumerate().map(|(i, key)| format!("({i}, '{key}')")).collect();
        format!("INSERT INTO k (id, key1) VALUES {}", rows.join(", "))
    };
    src.run(rows(&keys)).await;
    des.run(rows(&keys)).await;
    des.run("INSERT INTO k (id, key1) VALUES (9001, 'm'), (9002, 'M'), (9003, 'K00007'), (9004, NULL)").await;
    let receiver = Receiver::answering(200).await;
    let des = copy(&des, "k", "key1", &[("key1", "key1")], &receiver.url());
    let more = json!({ "sweep": "1d", "delete": true });
    let site = Site::new(&with(legacy(source(&src, "k", "key1"), vec![des]), more));
    let mut daemon = site.start();
    // One pass: the next one would cut its pages elsewhere.
    pass_after(&site, "extra", 0).await;
    daemon.until("all three are told", LIMIT, || receiver.count() >= 3).await;
    let mut keys: Vec<String> =
        receiver.calls().iter().map(|c| c.json()["desColumn"]["key1"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    assert_eq!(keys, ["K00007", "M", "m"]);
}

/// What cannot be walked says so, and harms nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_index_only_the_walk_is_blocked() {
    for pair in pairs().await {
        pair.fill(1..=20).await;
        let t = pair.des.quote(TABLE);
        let drop = if pair.des.engine == Engine::MySql { format!(" ON {t}") } else { String::new() };
        pair.des.run(format!("DROP INDEX user_number{drop}")).await;
        orphans(&pair.des, &[101]).await;
        let receiver = obeying(&pair).await;
        let site = Site::new(&config(&pair, &receiver, json!({})));
        let mut daemon = site.start();
        daemon.wait_output("has no index that begins with").await;
        pair.spoil(&[9]).await;
        daemon.until("what differs is told", LIMIT, || receiver.count() == 1).await;
        assert_eq!(told(&receiver), [(2, "n9".to_owned())]);
        pair.des.run(format!("CREATE INDEX user_number ON {t} (number)")).await;
        daemon.until("the walk resumes by itself", LIMIT, || receiver.count() == 2).await;
        assert_eq!(told(&receiver).last(), Some(&(3, "n101".to_owned())));
    }
}

/// A row that is marked counts as absent, NULL is no mark, and a mark that is taken back counts too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_deleted_rows_count_as_absent() {
    for pair in pairs().await {
        pair.fill(1..=10).await;
        let (t, mark) = (pair.src.quote(TABLE), pair.src.quote("IsDelete"));
        pair.src.run(format!("ALTER TABLE {t} ADD COLUMN {mark} SMALLINT DEFAULT 0")).await;
        pair.src
            .run(format!(
                "UPDATE {t} SET {mark} = 1 WHERE id IN (2, 3, 4); UPDATE {t} SET {mark} = NULL WHERE id = 5"
            ))
            .await;
        pair.lose(&[3, 5, 6]).await;
        let receiver = obeying(&pair).await;
        let mut config = config(&pair, &receiver, json!({}));
        config["src"]["deletedWhen"] = "IsDelete == 1".into();
        let site = Site::new(&config);
        let mut daemon = site.start();
        ended(&site, &mut daemon, "state = 'healed'", 4).await;
        let mut wanted = vec![(1, "n5".to_owned()), (1, "n6".to_owned())];
        wanted.extend(threes(&["n2", "n4"]));
        assert_eq!(told(&receiver), wanted);
        pair.src.run(format!("UPDATE {t} SET {mark} = 0 WHERE id = 4")).await;
        ended(&site, &mut daemon, "state = 'healed'", 5).await;
        wanted.insert(0, (1, "n4".to_owned()));
        assert_eq!(told(&receiver), wanted, "it is back");
        let first = pass_after(&site, "extra", 0).await;
        pass_after(&site, "extra", first).await;
        assert_eq!((told(&receiver), state::deliveries(&site).await), (wanted, 5), "none else");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_not_there_is_named() {
    for pair in pairs().await {
        let receiver = Receiver::answering(200).await;
        let mut config = config(&pair, &receiver, json!({}));
        config["src"]["deletedWhen"] = "IsDelete == 1 || phon == null".into();
        let site = Site::new(&config);
        let ran = site.run(&["check", "-c", "{c}", "--connect"]);
        assert_ne!(ran.code, Some(0));
        assert!(ran.all().contains("has no column \"IsDelete\""), "{}", ran.all());
        assert!(ran.all().contains("has no column \"phon\"; did you mean \"phone\"?"), "{}", ran.all());
    }
}

/// Nothing could be compared by it, and a check that says "ready" would hide that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_no_comparison_is_refused() {
    for pair in pairs().await {
        pair.fill(1..=3).await;
        let receiver = Receiver::answering(200).await;
        let mut config = config(&pair, &receiver, json!({}));
        config["src"]["deletedWhen"] = "id".into();
        let site = Site::new(&config);
        let ran = site.run(&["check", "-c", "{c}", "--connect"]);
        assert_eq!(ran.code, Some(2), "{}", ran.all());
        assert!(ran.all().contains("not true or false; write a comparison"), "{}", ran.all());
        let mut daemon = site.start();
        daemon.wait_output("not true or false; write a comparison").await;
        assert_eq!(receiver.count(), 0);
    }
}

/// While nobody can say whether a row is deleted, its delivery neither goes out nor ends as if it had healed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_rule_cannot_judge_waits_and_comes_back() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=5).await;
    let (t, mark) = (pair.src.quote(TABLE), pair.src.quote("IsDelete"));
    pair.src.run(format!("ALTER TABLE {t} ADD COLUMN {mark} SMALLINT DEFAULT 0")).await;
    pair.lose(&[3]).await;
    let receiver = Receiver::answering(500).await;
    let mut config = config(&pair, &receiver, json!({}));
    config["src"]["deletedWhen"] = "IsDelete > 0".into();
    let site = Site::new(&config);
    let mut daemon = site.start();
    daemon.until("it is called back", LIMIT, || receiver.count() >= 1).await;
    pair.src.run(format!("UPDATE {t} SET {mark} = NULL WHERE id = 3")).await;
    wait_for("it waits for a person", LIMIT, async || {
        let dead = "SELECT count(*) FROM delivery WHERE state = 'dead' AND note LIKE '%deletedWhen%'";
        (state::try_number(&site, dead).await? == 1).then_some(())
    })
    .await;
    let called = receiver.count();
    pair.src.run(format!("UPDATE {t} SET {mark} = 0 WHERE id = 3")).await;
    daemon.until("the sweep finds it again", LIMIT, || receiver.count() > called).await;
}

/// It heals by itself when the rule can be worked out and the copy agrees by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_rule_could_not_judge_heals_when_it_can_and_agrees() {
    for pair in pairs().await {
        pair.fill(1..=5).await;
        let (t, mark) = (pair.src.quote(TABLE), pair.src.quote("IsDelete"));
        pair.src.run(format!("ALTER TABLE {t} ADD COLUMN {mark} SMALLINT DEFAULT 0")).await;
        pair.lose(&[3]).await;
        let receiver = Receiver::answering(500).await;
        let mut config = config(&pair, &receiver, json!({ "sweep": "500ms" }));
        config["src"]["deletedWhen"] = "IsDelete > 0".into();
        let site = Site::new(&config);
        let mut daemon = site.start();
        daemon.until("it is called back", LIMIT, || receiver.count() >= 1).await;
        pair.src.run(format!("UPDATE {t} SET {mark} = NULL WHERE id = 3")).await;
        ended(&site, &mut daemon, "state = 'dead' AND note LIKE '%deletedWhen%'", 1).await;
        let called = receiver.count();
        let first = pass_after(&site, "sweep", 0).await;
        pass_after(&site, "sweep", first).await;
        ended(&site, &mut daemon, "state = 'dead'", 1).await;
        let body = receiver.calls().remove(0);
        repair(&pair.des, &body).await;
        let first = pass_after(&site, "sweep", first).await;
        pass_after(&site, "sweep", first).await;
        ended(&site, &mut daemon, "state = 'dead'", 1).await;
        pair.src.run(format!("UPDATE {t} SET {mark} = 0 WHERE id = 3")).await;
        ended(&site, &mut daemon, "state = 'healed'", 1).await;
        assert_eq!(receiver.count(), called, "nobody was called meanwhile");
    }
}
