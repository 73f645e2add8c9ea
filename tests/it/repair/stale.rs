//! Rows that are not as the plan saw them, and rows that stand in each other's way.

use cupid::config::Engine;

use super::{COLUMNS, Repair, dump, results};
use crate::support::db::{Db, ENGINES};
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE};

/// What has changed since is left alone and listed; what was put right by somebody else is counted as that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_changed_after_planning_is_left_alone() {
    for engine in ENGINES {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=20).await;
        pair.lose(&[1, 2, 3]).await;
        pair.spoil(&[4, 5, 6, 7]).await;
        for id in [100, 101, 102] {
            pair.fill_copy(id).await;
        }
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
        let t = pair.des.quote(TABLE);
        for sql in [
            // Come meanwhile: another one, and the right one.
            format!("INSERT INTO {t} (id, number, name, phone) VALUES (1, 'n1', 'somebody else', '+86 1')"),
            format!("INSERT INTO {t} (id, number, name, phone) VALUES (2, 'n2', 'name 2', '+86 2')"),
            // Changed in a column that does not differ, put right, in another case, gone.
            format!("UPDATE {t} SET phone = 'new' WHERE id = 4"),
            format!("UPDATE {t} SET name = 'name 5' WHERE id = 5"),
            format!("UPDATE {t} SET name = 'SPOILT' WHERE id = 6"),
            format!("UPDATE {t} SET name = 'new' WHERE id = 100"),
            format!("DELETE FROM {t} WHERE id = 101"),
        ] {
            pair.des.run(sql).await;
        }
        let (rows, stats, ran) = r.repair(&["--delete"]);
        assert_eq!(ran.code, Some(1), "{engine}: {ran:?}");
        let wanted = ["stale delete 100", "stale insert 1", "stale update 4", "stale update 6"];
        assert_eq!(results(&rows, "id"), wanted, "{engine}");
        assert!(
            rows.iter().all(|row| row["reason"].as_str().unwrap().contains("since the plan was made")),
            "{rows:?}"
        );
        assert_eq!(
            (&stats["inserted"], &stats["updated"], &stats["deleted"]),
            (&1.into(), &1.into(), &1.into())
        );
        assert_eq!(stats["already"], 3, "{engine}");
        let left =
            pair.des.texts(format!("SELECT name FROM {t} WHERE id IN (1, 4, 6, 100) ORDER BY id")).await;
        let left: Vec<_> = left.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
        assert_eq!(left, ["somebody else", "spoilt", "SPOILT", "new"], "{engine}");
    }
}

/// A row that somebody else holds is waited for a while, then listed; the others are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_holds_up_nobody_else() {
    for engine in [Engine::MySql, Engine::Postgres] {
        let (Some(src), Some(des)) = (Db::apart(engine).await, Db::apart(engine).await) else { continue };
        let pair = Pair::of(src, des).await;
        pair.fill(1..=20).await;
        pair.spoil(&[3, 4, 5]).await;
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
        let mut held = Held::begin(&pair.des).await;
        held.run(&format!("UPDATE {} SET phone = 'x' WHERE id = 4", pair.des.quote(TABLE))).await;
        let (rows, stats, ran) = tokio::task::block_in_place(|| r.repair(&[]));
        assert_eq!((ran.code, &stats["updated"]), (Some(1), &2.into()), "{engine}: {ran:?}");
        assert_eq!(results(&rows, "id"), ["refused update 4"], "{engine}: {rows:?}");
        held.end("ROLLBACK").await;
        let (_, stats, ran) = r.repair(&[]);
        assert_eq!(
            (ran.code, &stats["updated"], &stats["already"]),
            (Some(0), &1.into(), &2.into()),
            "{engine}"
        );
    }
}

/// A row that does not meet `--where` at the source any more is no row that only the copy has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_plans_no_deletes() {
    for engine in ENGINES {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=9).await;
        pair.spoil(&[3]).await;
        let t = pair.src.quote(TABLE);
        pair.src.run(format!("UPDATE {t} SET phone = 'elsewhere' WHERE id = 7")).await;
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        r.plan(&["-k", "id", "--columns", "number,name", "-w", "phone IS NULL OR phone <> 'elsewhere'"]);
        let text = r.text("plan.sql");
        assert!(text.contains("not planned: id=7") && text.contains("--where"), "{engine}: {text}");
        let (_, stats, ran) = r.repair(&["--delete"]);
        assert_eq!(
            (ran.code, &stats["updated"], &stats["deleted"]),
            (Some(0), &1.into(), &0.into()),
            "{ran:?}"
        );
        assert_eq!(pair.des.number(format!("SELECT COUNT(*) FROM {}", pair.des.quote(TABLE))).await, 9);
    }
}

/// An account that may not write is told so, and nothing else happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_ends_it_at_once() {
    for engine in [Engine::MySql, Engine::Postgres] {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=5).await;
        pair.spoil(&[3, 4]).await;
        let user = format!("reader_{}", crate::support::temp::unique());
        let t = pair.des.quote(TABLE);
        pair.des
            .run(match engine {
                Engine::MySql => format!(
                    "CREATE USER {user}@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON `{}`.{t} TO {user}@'%'",
                    pair.des.name
                ),
                _ => format!("CREATE ROLE {user} LOGIN PASSWORD 'pw'; GRANT SELECT ON {t} TO {user}"),
            })
            .await;
        let mut r = Repair::new(&pair.src, &pair.des, TABLE);
        r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
        let url = pair.des.url_as(&user, "pw");
        r.copy = format!("{url}{}table={TABLE}", if url.contains('?') { '&' } else { '?' });
        let dry = r.run("plan.sql", &["--dry-run"]);
        assert_eq!(dry.code, Some(0), "{engine}: reading is enough to look: {dry:?}");
        assert_eq!(dry.stderr.contains("not told which triggers"), engine == Engine::MySql, "{dry:?}");
        let ran = r.run("plan.sql", &[]);
        assert!(ran.code == Some(2) && ran.stderr.contains("denied"), "{engine}: {ran:?}");
        let drop = match engine {
            Engine::MySql => format!("DROP USER {user}@'%'"),
            _ => format!("DROP OWNED BY {user}; DROP ROLE {user}"),
        };
        pair.des.run(drop).await;
    }
}

/// Two rows that have exchanged a unique value, a chain of them, and one whose value another row keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unique_values_that_were_exchanged_are_put_right() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        for db in [&src, &des] {
            db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u VARCHAR(20) UNIQUE, v VARCHAR(20))").await;
        }
        src.run("INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x'), (4, 'd', 'x'), (5, 'e', 'x'), (6, 'f', 'x')")
            .await;
        // 1 and 2 exchanged; 3 has what 4 should have, 4 something else.
        des.run("INSERT INTO t VALUES (1, 'b', 'x'), (2, 'a', 'x'), (3, 'd', 'x'), (4, 'z', 'y'), (5, 'e', 'x'), (6, 'f', 'x')")
            .await;
        let before = dump(&des, "t", &["id", "u", "v"]).await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        let (rows, stats, ran) = r.repair(&[]);
        assert_eq!((ran.code, &stats["updated"]), (Some(0), &4.into()), "{engine}: {rows:?} {ran:?}");
        assert_eq!(r.diff(&[]).code, Some(0));
        let back = r.run("plan.undo.sql", &[]);
        assert_eq!(back.code, Some(0), "{engine}: {back:?}");
        assert_eq!(dump(&des, "t", &["id", "u", "v"]).await, before, "{engine}");

        // Nobody gives this one up.
        des.run("UPDATE t SET u = 'q' WHERE id = 5").await;
        des.run("INSERT INTO t VALUES (50, 'e', 'kept')").await;
        r.plan(&[]);
        let (rows, _, ran) = r.repair(&[]);
        assert_eq!(ran.code, Some(1));
        assert_eq!(results(&rows, "id"), ["left delete 50", "refused update 5"], "{engine}: {rows:?}");
        let why = rows.iter().find(|row| row["result"] == "refused").unwrap()["reason"].as_str().unwrap();
        assert!(why.contains("unique index"), "{why}");
        let (rows, _, ran) = r.repair(&["--delete"]);
        assert_eq!(
            (ran.code, rows.len()),
            (Some(0), 0),
            "{engine}: once the other row is gone it goes: {ran:?}"
        );
        assert_eq!(r.diff(&[]).code, Some(0));
    }
}

/// Unique values that may not be NULL for a moment stay, and both rows are listed; a constraint that waits for the commit
/// lets them go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanged_values_that_may_not_be_empty_are_listed() {
    for engine in ENGINES {
        let kinds = match engine {
            Engine::Postgres => vec![("", false), (" DEFERRABLE INITIALLY DEFERRED", true)],
            _ => vec![("", false)],
        };
        for (more, goes) in kinds {
            let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
            for db in [&src, &des] {
                db.run(format!(
                    "CREATE TABLE t (id INTEGER PRIMARY KEY, u VARCHAR(20) NOT NULL, UNIQUE (u){more})"
                ))
                .await;
            }
            src.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
            des.run("INSERT INTO t VALUES (1, 'b'), (2, 'a'), (3, 'z')").await;
            let r = Repair::new(&src, &des, "t");
            r.plan(&[]);
            let (rows, stats, ran) = r.repair(&[]);
            if goes {
                assert_eq!((ran.code, &stats["updated"]), (Some(0), &3.into()), "{rows:?} {ran:?}");
                continue;
            }
            assert_eq!(results(&rows, "id"), ["refused update 1", "refused update 2"], "{engine}: {rows:?}");
            let left = des.texts("SELECT u FROM t ORDER BY id").await;
            assert_eq!(left, ["b", "a", "c"].map(|u| [Some(u.to_owned())]), "{engine}");
        }
    }
}
