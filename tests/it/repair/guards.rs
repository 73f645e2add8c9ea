//! What follows from a write and is not in the plan: generated columns, times that the server sets, triggers, foreign keys,
//! identity columns, views, columns without a default.

use cupid::config::Engine;

use super::{Repair, dump, results};
use crate::support::db::{Db, ENGINES};

async fn both(engine: Engine, sql: &str) -> Option<(Db, Db)> {
    let (src, des) = (Db::new(engine).await?, Db::new(engine).await?);
    for db in [&src, &des] {
        db.run(sql).await;
    }
    Some((src, des))
}

/// They follow, or the row is left as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_columns_follow_or_the_row_is_left() {
    for engine in ENGINES {
        let table = |by: &str| {
            format!(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, g INTEGER GENERATED ALWAYS AS (a * {by}) STORED)"
            )
        };
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        src.run(table("2")).await;
        des.run(table("2")).await;
        src.run("INSERT INTO t (id, a) VALUES (1, 1), (2, 2)").await;
        des.run("INSERT INTO t (id, a) VALUES (1, 5), (3, 3)").await;
        let before = dump(&des, "t", &["id", "a", "g"]).await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        let (rows, _, ran) = r.repair(&["--delete"]);
        assert_eq!((ran.code, rows.len()), (Some(0), 0), "{engine}: {ran:?}");
        assert_eq!(r.diff(&[]).code, Some(0), "{engine}");
        assert_eq!(r.run("plan.undo.sql", &[]).code, Some(0), "{engine}");
        assert_eq!(dump(&des, "t", &["id", "a", "g"]).await, before, "{engine}");

        // The copy computes something else.
        let Some(des) = Db::new(engine).await else { continue };
        des.run(table("3")).await;
        des.run("INSERT INTO t (id, a) VALUES (1, 5), (2, 2)").await;
        let before = dump(&des, "t", &["id", "a", "g"]).await;
        let r = Repair::new(&src, &des, "t");
        let planned = r.plan(&[]);
        assert!(
            planned.stderr.contains("only g differs, which the server computes"),
            "{engine}: {planned:?}"
        );
        let (rows, _, _) = r.repair(&[]);
        assert_eq!(results(&rows, "id"), ["refused update 1"], "{engine}");
        assert!(rows[0]["reason"].as_str().unwrap().contains("g is computed by the server"), "{rows:?}");
        assert_eq!(dump(&des, "t", &["id", "a", "g"]).await, before, "{engine}");
    }
}

/// A time that the server sets whenever a row is changed stays what it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_the_server_sets_are_kept() {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, \
                 ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
                 dt DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))";
    let Some((src, des)) = both(Engine::MySql, table).await else { return };
    src.run("INSERT INTO t VALUES (1, 1, '2024-01-01 00:00:00', '2024-01-01 00:00:00'), (2, 2, '2024-01-01 00:00:00', NULL)")
        .await;
    des.run("INSERT INTO t VALUES (1, 5, '2001-01-01 00:00:00', '2001-01-01 00:00:00'), (3, 3, '2001-01-01 00:00:00', NULL)")
        .await;
    let columns = ["id", "a", "ts", "dt"];
    let before = dump(&des, "t", &columns).await;
    let r = Repair::new(&src, &des, "t");
    r.plan(&["--columns", "a"]);
    assert_eq!(r.run("plan.sql", &["--delete"]).code, Some(0));
    let kept = des.texts("SELECT a, ts, dt FROM t WHERE id = 1").await;
    let kept: Vec<_> = kept[0].iter().map(|value| value.clone().unwrap()).collect();
    assert_eq!(kept, ["1", "2001-01-01 00:00:00", "2001-01-01 00:00:00.000"]);
    assert_eq!(r.run("plan.undo.sql", &[]).code, Some(0));
    assert_eq!(dump(&des, "t", &columns).await, before);
}

async fn trigger(db: &Db, name: &str, when: &str, body: &str) {
    db.run(match db.engine {
        Engine::MySql => format!("CREATE TRIGGER {name} {when} ON t FOR EACH ROW {body}"),
        Engine::Sqlite => format!("CREATE TRIGGER {name} {when} ON t BEGIN {body}; END"),
        Engine::Postgres => format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$; \
             CREATE TRIGGER {name} {when} ON t FOR EACH ROW EXECUTE FUNCTION {name}()"
        ),
    })
    .await;
}

/// Only the kind of write that sets one off is refused; it may be allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_set_off_triggers_are_refused_unless_that_is_allowed() {
    for engine in ENGINES {
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); CREATE TABLE log (n INTEGER)";
        let Some((src, des)) = both(engine, table).await else { continue };
        src.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
        des.run("INSERT INTO t VALUES (1, 5), (3, 3)").await;
        trigger(&des, "watch_delete", "AFTER UPDATE", "INSERT INTO log VALUES (1)").await;
        let before = dump(&des, "t", &["id", "a"]).await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        let (rows, stats, ran) = r.repair(&["--delete"]);
        assert_eq!(ran.code, Some(1), "{engine}: {ran:?}");
        assert_eq!(results(&rows, "id"), ["refused update 1"], "{engine}: {rows:?}");
        assert!(rows[0]["reason"].as_str().unwrap().contains("watch_delete"), "{rows:?}");
        assert_eq!((&stats["inserted"], &stats["deleted"]), (&1.into(), &1.into()), "{engine}");
        assert_eq!(des.number("SELECT COUNT(*) FROM log").await, 0);
        let allowed = r.run("plan.sql", &["--delete", "--allow-triggers"]);
        assert_eq!(allowed.code, Some(0), "{engine}: {allowed:?}");
        assert_eq!(des.number("SELECT COUNT(*) FROM log").await, 1);
        assert_eq!(r.run("plan.undo.sql", &["--allow-triggers"]).code, Some(0), "{engine}");
        assert_eq!(dump(&des, "t", &["id", "a"]).await, before, "{engine}");
    }
}

/// A trigger that makes something else of a row is noticed, and the row is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_changes_the_row_is_noticed() {
    for engine in [Engine::MySql, Engine::Postgres] {
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)";
        let Some((src, des)) = both(engine, table).await else { continue };
        src.run("INSERT INTO t VALUES (1, 1, 7)").await;
        des.run("INSERT INTO t VALUES (1, 5, 7)").await;
        if engine == Engine::MySql {
            trigger(&des, "odd", "BEFORE UPDATE", "SET NEW.b = 8").await;
        } else {
            des.run(
                "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.b = 8; RETURN NEW; END $$; \
                 CREATE TRIGGER odd BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION odd()",
            )
            .await;
        }
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        let (rows, _, ran) = r.repair(&["--allow-triggers"]);
        assert_eq!(ran.code, Some(1), "{engine}");
        assert!(rows[0]["reason"].as_str().unwrap().contains("b changed as well"), "{engine}: {rows:?}");
        assert_eq!(des.texts("SELECT a, b FROM t").await, [[Some("5".to_owned()), Some("7".to_owned())]]);
    }
}

/// Rows that others refer to are not deleted where that would change the others; a missing parent is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_keys_are_kept() {
    for engine in ENGINES {
        let key = "REFERENCES t (id)";
        let children = "CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE); \
                        CREATE TABLE n (id INTEGER PRIMARY KEY, t INTEGER, FOREIGN KEY (t) REFERENCES t (id) ON DELETE SET NULL); \
                        CREATE TABLE k (id INTEGER PRIMARY KEY, t INTEGER, FOREIGN KEY (t) REFERENCES t (id))";
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        src.run("CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER)").await;
        des.run(format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER, FOREIGN KEY (p) {key}); {children}"
        ))
        .await;
        src.run("INSERT INTO t VALUES (1, NULL), (2, 3), (3, NULL), (4, 99)").await;
        des.run("INSERT INTO t VALUES (1, NULL), (10, NULL), (11, NULL), (12, NULL), (13, NULL)").await;
        des.run("INSERT INTO c VALUES (1, 10); INSERT INTO n VALUES (1, 11); INSERT INTO k VALUES (1, 12)")
            .await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        let (rows, stats, ran) = r.repair(&["--delete"]);
        assert_eq!(ran.code, Some(1), "{engine}: {ran:?}");
        assert_eq!(
            results(&rows, "id"),
            ["refused delete 10", "refused delete 11", "refused delete 12", "refused insert 4"],
            "{engine}: {rows:?}"
        );
        // 2 refers to 3, which comes behind it.
        assert_eq!((&stats["inserted"], &stats["deleted"]), (&2.into(), &1.into()), "{engine}: {rows:?}");
        let why =
            |id: &str| rows.iter().find(|row| row["key"]["id"] == id).unwrap()["reason"].as_str().unwrap();
        assert!(why("10").contains("CASCADE") && why("11").contains("SET NULL"), "{engine}: {rows:?}");
        assert!(why("12").contains("foreign key") && why("4").contains("foreign key"), "{engine}: {rows:?}");
        assert_eq!(
            des.number("SELECT COUNT(*) FROM c").await + des.number("SELECT COUNT(t) FROM n").await,
            2
        );
        // Taken back, too, in the order that the keys need.
        let back = r.run("plan.undo.sql", &[]);
        assert_eq!(back.code, Some(0), "{engine}: {back:?}");
        assert_eq!(des.number("SELECT COUNT(*) FROM t").await, 5, "{engine}");
    }
}

/// A table may say that a row which collides takes the place of the other one: that one would be gone, and nobody told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_replaces_rows_that_collide_is_not_let_to() {
    let (src, des) = (Db::sqlite().await, Db::sqlite().await);
    src.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT)").await;
    des.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE)").await;
    src.run("INSERT INTO t VALUES (2, 'a'), (3, 'b')").await;
    des.run("INSERT INTO t VALUES (1, 'b'), (2, 'c'), (5, 'a')").await;
    let before = dump(&des, "t", &["id", "u"]).await;
    let r = Repair::new(&src, &des, "t");
    r.plan(&[]);
    let (rows, _, ran) = r.repair(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        results(&rows, "id"),
        ["left delete 1", "left delete 5", "refused insert 3", "refused update 2"],
        "{rows:?}"
    );
    assert_eq!(dump(&des, "t", &["id", "u"]).await, before, "nothing was written, and nothing is gone");
}

/// MySQL shows foreign keys to those only who have a right on the table that they stand on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_where_foreign_keys_may_be_hidden() {
    let Some((src, des)) = both(Engine::MySql, "CREATE TABLE t (id INTEGER PRIMARY KEY)").await else {
        return;
    };
    let child = "CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)";
    des.run(format!("INSERT INTO t VALUES (10); {child}; INSERT INTO c VALUES (1, 10)")).await;
    let user = format!("writer_{}", crate::support::temp::unique());
    des.run(format!(
        "CREATE USER {user}@'%' IDENTIFIED BY 'pw'; \
         GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `{}`.t TO {user}@'%'",
        des.name
    ))
    .await;
    let mut r = Repair::new(&src, &des, "t");
    r.copy = format!("{}?table=t", des.url_as(&user, "pw"));
    r.plan(&[]);
    let (rows, _, ran) = r.repair(&["--delete"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(results(&rows, "id"), ["refused delete 10"], "{rows:?}");
    assert!(rows[0]["reason"].as_str().unwrap().contains("may not see"), "{rows:?}");
    assert_eq!(des.number("SELECT COUNT(*) FROM c").await, 1);
    // Who may read all of the database is told which key it is, but not what that does; who has rights of other kinds is.
    des.run(format!("GRANT SELECT ON `{}`.* TO {user}@'%'", des.name)).await;
    let (rows, _, ran) = r.repair(&["--delete"]);
    assert_eq!(results(&rows, "id"), ["refused delete 10"], "{ran:?}");
    assert!(rows[0]["reason"].as_str().unwrap().contains("RULE THAT THIS USER IS NOT TOLD"), "{rows:?}");
    des.run(format!("GRANT REFERENCES ON `{}`.* TO {user}@'%'", des.name)).await;
    let (rows, _, _) = r.repair(&["--delete"]);
    assert!(rows[0]["reason"].as_str().unwrap().contains("CASCADE"), "{rows:?}");
    assert_eq!(des.number("SELECT COUNT(*) FROM c").await, 1);
    des.run("DROP TABLE c").await;
    assert_eq!(r.repair(&["--delete"]).2.code, Some(0));
    des.run(format!("DROP USER {user}@'%'")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_columns_columns_without_a_default_and_views() {
    let table = "CREATE TABLE t (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a INTEGER)";
    if let Some((src, des)) = both(Engine::Postgres, table).await {
        src.run("INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (7, 1), (8, 2)").await;
        des.run("INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (8, 3)").await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        assert_eq!(r.run("plan.sql", &[]).code, Some(0));
        assert_eq!(r.diff(&[]).code, Some(0));
        assert_eq!(r.run("plan.undo.sql", &[]).code, Some(0));
        assert_eq!(des.texts("SELECT id, a FROM t").await, [[Some("8".to_owned()), Some("3".to_owned())]]);
    }
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        src.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1)").await;
        des.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, more INTEGER NOT NULL, d INTEGER NOT NULL DEFAULT 5)").await;
        let r = Repair::new(&src, &des, "t");
        let planned = r.plan(&[]);
        assert!(planned.stderr.contains("more of the copy has no default"), "{engine}: {planned:?}");
        des.run("CREATE VIEW v AS SELECT * FROM t").await;
        let viewed = Repair { copy: super::at(&des, "v"), ..r };
        let ran = viewed.diff(&["--plan", "view.sql"]);
        assert!(ran.code == Some(2) && ran.stderr.contains("is a view"), "{engine}: {ran:?}");
        assert!(!viewed.site.path("view.sql").exists());
    }
    if let Some((src, des)) =
        both(Engine::MySql, "CREATE TABLE t (id INTEGER PRIMARY KEY) ENGINE=MyISAM").await
    {
        src.run("INSERT INTO t VALUES (1)").await;
        let ran = Repair::new(&src, &des, "t").diff(&["--plan", "plan.sql"]);
        assert!(ran.code == Some(2) && ran.stderr.contains("MyISAM, which has no transactions"), "{ran:?}");
    }
}
