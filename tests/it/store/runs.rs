//! Runs as they are kept: which row a pass gets, what a dead process leaves behind, and how long they stay.

use cupid::model::{Counts, Feed, RunId};
use cupid::store::{Run, RunError, RunFilter, RunResult, RunStep, Runs, ScanCommit, Store};
use uuid::Uuid;

use super::bed::*;

fn run(id: u128, result: RunResult) -> Run {
    Run {
        id: RunId(Uuid::from_u128(id)),
        task: task(),
        destination: destination("d"),
        feed: Some(Feed::Insert),
        from: None,
        to: Some("id 7".to_owned()),
        result,
        passes: 1,
        counts: Counts { rows: 3, same: 2, missing: 1, ..Counts::default() },
        opened: 0,
        changed: 0,
        healed: 0,
        errors: 0,
        first_error: None,
        last_error: None,
        started: T0,
        ended: T0 + 5,
    }
}

fn commit(own: &Run, quiet: Option<&Run>, findings: usize) -> ScanCommit {
    let findings = (0..findings).map(|n| finding(u8::try_from(n).unwrap() + 1, 1));
    let step = RunStep { run: own.clone(), quiet: quiet.cloned(), before: None };
    ScanCommit { run: own.id, step: Some(Box::new(step)), ..found(T0, findings) }
}

fn all() -> RunFilter {
    RunFilter { limit: 100, ..RunFilter::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pass_opened_decides_which_row_it_gets() {
    let bed = Local::new();
    let store = bed.store().await;
    let quiet = Run { passes: 4, ..run(1, RunResult::Ok) };
    // It opens something: a row of its own.
    let own = run(2, RunResult::Ok);
    let committed = store.commit_scan(commit(&own, Some(&quiet), 2)).await.unwrap();
    assert_eq!(committed.opened, 2);
    let kept = store.runs(&all()).await.unwrap();
    assert_eq!(kept, [Run { opened: 2, ..own.clone() }]);
    let opened = store.opened_by(own.id, 0).await.unwrap();
    assert_eq!(opened.iter().map(|d| d.row.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.opened_by(own.id, opened[0].seq).await.unwrap(), opened[1..]);

    // The same is found again: nothing is opened, and the row that it had while it ran goes.
    let going = run(3, RunResult::Running);
    store.commit_scan(commit(&going, None, 0)).await.unwrap();
    assert_eq!(store.runs(&all()).await.unwrap().len(), 2);
    let ends = run(3, RunResult::Ok);
    assert_eq!(store.commit_scan(commit(&ends, Some(&quiet), 2)).await.unwrap().known, 2);
    let kept = store.runs(&all()).await.unwrap();
    assert_eq!(kept, [Run { opened: 2, ..own.clone() }, quiet.clone()]);
    assert_eq!(store.opened_by(quiet.id, 0).await.unwrap(), []);

    // What it opened before counts.
    let ends = Run { opened: 1, ..run(4, RunResult::Ok) };
    store.commit_scan(commit(&ends, Some(&quiet), 0)).await.unwrap();
    assert_eq!(store.runs(&all()).await.unwrap()[0], ends);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_comes_back_as_it_was_kept_and_a_dead_process_ends_none() {
    let bed = Local::new();
    let store = bed.store().await;
    let error = RunError {
        at: T0 + 1,
        class: "db_connect".to_owned(),
        group: "connection".to_owned(),
        message: "refused; \"look\" there".to_owned(),
    };
    let failed = Run {
        errors: 9,
        first_error: Some(error.clone()),
        last_error: Some(RunError { at: T0 + 4, ..error }),
        from: Some("2026-11-30 21:00:00".to_owned()),
        ..run(1, RunResult::Failed)
    };
    let running = run(2, RunResult::Running);
    let ok = Run { started: T0 + 100, ended: T0 + 200, ..run(3, RunResult::Ok) };
    store.keep_runs(vec![failed.clone(), running.clone(), ok.clone()]).await.unwrap();
    let kept = store.runs(&all()).await.unwrap();
    assert_eq!(kept, [ok.clone(), running.clone(), failed.clone()], "the newest first");
    store.close().await;

    let store = bed.store().await;
    let cut = Run { result: RunResult::CutOff, ..running };
    let oldest_first = RunFilter { oldest_first: true, ..all() };
    assert_eq!(store.runs(&oldest_first).await.unwrap(), [failed.clone(), cut.clone(), ok.clone()]);
    let page = RunFilter { page: Some(failed.id), ..oldest_first };
    assert_eq!(store.runs(&page).await.unwrap(), [cut.clone(), ok.clone()]);
    let only = |result| RunFilter { result: Some(result), ..all() };
    assert_eq!(store.runs(&only(RunResult::CutOff)).await.unwrap(), [cut]);
    let since = RunFilter { since: Some(T0 + 6), ..all() };
    assert_eq!(store.runs(&since).await.unwrap(), std::slice::from_ref(&ok));
    let until = RunFilter { until: Some(T0 + 99), ..all() };
    assert_eq!(store.runs(&until).await.unwrap().len(), 2);
    let other = RunFilter { task: Some(cupid::model::TaskName::new("other")), ..all() };
    assert_eq!(store.runs(&other).await.unwrap(), []);

    store.prune(cupid::store::Prune::before(T0 + 50, 500)).await.unwrap();
    assert_eq!(store.runs(&all()).await.unwrap(), [ok]);
    store.close().await;
}
