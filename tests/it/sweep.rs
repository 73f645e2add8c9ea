//! The sweep: what no feed can see is found by going over everything again and again, slowly.

mod replaced;

use std::time::{Duration, Instant};

use cupid::config::Engine;
use serde_json::json;

use crate::support::blind::Blind;
use crate::support::config::{copy, legacy, source, updated_source, with};
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE, ids_of, now};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// Each engine once on either side, and never the same on both.
const PAIRS: [(Engine, Engine); 3] =
    [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::Sqlite), (Engine::Sqlite, Engine::MySql)];

/// Pairs of different engines with empty tables.
pub async fn pairs() -> Vec<Pair> {
    let mut all = Vec::new();
    for (src, des) in PAIRS {
        let (Some(src), Some(des)) = (Db::new(src).await, Db::new(des).await) else { continue };
        all.push(Pair::of(src, des).await);
    }
    all
}

/// A number out of the cursor of a slow feed.
pub async fn cursor(site: &Site, feed: &str, path: &str) -> Option<i64> {
    let value = format!("json_extract(position, '$.{path}')");
    let sql = format!("SELECT {value} FROM cursor WHERE feed = '{feed}' AND {value} IS NOT NULL LIMIT 1");
    state::try_number(site, &sql).await
}

/// Waits for a complete pass that began after `after`; returns when it began.
pub async fn pass_after(site: &Site, feed: &str, after: i64) -> i64 {
    let what = format!("a pass of {feed} is complete");
    wait_for(&what, LIMIT, async || cursor(site, feed, "last.began").await.filter(|began| *began > after))
        .await
}

async fn all_healed(site: &Site, daemon: &mut Daemon, count: i64) {
    wait_for("all are seen to agree", LIMIT, async || {
        assert!(daemon.running(), "{}", daemon.output());
        (state::try_number(site, "SELECT count(*) FROM delivery WHERE state = 'healed'").await? == count)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_behind_the_feeds_is_found() {
    for pair in pairs().await {
        pair.fill(1..=300).await;
        let old = "UPDATE {t} SET update_time = '2020-01-01 00:00:00'";
        pair.src.run(old.replace("{t}", &pair.src.quote(TABLE))).await;
        let receiver = pair.repairer().await;
        let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "sweep": "2s" })));
        let mut daemon = site.start();
        pass_after(&site, "sweep", 0).await;
        assert_eq!(receiver.count(), 0, "nothing to find yet");

        pair.spoil(&[7]).await;
        pair.lose(&[8, 300]).await;
        let table = pair.src.quote(TABLE);
        pair.src.run(format!("UPDATE {table} SET name = 'quietly' WHERE id = 9")).await;
        all_healed(&site, &mut daemon, 4).await;
        assert_eq!(ids_of(&receiver.calls()), [7, 8, 9, 300], "each once, none else");
        assert_eq!(pair.differences().await, [0_i64; 0]);
    }
}

/// Nobody tells of transactions, and one is open for five times `settle`, through a restart or not: the feeds have passed
/// what it wrote, and the sweep finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commits_later_than_anybody_can_see_is_found() {
    const SETTLE: Duration = Duration::from_secs(2);
    let mut tasks = Vec::new();
    for restarts in [false, true] {
        for pair in Pair::apart(&[Engine::MySql, Engine::Postgres]).await {
            tasks.push(commits_late(pair, SETTLE, restarts));
        }
    }
    futures_util::future::join_all(tasks).await;
}

async fn commits_late(pair: Pair, settle: Duration, restarts: bool) {
    pair.fill(1..=20).await;
    let table = pair.src.quote(TABLE);
    let blind = Blind::of(&pair.src).await;
    let receiver = pair.repairer().await;
    let mut config = with(pair.both_feeds(&receiver.url()), json!({ "sweep": "2s" }));
    (config["src"]["dsn"], config["src"]["settle"]) = (blind.url().into(), "2s".into());
    let site = Site::new(&config);
    let mut daemon = site.start();
    pass_after(&site, "sweep", 0).await;
    let now = now(&pair.src);
    let mut held = Held::begin(&pair.src).await;
    held.run(&format!(
        "INSERT INTO {table} (id, number, name, phone) VALUES (21, 'n21', 'late', NULL); \
         UPDATE {table} SET name = 'changed', update_time = {now} WHERE id = 7"
    ))
    .await;
    let since = Instant::now();
    pair.fill_source(22..=22).await;
    daemon.until("the larger id is told", LIMIT, || ids_of(&receiver.calls()) == [22]).await;
    daemon.until("half of it", LIMIT, || since.elapsed() > settle * 5 / 2).await;
    if restarts {
        daemon.kill();
        daemon = site.start();
    }
    daemon.until("five times `settle`", LIMIT, || since.elapsed() > settle * 5).await;
    assert_eq!(ids_of(&receiver.calls()), [22], "what is not committed is nobody's");
    held.end("COMMIT").await;
    all_healed(&site, &mut daemon, 3).await;
    assert_eq!(ids_of(&receiver.calls()), [7, 21, 22], "each once, none else");
    assert_eq!(pair.differences().await, [0_i64; 0]);
    let by_sweep = "SELECT count(*) FROM delivery JOIN run ON run.id = delivery.run WHERE run.feed = 'sweep'";
    assert!(
        state::number(&site, by_sweep).await >= 1,
        "the change, and the row unless its gap was looked at first"
    );
    daemon.stop().await;
    blind.leave().await;
}

/// The first walk of the insert feed counts as a pass; a restart does not begin anew, and a kill does not either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_goes_on_where_it_was_killed_and_rests_most_of_the_time() {
    const ROWS: i64 = 30_000;
    for engine in [Engine::MySql, Engine::Postgres, Engine::Sqlite] {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=ROWS).await;
        let receiver = pair.repairer().await;
        let config = |sweep: serde_json::Value| {
            with(pair.inserts(&receiver.url()), json!({ "sweep": sweep, "log": { "level": "debug" } }))
        };
        let site = Site::new(&config(json!(false)));
        let mut daemon = site.start();
        daemon.wait_output("caught up").await;
        daemon.stop().await;
        pair.lose(&[5, ROWS]).await;

        // Nobody knows of a pass: one begins at once.
        site.write(&config(json!("1d")));
        let mut daemon = site.start();
        let began = wait_for("a part of the pass is done", LIMIT, async || {
            let read =
                state::try_number(&site, "SELECT count(*) FROM cursor WHERE position GLOB '*after*upTo*'");
            read.await.filter(|n| *n == 1)?;
            cursor(&site, "sweep", "pass.began").await
        })
        .await;
        daemon.kill();
        let first = swept(&daemon.output());
        let mut daemon = site.start();
        daemon.wait_output("pass complete").await;
        assert_eq!(cursor(&site, "sweep", "last.began").await, Some(began), "one and the same pass");
        let second = swept(&daemon.output());
        // What was read and not yet durable when it was killed may be read twice: one batch.
        let most = u64::try_from(ROWS).unwrap() + 10_000;
        assert!(first.rows > 0 && second.rows < u64::try_from(ROWS).unwrap(), "{first:?} {second:?}");
        assert!(first.rows + second.rows <= most, "{first:?} {second:?}");
        all_healed(&site, &mut daemon, 2).await;
        assert_eq!(ids_of(&receiver.calls()), [5, ROWS]);
        let share = second.took.as_secs_f64() / second.span.as_secs_f64();
        eprintln!("{engine}: {} rows in {:?}, {:.1} % of the time", second.rows, second.span, share * 100.0);
        // The last batch's rest is not part of what the log spans.
        assert!(share <= 0.15, "{engine}: {second:?}");

        daemon.stop().await;
        let mut daemon = site.start();
        daemon.wait_output("caught up").await;
        assert_eq!(
            cursor(&site, "sweep", "last.began").await,
            Some(began),
            "none is due before a day is over"
        );
        assert!(!daemon.output().contains("walked"));
    }
}

/// What the log says of the batches of a sweep.
#[derive(Debug, Default)]
struct Swept {
    rows: u64,
    took: Duration,
    span: Duration,
}

fn swept(output: &str) -> Swept {
    let mut swept = Swept::default();
    let mut times: Vec<f64> = Vec::new();
    for line in output.lines().filter(|line| line.contains(" walked ")) {
        let field = |name: &str| {
            let at = line.find(&format!(" {name}=")).unwrap() + name.len() + 2;
            line[at..].split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        swept.rows += field("rows");
        swept.took += Duration::from_micros(field("took_us"));
        // 2026-01-31T08:00:00.123456Z: the time of day is enough.
        let clock = line.split_once('T').unwrap().1;
        let part = |from: usize, to: usize| clock[from..to].parse::<f64>().unwrap();
        let end = clock.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap();
        times.push(part(0, 2) * 3600.0 + part(3, 5) * 60.0 + part(6, end));
    }
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        swept.span = Duration::from_secs_f64(last - first);
    }
    swept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_destination_is_swept_at_once() {
    for pair in pairs().await {
        pair.fill(1..=30).await;
        let Some(second) = Db::new(Engine::Sqlite).await else { continue };
        let other = Pair::of(Db::new(Engine::Sqlite).await.unwrap(), second).await;
        other.fill(1..=30).await;
        other.lose(&[11]).await;
        let old = "UPDATE {t} SET update_time = '2020-01-01 00:00:00'";
        pair.src.run(old.replace("{t}", &pair.src.quote(TABLE))).await;
        let receiver = other.repairer().await;
        let src = with(updated_source(&pair.src, TABLE, "number", "update_time"), json!({ "insert": false }));
        let config = |des| with(legacy(src.clone(), des), json!({ "sweep": "1d" }));
        let site = Site::new(&config(vec![pair.copy(&receiver.url())]));
        let mut daemon = site.start();
        pass_after(&site, "sweep", 0).await;
        daemon.stop().await;
        assert_eq!(receiver.count(), 0);
        let copies = vec![pair.copy(&receiver.url()), other.copy(&receiver.url())];
        site.write(&config(copies));
        let mut daemon = site.start();
        all_healed(&site, &mut daemon, 1).await;
        assert_eq!(ids_of(&receiver.calls()), [11]);
    }
}

/// Without an insert feed `-s` says where the sweep begins, as often as another one is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_insert_feed_a_different_start_is_for_the_sweep() {
    let pair = Pair::of(Db::sqlite().await, Db::sqlite().await).await;
    pair.fill(1..=30).await;
    pair.lose(&[11]).await;
    pair.src.run(format!("UPDATE {TABLE} SET update_time = '2020-01-01 00:00:00'")).await;
    let receiver = pair.repairer().await;
    let src = with(updated_source(&pair.src, TABLE, "number", "update_time"), json!({ "insert": false }));
    let config = legacy(src, vec![pair.copy(&receiver.url())]);
    let mut site = Site::new(&with(config, json!({ "sweep": "1d" })));
    for _ in 0..2 {
        let mut daemon = site.set_args(&["-s", "20"]).start();
        pass_after(&site, "sweep", 0).await;
        daemon.stop().await;
        assert_eq!(receiver.count(), 0, "row 11 lies before the start");
    }
    let mut daemon = site.set_args(&["-s", "1"]).start();
    all_healed(&site, &mut daemon, 1).await;
    assert_eq!(ids_of(&receiver.calls()), [11]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_mapping_is_swept_at_once() {
    for pair in pairs().await {
        pair.fill(1..=30).await;
        let t = pair.des.quote(TABLE);
        pair.des.run(format!("UPDATE {t} SET phone = 'none' WHERE id IN (3, 5)")).await;
        let receiver = pair.repairer().await;
        let config = |columns: &[(&str, &str)]| {
            let des = copy(&pair.des, TABLE, "number", columns, &receiver.url());
            with(legacy(source(&pair.src, TABLE, "number"), vec![des]), json!({ "sweep": "1d" }))
        };
        let site = Site::new(&config(&[("number", "number"), ("name", "name")]));
        let mut daemon = site.start();
        let began = pass_after(&site, "sweep", 0).await;
        daemon.stop().await;
        assert_eq!(receiver.count(), 0, "nobody asked for phones");
        site.write(&config(&[("name", "name"), ("number", "number"), ("phone", "phone")]));
        let mut daemon = site.start();
        all_healed(&site, &mut daemon, 2).await;
        assert_eq!(ids_of(&receiver.calls()), [3, 5]);
        let again = pass_after(&site, "sweep", began).await;
        daemon.stop().await;
        // The order of columns is no other mapping.
        site.write(&config(&[("phone", "phone"), ("name", "name"), ("number", "number")]));
        let mut daemon = site.start();
        daemon.wait_output("caught up").await;
        daemon.stop().await;
        assert_eq!(cursor(&site, "sweep", "last.began").await, Some(again));
    }
}
