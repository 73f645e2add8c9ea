//! What `check --connect` is told.

use cupid::config::{Engine, SourceConfig};
use cupid::sql::probe::{Checked, Level};

use super::super::support::db::ENGINES;
use super::{Db, database, destination_config, dsn, ids, open, source_config, update_config};

async fn look(db: &Db, config: &SourceConfig, mapped: &[&str]) -> Vec<Checked> {
    let mapped: Vec<String> = mapped.iter().map(|s| (*s).to_owned()).collect();
    cupid::source::probe(config, &mapped, &database(db)).await
}

fn worse(found: &[Checked]) -> Vec<(Level, &'static str, &str)> {
    let bad = found.iter().filter(|checked| checked.level != Level::Good);
    bad.map(|checked| (checked.level, checked.subject, &*checked.message)).collect()
}

#[tokio::test]
async fn all_is_well_or_all_problems_are_told_at_once() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let kind = if engine == Engine::MySql { "DATETIME" } else { "TIMESTAMP" };
        db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(9), v INTEGER, u {kind})")).await;
        let mut config = source_config(&db, "t", "k");
        config.update = Some(update_config("u"));
        let found = look(&db, &config, &["v"]).await;
        let mut bad = worse(&found);
        let carriers = bad.remove(0);
        assert!(carriers.1 == "key" && carriers.2.contains("\"k\" of"), "{carriers:?}");
        assert_eq!(bad.len(), 1, "{engine} {found:?}");
        assert!(bad[0].0 == Level::Warning && bad[0].1 == "index" && bad[0].2.contains("\"u\""), "{bad:?}");
        db.run("CREATE INDEX t_u ON t (u); CREATE INDEX t_plain ON t (k)").await;
        let found = look(&db, &config, &["v"]).await;
        assert!(worse(&found).is_empty(), "{engine} {found:?}");
        let subjects: Vec<&str> = found.iter().map(|checked| checked.subject).collect();
        let wanted = [
            "connection",
            "charset",
            "table",
            "columns",
            "id",
            "index",
            "key",
            "transactions",
            "index",
            "clock",
        ];
        assert_eq!(subjects, wanted);
        db.run(if engine == Engine::MySql { "DROP INDEX t_plain ON t" } else { "DROP INDEX t_plain" }).await;
        db.run(format!(
            "CREATE INDEX t_k ON t ({})",
            if engine == Engine::MySql { "k(3)" } else { "lower(k)" }
        ))
        .await;
        let found = look(&db, &config, &["v"]).await;
        assert!(worse(&found).iter().all(|(_, subject, _)| *subject == "key"), "{engine} {found:?}");

        config.by_column = "kk".to_owned();
        config.id = Some("k".to_owned());
        config.update = Some(update_config("uu"));
        let found = look(&db, &config, &["vv", "v"]).await;
        let bad = worse(&found);
        assert_eq!(bad.len(), 4, "{engine} {bad:?}");
        assert!(bad.iter().all(|(level, subject, _)| *level == Level::Problem && *subject == "columns"));
        assert!(bad.iter().any(|(_, _, message)| message.contains("did you mean \"v\"?")), "{bad:?}");

        // A prefix or an expression does not find a copy by its key.
        let found =
            cupid::destination::probe(&destination_config(&db, "t", "k", &["v", "w"]), &database(&db), None)
                .await;
        let bad = worse(&found);
        assert!(
            bad.iter().any(|(level, subject, _)| *level == Level::Problem && *subject == "columns"),
            "{bad:?}"
        );
        let index = bad.iter().find(|(_, subject, _)| *subject == "index");
        if engine == Engine::MySql {
            assert!(index.is_some(), "{bad:?}");
        } else {
            assert_eq!(index.unwrap().0, Level::Warning);
        }
        db.run("CREATE INDEX t_kk ON t (k, v)").await;
        let found =
            cupid::destination::probe(&destination_config(&db, "t", "k", &["v"]), &database(&db), None).await;
        assert!(worse(&found).is_empty(), "{engine} {found:?}");
    }
}

/// A unique index lets any number of NULLs in, and no feed reads those rows. No reason to refuse: of a view nobody tells,
/// and MariaDB takes no NOT NULL on a computed column.
#[tokio::test]
async fn an_id_that_may_be_null_is_told() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (k VARCHAR(9), n INTEGER); CREATE UNIQUE INDEX t_n ON t (n); CREATE VIEW w AS SELECT k, n FROM t").await;
        for table in ["t", "w"] {
            let mut config = source_config(&db, table, "k");
            config.id = Some("n".to_owned());
            let found = look(&db, &config, &[]).await;
            let warning =
                found.iter().find(|checked| checked.subject == "id" && checked.level == Level::Warning);
            assert!(warning.expect("a warning").message.contains("NULL"), "{engine} {found:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_one_problem() {
    let Some(db) = Db::new(Engine::MySql).await else { return };
    let mut config = source_config(&db, "t", "k");
    let found = look(&db, &config, &[]).await;
    assert_eq!(worse(&found).len(), 1, "{found:?}");
    assert!(worse(&found)[0].2.contains("there is no table \"t\""));
    config.dsn = dsn(&db);
    config.dsn.port = 1;
    let database = std::sync::Arc::new(cupid::sql::Database::connect(&config.dsn, Default::default()));
    let found = cupid::source::probe(&config, &[], &database).await;
    assert_eq!((found.len(), found[0].subject, found[0].level), (1, "connection", Level::Problem));
}

#[tokio::test]
async fn a_clock_in_another_zone_is_told() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let (kind, ahead) = match engine {
            Engine::MySql => ("DATETIME", "UTC_TIMESTAMP() + INTERVAL 8 HOUR"),
            Engine::Postgres => ("TIMESTAMP", "now() AT TIME ZONE 'UTC' + interval '8 hours'"),
            Engine::Sqlite => ("DATETIME", "datetime('now', '+8 hours')"),
        };
        db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {kind}); CREATE INDEX t_u ON t (u); INSERT INTO t VALUES (1, {ahead})")).await;
        let mut config = source_config(&db, "t", "id");
        config.update = Some(update_config("u"));
        config.zone = Some(chrono_tz::UTC);
        let found = look(&db, &config, &[]).await;
        let bad = worse(&found);
        assert!(bad.len() == 1 && bad[0].1 == "clock" && bad[0].2.contains("ahead"), "{engine} {bad:?}");
        config.zone = Some(chrono_tz::Asia::Shanghai);
        assert!(worse(&look(&db, &config, &[]).await).is_empty(), "{engine}");
        config.zone = Some(chrono_tz::Pacific::Auckland);
        let found = look(&db, &config, &[]).await;
        assert!(worse(&found)[0].2.contains("minutes old"), "{engine} {found:?}");
    }
}

#[tokio::test]
async fn samples_come_from_all_over_the_table() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)").await;
        let source = open(&source_config(&db, "t", "id"), &["v"], &db).await.unwrap();
        assert!(source.sample(100).await.unwrap().is_empty());
        let rows: Vec<String> = (1..=5000).map(|n| format!("({n}, {n})")).collect();
        db.run(format!("INSERT INTO t VALUES {}", rows.join(", "))).await;
        let mut found = ids(&source.sample(100).await.unwrap());
        assert_eq!(found.len(), 100, "{engine}");
        assert!(found.is_sorted());
        found.dedup();
        assert_eq!(found.len(), 100, "{engine}");
        assert!(found[0] == 1 && *found.last().unwrap() > 4000, "{found:?}");
        assert_eq!(source.sample(100_000).await.unwrap().len(), 5000, "{engine}");
        assert_eq!(source.sample(3).await.unwrap().len(), 3, "{engine}");
    }
}

/// Engines that do not tell `Name` from `NAME` find a column by either.
#[tokio::test]
async fn columns_are_found_as_the_engine_would() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(9))").await;
        let opened = open(&source_config(&db, "t", "NAME"), &[], &db).await;
        assert_eq!(opened.is_ok(), engine != Engine::Postgres, "{engine}");
        if let Ok(source) = opened {
            assert_eq!(source.find("Name"), Some(1));
            assert_eq!(source.find("nam"), None);
        }
    }
}

#[tokio::test]
async fn a_key_that_only_the_copy_folds_is_warned_of() {
    for engine in ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        let (folds, exact) = match engine {
            Engine::MySql => ("VARCHAR(9) COLLATE utf8mb4_general_ci", "VARCHAR(9) COLLATE utf8mb4_bin"),
            Engine::Postgres => ("VARCHAR(9) COLLATE folds", "VARCHAR(9)"),
            Engine::Sqlite => ("VARCHAR(9) COLLATE NOCASE", "VARCHAR(9)"),
        };
        if engine == Engine::Postgres {
            db.run(
                "CREATE COLLATION folds (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            )
            .await;
        }
        db.run(format!("CREATE TABLE f (id INTEGER PRIMARY KEY, k {folds}, e {exact}, n INTEGER)")).await;
        for (source, copy, warned) in [
            ("e", "k", true),
            ("k", "k", false),
            ("e", "e", false),
            ("k", "e", false),
            ("n", "n", false),
            ("n", "k", true),
        ] {
            let number = source == "n";
            let source = cupid::source::key_folds(&source_config(&db, "f", source), &database(&db)).await;
            let found = cupid::destination::probe(
                &destination_config(&db, "f", copy, &["k"]),
                &database(&db),
                source.as_ref(),
            )
            .await;
            let warning = found.iter().find(|checked| checked.subject == "collation");
            assert_eq!(warning.is_some(), warned, "{engine} {source:?} {copy}: {found:?}");
            if let Some(warning) = warning {
                let said = match (engine, number) {
                    (Engine::MySql, true) => "differ in case, accents or trailing blanks only",
                    // What is compared byte for byte there knows no trailing blanks either.
                    (Engine::MySql, false) => "differ in case or accents only",
                    _ => "differ in case only",
                };
                assert!(warning.message.contains(said), "{engine}: {}", warning.message);
            }
        }
    }
}
