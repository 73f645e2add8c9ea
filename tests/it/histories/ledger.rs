//! The journal of both sides that the test keeps itself, and what it says about the callbacks.
//!
//! Every write has a number of its own, which the row carries in `name`; numbers of one row grow in the order of its
//! commits. Each line is a row; what happened to it is known with the times before and after the statement.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::receiver::Call;

/// Confirming takes at least so long: what is late by less must never be called back.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);
/// A row is read at most two seconds before it is sent; the rest is for a machine that is busy.
const READ: Duration = Duration::from_secs(4);

/// Table and number of a row.
pub(super) type Key = (usize, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The replicator will bring it, or has.
    Copied,
    /// The replicator never brings it.
    Lost,
}

/// What a transaction made of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    /// It deleted the row.
    pub(super) gone: bool,
    /// Its transaction was begun, its commit was sent, and answered.
    pub(super) begun: Instant,
    pub(super) sent: Instant,
    pub(super) done: Instant,
    pub(super) fate: Fate,
    /// Whether the feeds of its table promise to find it.
    pub(super) promised: bool,
}

/// The copy shows this version since some time between the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) number: u64,
    pub(super) sent: Instant,
    pub(super) done: Instant,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) versions: Vec<Version>,
    pub(super) shown: Vec<Shown>,
    pub(super) seed: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) lines: BTreeMap<Key, Line>,
    pub(super) commits: usize,
    pub(super) rolled_back: usize,
    /// Transactions that their server ended, for example because of a lock.
    pub(super) refused: usize,
}

/// A callback, read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) key: Key,
    /// `None`: the row is only at the copy (type 3).
    pub(super) number: Option<u64>,
    revision: i64,
    at: Instant,
}

impl Told {
    /// A callback about a table `t<table>`.
    pub(super) fn read(call: &Call) -> Self {
        let body = call.json();
        let side = if call.kind() == 3 { "desColumn" } else { "srcColumn" };
        let text = |column: &str| body[side][column].as_str().unwrap_or_else(|| panic!("{column} in {body}"));
        let digits = |text: &str| text[1..].parse().expect("a letter and a number");
        Self {
            key: (usize::try_from(digits(call.header("cupid-task"))).unwrap(), digits(text("number"))),
            number: (call.kind() != 3).then(|| digits(text("name"))),
            revision: call.header("cupid-revision").parse().expect("a number"),
            at: call.at,
        }
    }
}

impl Line {
    /// Since when the copy shows `number` or something newer, for certain.
    fn caught_up(&self, number: u64) -> Option<Instant> {
        self.shown.iter().filter(|shown| shown.number >= number).map(|shown| shown.done).min()
    }

    /// Whether the copy never got what it should show now, without the help of a receiver: a row that differs for
    /// good. `deletes`: whether rows are looked for that only the copy has.
    fn differs_for_good(&self, deletes: bool) -> Option<&Version> {
        let last = self.versions.last().filter(|last| last.fate == Fate::Lost)?;
        (!last.gone || (deletes && self.is_shown_before(last))).then_some(last)
    }

    fn is_shown_before(&self, last: &Version) -> bool {
        self.shown.iter().any(|shown| shown.number < last.number)
    }

    /// The versions that the copy may have owed for the confirm time when the row of this call was read.
    fn owed<'a>(&'a self, told: &Told) -> impl Iterator<Item = &'a Version> {
        let (at, number) = (told.at, told.number);
        self.versions.iter().filter(move |v| {
            let known = number.is_none_or(|number| v.number <= number);
            let until = self.caught_up(v.number);
            let stood = until.is_none_or(|until| until >= v.sent + CONFIRM);
            known && v.sent + CONFIRM <= at && stood && until.is_none_or(|until| until + READ >= at)
        })
    }

    /// Whether the call's row was the source's newest when it was read.
    fn is_newest(&self, told: &Told) -> bool {
        let at = self.versions.iter().position(|v| match told.number {
            Some(number) => v.number == number,
            None => v.gone,
        });
        at.is_some_and(|at| {
            let next = self.versions.get(at + 1);
            self.versions[at].sent <= told.at && next.is_none_or(|next| next.done + READ >= told.at)
        })
    }

    /// In words, with times as seen from `at`.
    fn before(&self, at: Instant) -> String {
        let ago = |then: Instant| {
            let ahead = then.saturating_duration_since(at).as_secs_f64();
            format!("{:+.3}", ahead - at.saturating_duration_since(then).as_secs_f64())
        };
        let versions = self.versions.iter().map(|v| {
            let what = if v.gone { "deleted" } else { "written" };
            let promised = if v.promised { "" } else { ", not promised" };
            let (number, begun, sent, done) = (v.number, ago(v.begun), ago(v.sent), ago(v.done));
            format!("v{number} {what} (begun {begun}, committed {sent}..{done}, {:?}{promised})", v.fate)
        });
        let shown = self.shown.iter().map(|s| format!("copy v{} {}..{}", s.number, ago(s.sent), ago(s.done)));
        versions.chain(shown).collect::<Vec<_>>().join("; ")
    }
}

/// What the ledger says about the callbacks.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Rows that differ for good.
    pub(super) differ: usize,
    /// Those of them that the feeds do not promise to find.
    pub(super) unpromised: usize,
    pub(super) untold: Vec<String>,
    pub(super) unfounded: Vec<String>,
    pub(super) backwards: Vec<String>,
    /// Callbacks about rows that were late by more than the confirm time and came by themselves.
    pub(super) late: usize,
}

impl Ledger {
    /// Judges; `deletes` says of a table whether rows are looked for that only the copy has.
    ///
    /// * *untold*: a row whose newest version the replicator never brings, and that no call of that version (type 3 for
    ///   a deletion) was about.
    /// * *unfounded*: a call whose row was not the source's newest within the time in which it was read, or while the
    ///   copy owed nothing that had been committed for the confirm time.
    /// * *backwards*: a call with an older version, or with a smaller revision, than one before it about the same row.
    pub(super) fn judge(&self, calls: &[Told], deletes: impl Fn(usize) -> bool) -> Verdict {
        let mut verdict = Verdict::default();
        let mut by_key: BTreeMap<Key, Vec<&Told>> = BTreeMap::new();
        for told in calls {
            by_key.entry(told.key).or_default().push(told);
        }
        let end = Instant::now();
        for (key, line) in &self.lines {
            let Some(last) = line.differs_for_good(deletes(key.0)) else { continue };
            verdict.differ += 1;
            let told = by_key.get(key).into_iter().flatten().any(|told| match told.number {
                Some(number) => !last.gone && number == last.number,
                None => last.gone && told.at >= last.sent,
            });
            match (told, last.promised) {
                (true, _) => {}
                (false, true) => verdict.untold.push(name(*key, line, end)),
                (false, false) => verdict.unpromised += 1,
            }
        }
        for (key, calls) in &by_key {
            let Some(line) = self.lines.get(key) else {
                verdict.unfounded.push(format!("t{} n{}: nobody wrote such a row", key.0, key.1));
                continue;
            };
            for told in calls {
                let mut owed = line.owed(told).peekable();
                if owed.peek().is_none() || !line.is_newest(told) {
                    verdict.unfounded.push(format!("{:?} {}", told.number, name(*key, line, told.at)));
                } else if owed.all(|version| version.fate == Fate::Copied) {
                    verdict.late += 1;
                }
            }
            for pair in calls.windows(2) {
                let older = pair[0].number.zip(pair[1].number).is_some_and(|(a, b)| b < a);
                if older || pair[1].revision < pair[0].revision {
                    verdict.backwards.push(format!("{pair:?} {}", name(*key, line, pair[1].at)));
                }
            }
        }
        verdict
    }

    /// What each side shows in the end, by the ledger: number of the row and of its version.
    pub(super) fn shows(&self, table: usize, copy: bool) -> BTreeMap<u64, u64> {
        let lines = self.lines.iter().filter(|(key, _)| key.0 == table);
        let shown = lines.filter_map(|(key, line)| {
            let number = if copy {
                line.shown.iter().map(|shown| shown.number).max()?
            } else {
                line.versions.last()?.number
            };
            let gone = line.versions.iter().any(|v| v.number == number && v.gone);
            (!gone).then_some((key.1, number))
        });
        shown.collect()
    }
}

fn name(key: Key, line: &Line, at: Instant) -> String {
    format!("t{} n{} (seed {}): {}", key.0, key.1, line.seed, line.before(at))
}
