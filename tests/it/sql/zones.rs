//! Servers whose default zone is not UTC: the update feed finds the same rows.

use std::sync::Arc;

use cupid::config::{Start, UpdateConfig};
use cupid::model::Feed;

use super::super::support::servers::{self, Server};
use super::{Db, drain, ids, open, source_config, update_config};

/// A row stamped a few seconds ago on the server's wall is in the window, one stamped an hour ago is not.
async fn finds_what_is_fresh(server: Server, kind: &str, fresh: &str, stale: &str) {
    let what = format!("{kind} {fresh}");
    let db = Db::on(&Arc::new(server)).await;
    finds(&db, kind, fresh, stale, &what).await;
}

async fn finds(db: &Db, kind: &str, fresh: &str, stale: &str, what: &str) {
    db.run(format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u {kind}); INSERT INTO t VALUES (1, {fresh}), (2, {stale})"
    ))
    .await;
    let mut config = source_config(db, "t", "id");
    config.update = Some(UpdateConfig { start: Start::Now, ..update_config("u") });
    let source = open(&config, &[], db).await.unwrap();
    let start = source.start(Feed::Update, None).await.unwrap();
    let (rows, end) = drain(&*source, Feed::Update, start, 10).await;
    assert_eq!(ids(&rows), [1], "{what}");
    assert_eq!(ids(&drain(&*source, Feed::Update, end, 10).await.0), [1], "{what}");
    db.run("DROP TABLE t").await;
}

const MYSQL_FRESH: (&str, &str) = ("NOW() - INTERVAL 5 SECOND", "NOW() - INTERVAL 1 HOUR");

#[tokio::test]
async fn mysql_zone_by_offset() {
    let Some(server) = servers::start_mysql(&["--default-time-zone=+08:00"], &[]).await else { return };
    finds_what_is_fresh(server, "DATETIME", MYSQL_FRESH.0, MYSQL_FRESH.1).await;
}

#[tokio::test]
async fn mysql_zone_of_the_system() {
    let Some(server) = servers::start_mysql(&[], &[("TZ", "America/New_York")]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    for kind in ["DATETIME(3)", "TIMESTAMP", "VARCHAR(30)"] {
        finds(&db, kind, MYSQL_FRESH.0, MYSQL_FRESH.1, kind).await;
    }
}

/// Named zones need the server's zone tables; without them (but known to us) the name is enough.
#[tokio::test]
async fn mysql_zone_by_name() {
    let Some(server) = servers::start_mysql(&[], &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    db.run("INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (1, 'N'); \
            INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Asia/Shanghai', 1); \
            INSERT INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation) VALUES (1, 0, 28800, 0, 'CST'); \
            SET GLOBAL time_zone = 'Asia/Shanghai'").await;
    // Connections of before keep their zone: write the wall by hand.
    let fresh = "CONVERT_TZ(UTC_TIMESTAMP() - INTERVAL 5 SECOND, '+00:00', '+08:00')";
    let stale = "CONVERT_TZ(UTC_TIMESTAMP() - INTERVAL 1 HOUR, '+00:00', '+08:00')";
    finds(&db, "DATETIME", fresh, stale, "named").await;
}

#[tokio::test]
async fn postgres_zone_of_the_server() {
    let Some(server) = servers::start_postgres(&["timezone=Asia/Shanghai"], &[]).await else { return };
    let db = Db::on(&Arc::new(server)).await;
    let wall = |zone: &str, ago: &str| format!("(now() - interval '{ago}') AT TIME ZONE '{zone}'");
    let at = "Asia/Shanghai";
    finds(&db, "timestamp", &wall(at, "5 s"), &wall(at, "1 h"), "-c timezone").await;
    finds(&db, "timestamptz", "now() - interval '5 s'", "now() - interval '1 h'", "timestamptz").await;
    let name = db.name.clone();
    db.run(format!("ALTER DATABASE {name} SET timezone = 'America/New_York'")).await;
    let at = "America/New_York";
    finds(&db, "timestamp(0)", &wall(at, "5 s"), &wall(at, "1 h"), "ALTER DATABASE").await;
    db.run("ALTER ROLE tester SET timezone = '+05:30'").await;
    // A bare offset means the same to both: whatever it says, it is the server that computes with it.
    finds(&db, "timestamp", &wall("+05:30", "5 s"), &wall("+05:30", "1 h"), "ALTER ROLE").await;
}

/// A zone in the configuration wins over the server's.
#[tokio::test]
async fn a_configured_zone_wins() {
    for engine in super::SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        let kind = if engine == cupid::config::Engine::MySql { "DATETIME" } else { "timestamp" };
        db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {kind})")).await;
        let zone = chrono_tz::Pacific::Kiritimati;
        let wall = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).with_timezone(&zone);
        db.run(format!("INSERT INTO t VALUES (1, '{}')", wall.format("%Y-%m-%d %H:%M:%S"))).await;
        let mut config = source_config(&db, "t", "id");
        config.update = Some(UpdateConfig { start: Start::Now, ..update_config("u") });
        config.zone = Some(zone);
        let source = open(&config, &[], &db).await.unwrap();
        let start = source.start(Feed::Update, None).await.unwrap();
        assert_eq!(ids(&drain(&*source, Feed::Update, start, 10).await.0), [1], "{engine}");
    }
}
