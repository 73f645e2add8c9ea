//! A simulated canal: applications that change a source, and a replicator that brings each change to the copy after a
//! lag of its own, in order per key, and loses some. It keeps a journal of its own, so that what was late and what was
//! lost are told apart without asking cupid.
//!
//! Every change writes the whole row; its number stands in `name`. Repairs go through the replicator's hands as well: a
//! version that is older than what the copy shows is never written.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use tokio::task::JoinSet;

use super::dice::Dice;
use super::pair::{Pair, TABLE, now};
use super::receiver::{Answer, Call, Receiver};

/// Between two transactions of a writer, and between two looks of the copier for what is due.
const TICK: Duration = Duration::from_millis(50);
const APPLY: Duration = Duration::from_millis(10);

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On its way.
    Waiting,
    /// The copy shows it, or a newer one, since then.
    Applied(Instant),
    /// It never arrives.
    Lost,
}

/// One line of the journal.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub key: i64,
    /// Grows with each change of a key.
    pub version: u64,
    /// When its transaction began.
    pub began: Instant,
    /// When its transaction had been committed.
    pub committed: Instant,
    pub fate: Fate,
}

impl Change {
    /// In words, with times as seen from `at`.
    pub fn before(&self, at: Instant) -> String {
        let ago = |then: Instant| {
            let ahead = then.saturating_duration_since(at).as_secs_f64();
            format!("{:+.3} s", ahead - at.saturating_duration_since(then).as_secs_f64())
        };
        let fate = match self.fate {
            Fate::Applied(then) => format!("there {}", ago(then)),
            fate => format!("{fate:?}"),
        };
        format!("v{} committed {}, {fate}", self.version, ago(self.committed))
    }
}

/// Everything that happened, as the canal knows it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    pub changes: Vec<Change>,
    /// For each key what the copy showed since when.
    shown: HashMap<i64, Vec<(Instant, u64)>>,
}

/// Applications that change rows.
#[derive(Clone, Debug)]
pub struct Load {
    /// Changes per second.
    pub rate: u32,
    /// Of a hundred changes so many are new rows.
    pub inserts: usize,
    /// Rows that are changed; new ones join them.
    pub keys: Range<i64>,
    /// Of these a fifth of all changes.
    pub warm: i64,
}

/// Canal's settings while it runs.
#[derive(Clone, Debug)]
struct Settings {
    /// Milliseconds.
    lag: Range<u64>,
    /// Of a thousand changes so many are lost.
    loses: usize,
    /// Keys whose changes are all lost.
    frozen: HashSet<i64>,
    /// Keys none of whose changes is lost.
    safe: HashSet<i64>,
    stopped: bool,
}

struct State {
    settings: Settings,
    dice: Dice,
    journal: Journal,
    /// By the time they are due: places in the journal.
    queue: BinaryHeap<Reverse<(Instant, usize)>>,
    last_due: HashMap<i64, Instant>,
}

/// The canal of a pair; ends when dropped.
pub struct Canal {
    pair: Pair,
    state: Mutex<State>,
    next_version: AtomicU64,
    /// Held while the copy is written: the version it shows of each key.
    copy: tokio::sync::Mutex<HashMap<i64, u64>>,
}

impl Canal {
    /// A canal whose lag is spread evenly over `lag` milliseconds, and that loses `loses` of a thousand changes.
    pub fn new(pair: &Pair, seed: u64, lag: Range<u64>, loses: usize) -> Arc<Self> {
        let (frozen, safe) = (HashSet::new(), HashSet::new());
        let settings = Settings { lag, loses, frozen, safe, stopped: false };
        let state = State {
            settings,
            dice: Dice::new(seed),
            journal: Journal::default(),
            queue: BinaryHeap::new(),
            last_due: HashMap::new(),
        };
        Arc::new(Self {
            pair: pair.clone(),
            state: Mutex::new(state),
            next_version: AtomicU64::new(1),
            copy: tokio::sync::Mutex::default(),
        })
    }

    /// Starts copying; ends with the set.
    pub fn copy(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let canal = self.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(APPLY);
            loop {
                ticks.tick().await;
                canal.apply().await;
            }
        });
    }

    /// The lag of all changes from now on, in milliseconds.
    pub fn set_lag(&self, lag: Range<u64>) {
        self.state.lock().unwrap().settings.lag = lag;
    }

    /// Loses all changes of these keys from now on.
    pub fn freeze(&self, keys: impl IntoIterator<Item = i64>) {
        self.state.lock().unwrap().settings.frozen.extend(keys);
    }

    /// Loses no change of these keys unless they are frozen.
    pub fn spare(&self, keys: impl IntoIterator<Item = i64>) {
        self.state.lock().unwrap().settings.safe.extend(keys);
    }

    /// Copies nothing any more: what is on its way is lost as well.
    pub fn stop(&self) {
        let mut state = self.state.lock().unwrap();
        state.settings.stopped = true;
        state.queue.clear();
        state
            .journal
            .changes
            .iter_mut()
            .filter(|c| c.fate == Fate::Waiting)
            .for_each(|c| c.fate = Fate::Lost);
    }

    /// Whether nothing is on its way.
    pub fn is_drained(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.queue.is_empty() && !state.journal.changes.iter().any(|c| c.fate == Fate::Waiting)
    }

    /// The journal so far.
    pub fn journal(&self) -> Journal {
        self.state.lock().unwrap().journal.clone()
    }

    /// A receiver that brings each row it is told about to the copy.
    pub async fn repairer(self: &Arc<Self>) -> Receiver {
        let canal = self.clone();
        Receiver::with(move |call| {
            let canal = canal.clone();
            async move {
                canal.show(&[row_of(&call)]).await;
                Answer::Status(200)
            }
        })
        .await
    }

    /// Changes rows for so long.
    pub async fn write(&self, load: &Load, seed: u64, length: Duration) {
        let (began, mut dice) = (Instant::now(), Dice::new(seed));
        let (mut ticks, mut keys, mut done) = (tokio::time::interval(TICK), load.keys.clone(), 0_u64);
        while began.elapsed() < length {
            ticks.tick().await;
            let wanted = began.elapsed().as_millis() as u64 * u64::from(load.rate) / 1000;
            let (mut fresh, mut changed) = (Vec::new(), HashSet::new());
            for _ in done..wanted.min(done + 500) {
                if dice.below(100) < load.inserts {
                    fresh.push(keys.end);
                    keys.end += 1;
                    continue;
                }
                // New rows of this very transaction are none to change.
                let all = (keys.end - keys.start) as usize - fresh.len();
                let among = if dice.below(5) == 0 { load.warm as usize } else { all };
                changed.insert(keys.start + dice.below(among) as i64);
            }
            done += (fresh.len() + changed.len()) as u64;
            self.change(&fresh, &changed.into_iter().collect::<Vec<_>>()).await;
        }
    }

    /// Changes each of these rows once in every `pause`, half of them in between.
    pub async fn write_hot(&self, keys: &[i64], pause: Duration, length: Duration) {
        let (began, mut ticks) = (Instant::now(), tokio::time::interval(pause / 2));
        for group in (0..2).cycle() {
            if began.elapsed() >= length {
                return;
            }
            ticks.tick().await;
            let keys: Vec<i64> = keys.iter().copied().filter(|key| key % 2 == group).collect();
            self.change(&[], &keys).await;
        }
    }

    /// One transaction of an application.
    pub async fn change(&self, fresh: &[i64], changed: &[i64]) {
        if fresh.is_empty() && changed.is_empty() {
            return;
        }
        let version = || self.next_version.fetch_add(1, Ordering::SeqCst);
        let number = |keys: &[i64]| keys.iter().map(|key| (*key, version())).collect::<Vec<_>>();
        let (fresh, changed) = (number(fresh), number(changed));
        let (src, t) = (&self.pair.src, self.pair.src.quote(TABLE));
        let mut sql = "BEGIN".to_owned();
        if !fresh.is_empty() {
            write!(sql, "; INSERT INTO {t} (id, number, name, phone) VALUES {}", values(&fresh)).unwrap();
        }
        if !changed.is_empty() {
            let cases: String = changed.iter().map(|(key, v)| format!(" WHEN {key} THEN 'v{v}'")).collect();
            let keys: Vec<String> = changed.iter().map(|(key, _)| key.to_string()).collect();
            let (keys, now) = (keys.join(", "), now(src));
            write!(
                sql,
                "; UPDATE {t} SET name = CASE id{cases} END, update_time = {now} WHERE id IN ({keys})"
            )
            .unwrap();
        }
        let began = Instant::now();
        src.run(sql + "; COMMIT").await;
        let committed = Instant::now();
        let mut state = self.state.lock().unwrap();
        for (key, version) in fresh.into_iter().chain(changed) {
            state.send(Change { key, version, began, committed, fate: Fate::Waiting });
        }
    }

    async fn apply(&self) {
        let due: Vec<usize> = {
            let (mut state, now) = (self.state.lock().unwrap(), Instant::now());
            let mut due = Vec::new();
            while state.queue.peek().is_some_and(|Reverse((at, _))| *at <= now) {
                due.extend(state.queue.pop().map(|Reverse((_, place))| place));
            }
            due
        };
        if due.is_empty() {
            return;
        }
        let rows: Vec<(i64, u64)> = {
            let state = self.state.lock().unwrap();
            due.iter().map(|i| &state.journal.changes[*i]).map(|c| (c.key, c.version)).collect()
        };
        self.show(&rows).await;
        let (mut state, now) = (self.state.lock().unwrap(), Instant::now());
        for place in due {
            state.journal.changes[place].fate = Fate::Applied(now);
        }
    }

    /// Writes rows to the copy that are newer than what it shows.
    async fn show(&self, rows: &[(i64, u64)]) {
        let mut copy = self.copy.lock().await;
        let mut newest: HashMap<i64, u64> = HashMap::new();
        for (key, version) in rows {
            if copy.get(key).is_none_or(|shown| shown < version) {
                let entry = newest.entry(*key).or_default();
                *entry = (*entry).max(*version);
            }
        }
        let newest: Vec<(i64, u64)> = newest.into_iter().collect();
        let t = self.pair.des.quote(TABLE);
        for rows in newest.chunks(1000) {
            let then = match self.pair.des.engine {
                Engine::MySql => "ON DUPLICATE KEY UPDATE name = VALUES(name)",
                _ => "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            };
            let sql = format!("INSERT INTO {t} (id, number, name, phone) VALUES {} {then}", values(rows));
            self.pair.des.run(sql).await;
        }
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        for (key, version) in newest {
            copy.insert(key, version);
            state.journal.shown.entry(key).or_default().push((now, version));
        }
    }
}

impl State {
    fn send(&mut self, mut change: Change) {
        let Settings { lag, loses, frozen, safe, stopped } = &self.settings;
        let chance = self.dice.below(1000) < *loses && !safe.contains(&change.key);
        let wait = lag.start + self.dice.below((lag.end - lag.start) as usize) as u64;
        if *stopped || chance || frozen.contains(&change.key) {
            change.fate = Fate::Lost;
        } else {
            let due = change.committed + Duration::from_millis(wait);
            let last = self.last_due.entry(change.key).or_insert(due);
            *last = due.max(*last);
            self.queue.push(Reverse((*last, self.journal.changes.len())));
        }
        self.journal.changes.push(change);
    }
}

/// Key and version that a call is about; 0 is what was there at first.
pub fn row_of(call: &Call) -> (i64, u64) {
    let name = call.src("name").expect("never null");
    let version = name.strip_prefix('v').map_or(0, |v| v.parse().expect("a version"));
    (super::pair::id_of(call), version)
}

/// Whole rows, as every writer writes them.
fn values(rows: &[(i64, u64)]) -> String {
    let rows: Vec<String> = rows.iter().map(|(k, v)| format!("({k}, 'n{k}', 'v{v}', '+86 {k}')")).collect();
    rows.join(", ")
}

impl Journal {
    /// How long changes took from the beginning of their transaction until the copy showed them, sorted.
    pub fn lags(&self, of: impl Fn(&Change) -> bool) -> Vec<Duration> {
        let taken = |c: &Change| match c.fate {
            Fate::Applied(at) if of(c) => Some(at - c.began),
            _ => None,
        };
        let mut lags: Vec<Duration> = self.changes.iter().filter_map(taken).collect();
        lags.sort_unstable();
        lags
    }

    /// Lost changes, and those of them that stayed the newest of their key for at least `stood` or for ever.
    pub fn lost(&self, stood: Duration) -> (usize, Vec<Change>) {
        let mut next: HashMap<i64, Instant> = HashMap::new();
        let (mut lost, mut stayed) = (0, Vec::new());
        for change in self.changes.iter().rev() {
            let overwritten = next.insert(change.key, change.committed);
            if change.fate == Fate::Lost {
                lost += 1;
                if overwritten.is_none_or(|at| at - change.committed >= stood) {
                    stayed.push(*change);
                }
            }
        }
        (lost, stayed)
    }

    /// Those of `lost` that no call was about before their key changed again.
    pub fn unreported(&self, lost: &[Change], calls: &[Call]) -> Vec<Change> {
        let mut told: HashMap<i64, Vec<u64>> = HashMap::new();
        for (key, version) in calls.iter().map(row_of) {
            told.entry(key).or_default().push(version);
        }
        let is_told = |c: &Change| told.get(&c.key).is_some_and(|told| told.contains(&c.version));
        lost.iter().filter(|c| !is_told(c)).copied().collect()
    }

    /// Calls about rows whose copies were not behind by a lost change: false ones. Rows are read up to two seconds
    /// before they are sent, so what the copy was shown in that time excuses a call; the second number counts those.
    pub fn false_calls(&self, calls: &[Call]) -> (Vec<Call>, usize) {
        let mut lost: HashMap<i64, Vec<u64>> = HashMap::new();
        for change in self.changes.iter().filter(|c| c.fate == Fate::Lost) {
            lost.entry(change.key).or_default().push(change.version);
        }
        let mut excused = 0;
        let is_false = |call: &&Call| {
            let (key, version) = row_of(call);
            let behind = |at: Instant| {
                let shown = self.shown.get(&key).map_or(0, |shown| {
                    shown.iter().filter(|(since, _)| *since <= at).map(|(_, v)| *v).max().unwrap_or(0)
                });
                lost.get(&key).is_some_and(|lost| lost.iter().any(|v| (shown + 1..=version).contains(v)))
            };
            if behind(call.at) {
                return false;
            }
            let read = call.at.checked_sub(Duration::from_secs(2)).is_some_and(behind);
            excused += usize::from(read);
            !read
        };
        (calls.iter().filter(is_false).cloned().collect(), excused)
    }
}
