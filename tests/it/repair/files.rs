//! Plans and undo files as files: what is not as it was written, what they are for, what they never hold.

use std::fs;

use cupid::config::Engine;

use super::{COLUMNS, Repair, at, dump};
use crate::support::db::{Db, ENGINES};
use crate::support::pair::{Pair, TABLE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_is_refused_and_rows_can_be_left_out() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=20).await;
    pair.spoil(&[1, 2, 3]).await;
    let before = dump(&pair.des, TABLE, &super::WHOLE).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
    let plan = r.text("plan.sql");
    let refused = |text: &str, says: &str| {
        fs::write(r.site.path("plan.sql"), text).unwrap();
        let ran = r.run("plan.sql", &[]);
        assert!(ran.code == Some(2) && ran.stderr.contains(says), "{says:?} in {ran:?}");
    };
    let statement = plan.lines().find(|line| line.starts_with("UPDATE")).unwrap();
    let line = plan.lines().position(|line| line == statement).unwrap();
    refused(
        &plan.replace("SET `name` = 'name 1'", "SET `name` = 'else'"),
        &format!("plan.sql:{line}: the statement beneath"),
    );
    refused(&plan.replace(&format!("{statement}\n"), ""), "the statement beneath");
    refused(
        &plan.replacen("\"new\":{\"name\":\"name 1\"}", "\"new\":{\"name\":\"x\"}", 1),
        "the statement beneath",
    );
    refused(&plan.replacen("\"do\":\"update\"", "\"do\":\"upsert\"", 1), "insert, update or delete");
    refused(&format!("{plan}DROP TABLE user;\n"), "a statement that cupid did not write");
    refused(&plan[..plan.len() / 2], "");
    refused(plan.rsplit_once("-- cupid-end").unwrap().0, "the end is missing");
    refused(&plan.replace("\"version\":1", "\"version\":2"), "another version of cupid");
    refused("SELECT 1;\n", "no plan");
    assert_eq!(r.run("nothing.sql", &[]).code, Some(2));
    assert_eq!(dump(&pair.des, TABLE, &super::WHOLE).await, before);

    // All lines of a row are taken out, a note is put in, lines end as on Windows.
    let rows: Vec<&str> = plan.split("\n\n").filter(|part| !part.contains("\"int\":\"2\"")).collect();
    fs::write(r.site.path("plan.sql"), rows.join("\n\n-- seen by me\n\n").replace('\n', "\r\n")).unwrap();
    let ran = r.run("plan.sql", &[]);
    assert!(ran.code == Some(0) && ran.stderr.contains("2 of 3 rows are in the file"), "{ran:?}");
    assert!(ran.stdout.contains("2 rows planned: 2 updated"), "{ran:?}");
    // A plan is not written over, nor is the undo file of another one.
    let ran = r.diff(&[&["-k", "id", "--plan", "plan.sql"], &COLUMNS[..]].concat());
    assert!(ran.code == Some(2) && ran.stderr.contains("exists already"), "{ran:?}");
    fs::remove_file(r.site.path("plan.sql")).unwrap();
    r.diff(&[&["-k", "id", "--plan", "plan.sql"], &COLUMNS[..]].concat());
    let ran = r.run("plan.sql", &[]);
    assert!(ran.code == Some(2) && ran.stderr.contains("takes back another repair"), "{ran:?}");
    assert_eq!(r.run("plan.sql", &["--undo", "other.sql"]).code, Some(0));
}

/// What a crash cut off was never made durable in the copy: the rest is taken back, and a repair goes on behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_file_whose_end_was_cut_off_can_be_used() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=20).await;
    pair.spoil(&[1, 2, 3]).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
    assert_eq!(r.run("plan.sql", &[]).code, Some(0));
    let undo = r.text("plan.undo.sql");
    let last = undo.rfind("-- cupid: ").unwrap();
    let t = pair.des.quote(TABLE);
    for end in [undo.len() - 5, undo[last..].find('\n').unwrap() + last + 1, last + 20, last] {
        fs::write(r.site.path("plan.undo.sql"), &undo[..end]).unwrap();
        let back = r.run("plan.undo.sql", &["--undo", &format!("again{end}.sql")]);
        assert_eq!(back.code, Some(0), "{end}: {back:?}");
        assert_eq!(back.stderr.contains("was cut off"), end != last, "{back:?}");
        assert!(back.stdout.contains("2 rows planned: 2 updated"), "{end}: {back:?}");
        // The third one was not made durable either.
        pair.des.run(format!("UPDATE {t} SET name = 'spoilt' WHERE id = 3")).await;
        assert_eq!(r.run("plan.sql", &[]).code, Some(0));
        let back = r.run("plan.undo.sql", &["--undo", &format!("all{end}.sql")]);
        assert_eq!(back.code, Some(0), "{end}: {back:?}");
        assert_eq!(
            pair.des.number(format!("SELECT COUNT(*) FROM {t} WHERE name = 'spoilt'")).await,
            3,
            "{end}"
        );
        assert_eq!(r.run("plan.sql", &["--undo", &format!("last{end}.sql")]).code, Some(0));
    }
}

/// The table that the plan is about, and no other; as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_for_one_table_as_it_was() {
    for engine in ENGINES {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=5).await;
        pair.spoil(&[1]).await;
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
        let other = r.site.run(&["repair", "plan.sql", &at(&pair.src, TABLE)]);
        assert!(other.code == Some(2) && other.stderr.contains("not the same table"), "{engine}: {other:?}");
        pair.des.run(format!("ALTER TABLE {} ADD COLUMN more INTEGER", pair.des.quote(TABLE))).await;
        let altered = r.run("plan.sql", &[]);
        assert!(altered.code == Some(2) && altered.stderr.contains("a column more"), "{engine}: {altered:?}");
    }
}

/// Passwords are in the URLs and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_and_no_line_holds_a_password() {
    for engine in [Engine::MySql, Engine::Postgres] {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let pair = Pair::of(src, des).await;
        pair.fill(1..=5).await;
        pair.spoil(&[1]).await;
        let (user, password) = (format!("canary_{}", std::process::id()), "canary-secret");
        match engine {
            Engine::MySql => {
                pair.des.run(format!("CREATE USER {user}@'%' IDENTIFIED BY '{password}'")).await;
                pair.des.run(format!("GRANT ALL ON `{}`.* TO {user}@'%'", pair.des.name)).await;
                pair.des.run(format!("GRANT ALL ON `{}`.* TO {user}@'%'", pair.src.name)).await;
            }
            _ => {
                pair.des.run(format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{password}'")).await;
            }
        }
        let url = |db: &Db| {
            let url = db.url_as(&user, password);
            format!("{url}{}table={TABLE}", if url.contains('?') { '&' } else { '?' })
        };
        let r = Repair { site: super::nowhere(), source: url(&pair.src), copy: url(&pair.des) };
        let planned = r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
        let ran = r.run("plan.sql", &[]);
        assert_eq!(ran.code, Some(0), "{engine}: {ran:?}");
        let wrong = r.site.run(&["repair", "plan.sql", &r.copy.replace(password, "canary-other")]);
        let undone = r.run("plan.undo.sql", &["--json"]);
        assert_eq!(undone.code, Some(0), "{undone:?}");
        let all = [planned.all(), ran.all(), wrong.all(), undone.all(), r.site.everything_written()].concat();
        assert!(all.contains("cupid-plan") && !all.contains("canary-"), "{engine}: {all}");
        if engine == Engine::MySql {
            pair.des.run(format!("DROP USER {user}@'%'")).await;
        } else {
            pair.des.run(format!("DROP ROLE {user}")).await;
        }
    }
}
