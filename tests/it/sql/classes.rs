//! Each way in which a database fails, provoked on real servers, with its own code and the class that people are told.

use std::sync::Arc;
use std::time::Duration;

use cupid::base::secret::Secret;
use cupid::config::{Dsn, Engine};
use cupid::destination::Destination;
use cupid::model::{DatabaseClass, Value};
use cupid::sql::{Database, Limits, PlaceError};
use sqlx::ConnectOptions;

use super::super::support::db::ENGINES;
use super::super::support::held::Held;
use super::super::support::servers;
use super::super::support::temp::{TempDir, unique};
use super::super::support::wait::{LIMIT, wait_for};
use super::{Db, SERVERS, destination_config, dsn, open_destination};

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1), (2, 2)";

/// The code of the database stands in the message, the class is ours, and both say what group it is.
#[track_caller]
fn is(error: &PlaceError, class: DatabaseClass, code: &str) {
    assert_eq!(error.class, class, "{error}");
    assert!(error.to_string().contains(code), "{code} in {error}");
}

fn code(engine: Engine, mysql: &str, postgres: &str) -> String {
    if engine == Engine::MySql { format!("(error {mysql})") } else { format!("(SQLSTATE {postgres})") }
}

async fn refused(dsn: &Dsn) -> PlaceError {
    Database::connect(dsn, Limits::default()).ping().await.unwrap_err()
}

async fn ask(copy: &dyn Destination) -> PlaceError {
    copy.lookup(&[Value::Int(1), Value::Int(2)]).await.unwrap_err()
}

/// An account of its own that may read everything there is now.
async fn account(db: &Db, options: &str) -> Dsn {
    let user = format!("class_{}", unique());
    db.run(match db.engine {
        Engine::MySql => {
            format!(
                "CREATE USER '{user}'@'%' IDENTIFIED BY 'x' {options}; GRANT SELECT ON {}.* TO '{user}'@'%'",
                db.name
            )
        }
        _ => format!(
            "CREATE ROLE {user} PASSWORD 'x' {options}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"
        ),
    })
    .await;
    Dsn { user, password: Some(Secret::new("x".to_owned())), ..dsn(db) }
}

async fn destination(db: &Db, table: &str, dsn: Dsn, limits: Limits) -> Box<dyn Destination> {
    let config = destination_config(db, table, "id", &["v"]);
    cupid::destination::open(&config, Arc::new(Database::connect(&dsn, limits))).await.unwrap()
}

#[tokio::test]
async fn who_cannot_come_in_is_told_why() {
    use DatabaseClass::{Auth, Connect, Dns, MissingDatabase, Timeout, TooManyConnections};
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let port = servers::free_port();
        is(&refused(&Dsn { port, ..dsn(&db) }).await, Connect, "refused");
        let host = "no-such-host.invalid".to_owned();
        is(&refused(&Dsn { host, ..dsn(&db) }).await, Dns, "no-such-host");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, connect_timeout) = (silent.local_addr().unwrap().port(), Duration::from_millis(200));
        is(&refused(&Dsn { port, connect_timeout, ..dsn(&db) }).await, Timeout, "0.2 s");
        let password = Some(Secret::new("wrong".to_owned()));
        is(&refused(&Dsn { password, ..dsn(&db) }).await, Auth, &code(engine, "1045", "28P01"));
        let user = "nobody_at_all".to_owned();
        is(&refused(&Dsn { user, ..dsn(&db) }).await, Auth, "nobody_at_all");
        let database = "not_there".to_owned();
        is(&refused(&Dsn { database, ..dsn(&db) }).await, MissingDatabase, &code(engine, "1049", "3D000"));
        let one =
            if engine == Engine::MySql { "WITH MAX_USER_CONNECTIONS 1" } else { "LOGIN CONNECTION LIMIT 1" };
        let dsn = account(&db, one).await;
        let first = Database::connect(&dsn, Limits::default());
        first.ping().await.unwrap();
        is(&refused(&dsn).await, TooManyConnections, &code(engine, "1226", "53300"));
        first.close().await;
        let locked = if engine == Engine::MySql { "ACCOUNT LOCK" } else { "NOLOGIN" };
        is(&refused(&account(&db, locked).await).await, Auth, &code(engine, "4151", "28000"));
    }
}

#[tokio::test]
async fn what_was_taken_away_is_named() {
    use DatabaseClass::{MissingColumn, MissingTable, Permission, Schema};
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run(TABLE).await;
        let copy = open_destination(&db, "t", "id", &["v"]).await.unwrap();
        db.run("ALTER TABLE t RENAME COLUMN v TO w").await;
        let one_for_all = engine == Engine::Sqlite;
        // SQLite takes a name in quotes that is no column for a text: there the catalogue alone tells.
        if !one_for_all {
            is(&ask(&*copy).await, MissingColumn, &code(engine, "1054", "42703"));
        }
        is(&copy.recheck().await.unwrap_err(), MissingColumn, "\"v\"");
        let gone = open_destination(&db, "t", "id", &["v"]).await.err().unwrap();
        is(&gone, MissingColumn, "\"v\"");
        db.run("ALTER TABLE t RENAME COLUMN w TO v").await;
        let source = super::open(&super::source_config(&db, "t", "id"), &["nope"], &db).await.err().unwrap();
        is(&source, MissingColumn, "\"nope\"");

        db.run("DROP TABLE t").await;
        let class = if one_for_all { Schema } else { MissingTable };
        let said = if one_for_all { "no such table".to_owned() } else { code(engine, "1146", "42P01") };
        is(&ask(&*copy).await, class, &said);
        is(&copy.recheck().await.unwrap_err(), MissingTable, "\"t\"");
        is(&open_destination(&db, "t", "id", &["v"]).await.err().unwrap(), MissingTable, "\"t\"");
        if one_for_all {
            continue;
        }

        db.run(TABLE).await;
        let dsn = account(&db, if engine == Engine::MySql { "" } else { "LOGIN" }).await;
        if engine == Engine::MySql {
            // What is granted on a whole database holds for a session as long as that lasts.
            let (name, user) = (&db.name, &dsn.user);
            db.run(format!(
                "GRANT SELECT ON {name}.t TO '{user}'@'%'; REVOKE SELECT ON {name}.* FROM '{user}'@'%'"
            ))
            .await;
        }
        let copy = destination(&db, "t", dsn.clone(), Limits::default()).await;
        db.run(match engine {
            Engine::MySql => format!("REVOKE SELECT ON {}.t FROM '{}'@'%'", db.name, dsn.user),
            _ => format!("REVOKE SELECT ON t FROM {}", dsn.user),
        })
        .await;
        let what = if engine == Engine::MySql { "1142" } else { "42501" };
        is(&ask(&*copy).await, Permission, what);
        if engine == Engine::MySql {
            // A view over what is gone.
            db.run("CREATE VIEW w AS SELECT id, v FROM t").await;
            let copy = open_destination(&db, "w", "id", &["v"]).await.unwrap();
            db.run("DROP TABLE t").await;
            is(&ask(&*copy).await, Schema, "(error 1356)");
        }
    }
}

/// The session in which the statement runs for long, as the server's own list has it; another one than `before`.
async fn session_of(db: &Db, before: Option<&str>) -> String {
    wait_for("the statement runs", LIMIT, async || {
        let sql = match db.engine {
            Engine::MySql => format!(
                "SELECT id FROM information_schema.processlist WHERE db = '{}' AND info LIKE '%slow%' AND id <> CONNECTION_ID()",
                db.name
            ),
            _ => format!(
                "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'cupid' AND state = 'active'",
                db.name
            ),
        };
        db.texts(sql).await.into_iter().filter_map(|mut row| row.remove(0)).find(|id| Some(id.as_str()) != before)
    })
    .await
}

async fn slow_view(db: &Db) {
    let slow = match db.engine {
        Engine::MySql => "SELECT SLEEP(20) AS id, 1 AS v",
        _ => "SELECT 1 AS id, 1 AS v FROM pg_sleep(20)",
    };
    db.run(format!("CREATE VIEW slow AS {slow}")).await;
}

#[tokio::test]
async fn what_is_ended_by_the_server_says_by_whom() {
    use DatabaseClass::{Lost, StatementTimeout, Unavailable};
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        slow_view(&db).await;
        let limits = Limits { connections: 1, statement: Duration::from_millis(300) };
        let copy = destination(&db, "slow", dsn(&db), limits).await;
        is(&ask(&*copy).await, StatementTimeout, &code(engine, "1969", "57014"));
        let copy = destination(&db, "slow", dsn(&db), Limits::default()).await;
        // A session that had been idle before is replaced once.
        let kill = async {
            let mut before = None;
            for _ in 0..2 {
                let id = session_of(&db, before.as_deref()).await;
                let kill =
                    if engine == Engine::MySql { "KILL CONNECTION" } else { "SELECT pg_terminate_backend" };
                db.run(format!("{kill} ({id})")).await;
                before = Some(id);
            }
        };
        let (error, ()) = tokio::join!(ask(&*copy), kill);
        assert!(error.kind.is_passing(), "{error}");
        if engine == Engine::MySql {
            assert_eq!(error.class, Lost, "{error}");
        } else {
            is(&error, Unavailable, "(SQLSTATE 57P01)");
        }
    }
}

#[tokio::test]
async fn a_server_that_shuts_down_is_waited_for() {
    use DatabaseClass::{Connect, Lost, Unavailable};
    let servers = [servers::start_mysql(&[], &[]).await, servers::start_postgres(&[], &[]).await];
    for server in servers.into_iter().flatten() {
        let db = Db::on(&Arc::new(server)).await;
        let server = db.server.clone().unwrap();
        slow_view(&db).await;
        let copy = destination(&db, "slow", dsn(&db), Limits::default()).await;
        let stop = async {
            session_of(&db, None).await;
            server.stop().await;
        };
        let (error, ()) = tokio::join!(ask(&*copy), stop);
        // Some servers are gone before whoever lost his session asks for another one.
        assert!(error.kind.is_passing() && [Lost, Unavailable, Connect].contains(&error.class), "{error}");
        eprintln!("{} while it shuts down: {} ({error})", db.engine, error.class.as_str());
        is(&ask(&*copy).await, Connect, "refused");
        server.start().await;
    }
}

/// Two rows of `u`, read one after the other under locks by whoever reads the view `v`.
async fn locking_view(db: &Db) {
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await;
    db.run("CREATE TABLE u (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO u VALUES (1, 1), (2, 2)").await;
    let view = "CREATE VIEW w AS SELECT id, f(id) AS v FROM t";
    match db.engine {
        Engine::MySql => {
            db.run(
                "CREATE FUNCTION f(i INTEGER) RETURNS INTEGER READS SQL DATA BEGIN \
                 DECLARE x INTEGER; SELECT v INTO x FROM u WHERE id = i LOCK IN SHARE MODE; RETURN x; END",
            )
            .await;
        }
        _ => {
            db.run(
                "CREATE TABLE u1 (); CREATE TABLE u2 (); \
                 CREATE FUNCTION f(i INTEGER) RETURNS INTEGER LANGUAGE plpgsql AS $$ BEGIN \
                 EXECUTE 'LOCK TABLE u' || i || ' IN ACCESS SHARE MODE'; RETURN i; END $$; \
                 CREATE FUNCTION g(i INTEGER) RETURNS INTEGER LANGUAGE plpgsql AS $$ BEGIN \
                 LOCK TABLE u IN ACCESS SHARE MODE NOWAIT; RETURN i; END $$; \
                 CREATE VIEW now AS SELECT id, g(id) AS v FROM t",
            )
            .await;
        }
    }
    db.run(view).await;
}

/// Somebody waits for a lock. (Who asks MariaDB for its transactions all the time, gets the same answer all the time.)
async fn waits(db: &Db) {
    wait_for(&format!("the reader of {} waits for the second lock", db.engine), LIMIT, async || {
        let sql = match db.engine {
            Engine::MySql => "SELECT variable_value FROM information_schema.global_status \
                 WHERE variable_name = 'Innodb_row_lock_current_waits'"
                .to_owned(),
            _ => format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
                db.name
            ),
        };
        (db.number(sql).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn locks_are_told_apart() {
    use DatabaseClass::{Deadlock, LockTimeout, ReadOnly};
    let servers = [
        servers::start_mysql(&["--innodb-lock-wait-timeout=2"], &[]).await,
        servers::start_postgres(&[], &[]).await,
    ];
    for server in servers.into_iter().flatten() {
        let db = Db::on(&Arc::new(server)).await;
        let engine = db.engine;
        locking_view(&db).await;
        let copy = destination(&db, "w", dsn(&db), Limits::default()).await;
        assert_eq!(copy.lookup(&[Value::Int(1), Value::Int(2)]).await.unwrap().rows.len(), 2);

        // The reader has the first and waits for the second; its owner asks for the first.
        let mut other = Held::begin(&db).await;
        let (second, first) = match engine {
            Engine::MySql => ("UPDATE u SET v = 9 WHERE id = 2", "UPDATE u SET v = 9 WHERE id = 1"),
            _ => ("LOCK TABLE u2 IN ACCESS EXCLUSIVE MODE", "LOCK TABLE u1 IN ACCESS EXCLUSIVE MODE"),
        };
        other.run(second).await;
        let asked = ask(&*copy);
        tokio::pin!(asked);
        tokio::select! {
            error = &mut asked => panic!("nothing held it up, and then: {error}"),
            () = waits(&db) => {}
        }
        let (error, ()) = tokio::join!(asked, other.run(first));
        is(&error, Deadlock, &code(engine, "1213", "40P01"));
        other.end("ROLLBACK").await;

        let mut other = Held::begin(&db).await;
        let (hold, table) = match engine {
            Engine::MySql => ("UPDATE u SET v = 9 WHERE id = 2", "w"),
            _ => ("LOCK TABLE u IN ACCESS EXCLUSIVE MODE", "now"),
        };
        let copy = destination(&db, table, dsn(&db), Limits::default()).await;
        other.run(hold).await;
        is(&ask(&*copy).await, LockTimeout, &code(engine, "1205", "55P03"));
        other.end("ROLLBACK").await;

        // What writes is refused, wherever it hides.
        let function = |writes: bool| {
            let body = if writes { "UPDATE u SET v = 8 WHERE id = i;" } else { "" };
            match engine {
                Engine::MySql => format!(
                    "CREATE OR REPLACE FUNCTION h(i INTEGER) RETURNS INTEGER MODIFIES SQL DATA BEGIN {body} RETURN i; END"
                ),
                _ => format!(
                    "CREATE OR REPLACE FUNCTION h(i INTEGER) RETURNS INTEGER LANGUAGE plpgsql AS \
                     $$ BEGIN {body} RETURN i; END $$"
                ),
            }
        };
        db.run(function(false)).await;
        db.run("CREATE VIEW writes AS SELECT id, h(id) AS v FROM t").await;
        let copy = destination(&db, "writes", dsn(&db), Limits::default()).await;
        db.run(function(true)).await;
        is(&ask(&*copy).await, ReadOnly, &code(engine, "1792", "25006"));
        assert_eq!(db.number("SELECT count(*) FROM u WHERE v = 8").await, 0);
    }
}

#[tokio::test]
async fn a_server_that_is_full_is_waited_for() {
    let settings = ["max_connections=5", "superuser_reserved_connections=1", "max_wal_senders=0"];
    let Some(server) = servers::start_postgres(&settings, &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    let mut held = Vec::new();
    let error = loop {
        let database = Database::connect(&dsn(&db), Limits::default());
        match database.ping().await {
            Ok(()) => held.push(database),
            Err(error) => break error,
        }
        assert!(held.len() < 10);
    };
    is(&error, DatabaseClass::TooManyConnections, "(SQLSTATE 53300)");
}

#[tokio::test]
async fn files_fail_in_their_own_ways() {
    use DatabaseClass::{Corrupt, LockTimeout, MissingDatabase, StatementTimeout};
    let db = Db::sqlite().await;
    db.run(TABLE).await;
    db.run(
        "CREATE VIEW slow AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) \
         SELECT count(*) AS id, 1 AS v FROM n",
    )
    .await;
    let limits = Limits { connections: 1, statement: Duration::from_millis(300) };
    is(&ask(&*destination(&db, "slow", dsn(&db), limits).await).await, StatementTimeout, "interrupted");
    let folder = TempDir::new("classes");
    let path = |name: &str| folder.path().join(name).display().to_string();
    is(&refused(&Dsn { database: path("absent.db"), ..dsn(&db) }).await, MissingDatabase, "never creates");
    std::fs::write(path("letter.db"), "Dear reader, this is no database. ".repeat(100)).unwrap();
    let ask_for =
        |name: &str| Database::connect(&Dsn { database: path(name), ..dsn(&db) }, Limits::default());
    let config = destination_config(&db, "t", "id", &["v"]);
    let letter = cupid::destination::open(&config, Arc::new(ask_for("letter.db"))).await.err().unwrap();
    is(&letter, Corrupt, "not a database");

    // A page in the middle is overwritten.
    let make = sqlx::sqlite::SqliteConnectOptions::new().create_if_missing(true);
    let mut connection = make.clone().filename(path("torn.db")).connect().await.unwrap();
    let rows = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, text TEXT); \
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                INSERT INTO t SELECT i, i, hex(randomblob(100)) FROM n";
    sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let torn = cupid::destination::open(&config, Arc::new(ask_for("torn.db"))).await.unwrap();
    let mut bytes = std::fs::read(path("torn.db")).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(path("torn.db"), bytes).unwrap();
    is(&ask(&*torn).await, Corrupt, "malformed");

    // A writer that keeps everybody out, with the older kind of journal.
    let mut writer = make.filename(path("held.db")).connect().await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut writer).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut writer).await.unwrap();
    let held = cupid::destination::open(&config, Arc::new(ask_for("held.db"))).await.err().unwrap();
    is(&held, LockTimeout, "locked");
}
