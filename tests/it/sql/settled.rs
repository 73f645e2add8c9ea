//! Concurrent transactions on real servers: whatever is committed late is found, in both feeds and over restarts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cupid::base::secret::Secret;
use cupid::config::{Dsn, Engine, SourceConfig, Start, UpdateConfig};
use cupid::model::{Feed, Position, Value};
use cupid::source::{Coverage, Source};
use cupid::sql::{Database, Limits};

use super::super::support::blind::{self, Blind};
use super::super::support::held::Held;
use super::super::support::servers;
use super::super::support::wait::{LIMIT, wait_for, wait_until};
use super::{Db, SERVERS, dsn, source_config, update_config};

pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// A transaction of an application that has begun with this statement.
pub(super) async fn held(db: &Db, sql: &str) -> Held {
    let mut held = Held::begin(db).await;
    held.run(sql).await;
    held
}

/// A feed that is walked, and every (id, v) that it returned.
pub(super) struct Walker {
    pub(super) source: Arc<dyn Source>,
    pub(super) feed: Feed,
    pub(super) at: Position,
    limit: usize,
    restarts: bool,
    seen: BTreeSet<(i128, i128)>,
    pub(super) coverage: Coverage,
}

impl Walker {
    pub(super) async fn new(config: &SourceConfig, feed: Feed) -> Self {
        let database = Arc::new(Database::connect(&config.dsn, Limits::default()));
        let source = cupid::source::open(config, &["v".to_owned()], database).await.unwrap();
        let at = source.start(feed, None).await.unwrap();
        let coverage = Coverage::default();
        Self {
            source: source.into(),
            feed,
            at,
            limit: 1000,
            restarts: false,
            seen: BTreeSet::new(),
            coverage,
        }
    }

    /// One look.
    pub(super) async fn look(&mut self) {
        loop {
            let batch = self.source.read(self.feed, &self.at, self.limit).await.unwrap();
            let v = |values: &[Value]| values[1].as_int().unwrap();
            self.seen.extend(batch.rows.iter().map(|row| (row.id.0, v(&row.values))));
            self.coverage = batch.coverage;
            self.at = batch.next;
            if !batch.more {
                break;
            }
        }
    }

    /// With `restarts`, only the text of the position goes on.
    fn restart(&mut self) {
        if self.restarts {
            self.at = Position::new(self.at.as_str());
        }
    }

    pub(super) async fn finds(&mut self, what: &str, id: i128, v: i128) {
        let found = async || {
            self.look().await;
            self.seen.contains(&(id, v)).then_some(())
        };
        wait_for(what, LIMIT, found).await;
        self.restart();
    }

    /// Looks again and again for as long as that.
    pub(super) async fn goes_on(&mut self, time: Duration) {
        let since = Instant::now();
        wait_for("time passes", LIMIT, async || {
            self.look().await;
            (since.elapsed() > time).then_some(())
        })
        .await;
        self.restart();
    }

    async fn settles_at(&mut self, id: i128) {
        let wanted = format!("id {id}");
        let settled = async || {
            self.look().await;
            (self.coverage.settled.as_deref() == Some(&wanted)).then_some(())
        };
        wait_for("everything settles", LIMIT, settled).await;
    }
}

pub(super) fn now(engine: Engine) -> &'static str {
    if engine == Engine::MySql { "NOW()" } else { "date_trunc('second', clock_timestamp())" }
}

pub(super) async fn table(db: &Db) {
    let kind = if db.engine == Engine::MySql { "TIMESTAMP NULL" } else { "timestamptz" };
    let engine = if db.engine == Engine::MySql { " ENGINE=InnoDB" } else { "" };
    db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, v INTEGER, u {kind}){engine}; CREATE INDEX t_u ON t (u)"))
        .await;
}

pub(super) fn config(db: &Db) -> SourceConfig {
    let mut config = source_config(db, "t", "k");
    config.settle = SETTLE;
    config.update =
        Some(UpdateConfig { start: Start::Now, window: Duration::from_secs(1), ..update_config("u") });
    config
}

pub(super) fn row(engine: Engine, id: i64, v: i64) -> String {
    format!("INSERT INTO t VALUES ({id}, {id}, {v}, {})", now(engine))
}

pub(super) fn write(engine: Engine, id: i64, v: i64) -> String {
    format!("UPDATE t SET v = {v}, u = {} WHERE id = {id}", now(engine))
}

#[tokio::test]
async fn ids_committed_out_of_order_are_found_and_rolled_back_ones_are_passed() {
    for engine in SERVERS {
        for restarts in [false, true] {
            let Some(db) = Db::apart(engine).await else { continue };
            table(&db).await;
            db.run(row(engine, 1, 0)).await;
            let mut walker = Walker::new(&config(&db), Feed::Insert).await;
            walker.restarts = restarts;
            walker.finds("the first row", 1, 0).await;
            let mut late = held(&db, &row(engine, 2, 0)).await;
            let mut undone = held(&db, &row(engine, 3, 0)).await;
            let mut last = held(&db, &row(engine, 4, 0)).await;
            db.run(row(engine, 5, 0)).await;
            walker.finds("the overtaker", 5, 0).await;
            last.run("COMMIT").await;
            walker.finds("the one before it", 4, 0).await;
            undone.run("ROLLBACK").await;
            walker.goes_on(SETTLE * 2).await;
            assert_ne!(walker.coverage.settled.as_deref(), Some("id 5"), "{engine}");
            late.run("COMMIT").await;
            walker.finds("the smallest at the end", 2, 0).await;
            walker.settles_at(5).await;
            assert_eq!(walker.seen, [1, 2, 4, 5].map(|id| (id, 0)).into(), "{engine}");
        }
    }
}

/// Ids below zero, at the very end of their column, and ten apart: those that commit late are found, and what was rolled
/// back is passed.
#[tokio::test]
async fn ids_of_every_kind_may_commit_late() {
    let unsigned = |ids: [i128; 5]| (Engine::MySql, "BIGINT UNSIGNED", ids);
    let signed = |engine, ids: [i128; 5]| (engine, "BIGINT", ids);
    let (lowest, highest) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let top = i128::from(u64::MAX);
    let mut cases = vec![
        unsigned([0, 1, 2, 3, 4]),
        unsigned([highest - 1, highest, highest + 1, highest + 2, highest + 3]),
        unsigned([1, 1 << 62, 1 << 63, top - 1, top]),
    ];
    for engine in SERVERS {
        cases.push(signed(engine, [-20, -19, -18, -1, 0]));
        cases.push(signed(engine, [-21, -11, -1, 9, 19]));
        cases.push(signed(engine, [lowest, lowest + 1, 0, highest - 1, highest]));
    }
    for (engine, kind, ids) in cases {
        let Some(db) = Db::apart(engine).await else { continue };
        db.run(format!("CREATE TABLE t (id {kind} PRIMARY KEY, k INTEGER, v INTEGER)")).await;
        let row = |at: usize| format!("INSERT INTO t VALUES ({}, {at}, 0)", ids[at]);
        let config = SourceConfig { update: None, ..config(&db) };
        let mut walkers =
            [Walker::new(&config, Feed::Insert).await, Walker::new(&config, Feed::Insert).await];
        walkers[1].restarts = true;
        db.run(row(0)).await;
        let mut undone = held(&db, &row(1)).await;
        let mut late = held(&db, &row(2)).await;
        db.run(row(3)).await;
        db.run(row(4)).await;
        for walker in &mut walkers {
            walker.finds("the overtaker", ids[4], 0).await;
        }
        undone.run("ROLLBACK").await;
        late.run("COMMIT").await;
        for walker in &mut walkers {
            walker.finds("the late one", ids[2], 0).await;
            walker.settles_at(ids[4]).await;
            assert_eq!(walker.seen, [0, 2, 3, 4].map(|at| (ids[at], 0)).into(), "{engine} {ids:?}");
        }
    }
}

/// The server gives ids out ten apart (`auto_increment_increment`), and a transaction takes several.
#[tokio::test]
async fn ids_with_an_increment_may_commit_late() {
    let Some(db) = Db::apart(Engine::MySql).await else { return };
    db.run("CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, k INTEGER, v INTEGER) ENGINE=InnoDB").await;
    let apart = "SET auto_increment_increment = 10, auto_increment_offset = 3; ";
    let insert = |rows: &str| format!("{apart}INSERT INTO t (k, v) VALUES {rows}");
    let config = SourceConfig { update: None, ..config(&db) };
    let mut walker = Walker::new(&config, Feed::Insert).await;
    walker.restarts = true;
    db.run(insert("(1, 0), (2, 0)")).await;
    let mut late = held(&db, &insert("(3, 0), (4, 0)")).await;
    db.run(insert("(5, 0)")).await;
    let id = i128::from(db.number("SELECT id FROM t WHERE k = 5").await);
    walker.finds("the overtaker", id, 0).await;
    late.run("COMMIT").await;
    for k in [3, 4] {
        let id = i128::from(db.number(format!("SELECT id FROM t WHERE k = {k}")).await);
        assert_eq!(id % 10, 3);
        walker.finds("a late one", id, 0).await;
    }
    walker.settles_at(id).await;
    // What was rolled back leaves a gap, and the counter tells that nothing has begun anew.
    let mut undone = held(&db, &insert("(6, 0)")).await;
    undone.run("ROLLBACK").await;
    db.run("DELETE FROM t WHERE k >= 4").await;
    walker.goes_on(Duration::from_secs(1)).await;
    db.run(insert("(7, 0)")).await;
    let id = i128::from(db.number("SELECT id FROM t WHERE k = 7").await);
    walker.finds("the next one", id, 0).await;
}

/// Five times as long as `settle`; the feeds ask who is open, so that it makes no difference.
#[tokio::test]
async fn a_transaction_that_is_open_for_long_is_waited_for() {
    for engine in SERVERS {
        for restarts in [false, true] {
            let Some(db) = Db::apart(engine).await else { continue };
            table(&db).await;
            db.run(row(engine, 1, 0)).await;
            let mut inserts = Walker::new(&config(&db), Feed::Insert).await;
            let mut updates = Walker::new(&config(&db), Feed::Update).await;
            (inserts.restarts, updates.restarts) = (restarts, restarts);
            inserts.finds("the first row", 1, 0).await;
            let mut held = held(&db, &row(engine, 2, 0)).await;
            held.run(&write(engine, 1, 7)).await;
            db.run(row(engine, 3, 0)).await;
            let since = Instant::now();
            wait_for("five times `settle`", LIMIT, async || {
                inserts.goes_on(Duration::from_millis(500)).await;
                updates.goes_on(Duration::from_millis(500)).await;
                (since.elapsed() > SETTLE * 5).then_some(())
            })
            .await;
            assert!(inserts.coverage.told && updates.coverage.told, "{engine}");
            held.run("COMMIT").await;
            inserts.finds("the row", 2, 0).await;
            updates.finds("the change", 1, 7).await;
            updates.finds("the row, by its time", 2, 0).await;
            inserts.settles_at(3).await;
        }
    }
}

/// What is open when a feed starts for the first time was written before that, and is seen after it.
#[tokio::test]
async fn a_transaction_that_is_open_at_the_first_start_is_waited_for() {
    for engine in SERVERS {
        let Some(db) = Db::apart(engine).await else { continue };
        table(&db).await;
        db.run(row(engine, 1, 0)).await;
        let mut held = held(&db, &write(engine, 1, 7)).await;
        let since = Instant::now();
        wait_until("it was written long ago", LIMIT, || since.elapsed() > SETTLE * 2).await;
        let mut inserts = Walker::new(&config(&db), Feed::Insert).await;
        let mut updates = Walker::new(&config(&db), Feed::Update).await;
        inserts.finds("the row as it was", 1, 0).await;
        updates.goes_on(SETTLE).await;
        held.run("COMMIT").await;
        updates.finds("the change", 1, 7).await;
    }
}

/// A prepared transaction outlives its session and its server; of that, only the server's start is told.
#[tokio::test]
async fn a_prepared_transaction_is_waited_for_over_a_restart_of_the_server() {
    let Some(server) = servers::start_mysql(&[], &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    table(&db).await;
    db.run(row(Engine::MySql, 1, 0)).await;
    let mut updates = Walker::new(&config(&db), Feed::Update).await;
    updates.look().await;
    let mut session = Held::session(&db).await;
    session.run("XA START 'a'").await;
    session.run(&write(Engine::MySql, 1, 7)).await;
    updates.look().await;
    session.run("XA END 'a'; XA PREPARE 'a'").await;
    drop(session);
    // Long ago when the server starts anew, which is all that it tells then.
    updates.goes_on(SETTLE * 3).await;
    let server = db.server.clone().unwrap();
    server.stop().await;
    server.start().await;
    updates.goes_on(SETTLE * 2).await;
    db.run("XA COMMIT 'a'").await;
    updates.finds("the change", 1, 7).await;
}

/// A statement that waits for a table has no transaction on MySQL yet, and what it calls now is when it was sent.
#[tokio::test]
async fn a_statement_that_waits_for_its_table_is_waited_for() {
    for engine in SERVERS {
        let Some(db) = Db::apart(engine).await else { continue };
        table(&db).await;
        db.run(row(engine, 1, 0)).await;
        let mut updates = Walker::new(&config(&db), Feed::Update).await;
        updates.finds("the first row", 1, 0).await;
        let mut locks = Held::session(&db).await;
        let (lock, unlock) = match engine {
            Engine::MySql => ("LOCK TABLES t READ", "UNLOCK TABLES"),
            _ => ("BEGIN; LOCK TABLE t IN SHARE MODE", "COMMIT"),
        };
        locks.run(lock).await;
        let reader = async {
            updates.goes_on(SETTLE * 4).await;
            assert!(!updates.seen.contains(&(1, 7)), "{engine}: nobody may write");
            locks.run(unlock).await;
        };
        tokio::join!(db.run(write(engine, 1, 7)), reader);
        updates.finds("the change", 1, 7).await;
    }
}

/// Without the right to see transactions `settle` holds, over restarts as well: what is open for longer is left to the
/// sweep, and that is said.
#[tokio::test]
async fn without_the_right_settle_holds() {
    for engine in SERVERS {
        for restarts in [false, true] {
            let Some(db) = Db::apart(engine).await else { continue };
            table(&db).await;
            let blind = Blind::of(&db).await;
            let mut config = config(&db);
            let password = Some(Secret::new(blind::PASSWORD.to_owned()));
            config.dsn = Dsn { user: blind.user.clone(), password, ..dsn(&db) };
            config.settle = Duration::from_secs(8);
            db.run(row(engine, 1, 0)).await;
            let mut inserts = Walker::new(&config, Feed::Insert).await;
            let mut updates = Walker::new(&config, Feed::Update).await;
            (inserts.restarts, updates.restarts) = (restarts, restarts);
            inserts.finds("the first row", 1, 0).await;
            let mut held = held(&db, &row(engine, 2, 0)).await;
            held.run(&write(engine, 1, 7)).await;
            db.run(row(engine, 3, 0)).await;
            updates.goes_on(Duration::from_millis(3500)).await;
            inserts.goes_on(Duration::from_millis(100)).await;
            assert!(!inserts.coverage.told && !updates.coverage.told, "{engine}");
            held.run("COMMIT").await;
            inserts.finds("the row within `settle`", 2, 0).await;
            updates.finds("the change within `settle`", 1, 7).await;
            inserts.settles_at(3).await;
            let found = cupid::source::probe(
                &config,
                &["v".to_owned()],
                &Arc::new(Database::connect(&config.dsn, Limits::default())),
            )
            .await;
            let said = found.iter().find(|checked| checked.subject == "transactions").unwrap();
            let right = if engine == Engine::MySql { "PROCESS" } else { "pg_read_all_stats" };
            assert!(said.message.contains(right) && said.message.contains("8 s"), "{}", said.message);
            blind.leave().await;
        }
    }
}

/// Many rows of one time, read in small pages, some of which commit late; and a second write within the same second.
#[tokio::test]
async fn one_time_many_rows_and_two_writes_within_it() {
    for engine in SERVERS {
        for restarts in [false, true] {
            let Some(db) = Db::apart(engine).await else { continue };
            table(&db).await;
            let values: Vec<String> = (1..=40).map(|id| format!("({id}, {id}, 0, NULL)")).collect();
            db.run(format!("INSERT INTO t VALUES {}", values.join(", "))).await;
            let mut walker = Walker::new(&config(&db), Feed::Update).await;
            (walker.limit, walker.restarts) = (7, restarts);
            walker.look().await;
            let time =
                db.texts(format!("SELECT CAST({} AS CHAR(40))", now(engine))).await[0][0].clone().unwrap();
            let set = |v: i64, ids: &str| format!("UPDATE t SET v = {v}, u = '{time}' WHERE id IN ({ids})");
            db.run(set(1, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 33, 34, 35, 36, 37, 38, 39, 40")).await;
            let mut late = held(&db, &set(1, "11, 12, 13, 14, 15, 16, 17, 18")).await;
            late.run(&set(2, "5, 20, 40")).await;
            let mut undone = held(&db, &set(2, "30")).await;
            walker.finds("the last of the first", 40, 1).await;
            walker.goes_on(SETTLE * 2).await;
            undone.run("ROLLBACK").await;
            late.run("COMMIT").await;
            for (id, v) in [(11, 1), (18, 1), (5, 2), (20, 2), (40, 2)] {
                walker.finds("what was written late", id, v).await;
            }
            assert!(!walker.seen.contains(&(30, 2)), "{engine}");
            assert_eq!(
                walker.coverage.uncovered,
                if restarts { walker.coverage.uncovered } else { Some(40) }
            );
        }
    }
}

/// A wall clock that is set while a transaction is open, forth and back, in two zones. The server's zone is one whose
/// summer time begins or ends in a few seconds.
#[tokio::test]
async fn walls_that_are_set_lose_nothing() {
    let mut tasks = Vec::new();
    for (engine, hours, back) in [
        (Engine::MySql, 5, true),
        (Engine::MySql, -9, false),
        (Engine::Postgres, 5, false),
        (Engine::Postgres, -9, true),
    ] {
        tasks.push(wall_is_set(engine, hours, back));
    }
    futures_util::future::join_all(tasks).await;
}

/// Now, by the clock of this machine and its servers.
fn utc() -> chrono::NaiveDateTime {
    let now = cupid::base::clock::Clock::system().now();
    chrono::DateTime::from_timestamp_millis(now).unwrap().naive_utc()
}

/// `hours` behind UTC in winter.
async fn wall_is_set(engine: Engine, hours: i64, back: bool) {
    use chrono::Datelike as _;
    let set = utc() + chrono::TimeDelta::seconds(25);
    let wall = set - chrono::TimeDelta::hours(if back { hours - 1 } else { hours });
    let leap = i64::from(wall.date().leap_year() && wall.ordinal() > 59);
    let day = format!("J{}/{}", i64::from(wall.ordinal()) - leap, wall.format("%H:%M:%S"));
    // The other change lies half a year away.
    let other = if wall.month() > 6 { "J60/2" } else { "J300/2" };
    let rule = if back { format!("{other},{day}") } else { format!("{day},{other}") };
    let zone = format!("AAA{hours}BBB,{rule}");
    let server = match engine {
        Engine::MySql => servers::start_mysql(&[], &[("TZ", &zone)]).await,
        _ => servers::start_postgres(&[&format!("timezone={zone}")], &[]).await,
    };
    let Some(server) = server else { return };
    let db = Db::on(&Arc::new(server)).await;
    let (kind, now) = match engine {
        Engine::MySql => ("DATETIME", "NOW()".to_owned()),
        _ => ("timestamp", format!("date_trunc('second', clock_timestamp() AT TIME ZONE '{zone}')")),
    };
    db.run(format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, v INTEGER, u {kind}); CREATE INDEX t_u ON t (u)"
    ))
    .await;
    db.run("INSERT INTO t SELECT n, n, 0, NULL FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) AS s").await;
    let mut walker = Walker::new(&config(&db), Feed::Update).await;
    let mut forgetful = Walker::new(&config(&db), Feed::Update).await;
    forgetful.restarts = true;
    let sets = |id: i64, v: i64| format!("UPDATE t SET v = {v}, u = {now} WHERE id = {id}");
    assert!(utc() < set, "the server started before its clock was set");
    db.run(sets(1, 1)).await;
    let mut held = held(&db, &sets(2, 1)).await;
    for walker in [&mut walker, &mut forgetful] {
        walker.finds("a change before", 1, 1).await;
    }
    wait_for("the wall is set", LIMIT, async || {
        walker.look().await;
        forgetful.goes_on(Duration::from_millis(500)).await;
        (utc() > set + chrono::TimeDelta::seconds(1)).then_some(())
    })
    .await;
    db.run(sets(3, 1)).await;
    for walker in [&mut walker, &mut forgetful] {
        walker.finds("a change after", 3, 1).await;
        walker.goes_on(SETTLE).await;
    }
    held.run("COMMIT").await;
    for walker in [&mut walker, &mut forgetful] {
        walker.finds("a change of before that commits after", 2, 1).await;
    }
    db.run(sets(4, 1)).await;
    for walker in [&mut walker, &mut forgetful] {
        walker.finds("a change later on", 4, 1).await;
    }
}
