//! Tables that become other ones under the same name, while everything the feeds look at stays as it was.

use cupid::config::Engine;
use serde_json::json;

use super::{all_healed, cursor, pairs, pass_after};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::wait::{LIMIT, wait_for};

/// Which table is replaced, and whether the daemon runs at that time.
const CASES: [(bool, bool); 3] = [(true, true), (true, false), (false, true)];

/// Puts another table in the place of this one, with the same rows but for what `change` does to `{t}`.
async fn replace(db: &Db, change: &str) {
    let [t, other, old] = [TABLE, "other", "old"].map(|name| db.quote(name));
    let change = change.replace("{t}", &if db.engine == Engine::MySql { &other } else { &t }[..]);
    match db.engine {
        Engine::MySql => {
            db.run(format!("CREATE TABLE {other} LIKE {t}; INSERT INTO {other} SELECT * FROM {t}; {change}"))
                .await;
            db.run(format!("RENAME TABLE {t} TO {old}, {other} TO {t}")).await;
        }
        Engine::Postgres => {
            db.run(format!(
                "CREATE TEMP TABLE {other} ON COMMIT DROP AS SELECT * FROM {t}; TRUNCATE {t}; \
                 INSERT INTO {t} SELECT * FROM {other}; {change}"
            ))
            .await;
        }
        Engine::Sqlite => {
            let made = db.texts(format!("SELECT sql FROM sqlite_schema WHERE name = '{TABLE}'")).await;
            let made = made[0][0].clone().unwrap();
            db.run(format!(
                "BEGIN; ALTER TABLE {t} RENAME TO {old}; {made}; INSERT INTO {t} SELECT * FROM {old}; {change}; \
                 DROP TABLE {old}; COMMIT"
            ))
            .await;
        }
    }
}

async fn is_replaced(pair: Pair, (source, running): (bool, bool)) {
    let case = format!("{} to {}, source {source}, running {running}", pair.src.engine, pair.des.engine);
    pair.fill(1..=300).await;
    pair.src.run(format!("UPDATE {} SET update_time = '2020-01-01 00:00:00'", pair.src.quote(TABLE))).await;
    let receiver = pair.repairer().await;
    let config = with(pair.both_feeds(&receiver.url()), json!({ "sweep": "10d", "settle": "1s" }));
    let site = Site::new(&config);
    let mut daemon = site.start();
    let first = pass_after(&site, "sweep", 0).await;
    if !running {
        daemon.stop().await;
    }
    if source {
        replace(&pair.src, "UPDATE {t} SET name = 'otherwise' WHERE id IN (7, 300)").await;
    } else {
        replace(&pair.des, "DELETE FROM {t} WHERE id IN (7, 300)").await;
    }
    if !running {
        daemon = site.start();
    }
    let second = pass_after(&site, "sweep", first).await;
    all_healed(&site, &mut daemon, 2).await;
    assert_eq!(ids_of(&receiver.calls()), [7, 300], "{case}: each once, none else");
    assert!(daemon.output().contains("was replaced, emptied or rebuilt"), "{case}: {}", daemon.output());
    // Seen by those who look now and then, and after a restart: it is the same table still.
    daemon.stop().await;
    let daemon = site.start_ready().await;
    wait_for("a look after the restart", LIMIT, async || daemon.output().contains("caught up").then_some(()))
        .await;
    assert_eq!(cursor(&site, "sweep", "last.began").await, Some(second), "{case}: it is passed once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_replaced_is_passed_at_once() {
    let mut tasks = Vec::new();
    for case in CASES {
        tasks.extend(pairs().await.into_iter().map(|pair| is_replaced(pair, case)));
    }
    futures_util::future::join_all(tasks).await;
}
