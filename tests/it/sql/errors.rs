//! Failures are told apart, and told well: found, where, next step, and never the password.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cupid::base::chain::chain;
use cupid::base::secret::Secret;
use cupid::config::Engine;
use cupid::model::{RowId, Value};
use cupid::sql::{Database, Limits, PlaceError, PlaceErrorKind};

use super::super::support::db::ENGINES;
use super::super::support::servers;
use super::{Db, SERVERS, dsn, open, open_destination, source_config};

fn told(error: &PlaceError, kind: PlaceErrorKind, words: &[&str]) {
    assert_eq!(error.kind, kind, "{error}");
    let mut all = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        all.push_str(&inner.to_string());
        source = inner.source();
    }
    assert!(!all.contains("password-x") && !all.contains(servers::PASSWORD), "{all}");
    assert!(!error.message.contains('\n'), "{error}");
    let logged = chain(error).to_string();
    let sentences: Vec<&str> = logged.split(": ").flat_map(|part| part.split("; ")).collect();
    let distinct: HashSet<&str> = sentences.iter().copied().collect();
    assert_eq!(sentences.len(), distinct.len(), "something is said twice: {logged}");
    assert!(!logged.contains("error returned from") && !logged.contains(" at line "), "{logged}");
    for word in words {
        assert!(all.contains(word), "{word:?} in {all}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_denied() {
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let mut dsn = dsn(&db);
        dsn.password = Some(Secret::new("password-x".to_owned()));
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        let code = if engine == Engine::MySql { "1045" } else { "28P01" };
        told(&error, PlaceErrorKind::Denied, &["tester", "check user, password", code]);
        dsn.user = "nobody".to_owned();
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        told(&error, PlaceErrorKind::Denied, &["nobody"]);
    }
}

#[tokio::test]
async fn a_missing_database_is_named() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let mut dsn = dsn(&db);
        dsn.database = format!("{}_absent", dsn.database);
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        told(&error, PlaceErrorKind::Missing, &["_absent", "check the"]);
    }
    let absent = std::env::temp_dir().join("cupid-never-made.db");
    assert!(!absent.exists());
}

#[tokio::test]
async fn nobody_listening_is_waited_for() {
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let mut dsn = dsn(&db);
        dsn.port = servers::free_port();
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        told(&error, PlaceErrorKind::Unreachable, &["refused", "check that the server runs"]);
        // Somebody who never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        dsn.port = silent.local_addr().unwrap().port();
        dsn.connect_timeout = Duration::from_millis(200);
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        told(&error, PlaceErrorKind::Unreachable, &["0.2 s"]);
        dsn.host = "no-such-host.invalid".to_owned();
        dsn.connect_timeout = Duration::from_secs(10);
        let error = Database::connect(&dsn, Limits::default()).ping().await.unwrap_err();
        told(&error, PlaceErrorKind::Unreachable, &["no-such-host.invalid"]);
    }
}

#[tokio::test]
async fn missing_tables_and_columns_are_named_with_the_nearest() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(9))").await;
        let error = open(&source_config(&db, "customer", "id"), &[], &db).await.err().unwrap();
        told(&error, PlaceErrorKind::Missing, &["\"customer\"", "did you mean \"customers\"?"]);
        let error = open(&source_config(&db, "customers", "emial"), &[], &db).await.err().unwrap();
        told(&error, PlaceErrorKind::Missing, &["\"emial\"", "did you mean \"email\"?"]);
        let error = open_destination(&db, "customers", "id", &["nothing_like_it"]).await.err().unwrap();
        told(&error, PlaceErrorKind::Missing, &["its columns are: id, email"]);
        let error = open_destination(&db, "elsewhere.customers", "id", &[]).await.err().unwrap();
        told(&error, PlaceErrorKind::Missing, &["elsewhere.customers"]);
    }
}

/// SELECT on one table is enough for everything, and nothing at all is said to be so.
#[tokio::test]
async fn rights_of_select_suffice() {
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let user = format!("reader_{}", super::super::support::temp::unique());
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, secret INTEGER); CREATE TABLE hidden (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1, 2, 3)").await;
        match engine {
            Engine::MySql => {
                db.run(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'password-x'; GRANT SELECT ON {}.t TO '{user}'@'%'", db.name)).await;
            }
            _ => {
                db.run(format!("CREATE ROLE {user} LOGIN PASSWORD 'password-x'; GRANT SELECT ON t TO {user}"))
                    .await
            }
        }
        let mut dsn = dsn(&db);
        dsn.user = user.clone();
        dsn.password = Some(Secret::new("password-x".to_owned()));
        let database = Arc::new(Database::connect(&dsn, Limits::default()));
        let config = source_config(&db, "t", "id");
        let source = cupid::source::open(&config, &["v".to_owned()], database.clone()).await.unwrap();
        assert_eq!(source.fetch_some(&[RowId(1)]).await.unwrap().rows[0].values.len(), 3);
        source.recheck().await.unwrap();
        let copy = super::destination_config(&db, "t", "id", &["v"]);
        let copy = cupid::destination::open(&copy, database.clone()).await.unwrap();
        assert_eq!(copy.lookup(&[Value::Int(1)]).await.unwrap().rows.len(), 1);

        let config = source_config(&db, "hidden", "id");
        let error = cupid::source::open(&config, &[], database.clone()).await.err().unwrap();
        told(&error, PlaceErrorKind::Denied, &["hidden", "grant SELECT"]);

        // Revoked while it runs.
        match engine {
            Engine::MySql => db.run(format!("REVOKE SELECT ON {}.t FROM '{user}'@'%'", db.name)).await,
            _ => db.run(format!("REVOKE SELECT ON t FROM {user}")).await,
        }
        let error = copy.lookup(&[Value::Int(1)]).await.unwrap_err();
        told(&error, PlaceErrorKind::Denied, &["t"]);
        told(&source.recheck().await.unwrap_err(), PlaceErrorKind::Denied, &["grant SELECT"]);

        // Single columns may be enough, too.
        let grant = match engine {
            Engine::MySql => format!("GRANT SELECT (id, v) ON {}.t TO '{user}'@'%'", db.name),
            _ => format!("GRANT SELECT (id, v) ON t TO {user}"),
        };
        db.run(grant).await;
        let config = source_config(&db, "t", "id");
        let source = cupid::source::open(&config, &["v".to_owned()], database.clone()).await.unwrap();
        assert_eq!(source.fetch_some(&[RowId(1)]).await.unwrap().rows[0].values.len(), 2);
        if engine == Engine::MySql {
            db.run(format!("DROP USER '{user}'@'%'")).await;
        }
    }
}

/// A statement that fails for what it says or for the rows it meets is no refused key: nothing is called missing.
#[tokio::test]
async fn a_failing_statement_is_not_a_missing_row() {
    for engine in SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let (told_as, good, bad) = match engine {
            Engine::MySql => (
                "collations",
                "CREATE TABLE a (k INTEGER PRIMARY KEY, x VARCHAR(9) COLLATE utf8mb4_unicode_ci);
                 CREATE TABLE b (y VARCHAR(9) COLLATE utf8mb4_unicode_ci);
                 INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES ('x');
                 CREATE VIEW v AS SELECT a.k, a.x AS v FROM a JOIN b ON a.x = b.y",
                "ALTER TABLE b MODIFY y VARCHAR(9) COLLATE utf8mb4_general_ci",
            ),
            _ => (
                "division by zero",
                "CREATE TABLE a (k INTEGER PRIMARY KEY, x INTEGER); INSERT INTO a VALUES (1, 1);
                 CREATE VIEW v AS SELECT k, 1 / x AS v FROM a",
                "UPDATE a SET x = 0",
            ),
        };
        db.run(good).await;
        let copy = open_destination(&db, "v", "k", &["v"]).await.unwrap();
        assert_eq!(copy.lookup(&[Value::Int(1)]).await.unwrap().rows.len(), 1, "{engine}");
        db.run(bad).await;
        told(&copy.lookup(&[Value::Int(1)]).await.unwrap_err(), PlaceErrorKind::Other, &[told_as]);
        told(
            &copy.lookup(&[Value::Int(1), Value::Int(2)]).await.unwrap_err(),
            PlaceErrorKind::Other,
            &[told_as],
        );
    }
}

/// Also where a database takes a quoted name that it does not know for a text.
#[tokio::test]
async fn a_column_that_is_dropped_is_no_text() {
    for engine in [Engine::MySql, Engine::Postgres, Engine::Sqlite] {
        let Some(db) = Db::new(engine).await else { continue };
        db.run(
            "CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 2, 3)",
        )
        .await;
        let copy = open_destination(&db, "t", "k", &["a", "b"]).await.unwrap();
        assert_eq!(copy.lookup(&[Value::Int(1)]).await.unwrap().rows.len(), 1, "{engine}");
        db.run("ALTER TABLE t DROP COLUMN b").await;
        told(&copy.lookup(&[Value::Int(1)]).await.unwrap_err(), PlaceErrorKind::Missing, &["b"]);
    }
}

/// A key that the database's own encoding has no letters for can be in none of its rows.
#[tokio::test]
async fn keys_beyond_the_encoding_find_nothing() {
    let Some(db) = Db::new(Engine::Postgres).await else { return };
    let name = format!("{}_latin1", db.name);
    db.run(format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    ))
    .await;
    let options = db.server.as_ref().unwrap().postgres_options(&name);
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (k VARCHAR(9), v INTEGER); INSERT INTO t VALUES ('é', 1), ('a', 2)")
        .execute(&pool)
        .await
        .unwrap();
    let mut config = super::destination_config(&db, "t", "k", &["v"]);
    config.dsn.database.clone_from(&name);
    let database = Arc::new(Database::connect(&config.dsn, Limits::default()));
    let copy = cupid::destination::open(&config, database).await.unwrap();
    let keys = ["é", "中", "a"].map(super::text);
    assert_eq!(copy.lookup(&keys).await.unwrap().rows.len(), 2);
    assert_eq!(copy.lookup(&keys[1..2]).await.unwrap().rows.len(), 0);
}

/// MariaDB's JSON is a text with a check, and checks are not shown to everybody.
#[tokio::test]
async fn json_of_mariadb_is_known_to_those_who_may_only_read() {
    let Some(db) = Db::new(Engine::MySql).await else { return };
    let user = format!("reader_{}", super::super::support::temp::unique());
    db.run(format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, doc JSON, `a``b'c` JSON COMMENT 'it''s', \
           plain LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
           noted LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT 'no CHECK (json_valid(`noted`))'); \
         CREATE USER '{user}'@'%' IDENTIFIED BY 'password-x'; GRANT SELECT ON {}.t TO '{user}'@'%'",
        db.name
    ))
    .await;
    let mut dsn = dsn(&db);
    dsn.user = user.clone();
    dsn.password = Some(Secret::new("password-x".to_owned()));
    let reader = Arc::new(Database::connect(&dsn, Limits::default()));
    let config = source_config(&db, "t", "id");
    let (json, text) = (cupid::model::Class::Json, cupid::model::Class::Text);
    for database in [super::database(&db), reader.clone()] {
        let source = cupid::source::open(&config, &[], database.clone()).await.unwrap();
        let classes: Vec<_> = source.columns().iter().skip(1).map(|column| column.class).collect();
        assert_eq!(classes, [json, json, text, text], "{:?}", source.columns());
        let found = cupid::source::probe(&config, &[], &database).await;
        assert!(!found.iter().any(|checked| checked.message.contains("JSON")), "{found:?}");
    }
    // Rights on single columns: nobody tells.
    db.run(format!(
        "REVOKE SELECT ON {}.t FROM '{user}'@'%'; GRANT SELECT (id, doc) ON {}.t TO '{user}'@'%'",
        db.name, db.name
    ))
    .await;
    let source = cupid::source::open(&config, &[], reader.clone()).await.unwrap();
    assert_eq!(source.columns()[1].class, text);
    let copy = super::destination_config(&db, "t", "id", &["doc"]);
    for found in [
        cupid::source::probe(&config, &[], &reader).await,
        cupid::destination::probe(&copy, &reader, None).await,
    ] {
        let warning = found.iter().find(|checked| checked.message.contains("JSON")).expect("a warning");
        assert_eq!(warning.level, cupid::sql::probe::Level::Warning);
        assert!(
            warning.message.contains("\"doc\"") && warning.message.contains("grant SELECT"),
            "{warning:?}"
        );
    }
    db.run(format!("DROP USER '{user}'@'%'")).await;
}

/// Rows that a policy hides would be called missing, or never be looked at: then nothing is read at all.
#[tokio::test]
async fn rows_that_a_policy_hides_are_a_missing_right() {
    let Some(db) = Db::new(Engine::Postgres).await else { return };
    let user = format!("reader_{}", super::super::support::temp::unique());
    db.run(format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1), (2, 2);
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON t FOR SELECT USING (id = 1);
         CREATE ROLE {user} LOGIN PASSWORD 'password-x'; GRANT SELECT ON t TO {user};
         CREATE VIEW w WITH (security_invoker) AS SELECT * FROM t; GRANT SELECT ON w TO {user}"
    ))
    .await;
    let mut dsn = dsn(&db);
    dsn.user = user.clone();
    dsn.password = Some(Secret::new("password-x".to_owned()));
    let database = Arc::new(Database::connect(&dsn, Limits::default()));
    let mut config = source_config(&db, "t", "id");
    config.id = Some("id".to_owned());
    for table in ["t", "w"] {
        config.table = table.to_owned();
        let opened = cupid::source::open(&config, &["v".to_owned()], database.clone()).await;
        told(&opened.err().unwrap(), PlaceErrorKind::Denied, &["row-level security", "BYPASSRLS"]);
        let copy = super::destination_config(&db, table, "id", &["v"]);
        let opened = cupid::destination::open(&copy, database.clone()).await;
        told(&opened.err().unwrap(), PlaceErrorKind::Denied, &["BYPASSRLS"]);
        let found = cupid::source::probe(&config, &[], &database).await;
        assert!(found.iter().any(|checked| checked.message.contains("BYPASSRLS")), "{found:?}");
    }
    db.run(format!("ALTER ROLE {user} BYPASSRLS")).await;
    for table in ["t", "w"] {
        config.table = table.to_owned();
        let source = cupid::source::open(&config, &["v".to_owned()], database.clone()).await.unwrap();
        assert_eq!(source.fetch_some(&[RowId(1), RowId(2)]).await.unwrap().rows.len(), 2, "{table}");
    }
    // A policy that comes later.
    db.run(format!("ALTER ROLE {user} NOBYPASSRLS; ALTER TABLE t DISABLE ROW LEVEL SECURITY")).await;
    config.table = "t".to_owned();
    let source = cupid::source::open(&config, &["v".to_owned()], database.clone()).await.unwrap();
    db.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY").await;
    let error = source.fetch_some(&[RowId(1), RowId(2)]).await.unwrap_err();
    told(&error, PlaceErrorKind::Denied, &["row-level security", "BYPASSRLS"]);
}

#[tokio::test]
async fn a_slow_statement_is_ended_by_the_server() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let slow = match engine {
            Engine::MySql => "SELECT SLEEP(20) AS id",
            Engine::Postgres => "SELECT 1 AS id FROM pg_sleep(20)",
            Engine::Sqlite => {
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) AS id FROM n"
            }
        };
        db.run(format!("CREATE VIEW v AS {slow}")).await;
        let limits = Limits { connections: 1, statement: Duration::from_millis(300) };
        let database = Arc::new(Database::connect(&dsn(&db), limits));
        let copy = super::destination_config(&db, "v", "id", &[]);
        let copy = cupid::destination::open(&copy, database.clone()).await.unwrap();
        let began = std::time::Instant::now();
        let error = copy.lookup(&[Value::Int(1)]).await.unwrap_err();
        told(&error, PlaceErrorKind::TooSlow, &["index"]);
        assert!(began.elapsed() < Duration::from_secs(10), "{engine}");
        // The only session there may be is free again.
        database.ping().await.unwrap();
    }
}

/// A call that its caller drops leaves no statement behind and no half-read session.
#[tokio::test]
async fn a_dropped_call_spoils_nothing() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let slow = match engine {
            Engine::MySql => "SELECT SLEEP(20) AS id",
            Engine::Postgres => "SELECT 1 AS id FROM pg_sleep(20)",
            Engine::Sqlite => {
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) AS id FROM n"
            }
        };
        db.run(format!("CREATE VIEW v AS {slow}")).await;
        let limits = Limits { connections: 1, statement: Duration::from_secs(2) };
        let database = Arc::new(Database::connect(&dsn(&db), limits));
        let copy = super::destination_config(&db, "v", "id", &[]);
        let copy = cupid::destination::open(&copy, database.clone()).await.unwrap();
        let dropped = tokio::time::timeout(Duration::from_millis(200), copy.lookup(&[Value::Int(1)])).await;
        assert!(dropped.is_err(), "{engine}");
        let began = std::time::Instant::now();
        database.ping().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "{engine}: {:?}", began.elapsed());
    }
}

/// Sessions that the server closed meanwhile are replaced without anybody noticing.
#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let servers = [servers::start_mysql(&[], &[]).await, servers::start_postgres(&[], &[]).await];
    for server in servers.into_iter().flatten() {
        let db = Db::on(&Arc::new(server)).await;
        let server = db.server.clone().unwrap();
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        server.stop().await;
        let error = source.fetch_some(&[RowId(1)]).await.unwrap_err();
        assert!(error.kind.is_passing(), "{error}");
        server.start().await;
        assert_eq!(source.fetch_some(&[RowId(1)]).await.unwrap().rows.len(), 1);
        server.stop().await;
        server.start().await;
        assert_eq!(
            source.fetch_some(&[RowId(1)]).await.unwrap().rows.len(),
            1,
            "the first call after a restart"
        );
    }
}

#[tokio::test]
async fn too_many_connections_are_waited_for() {
    let Some(server) = servers::start_mysql(&["--max-connections=10"], &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    let mut held = Vec::new();
    let error = loop {
        let database = Database::connect(&dsn(&db), Limits::default());
        match database.ping().await {
            Ok(()) => held.push(database),
            Err(error) => break error,
        }
        assert!(held.len() < 20);
    };
    told(&error, PlaceErrorKind::Unreachable, &["onnections", "its log says why"]);
}
