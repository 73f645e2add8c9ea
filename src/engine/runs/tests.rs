use super::*;
use crate::model::Counts;
use crate::model::{DatabaseClass, Position};
use crate::scan::ReadCost;
use crate::source::Coverage;

const T0: UnixMs = 1_700_000_000_000;
const OPENED: Committed = Committed { opened: 1, known: 0, changed: 0, healed: 0 };
const NOTHING: Committed = Committed { opened: 0, known: 0, changed: 0, healed: 0 };

fn book() -> Book {
    Book::new(TaskName::new("t"), DestinationName::new("d"), Feed::Insert)
}

/// A book that is past its first pass.
fn settled() -> Book {
    let mut book = book();
    let step = book.step(&read(0, false, T0), T0);
    book.go_on(step, NOTHING, true);
    book
}

fn read(rows: u64, more: bool, at: UnixMs) -> Scanned {
    Scanned {
        identity: String::new(),
        next: Position::new(""),
        more,
        findings: Vec::new(),
        versions: None,
        fit: Vec::new(),
        agreed: Vec::new(),
        unfit: Vec::new(),
        remembered: Vec::new(),
        looked: at,
        counts: Counts { rows, same: rows, ..Counts::default() },
        met: Vec::new(),
        coverage: Coverage { from: Some("id 1".into()), to: Some(format!("id {at}")), ..Coverage::default() },
        read: ReadCost { rows: 0, bytes: 0, took: Duration::ZERO, more },
        took: Duration::ZERO,
    }
}

fn error(at: UnixMs) -> RunError {
    let class = DatabaseClass::Connect;
    RunError { at, class: class.as_str().into(), group: class.group().as_str().into(), message: "no".into() }
}

#[test]
fn the_first_pass_has_a_row_of_its_own_and_the_uneventful_ones_of_an_hour_share_one() {
    let mut book = book();
    let first = book.step(&read(3, false, T0), T0 + 5);
    assert!(first.quiet.is_none() && book.is_news(&first));
    assert_eq!((first.run.result, first.run.started, first.run.ended), (RunResult::Ok, T0, T0 + 5));
    let own = book.go_on(first, NOTHING, true);
    let mut ids = Vec::new();
    for minute in 1..=120 {
        let at = T0 + minute * 60_000;
        let step = book.step(&read(2, false, at), at);
        assert!(!book.is_news(&step));
        ids.push(book.go_on(step, NOTHING, true));
    }
    assert_ne!(ids[0], own);
    ids.dedup();
    assert_eq!(ids.len(), 2, "one for each hour");
    let (shared, owed) = book.quiet.clone().unwrap();
    assert_eq!((shared.passes, shared.counts.rows, owed), (60, 120, false));
    assert_eq!(shared.to, Some(format!("id {}", T0 + 7_200_000)));
}

#[test]
fn what_was_not_written_is_not_left_behind_with_its_hour() {
    let mut book = settled();
    let ids: Vec<RunId> = [1, 59, 61, 62]
        .map(|minute| {
            let at = T0 + minute * 60_000;
            let step = book.step(&read(0, false, at), at);
            book.go_on(step, NOTHING, minute == 61)
        })
        .to_vec();
    assert_eq!((ids[0], ids[1]), (ids[1], ids[2]), "it grows until it is written");
    assert_ne!(ids[2], ids[3]);
    let rest = book.close();
    assert_eq!((rest.len(), rest[0].passes), (1, 1), "and the end writes the rest");
}

#[test]
fn a_pass_that_opens_something_or_takes_long_has_a_row_of_its_own() {
    let mut book = settled();
    let step = book.step(&read(5, true, T0), T0 + 10);
    assert!(step.quiet.is_none());
    let id = book.go_on(step, OPENED, true);
    let step = book.step(&read(5, false, T0 + 20), T0 + 30);
    assert_eq!((step.run.id, step.run.opened, step.run.counts.rows), (id, 1, 10));
    assert!(book.is_news(&step), "what is kept as running is kept as ended");
    assert_eq!(book.go_on(step, NOTHING, true), id, "it has opened one before");
    assert!(book.quiet.is_none());

    let step = book.step(&read(5, true, T0), T0);
    book.go_on(step, NOTHING, true);
    let step = book.step(&read(5, false, T0 + LONG), T0 + LONG);
    assert!(step.quiet.is_none() && book.is_news(&step));
}

#[test]
fn failing_again_and_again_is_one_run_and_the_next_that_works_is_another() {
    let mut book = settled();
    let step = book.step(&read(7, true, T0), T0);
    let id = book.go_on(step, OPENED, true);
    let (run, due) = book.fail(error(T0 + 10));
    assert_eq!((run.id, run.result, run.opened, due), (id, RunResult::Failed, 1, true));
    for n in 2..=50 {
        let (run, due) = book.fail(error(T0 + 10 * n));
        assert_eq!((run.id, due), (id, false), "written down once a minute");
    }
    let step = book.step(&read(1, false, T0 + 1000), T0 + 1000);
    assert!(book.is_news(&step) && step.quiet.is_none());
    let before = step.before.clone().unwrap();
    assert_eq!((before.id, before.errors, before.ended), (id, 50, T0 + 500));
    assert_eq!(before.first_error.unwrap().at, T0 + 10);
    assert_eq!(before.last_error.unwrap().at, T0 + 500);
    assert_ne!(book.go_on(step, NOTHING, true), id);
    assert!(book.failing.is_none());
}

#[test]
fn a_commit_that_fails_leaves_everything_as_it_was() {
    let mut book = settled();
    let step = book.step(&read(7, true, T0), T0);
    let id = book.go_on(step, NOTHING, true);
    let lost = book.step(&read(9, false, T0), T0);
    let again = book.step(&read(9, false, T0), T0);
    assert_eq!((lost.run.id, lost.run.counts.rows), (id, 16));
    assert_eq!((again.run.id, again.run.counts.rows), (id, 16));
    assert_eq!(book.cut_off().map(|run| (run.id, run.result)), Some((id, RunResult::CutOff)));
}

#[test]
fn many_that_fail_are_one_write() {
    let mut owed = Owed::default();
    assert_eq!(owed.due(), None);
    let (mut one, mut other) = (settled(), settled());
    for n in 0..10 {
        owed.failed(one.fail(error(T0 + n)));
        owed.failed(other.fail(error(T0 + n)));
    }
    assert!(owed.due().unwrap() <= GATHER);
    let runs = owed.take();
    assert_eq!(runs.iter().map(|run| run.errors).collect::<Vec<_>>(), [10, 10]);
    assert_eq!((owed.due(), owed.take()), (None, Vec::new()));
    owed.failed(one.fail(error(T0 + 10)));
    assert_eq!(owed.due(), None, "written down once a minute");
}
