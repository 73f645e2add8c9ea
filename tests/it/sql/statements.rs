//! What a source is asked: at most one statement per 1 000 rows, and a few per look. Counted by servers of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cupid::config::Engine;
use cupid::model::Feed;

use super::super::support::servers;
use super::super::support::wait::{LIMIT, wait_until};
use super::settled::{Walker, config, held, now, table};
use super::{Db, SERVERS};

/// Counts what a server does.
struct Counter(Db);

impl Counter {
    /// `None` after a loud skip.
    async fn new(engine: Engine) -> Option<Self> {
        let server = match engine {
            Engine::MySql => servers::start_mysql(&[], &[]).await?,
            _ => servers::start_postgres(&["shared_preload_libraries=pg_stat_statements"], &[]).await?,
        };
        let db = Db::on(&Arc::new(server)).await;
        if engine == Engine::Postgres {
            db.run("CREATE EXTENSION pg_stat_statements").await;
        }
        Some(Self(db))
    }

    async fn status(&self, name: &str) -> i64 {
        let from = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME =";
        self.0.number(format!("{from} '{name}'")).await
    }

    /// Statements that were run, and rows of tables and indexes that they went through.
    async fn counts(&self) -> (i64, i64) {
        if self.0.engine == Engine::MySql {
            return (self.status("COM_STMT_EXECUTE").await, self.status("HANDLER_READ_NEXT").await);
        }
        let sums = self.0.texts("SELECT sum(calls)::int8, sum(rows)::int8 FROM pg_stat_statements").await;
        let number = |at: usize| sums[0][at].as_deref().unwrap().parse().unwrap();
        (number(0), number(1))
    }

    async fn insert(&self, first: i64, rows: i64) {
        let numbers = match self.0.engine {
            Engine::MySql => format!("SELECT seq AS n FROM seq_1_to_{rows}"),
            _ => format!("SELECT generate_series(1, {rows}) AS n"),
        };
        let now = now(self.0.engine);
        self.0.run(format!("INSERT INTO t SELECT {first} + n, n, 0, {now} FROM ({numbers}) AS s")).await;
    }
}

#[tokio::test]
async fn few_statements_are_run() {
    for engine in SERVERS {
        let Some(counter) = Counter::new(engine).await else { continue };
        let db = &counter.0;
        table(db).await;
        counter.insert(0, 30_000).await;
        let mut inserts = Walker::new(&config(db), Feed::Insert).await;
        let mut updates = Walker::new(&config(db), Feed::Update).await;
        let _held = held(db, &format!("INSERT INTO t VALUES (100000, 0, 0, {})", now(engine))).await;
        for round in 0..6 {
            counter.insert(200_000 + round * 3000, 3000).await;
            for walker in [&mut inserts, &mut updates] {
                let before = counter.counts().await;
                let mut rows = 0;
                loop {
                    let batch = walker.source.read(walker.feed, &walker.at, 1000).await.unwrap();
                    rows += batch.rows.len() as i64;
                    walker.at = batch.next;
                    if !batch.more {
                        break;
                    }
                }
                let after = counter.counts().await;
                let (statements, passed) = (after.0 - before.0, after.1 - before.1);
                eprintln!("{engine}, {}: {statements} statements, {rows} of {passed} rows", walker.feed);
                // What has not settled is listed again when it is time for that, 10 000 ids in one statement.
                assert!(
                    statements <= rows / 1000 + passed / 10_000 + 14,
                    "{engine}, {} feed: {statements} statements for {rows} rows of the {passed} that were passed",
                    walker.feed
                );
            }
        }
        let since = Instant::now();
        wait_until("the rows are old", LIMIT, || since.elapsed() > Duration::from_secs(3)).await;
        for walker in [&mut inserts, &mut updates] {
            walker.look().await;
            let before = counter.counts().await;
            walker.look().await;
            let statements = counter.counts().await.0 - before.0;
            eprintln!("{engine}, {}: {statements} statements of an idle look", walker.feed);
            assert!(
                statements <= 14,
                "{engine}: an idle look of the {} feed runs {statements} statements",
                walker.feed
            );
        }
    }
}
