//! Rows of a mebibyte each: what is in memory at once is bounded in bytes, whatever the number of rows asked for.

use std::collections::BTreeSet;
use std::time::Instant;

use cupid::config::Engine;
use cupid::model::{Feed, RowId};
use serde_json::json;

use super::super::support::config::{copy, legacy, source, with};
use super::super::support::daemon::Site;
use super::super::support::db::ENGINES;
use super::super::support::receiver::Receiver;
use super::super::support::wait::LIMIT;
use super::{Db, ids, open, source_config, update_config};

/// Rows of this size …
const MIB: usize = 1 << 20;

/// … of which one read returns no more than these.
const MOST: usize = 16;

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, u VARCHAR(19), v ";

/// Rows `from..=to` of a mebibyte each, three to a time.
async fn fill(db: &Db, from: usize, to: usize) {
    let (ids, n, wide) = match db.engine {
        Engine::MySql => (format!("seq_{from}_to_{to}"), "seq", format!("REPEAT('x', {MIB})")),
        Engine::Postgres => {
            (format!("generate_series({from}, {to}) AS g(n)"), "n", format!("repeat('x', {MIB})"))
        }
        Engine::Sqlite => (
            format!(
                "(WITH RECURSIVE g(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM g WHERE n < {to}) SELECT n FROM g)"
            ),
            "n",
            format!("printf('%.{MIB}c', 'x')"),
        ),
    };
    let time = match db.engine {
        Engine::MySql => format!("CONCAT('2024-01-01 00:00:', LPAD({n} DIV 3, 2, '0'))"),
        Engine::Postgres => format!("'2024-01-01 00:00:' || lpad(({n} / 3)::text, 2, '0')"),
        Engine::Sqlite => format!("printf('2024-01-01 00:00:%02d', {n} / 3)"),
    };
    db.run(format!("INSERT INTO t SELECT {n}, {time}, {wide} FROM {ids}")).await;
}

async fn table(engine: Engine) -> Option<Db> {
    let db = Db::new(engine).await?;
    let wide = if engine == Engine::MySql { "LONGTEXT" } else { "TEXT" };
    db.run(format!("{TABLE}{wide})")).await;
    Some(db)
}

#[tokio::test]
async fn wide_rows_come_in_pages_bounded_by_bytes() {
    for engine in ENGINES {
        let Some(db) = table(engine).await else { continue };
        // First the newest keys, then the others: they are late commits to the insert feed. SQLite has none.
        fill(&db, 51, 60).await;
        let late = engine != Engine::Sqlite;
        if !late {
            fill(&db, 1, 50).await;
        }
        let mut config = source_config(&db, "t", "id");
        config.update = Some(update_config("u"));
        let source = open(&config, &["v"], &db).await.unwrap();
        for feed in [Feed::Insert, Feed::Update] {
            let mut at = source.start(feed, None).await.unwrap();
            let mut seen: BTreeSet<i128> = BTreeSet::new();
            let mut filled = !late || feed == Feed::Update;
            let began = Instant::now();
            loop {
                let batch = source.read(feed, &at, 1000).await.unwrap();
                assert!(batch.rows.len() <= MOST, "{engine} {feed}: {} rows at once", batch.rows.len());
                for id in ids(&batch.rows) {
                    assert!(seen.insert(id), "{engine} {feed}: {id} twice");
                }
                at = batch.next;
                // A look finds what has been committed when it begins.
                if !batch.more && filled && (seen.len() == 60 || began.elapsed() > LIMIT) {
                    break;
                }
                if !filled {
                    fill(&db, 1, 50).await;
                    filled = true;
                }
            }
            assert_eq!(seen.len(), 60, "{engine} {feed}");
        }
        let sample = source.sample(1000).await.unwrap();
        assert!((10..=2 * MOST).contains(&sample.len()), "{engine}: {} rows sampled", sample.len());
    }
}

#[tokio::test]
async fn wide_rows_are_fetched_whole_a_few_at_a_time() {
    for engine in ENGINES {
        let Some(db) = table(engine).await else { continue };
        fill(&db, 1, 40).await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        // Half of them are not there.
        let wanted: BTreeSet<RowId> = (1..=80).map(RowId).collect();
        let (mut rest, mut seen) = (wanted.iter().copied().collect::<Vec<_>>(), BTreeSet::new());
        while !rest.is_empty() {
            let fetched = source.fetch_some(&rest).await.unwrap();
            assert!(fetched.rows.len() <= MOST, "{engine}: {} rows at once", fetched.rows.len());
            assert!(fetched.rest.len() < rest.len(), "{engine}: it goes on");
            assert!(fetched.rest.iter().all(|id| wanted.contains(id)), "{engine}");
            for row in &fetched.rows {
                assert_eq!(row.values.len(), 3);
                assert!(!fetched.rest.contains(&row.id) && seen.insert(row.id), "{engine}: {}", row.id.0);
            }
            rest = fetched.rest;
        }
        assert_eq!(seen.len(), 40, "{engine}: what was neither found nor left for later is gone");
        assert_eq!(
            source.fetch_some(&[RowId(1), RowId(2), RowId(99)]).await.unwrap().rows.len(),
            2,
            "{engine}"
        );
    }
}

/// A catch-up over wide rows: the daemon's greatest size in memory does not know how many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_rows_do_not_fill_the_memory() {
    const ROWS: usize = 200;
    for (from, to) in [(Engine::MySql, Engine::Postgres), (Engine::Postgres, Engine::MySql)] {
        let (Some(src), Some(des)) = (table(from).await, table(to).await) else { continue };
        fill(&src, 1, ROWS).await;
        fill(&des, 1, ROWS).await;
        des.run(format!("DELETE FROM t WHERE id = {ROWS}")).await;
        let receiver = Receiver::answering(200).await;
        let config =
            legacy(source(&src, "t", "id"), vec![copy(&des, "t", "id", &[("v", "v")], &receiver.url())]);
        let site = Site::new(&with(config, json!({ "verify": false })));
        let mut daemon = site.start();
        daemon.until("the last row is called back", LIMIT, || receiver.count() > 0).await;
        assert_eq!(receiver.count(), 1);
        let peak = daemon.peak_rss_kib() / 1024;
        eprintln!("{from} to {to}: {ROWS} rows of 1 MiB, peak {peak} MiB");
        assert!(peak <= 160, "{from} to {to}: peak {peak} MiB");
    }
}
