//! The insert and the update feed on every engine.

use std::collections::BTreeSet;
use std::time::Duration;

use cupid::config::{Engine, Start, TimeLayout};
use cupid::model::{Feed, Position, RowId};
use cupid::sql::PlaceErrorKind;

use super::super::support::db::ENGINES;
use super::{Db, drain, ids, open, source_config, text, update_config};

#[tokio::test]
async fn inserts_are_read_in_pages_and_once() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run(
            "CREATE TABLE t (\"n\" INTEGER, k VARCHAR(9), v INTEGER, PRIMARY KEY (\"n\"))"
                .replace('"', if engine == Engine::MySql { "`" } else { "\"" }),
        )
        .await;
        let values: Vec<String> = (-3..500).map(|n| format!("({}, 'k{n}', {n})", n * 2)).collect();
        db.run(format!("INSERT INTO t VALUES {}", values.join(", "))).await;
        let source = open(&source_config(&db, "t", "k"), &["v"], &db).await.unwrap();
        for limit in [1000, 503, 502, 100, 7] {
            let start = source.start(Feed::Insert, None).await.unwrap();
            let (rows, end) = drain(&*source, Feed::Insert, start, limit).await;
            assert_eq!(ids(&rows), (-3..500).map(|n| n * 2).collect::<Vec<i128>>(), "{engine} {limit}");
            assert_eq!(rows[3].values, [text("k0"), cupid::model::Value::Int(0)]);
            assert!(drain(&*source, Feed::Insert, end, limit).await.0.is_empty());
        }
        let start = source.start(Feed::Insert, Some(RowId(990))).await.unwrap();
        assert!(start.as_str().starts_with(r#"{"after":"989","#), "{}", start.as_str());
        let (rows, end) = drain(&*source, Feed::Insert, start, 2).await;
        assert_eq!(ids(&rows), [990, 992, 994, 996, 998], "{engine}");
        db.run("INSERT INTO t VALUES (999, 'x', 1)").await;
        assert_eq!(ids(&drain(&*source, Feed::Insert, end.clone(), 2).await.0), [999]);
        let earlier = source.earlier(Feed::Insert, &end, &Position::new(r#"{"after":"5"}"#));
        assert!(earlier.as_str().starts_with(r#"{"after":"5","#), "{}", earlier.as_str());
        assert!(source.read(Feed::Insert, &Position::new("nonsense"), 5).await.is_err());
    }
}

#[tokio::test]
async fn an_empty_table_starts_below_whatever_comes() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        let start = source.start(Feed::Insert, None).await.unwrap();
        let (rows, at) = drain(&*source, Feed::Insert, start, 10).await;
        assert!(rows.is_empty());
        db.run("INSERT INTO t VALUES (-9223372036854775808), (-1), (9223372036854775807)").await;
        let (rows, _) = drain(&*source, Feed::Insert, at, 2).await;
        assert_eq!(ids(&rows), [i128::from(i64::MIN), -1, i128::from(i64::MAX)], "{engine}");
        // Behind everything an id can be.
        for id in [i128::from(i64::MAX), i128::from(u64::MAX), i128::MAX] {
            let after = source.start(Feed::Insert, Some(RowId(id))).await.unwrap();
            let (rows, _) = drain(&*source, Feed::Insert, after, 10).await;
            assert_eq!(rows.len(), usize::from(id == i128::from(i64::MAX)), "{engine} {id}");
        }
    }
}

#[tokio::test]
async fn unsigned_keys_reach_their_end() {
    for db in Db::every_mysql().await {
        db.run("CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY); INSERT INTO t VALUES (0), (9223372036854775808), (18446744073709551615)").await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        let start = source.start(Feed::Insert, None).await.unwrap();
        let (rows, _) = drain(&*source, Feed::Insert, start, 1).await;
        assert_eq!(ids(&rows), [0, 1 << 63, i128::from(u64::MAX)]);
        let found = source
            .fetch_some(&[RowId(-5), RowId(1 << 63), RowId(i128::from(u64::MAX)), RowId(i128::MAX)])
            .await
            .unwrap();
        assert_eq!(found.rows.len(), 2);
    }
}

/// Names that need quoting, a schema in front, and a name with a dot that is no schema.
#[tokio::test]
async fn tables_may_be_called_anything() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        for name in ["order", "a.b", "用户", "it's", "back`tick", "dou\"ble", "sel ect"] {
            let table = db.quote(name);
            let column = db.quote("sélect \"`x");
            db.run(format!("CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} INTEGER); INSERT INTO {table} VALUES (1, 5)")).await;
            let source = open(&source_config(&db, name, "sélect \"`x"), &[], &db)
                .await
                .unwrap_or_else(|e| panic!("{engine} {name}: {e}"));
            let start = source.start(Feed::Insert, None).await.unwrap();
            assert_eq!(drain(&*source, Feed::Insert, start, 5).await.0.len(), 1, "{engine} {name}");
        }
        let schema = match engine {
            Engine::MySql => db.name.clone(),
            Engine::Postgres => "public".to_owned(),
            Engine::Sqlite => "main".to_owned(),
        };
        for name in [format!("{schema}.order"), format!("{schema}.a.b")] {
            open(&source_config(&db, &name, "id"), &[], &db)
                .await
                .unwrap_or_else(|e| panic!("{engine} {name}: {e}"));
        }
    }
}

#[tokio::test]
async fn the_key_must_be_an_integer_no_two_rows_share() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE none (a INTEGER, b VARCHAR(9)); CREATE TABLE two (a INTEGER, b INTEGER, c INTEGER NOT NULL, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX two_c ON two (c); CREATE TABLE txt (a VARCHAR(9) PRIMARY KEY); CREATE VIEW v AS SELECT a, b FROM none").await;
        let error = async |table: &str, id: Option<&str>| {
            let mut config = source_config(&db, table, "a");
            config.id = id.map(str::to_owned);
            let error =
                open(&config, &[], &db).await.err().unwrap_or_else(|| panic!("{engine} {table} {id:?}"));
            assert_eq!(error.kind, PlaceErrorKind::Missing, "{error}");
            error.message
        };
        assert!(error("none", None).await.contains("has no primary key"));
        assert!(error("two", None).await.contains("several columns"));
        assert!(
            error("txt", None).await.contains("it must be an integer")
                || error("txt", None).await.contains("name a unique integer column")
        );
        assert!(error("none", Some("a")).await.contains("not unique"));
        assert!(error("none", Some("b")).await.contains("must be an integer"));
        assert!(error("none", Some("aa")).await.contains("did you mean \"a\"?"));
        assert!(error("v", None).await.contains("is a view"));
        for (table, id) in [("two", "c"), ("v", "a")] {
            let mut config = source_config(&db, table, "a");
            config.id = Some(id.to_owned());
            open(&config, &[], &db).await.unwrap_or_else(|e| panic!("{engine} {table}: {e}"));
        }
    }
}

/// How a time is written into a column.
type Write = fn(&str) -> String;

/// Time columns of each engine.
fn time_columns(engine: Engine) -> Vec<(&'static str, Write)> {
    fn quoted(t: &str) -> String {
        format!("'{t}'")
    }
    fn unix(t: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(t, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
    }
    fn seconds(t: &str) -> String {
        unix(t).to_string()
    }
    fn millis(t: &str) -> String {
        format!("{}123", unix(t))
    }
    fn t_form(t: &str) -> String {
        format!("'{}Z'", t.replace(' ', "T"))
    }
    match engine {
        Engine::MySql => vec![
            ("DATETIME", quoted),
            ("DATETIME(6)", quoted),
            ("TIMESTAMP NULL", |t| format!("CONVERT_TZ('{t}', '+00:00', @@session.time_zone)")),
            ("BIGINT", seconds),
            ("BIGINT UNSIGNED", millis),
            ("VARCHAR(30)", quoted),
        ],
        Engine::Postgres => vec![
            ("timestamp", quoted),
            ("timestamptz", quoted),
            ("bigint", seconds),
            ("bigint", millis),
            ("varchar(30)", quoted),
        ],
        Engine::Sqlite => vec![
            ("DATETIME", quoted),
            ("TEXT", quoted),
            ("TEXT", t_form),
            ("INTEGER", seconds),
            ("INTEGER", millis),
        ],
    }
}

#[tokio::test]
async fn rows_of_one_time_are_not_lost_at_page_edges() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        for (i, (kind, write)) in time_columns(engine).into_iter().enumerate() {
            let table = format!("t{i}");
            db.run(format!("CREATE TABLE {table} (id INTEGER PRIMARY KEY, u {kind})")).await;
            // 10 rows of each of 5 times, ids against the order of times; NULL is never read, the future not yet.
            let mut rows: Vec<String> = (0..50)
                .map(|n| format!("({}, {})", 100 - n, write(&format!("2024-01-01 10:00:0{}", n / 10))))
                .collect();
            rows.push("(1000, NULL)".to_owned());
            rows.push(format!("(1001, {})", write("2037-01-01 00:00:00")));
            db.run(format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await;
            let mut config = source_config(&db, &table, "id");
            config.update = Some(update_config("u"));
            config.zone = Some(chrono_tz::UTC);
            let source = open(&config, &[], &db).await.unwrap_or_else(|e| panic!("{engine} {kind}: {e}"));
            for limit in [1, 3, 10, 20, 49, 50, 51] {
                let start = source.start(Feed::Update, None).await.unwrap();
                let (rows, _) = drain(&*source, Feed::Update, start, limit).await;
                let distinct: BTreeSet<i128> = ids(&rows).into_iter().collect();
                assert_eq!((rows.len(), distinct.len()), (50, 50), "{engine} {kind} pages of {limit}");
                assert!(!distinct.contains(&1000) && !distinct.contains(&1001));
            }
        }
    }
}

/// What is written now is read now, by whatever clock the column has, and the end of a look overlaps the next.
#[tokio::test]
async fn fresh_updates_are_found() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let columns: &[(&str, &str)] = match engine {
            Engine::MySql => &[
                ("DATETIME", "NOW()"),
                ("DATETIME(1)", "NOW(1)"),
                ("DATETIME(3)", "NOW(3)"),
                ("DATETIME(6)", "NOW(6)"),
                ("TIMESTAMP NULL", "NOW()"),
                ("TIMESTAMP(6) NULL", "NOW(6)"),
                ("BIGINT", "UNIX_TIMESTAMP()"),
                ("BIGINT", "FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)"),
                ("DATE", "CURDATE()"),
                ("VARCHAR(30)", "DATE_FORMAT(NOW(), '%Y-%m-%d %H:%i:%s')"),
            ],
            Engine::Postgres => &[
                ("timestamp", "now() AT TIME ZONE 'UTC'"),
                ("timestamptz(0)", "now()"),
                ("timestamptz", "now()"),
                ("timestamp(3)", "now() AT TIME ZONE 'UTC'"),
                ("date", "current_date"),
                ("bigint", "extract(epoch FROM now())::bigint"),
                ("bigint", "floor(extract(epoch FROM now()) * 1000)::bigint"),
                ("varchar(30)", "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"),
            ],
            Engine::Sqlite => &[
                ("DATETIME", "CURRENT_TIMESTAMP"),
                ("INTEGER", "unixepoch()"),
                ("INTEGER", "unixepoch() * 1000"),
                ("DATE", "CURRENT_DATE"),
                ("TEXT", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"),
            ],
        };
        for (i, (kind, now)) in columns.iter().enumerate() {
            let table = format!("t{i}");
            db.run(format!("CREATE TABLE {table} (id INTEGER PRIMARY KEY, u {kind})")).await;
            let mut config = source_config(&db, &table, "id");
            config.update = Some(cupid::config::UpdateConfig { start: Start::Now, ..update_config("u") });
            if engine == Engine::Postgres {
                config.zone = Some(chrono_tz::UTC);
            }
            let source = open(&config, &[], &db).await.unwrap();
            let start = source.start(Feed::Update, None).await.unwrap();
            let (rows, at) = drain(&*source, Feed::Update, start, 10).await;
            assert!(rows.is_empty());
            db.run(format!("INSERT INTO {table} VALUES (1, {now})")).await;
            // A second may round up to the next one.
            let mut at = at;
            let found = super::super::support::wait::wait_for(
                "the row is read",
                Duration::from_secs(5),
                async || {
                    let (rows, next) = drain(&*source, Feed::Update, at.clone(), 10).await;
                    at = next;
                    (!rows.is_empty()).then_some(rows)
                },
            )
            .await;
            assert_eq!(ids(&found), [1], "{engine} {kind}");
            // The next look reaches back over the overlap.
            let (again, _) = drain(&*source, Feed::Update, at, 10).await;
            assert_eq!(ids(&again), [1], "{engine} {kind}");
        }
    }
}

#[tokio::test]
async fn first_starts() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let kind = if engine == Engine::MySql { "DATETIME" } else { "TIMESTAMP" };
        db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {kind}); INSERT INTO t VALUES (1, '2020-01-01 00:00:00'), (2, '2021-06-01 12:00:00'), (3, '2021-06-01 12:00:01')")).await;
        for (start, wanted) in [
            (Start::Beginning, vec![1, 2, 3]),
            (Start::At("2021-06-01T12:00:00".parse().unwrap()), vec![2, 3]),
            (Start::At("2021-06-01T12:00:01".parse().unwrap()), vec![3]),
            (Start::Now, vec![]),
        ] {
            let mut config = source_config(&db, "t", "id");
            config.update = Some(cupid::config::UpdateConfig { start: start.clone(), ..update_config("u") });
            config.zone = Some(chrono_tz::UTC);
            let source = open(&config, &[], &db).await.unwrap();
            let from = source.start(Feed::Update, None).await.unwrap();
            let (rows, _) = drain(&*source, Feed::Update, from, 10).await;
            assert_eq!(ids(&rows), wanted, "{engine} {start:?}");
        }
    }
}

#[tokio::test]
async fn layouts_of_text_columns() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u VARCHAR(40)); INSERT INTO t VALUES (1, '20240101100000'), (2, '20240101100001'), (3, '29990101000000')").await;
        let mut config = source_config(&db, "t", "id");
        let mut update = update_config("u");
        update.layout =
            Some(TimeLayout { written: "20060102150405".into(), strftime: "%Y%m%d%H%M%S".into() });
        config.update = Some(update.clone());
        let source = open(&config, &[], &db).await.unwrap();
        let start = source.start(Feed::Update, None).await.unwrap();
        assert_eq!(ids(&drain(&*source, Feed::Update, start, 1).await.0), [1, 2], "{engine}");

        update.layout = Some(TimeLayout { written: "d/m/Y".into(), strftime: "%d/%m/%Y".into() });
        config.update = Some(update);
        let error = open(&config, &[], &db).await.err().unwrap();
        assert!(error.message.contains("do not sort as text"), "{error}");
        config.update = Some(update_config("u"));
        let error = open(&config, &[], &db).await.err().unwrap();
        assert!(error.message.contains("updateTimeFormate"), "{error}");
    }
}

/// An integer column of an empty table tells its unit only when the first row is there.
#[tokio::test]
async fn the_unit_of_an_empty_table_is_found_later() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u BIGINT)").await;
        let mut config = source_config(&db, "t", "id");
        config.update = Some(cupid::config::UpdateConfig { start: Start::Now, ..update_config("u") });
        let source = open(&config, &[], &db).await.unwrap();
        let start = source.start(Feed::Update, None).await.unwrap();
        let (_, at) = drain(&*source, Feed::Update, start, 10).await;
        let millis = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        db.run(format!("INSERT INTO t VALUES (1, {millis})")).await;
        assert_eq!(ids(&drain(&*source, Feed::Update, at, 10).await.0), [1], "{engine}");
    }
}

#[tokio::test]
async fn whole_rows_by_id() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (a VARCHAR(9), id INTEGER PRIMARY KEY, b INTEGER)").await;
        let rows: Vec<String> = (1..=2500).map(|n| format!("('a{n}', {n}, {n})")).collect();
        db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        let source = open(&source_config(&db, "t", "id"), &[], &db).await.unwrap();
        let names: Vec<&str> = source.columns().iter().map(|c| &*c.name).collect();
        assert_eq!(names, ["a", "id", "b"]);
        for size in [0_i128, 1, 2, 11, 101, 1000, 1001, 2500] {
            let wanted: Vec<RowId> = (1..=size).map(RowId).collect();
            let found = source.fetch_some(&wanted).await.unwrap().rows;
            let distinct: BTreeSet<i128> = ids(&found).into_iter().collect();
            assert_eq!((found.len() as i128, distinct.len() as i128), (size, size), "{engine}");
        }
        let found = source.fetch_some(&[RowId(9999), RowId(2), RowId(2)]).await.unwrap().rows;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].values[0], text("a2"));
    }
}

#[tokio::test]
async fn rechecks_tell_what_has_changed() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(9), v INTEGER)").await;
        let source = open(&source_config(&db, "t", "k"), &["v"], &db).await.unwrap();
        source.recheck().await.unwrap();
        db.run("ALTER TABLE t ADD COLUMN w INTEGER").await;
        source.recheck().await.unwrap();
        db.run("ALTER TABLE t DROP COLUMN v").await;
        let error = source.recheck().await.unwrap_err();
        assert!(error.kind == PlaceErrorKind::Missing && error.message.contains("\"v\""), "{engine} {error}");
        db.run("ALTER TABLE t ADD COLUMN v INTEGER").await;
        source.recheck().await.unwrap();
        db.run("DROP TABLE t").await;
        let error = source.recheck().await.unwrap_err();
        assert_eq!(error.kind, PlaceErrorKind::Missing, "{engine} {error}");
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(9), v INTEGER, w INTEGER)").await;
        if engine == Engine::Postgres {
            assert!(source.recheck().await.unwrap_err().message.contains("is another one now"));
        }
    }
}
