//! What is true, written down beside everything by plain code that knows nothing of cupid; and what is promised, said in
//! those terms. Times are what has passed since the beginning, whatever the clocks show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clockwork::SLOWEST;
use crate::source::sim::Cells;

/// What a row says; `None`: it is not there.
pub(super) type Content = Option<Cells>;

/// What was read earlier is not sent. Two seconds, and what the last of a row's questions may take here: a row that is
/// looked for alone counts as read when the look at it has ended.
const FRESH: Duration = Duration::from_millis(2000 + SLOWEST);

/// A message as its receiver got it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) at: Duration,
    pub(super) copy: usize,
    pub(super) row: i128,
    pub(super) delivery: String,
    pub(super) revision: i64,
    pub(super) kind: u64,
    pub(super) says: Cells,
    /// The commit that made the source say so.
    pub(super) commit: u64,
    pub(super) body: Box<[u8]>,
    /// When it was answered with a 2xx.
    pub(super) accepted: Option<Duration>,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ledger {
    /// The least time for which a difference must have stood before it may be called.
    confirm: Duration,
    /// By row: from when on it said what.
    source: BTreeMap<i128, Vec<(Duration, Content)>>,
    /// By row and content: the number of the commit that last made it say so.
    commits: BTreeMap<(i128, Content), u64>,
    /// Rows of deliveries, by their ids.
    pub(super) rows_of: BTreeMap<String, i128>,
    /// By copy and row.
    copies: BTreeMap<(usize, i128), Vec<(Duration, Content)>>,
    /// What was read of either side, when.
    fetched: BTreeMap<i128, Vec<(Duration, Content)>>,
    looked: BTreeMap<(usize, i128), Vec<(Duration, Content)>>,
    pub(super) calls: Vec<Call>,
    /// Messages that have been made durable: delivery, revision, bytes.
    pub(super) prepared: BTreeSet<(String, i64, Box<[u8]>)>,
    /// Rows whose differences have been made durable, by copy.
    pub(super) found: BTreeSet<(usize, i128)>,
    log: Vec<(Duration, Option<i128>, String)>,
    /// What was promised and not kept.
    pub(super) broken: Option<(Option<i128>, String)>,
}

fn at(history: Option<&Vec<(Duration, Content)>>, time: Duration) -> Content {
    history.and_then(|all| all.iter().rev().find(|(from, _)| *from <= time)).and_then(|(_, content)| *content)
}

fn within(history: Option<&Vec<(Duration, Content)>>, now: Duration) -> Vec<(Duration, Content)> {
    let from = now.saturating_sub(FRESH);
    history
        .map(|all| all.iter().rev().take_while(|(time, _)| *time >= from).copied().collect())
        .unwrap_or_default()
}

impl Ledger {
    pub(super) fn new(confirm: Duration) -> Self {
        Self { confirm, ..Self::default() }
    }

    pub(super) fn note(&mut self, now: Duration, row: Option<i128>, what: impl Into<String>) {
        self.log.push((now, row, what.into()));
    }

    /// Commit number `commit` makes the source row say this.
    pub(super) fn source(&mut self, now: Duration, row: i128, content: Content, commit: u64) {
        self.note(now, Some(row), format!("source row is {content:?}"));
        self.source.entry(row).or_default().push((now, content));
        self.commits.insert((row, content), commit);
    }

    pub(super) fn copy(&mut self, now: Duration, copy: usize, row: i128, content: Content, why: &str) {
        self.note(now, Some(row), format!("copy {copy} is {content:?}: {why}"));
        self.copies.entry((copy, row)).or_default().push((now, content));
    }

    pub(super) fn fetched(&mut self, now: Duration, row: i128, content: Content) {
        self.fetched.entry(row).or_default().push((now, content));
    }

    pub(super) fn looked(&mut self, now: Duration, copy: usize, row: i128, content: Content) {
        self.looked.entry((copy, row)).or_default().push((now, content));
    }

    pub(super) fn now_at_source(&self, row: i128) -> Content {
        at(self.source.get(&row), Duration::MAX)
    }

    /// The last commit that made the row say this; 0: none did.
    pub(super) fn commit_of(&self, row: i128, says: Cells) -> u64 {
        self.commits.get(&(row, Some(says))).copied().unwrap_or(0)
    }

    /// Until when the source said what a copy still says; that long ago the copy was right. A copy that says what the
    /// source never did was never right.
    fn right_until(&self, row: i128, copy: Content, now: Duration) -> Duration {
        let history = self.source.get(&row).map(Vec::as_slice).unwrap_or_default();
        let before: [(Duration, Content); 1] = [(Duration::ZERO, None)];
        let all: Vec<_> = before.iter().chain(history).filter(|(from, _)| *from <= now).collect();
        match all.iter().rposition(|(_, content)| *content == copy) {
            Some(last) => all.get(last + 1).map_or(now, |(from, _)| *from),
            None => Duration::ZERO,
        }
    }

    /// Since when a copy differs from the source without a break; `None`: it does not.
    pub(super) fn differs_since(&self, copy: usize, row: i128) -> Option<Duration> {
        let (source, copies) = (self.source.get(&row), self.copies.get(&(copy, row)));
        let times = |all: Option<&Vec<(Duration, Content)>>| {
            all.into_iter().flatten().map(|(time, _)| *time).collect::<Vec<_>>()
        };
        let mut times: Vec<Duration> = [times(source), times(copies)].concat();
        times.sort_unstable();
        let differs = |time: Duration| at(source, time) != at(copies, time);
        times.into_iter().rev().take_while(|time| differs(*time)).last()
    }

    /// Whether a copy has never had this row.
    pub(super) fn never_there(&self, copy: usize, row: i128) -> bool {
        self.copies.get(&(copy, row)).is_none_or(|all| all.iter().all(|(_, content)| content.is_none()))
    }

    pub(super) fn rows(&self) -> Vec<i128> {
        self.source.keys().copied().collect()
    }

    fn pairs(&self, copies: usize) -> Vec<(usize, i128)> {
        (0..copies).flat_map(|copy| self.source.keys().map(move |row| (copy, *row))).collect()
    }

    pub(super) fn fail(&mut self, row: Option<i128>, why: String) {
        self.broken.get_or_insert((row, why));
    }

    /// A message arrives: what is promised of each.
    pub(super) fn call(&mut self, call: Call) {
        let Call { at: now, copy, row, says, .. } = call;
        self.note(
            now,
            Some(row),
            format!(
                "call of copy {copy}: {}-{} type {} says {says:?}",
                call.delivery, call.revision, call.kind
            ),
        );
        if let Err(why) = self.judge(&call) {
            self.fail(Some(row), format!("{why}: {call:?}"));
        }
        self.calls.push(call);
    }

    fn judge(&self, call: &Call) -> Result<(), String> {
        let Call { at: now, copy, row, says, .. } = *call;
        if !self.prepared.contains(&(call.delivery.clone(), call.revision, call.body.clone())) {
            return Err("what is sent is not durable".to_owned());
        }
        // The source row was read at most two seconds ago, and says what is sent.
        let fetched = within(self.fetched.get(&row), now);
        let Some((read, _)) = fetched.iter().find(|(_, content)| *content == Some(says)) else {
            return Err(format!("what is sent was not read of late, but {fetched:?}"));
        };
        // The copy was looked at as lately, and was not equal.
        let looked = within(self.looked.get(&(copy, row)), now);
        let wrong = || looked.iter().map(|(_, content)| *content).filter(|content| *content != Some(says));
        if wrong().next().is_none() {
            return Err(format!("the copy was equal when it was read: {looked:?}"));
        }
        // And it was not merely late: what it showed had been out of date for the confirm time at least.
        let late = |content| read.saturating_sub(self.right_until(row, content, *read));
        let longest = wrong().map(late).max().unwrap_or_default();
        if longest < self.confirm {
            return Err(format!("the copy was only late, by {longest:?}"));
        }
        self.judge_order(call)
    }

    fn judge_order(&self, call: &Call) -> Result<(), String> {
        let Some(last) = self.calls.iter().rev().find(|c| (c.copy, c.row) == (call.copy, call.row)) else {
            return Ok(());
        };
        if call.commit < last.commit {
            return Err(format!("an older version after {last:?}"));
        }
        if call.delivery != last.delivery || call.revision < last.revision {
            return Err(format!("not the delivery of this row, or a smaller revision than {last:?}"));
        }
        if call.revision == last.revision {
            let same = call.body == last.body;
            return same.then_some(()).ok_or_else(|| format!("one id, other bytes than {last:?}"));
        }
        // A new message: because it says something new, or the last one was acknowledged and did not heal, or the copy
        // was right in between and is wrong again.
        let says_new = call.body != last.body;
        let since = self.differs_since(call.copy, call.row);
        let was_right = since.is_none_or(|since| since > last.at);
        if says_new || last.accepted.is_some() || was_right {
            return Ok(());
        }
        Err(format!("a new revision without a reason after {last:?}"))
    }

    /// Nothing has happened for a while: each row that differs has been called with what the source says now, after it
    /// began to differ. Where the receiver said 2xx before and nothing healed, the next message may still wait.
    pub(super) fn judge_silence(&mut self, copies: usize) {
        for (copy, row) in self.pairs(copies) {
            let (Some(says), Some(since)) = (self.now_at_source(row), self.differs_since(copy, row)) else {
                continue;
            };
            let calls = self.calls.iter().filter(|c| (c.copy, c.row) == (copy, row));
            let told = calls.clone().any(|c| c.says == says && c.at >= since);
            let waits = calls.clone().any(|c| c.accepted.is_some());
            if !told && !waits {
                self.fail(
                    Some(row),
                    format!("copy {copy} of row {row} differs since {since:?} and nobody was told"),
                );
            }
        }
    }

    /// Everything heals now: no row differs any more.
    pub(super) fn judge_end(&mut self, copies: usize) {
        for (copy, row) in self.pairs(copies) {
            if let (Some(_), Some(since)) = (self.now_at_source(row), self.differs_since(copy, row)) {
                self.fail(
                    Some(row),
                    format!("copy {copy} of row {row} differs since {since:?} and is not healed"),
                );
            }
        }
    }

    /// What happened to one row, and to all.
    pub(super) fn trace(&self, row: Option<i128>) -> String {
        let lines = self.log.iter().filter(|(_, of, _)| of.is_none() || row.is_none() || *of == row);
        lines.map(|(time, _, what)| format!("{:10.3} {what}\n", time.as_secs_f64())).collect()
    }
}
