//! The replicator: brings each change to the copy after a lag of its own, in order per row, and loses some for good.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use tokio::task::JoinSet;

use super::desk::Desk;
use super::ledger::{Fate, Key, Ledger, Line, Shown, Version};
use super::story::next;
use super::tables::Table;
use crate::support::db::Db;
use crate::support::dice::Dice;

/// Between two looks for what is due.
const TICK: Duration = Duration::from_millis(10);

/// The copies, and who writes them.
pub(super) struct Replica {
    pub(super) ledger: Mutex<Ledger>,
    engine: Engine,
    state: Mutex<State>,
    copies: Vec<tokio::sync::Mutex<Copies>>,
    /// Repairs that receivers have begun; each holds one more of it.
    repairs: Arc<()>,
}

struct State {
    dice: Dice,
    queue: BinaryHeap<Reverse<(Instant, Key, u64, bool)>>,
    due: HashMap<Key, Instant>,
    frozen: HashSet<Key>,
}

/// The copy of one table; whoever writes it holds it.
struct Copies {
    desk: Desk,
    shows: HashMap<u64, u64>,
}

impl Replica {
    pub(super) async fn new(db: &Db, tables: usize, seed: u64) -> Arc<Self> {
        let mut copies = Vec::new();
        for _ in 0..tables {
            copies
                .push(tokio::sync::Mutex::new(Copies { desk: Desk::open(db).await, shows: HashMap::new() }));
        }
        let (queue, due, frozen) = (BinaryHeap::new(), HashMap::new(), HashSet::new());
        let state = State { dice: Dice::new(seed), queue, due, frozen };
        Arc::new(Self {
            ledger: Mutex::default(),
            engine: db.engine,
            state: Mutex::new(state),
            copies,
            repairs: Arc::default(),
        })
    }

    /// Rows that are there from the beginning, on both sides.
    pub(super) async fn plant(&self, table: Table, src: &Db) {
        let began = Instant::now();
        let rows: Vec<(u64, u64)> = (0..50).map(|_| (next(), next())).collect();
        let stamp = table.literal(cupid::base::clock::Clock::system().now() - 3_600_000);
        let values: Vec<String> = rows.iter().map(|(n, v)| format!("('n{n}', 'v{v}', {stamp})")).collect();
        src.run(format!("INSERT INTO s{} (number, name, stamp) VALUES {}", table.at, values.join(", ")))
            .await;
        let done = Instant::now();
        for (row, number) in rows {
            let version = Version {
                number,
                gone: false,
                begun: began,
                sent: began,
                done,
                fate: Fate::Copied,
                promised: true,
            };
            let line = Line { versions: vec![version], ..Line::default() };
            self.ledger.lock().unwrap().lines.insert((table.at, row), line);
            self.show((table.at, row), number, false).await;
        }
    }

    /// Starts copying; ends with the set.
    pub(super) fn copy(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        for table in 0..self.copies.len() {
            let replica = self.clone();
            tasks.spawn(async move {
                let mut ticks = tokio::time::interval(TICK);
                loop {
                    ticks.tick().await;
                    while let Some((key, number, gone)) = replica.due(table) {
                        replica.show(key, number, gone).await;
                    }
                }
            });
        }
    }

    fn due(&self, table: usize) -> Option<(Key, u64, bool)> {
        let (mut state, now) = (self.state.lock().unwrap(), Instant::now());
        // Few are under way at any time.
        let next = state
            .queue
            .iter()
            .filter(|Reverse((at, key, ..))| key.0 == table && *at <= now)
            .max()
            .copied()?;
        state.queue.retain(|entry| *entry != next);
        let Reverse((_, key, number, gone)) = next;
        Some((key, number, gone))
    }

    /// Whether nothing is on its way, and no receiver mends.
    pub(super) fn is_drained(&self) -> bool {
        self.state.lock().unwrap().queue.is_empty() && Arc::strong_count(&self.repairs) == 1
    }

    /// A repair is under way until this is dropped.
    pub(super) fn repair(&self) -> Arc<()> {
        self.repairs.clone()
    }

    /// What a transaction has committed.
    pub(super) fn committed(&self, seed: u64, changes: Vec<(Key, Version)>) {
        let (mut state, mut ledger) = (self.state.lock().unwrap(), self.ledger.lock().unwrap());
        ledger.commits += 1;
        for (key, mut version) in changes {
            version.fate = state.send(key, &version);
            let line = ledger.lines.entry(key).or_insert_with(|| Line { seed, ..Line::default() });
            line.versions.push(version);
        }
    }

    /// The number under which a row was deleted.
    pub(super) fn deletion(&self, key: Key) -> Option<u64> {
        let ledger = self.ledger.lock().unwrap();
        let last = ledger.lines.get(&key)?.versions.last()?;
        last.gone.then_some(last.number)
    }

    /// Writes a version to the copy unless that shows a newer one.
    pub(super) async fn show(&self, key: Key, number: u64, gone: bool) {
        let mut copies = self.copies[key.0].lock().await;
        if copies.shows.get(&key.1).is_some_and(|shows| *shows >= number) {
            return;
        }
        let (t, n) = key;
        let sql = match (gone, self.engine) {
            (true, _) => format!("DELETE FROM c{t} WHERE number = 'n{n}'"),
            (false, Engine::MySql) => {
                format!("REPLACE INTO c{t} (number, name) VALUES ('n{n}', 'v{number}')")
            }
            (false, _) => format!(
                "INSERT INTO c{t} (number, name) VALUES ('n{n}', 'v{number}') ON CONFLICT (number) DO UPDATE SET name = excluded.name"
            ),
        };
        let sent = Instant::now();
        copies.desk.run(&sql).await.unwrap();
        let done = Instant::now();
        copies.shows.insert(n, number);
        let mut ledger = self.ledger.lock().unwrap();
        ledger.lines.entry(key).or_default().shown.push(Shown { number, sent, done });
    }
}

impl State {
    fn send(&mut self, key: Key, version: &Version) -> Fate {
        if self.dice.below(100) < 3 {
            self.frozen.insert(key);
        }
        // What was open for long is what is missed: of that more is left to be found.
        let long = version.done - version.begun > Duration::from_secs(2);
        let lost = self.dice.below(100) < if long { 45 } else { 10 };
        let lag = match self.dice.below(20) {
            0 => 1500 + self.dice.number(2000),
            1 | 2 => 500 + self.dice.number(400),
            _ => self.dice.number(500),
        };
        if lost || self.frozen.contains(&key) {
            return Fate::Lost;
        }
        let due = version.done + Duration::from_millis(lag);
        let last = self.due.entry(key).or_insert(due);
        *last = due.max(*last);
        self.queue.push(Reverse((*last, key, version.number, version.gone)));
        Fate::Copied
    }
}
