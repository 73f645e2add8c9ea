//! A copy, and the replicator that writes it: late, losing changes, stopping and going on, mending now and then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::clockwork::{Clockwork, millis};
use super::ledger::{Content, Ledger};
use crate::destination::{Destination, Keys};
use crate::model::{Class, Column, Position, Row, Value};
use crate::source::dice::Dice;
use crate::source::sim::Cells;
use crate::sql::{Found, PlaceError};

/// How a replicator is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// Most milliseconds that a change takes, but for stops.
    pub(super) lag: u64,
    /// Percentage of changes that are lost.
    pub(super) loses: u64,
    /// Percentage of lost changes that come after all, much later.
    pub(super) mends: u64,
}

/// A copy. Writes carry the version of the source row, and one that is older than what is there does nothing.
pub(super) struct PlayedCopy {
    pub(super) number: usize,
    habits: Habits,
    clockwork: Arc<Clockwork>,
    ledger: Arc<Mutex<Ledger>>,
    key: Column,
    columns: [Column; 2],
    inner: Mutex<Inner>,
}

struct Inner {
    dice: Dice,
    rows: BTreeMap<i128, (u64, Content)>,
    /// Changes on their way, in the order of their commits.
    queue: VecDeque<Change>,
    /// Changes that come on their own.
    stray: Vec<Change>,
    /// Rows that the replicator no longer writes.
    frozen: BTreeSet<i128>,
    /// What was spoiled last, and how.
    spoiled: Option<(i128, Content)>,
}

/// A change on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) at: Duration,
    pub(super) row: i128,
    pub(super) version: u64,
    pub(super) content: Content,
    pub(super) why: &'static str,
}

impl PlayedCopy {
    pub(super) fn new(
        number: usize,
        habits: Habits,
        seed: u64,
        clockwork: Arc<Clockwork>,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let column = |name: &str| Column {
            name: name.into(),
            class: Class::Int,
            declared: "bigint".into(),
            nullable: false,
        };
        let inner = Inner {
            dice: Dice(seed ^ (0xc0 + number as u64)),
            rows: BTreeMap::new(),
            queue: VecDeque::new(),
            stray: Vec::new(),
            frozen: BTreeSet::new(),
            spoiled: None,
        };
        let (key, columns) = (column("id"), [column("a"), column("b")]);
        Self { number, habits, clockwork, ledger, key, columns, inner: Mutex::new(inner) }
    }

    /// The place of this copy, as far as outages go.
    pub(super) fn place(&self) -> usize {
        1 + self.number
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The source has committed this.
    pub(super) fn follow(&self, row: i128, version: u64, content: Content) {
        let now = self.clockwork.now();
        let mut inner = self.inner();
        let lost = inner.frozen.contains(&row) || inner.dice.chance(self.habits.loses);
        if lost && inner.dice.chance(20) {
            inner.frozen.insert(row);
        }
        let mends = lost && inner.dice.chance(self.habits.mends);
        if mends {
            let at = now + millis(300 + inner.dice.below(20_000));
            inner.stray.push(Change { at, row, version, content, why: "mended by itself" });
        }
        if lost {
            drop(inner);
            self.ledger.lock().unwrap().note(now, Some(row), format!("copy {} loses it", self.number));
            return;
        }
        let late = millis(inner.dice.below(self.habits.lag + 1));
        let last = inner.queue.back().map_or(Duration::ZERO, |change| change.at);
        let at = last.max(now + late);
        inner.queue.push_back(Change { at, row, version, content, why: "replicated" });
    }

    /// The replicator stands still for so long.
    pub(super) fn stop(&self, time: Duration) {
        let until = self.clockwork.now() + time;
        let mut inner = self.inner();
        inner.queue.iter_mut().for_each(|change| change.at = change.at.max(until));
        if inner.queue.is_empty() {
            // Whatever is committed meanwhile waits behind this.
            inner.queue.push_back(Change { at: until, row: i128::MIN, version: 0, content: None, why: "" });
        }
    }

    /// Somebody writes a row, at some time.
    pub(super) fn write(&self, change: Change) {
        self.inner().stray.push(change);
    }

    /// Somebody spoils a row, whatever its version.
    pub(super) fn spoil(&self) {
        let now = self.clockwork.now();
        let mut inner = self.inner();
        let known: Vec<i128> =
            inner.rows.iter().filter(|(_, held)| held.1.is_some()).map(|(row, _)| *row).collect();
        if known.is_empty() {
            return;
        }
        // Often the same one once more, and in the same way.
        let again = inner.spoiled.filter(|(row, _)| known.contains(row));
        let again = again.filter(|_| inner.dice.chance(60));
        let anew = (inner.dice.one(&known), inner.dice.one(&[None, Some([-1, -1]), Some([-2, 0])]));
        let (row, content) = again.unwrap_or(anew);
        inner.spoiled = Some((row, content));
        let version = inner.rows[&row].0;
        inner.rows.insert(row, (version, content));
        drop(inner);
        self.ledger.lock().unwrap().copy(now, self.number, row, content, "spoiled");
    }

    /// When something comes next.
    pub(super) fn next(&self) -> Option<Duration> {
        let inner = self.inner();
        inner.queue.front().into_iter().chain(&inner.stray).map(|change| change.at).min()
    }

    /// Applies what has come.
    pub(super) fn step(&self) {
        let now = self.clockwork.now();
        let mut inner = self.inner();
        let mut due = Vec::new();
        while inner.queue.front().is_some_and(|change| change.at <= now) {
            due.extend(inner.queue.pop_front());
        }
        due.extend(inner.stray.extract_if(.., |change| change.at <= now));
        for change in due.iter().filter(|change| change.version > 0) {
            let old = inner.rows.get(&change.row).copied().unwrap_or((0, None));
            if change.version < old.0 || (change.version == old.0 && change.content == old.1) {
                continue;
            }
            inner.rows.insert(change.row, (change.version, change.content));
            let mut ledger = self.ledger.lock().unwrap();
            ledger.copy(now, self.number, change.row, change.content, change.why);
        }
    }

    /// What was copied before cupid came.
    pub(super) fn load(&self, row: i128, version: u64, cells: Cells) {
        self.inner().rows.insert(row, (version, Some(cells)));
        self.ledger.lock().unwrap().copy(self.clockwork.now(), self.number, row, Some(cells), "from before");
    }
}

#[async_trait]
impl Destination for PlayedCopy {
    fn identity(&self) -> &str {
        "copy"
    }

    fn incarnation(&self) -> Arc<str> {
        "first".into()
    }

    fn key_column(&self) -> &Column {
        &self.key
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    async fn lookup(&self, keys: &[Value]) -> Result<Found<Row>, PlaceError> {
        self.clockwork.ask(self.place()).await?;
        let now = self.clockwork.now();
        let inner = self.inner();
        let mut ledger = self.ledger.lock().unwrap();
        let found = keys.iter().filter_map(|key| {
            let row = key.as_int()?;
            let content = inner.rows.get(&row).and_then(|held| held.1);
            ledger.looked(now, self.number, row, content);
            let [a, b] = content?.map(Value::Int);
            Some(vec![key.clone(), a, b])
        });
        Ok(Found { rows: found.collect(), rest: Vec::new() })
    }

    fn unwalkable(&self) -> Option<&str> {
        Some("nobody walks over it")
    }

    async fn walk(&self, from: Option<&Position>, _: usize) -> Result<Keys, PlaceError> {
        let next = from.cloned().unwrap_or_else(|| Position::new(""));
        Ok(Keys { keys: Vec::new(), next, more: false })
    }

    async fn recheck(&self) -> Result<(), PlaceError> {
        Ok(())
    }
}
