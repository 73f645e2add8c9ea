//! Killed in the middle: nothing that was written is missing from the undo file, and the same command goes on.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use cupid::config::Engine;

use super::{COLUMNS, Repair, dump};
use crate::support::daemon::program;
use crate::support::db::ENGINES;
use crate::support::pair::{Pair, TABLE};
use crate::support::wait::{LIMIT, wait_for};

const ROWS: i64 = 2000;

struct Killed(Child);

/// How many rows of the copy wait for their repair.
fn spoilt(pair: &Pair) -> String {
    format!("SELECT COUNT(*) FROM {} WHERE name = 'spoilt'", pair.des.quote(TABLE))
}

impl Killed {
    /// Carries out `plan.sql` beside the test.
    fn begin(r: &Repair, said: Stdio) -> Self {
        let child = Command::new(program())
            .args(["repair", "plan.sql", &r.copy, "--max-ratio", "100%"])
            .current_dir(r.site.path(""))
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_was_killed_goes_on_and_can_be_taken_back() {
    for engine in ENGINES {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=ROWS).await;
        pair.spoil(&(1..=ROWS).filter(|id| id % 2 == 0).collect::<Vec<_>>()).await;
        pair.lose(&(1..=ROWS).filter(|id| id % 4 == 1).collect::<Vec<_>>()).await;
        let before = dump(&pair.des, TABLE, &super::WHOLE).await;
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        let more = [&["-k", "id"], &COLUMNS[..]].concat();
        r.plan(&more);
        let spoilt = spoilt(&pair);
        let mut left = ROWS / 2;
        for _ in 0..3 {
            let mut child = Killed::begin(&r, Stdio::null());
            let now = wait_for("rows are written", LIMIT, async || {
                let now = pair.des.number(&*spoilt).await;
                (now < left || child.0.try_wait().unwrap().is_some()).then_some(now)
            })
            .await;
            drop(child);
            left = now;
        }
        // Whatever is written now is in the undo file.
        let half = dump(&pair.des, TABLE, &super::WHOLE).await;
        assert_ne!(half, before, "{engine}: something was written");
        std::fs::copy(r.site.path("plan.undo.sql"), r.site.path("half.sql")).unwrap();
        let back = r.run("half.sql", &["--max-ratio", "100%"]);
        assert_eq!(back.code, Some(0), "{engine}: {back:?}");
        assert_eq!(dump(&pair.des, TABLE, &super::WHOLE).await, before, "{engine}");

        // And on to the end, and all the way back.
        let (_, stats, ran) = r.repair(&["--max-ratio", "100%"]);
        assert_eq!(ran.code, Some(0), "{engine}: {stats}");
        assert_eq!(r.diff(&more).code, Some(0), "{engine}");
        let back = r.run("plan.undo.sql", &["--max-ratio", "100%", "--max-rows", "100000"]);
        assert_eq!(back.code, Some(0), "{engine}: {back:?}");
        assert_eq!(dump(&pair.des, TABLE, &super::WHOLE).await, before, "{engine}");
    }
}

/// The first signal ends it behind its transaction, with the counts, and the same command goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_is_told_to_stop_says_how_far_it_came() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=ROWS).await;
    pair.spoil(&(1..=ROWS).collect::<Vec<_>>()).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
    let mut child = Killed::begin(&r, Stdio::piped());
    let spoilt = spoilt(&pair);
    wait_for("rows are written", LIMIT, async || (pair.des.number(&*spoilt).await < ROWS).then_some(()))
        .await;
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut said = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let code = child.0.wait().unwrap().code();
    // It may have been done by then.
    assert!(code == Some(4) && said.starts_with("stopped: ") || code == Some(0), "{code:?} {said}");
    let (_, stats, ran) = r.repair(&["--max-ratio", "100%"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stats["updated"].as_i64().unwrap() + stats["already"].as_i64().unwrap(), ROWS);
}

/// Connections that somebody ends are opened again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_is_opened_again() {
    let Some(pair) = Pair::new(Engine::Postgres).await else { return };
    pair.fill(1..=ROWS).await;
    pair.spoil(&(1..=ROWS).collect::<Vec<_>>()).await;
    let before = dump(&pair.des, TABLE, &super::WHOLE).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    let more = [&["-k", "id"], &COLUMNS[..]].concat();
    r.plan(&more);
    let mut child = Killed::begin(&r, Stdio::piped());
    let spoilt = spoilt(&pair);
    let mut left = ROWS;
    for _ in 0..3 {
        left = wait_for("rows are written", LIMIT, async || {
            let now = pair.des.number(&*spoilt).await;
            (now < left || child.0.try_wait().unwrap().is_some()).then_some(now)
        })
        .await;
        pair.des
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'cupid' AND datname = current_database()",
            )
            .await;
    }
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    assert_eq!(r.diff(&more).code, Some(0));
    assert_eq!(r.run("plan.undo.sql", &["--max-ratio", "100%"]).code, Some(0));
    assert_eq!(dump(&pair.des, TABLE, &super::WHOLE).await, before);
}
