//! Random histories of concurrent transactions against the real feeds.
//!
//! Transactions begin, write, commit and roll back in any interleaving, also between two steps of one look; the
//! application's clock is off; the daemon is restarted from the stored text, forgets a step that could not be made
//! durable, merges with an older position, or is away for hours. Whatever happens: every version that is committed and
//! stays is returned after its commit.
//!
//! `CUPID_HISTORIES=100000 cargo test histories` runs more of them; `CUPID_SEED=17` runs one.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use futures_util::FutureExt as _;

use super::ground::Ground;
use super::insert::{self, Bounds};
use super::update::{self, Terms, TimeForm};
use crate::model::{Feed, Position, RowId, SourceRow, form};

#[path = "sim.rs"]
mod sim;

use sim::{Kind, Row, Sim, Transaction, Write};

const OVERLAP: TimeDelta = TimeDelta::seconds(5);
const SETTLE: Duration = Duration::from_secs(30);

/// Small, fast and the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }
}

/// One feed under test: where it stands, and what it still owes.
struct Walker {
    feed: Feed,
    at: Position,
    older: Position,
    /// The least version of each row that must still be returned, and why.
    owes: BTreeMap<i128, (u64, String)>,
    memory: usize,
    returned: usize,
}

impl Walker {
    fn new(feed: Feed, at: Position, memory: usize) -> Self {
        Self { feed, older: at.clone(), at, owes: BTreeMap::new(), memory, returned: 0 }
    }

    /// One step; `durable`: its outcome is kept. Returns whether more waits.
    fn step(&mut self, sim: &Sim, limit: usize, durable: bool) -> bool {
        let ground: &dyn Ground = sim;
        let batch = match self.feed {
            Feed::Insert => {
                let bounds = Bounds { memory: self.memory, settle: SETTLE };
                insert::read(ground, bounds, &self.at, limit).now_or_never()
            }
            Feed::Update => {
                let terms = Terms {
                    overlap: OVERLAP,
                    settle: SETTLE,
                    memory: self.memory,
                    time: &sim.kind.time,
                    column: 1,
                };
                update::read(ground, terms, &self.at, limit).now_or_never()
            }
            Feed::Sweep | Feed::Extra => unreachable!("no cursor of theirs settles"),
        };
        let batch = batch.expect("the simulation never waits").unwrap().expect("its own position");
        assert!(batch.rows.len() <= limit, "{} rows of at most {limit}", batch.rows.len());
        if !durable {
            return true;
        }
        batch.rows.iter().for_each(|row| self.receive(row));
        self.at = batch.next;
        batch.more
    }

    fn receive(&mut self, row: &SourceRow) {
        self.returned += 1;
        let version = u64::try_from(row.values[0].as_int().unwrap()).unwrap();
        if self.owes.get(&row.id.0).is_some_and(|(least, _)| *least <= version) {
            self.owes.remove(&row.id.0);
        }
    }

    /// The durable settled id.
    fn settled_id(&self) -> Option<i128> {
        let text: serde_json::Value = serde_json::from_str(self.at.as_str()).unwrap();
        text["after"].as_str().map(|id| id.parse().unwrap())
    }

    fn earlier(&self, time: &TimeForm) -> Position {
        match self.feed {
            Feed::Insert => insert::earlier(&self.older, &self.at),
            Feed::Update => update::earlier_place(&self.older, &self.at, OVERLAP, time),
            Feed::Sweep | Feed::Extra => unreachable!("no cursor of theirs settles"),
        }
    }
}

struct History {
    sim: Sim,
    dice: Dice,
    walkers: [Walker; 2],
    /// Ids up to this one were there when the insert feed was started.
    old: Option<i128>,
    log: Vec<String>,
    /// Rows deleted after they had settled: they are counted until a pass leaves them out.
    gone: u64,
}

fn at(text: &str) -> NaiveDateTime {
    form::parse_moment(text).unwrap()
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let wall = TimeForm::Text { separator: ' ', utc: false };
        let kind = Kind {
            time: dice.one(&[
                wall.clone(),
                wall,
                TimeForm::Text { separator: 'T', utc: true },
                TimeForm::Unix(1),
                TimeForm::Unix(1000),
                TimeForm::Day,
                TimeForm::Layout("%Y%m%d%H%M".to_owned()),
            ]),
            whole_seconds: dice.chance(50),
            zone: dice.one(&[Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York, Tz::Europe__Berlin]),
            told: dice.chance(60),
            sparse: dice.one(&[1, 1, 1 << 10, 1 << 44]),
            increment: dice.one(&[1, 1, 1, 10]),
        };
        // Near midnight, near the changes of summer time, or just anywhere.
        let start = dice.one(&[
            at("2026-07-01 12:00:00.25"),
            at("2026-07-01 15:58:30"),
            at("2026-11-01 05:59:00"),
            at("2026-03-08 06:59:00"),
            at("2026-10-25 00:59:20"),
        ]);
        let first = dice.one(&[1, -40, i128::from(i64::MAX) - (1 << 50), i128::from(i64::MIN)]);
        let sim = Sim::new(kind, start, first);
        let memory = dice.one(&[1 << 20, 1 << 20, 150, 600]);
        let walkers = [
            Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), memory),
            Walker::new(Feed::Update, Position::new(r#"{"end":null,"zone":0}"#), memory),
        ];
        Self { sim, dice, walkers, old: None, log: Vec::new(), gone: 0 }
    }

    fn note(&mut self, what: String) {
        let now = self.sim.state().now;
        self.log.push(format!("{now} {what}"));
    }

    fn begin(&mut self) {
        // Late by up to the overlap less what a transaction's start may differ from its first stamp, early by little.
        let skew = self.dice.one(&[0, 0, 0, -4000, -1500, 700, 2500]);
        let mut state = self.sim.state();
        let start = state.now;
        let skew = TimeDelta::milliseconds(skew);
        state.open.push(Transaction { start, skew, writes: BTreeMap::new() });
    }

    fn write(&mut self) {
        let mut state = self.sim.state();
        if state.open.is_empty() {
            return;
        }
        let which = usize::try_from(self.dice.below(state.open.len() as u64)).unwrap();
        let stamp = self.sim.stamp(state.now + state.open[which].skew);
        state.version += 1;
        let version = state.version;
        let own: Vec<i128> = state.open[which].writes.keys().copied().collect();
        let free = |id: &i128| !state.open.iter().any(|open| open.writes.contains_key(id));
        let known: Vec<i128> = state.rows.keys().copied().filter(free).chain(own).collect();
        let what = self.dice.below(10);
        let write = if what < 5 || known.is_empty() {
            let id = state.next_id;
            let step = 1 + i128::from(self.dice.below(self.sim.kind.sparse));
            state.next_id += step * self.sim.kind.increment;
            (id, Write { row: Some(Row { version, time: stamp }), inserted: true, stamped: true })
        } else {
            let id = self.dice.one(&known);
            let earlier = state.open[which].writes.get(&id).cloned();
            let old =
                earlier.as_ref().map_or_else(|| state.rows.get(&id).cloned(), |write| write.row.clone());
            let Some(old) = old else { return };
            let inserted = earlier.as_ref().is_some_and(|write| write.inserted);
            let before = earlier.is_some_and(|write| write.stamped);
            match what {
                5..=7 => (id, Write { row: Some(Row { version, time: stamp }), inserted, stamped: true }),
                8 => (id, Write { row: Some(Row { version, time: old.time }), inserted, stamped: before }),
                _ => (id, Write { row: None, inserted, stamped: before }),
            }
        };
        let text = format!("write in {which}: {write:?}");
        state.open[which].writes.insert(write.0, write.1);
        drop(state);
        self.note(text);
    }

    fn finish(&mut self, which: usize, commit: bool) {
        let mut state = self.sim.state();
        let done = state.open.remove(which);
        let settled = self.walkers[0].settled_id();
        let mut texts = vec![format!("{} {which}", if commit { "commit" } else { "roll back" })];
        for (id, write) in done.writes.into_iter().filter(|_| commit) {
            let Some(row) = write.row else {
                let known = state.rows.remove(&id).is_some();
                self.gone += u64::from(known && Some(id) <= settled);
                self.walkers.iter_mut().for_each(|walker| drop(walker.owes.remove(&id)));
                continue;
            };
            let why =
                format!("version {} of row {id}, time {:?}, begun {}", row.version, row.time, done.start);
            if write.inserted {
                assert!(Some(id) > settled, "{id} was inserted below the settled {settled:?}");
            }
            if write.inserted || (Some(id) > settled && Some(id) > self.old) {
                self.walkers[0].owes.insert(id, (row.version, why.clone()));
            }
            if write.stamped {
                self.walkers[1].owes.insert(id, (row.version, why.clone()));
            }
            texts.push(why);
            state.rows.insert(id, row);
        }
        drop(state);
        self.note(texts.join("; "));
    }

    fn end_one(&mut self) {
        let open = self.sim.state().open.len();
        if open > 0 {
            // The first are the oldest, and are left open more often than not.
            let which =
                usize::try_from(self.dice.below(open as u64).max(self.dice.below(open as u64))).unwrap();
            let commit = self.dice.chance(75);
            self.finish(which, commit);
        }
    }

    /// Time passes; what the database does not show is not open for longer than `settle`.
    fn pass(&mut self, time: TimeDelta) {
        let until = self.sim.state().now + time;
        loop {
            let settle = TimeDelta::from_std(SETTLE).unwrap();
            let mut state = self.sim.state();
            let limit =
                state.open.iter().map(|open| open.start + settle).min().filter(|_| !self.sim.kind.told);
            let next = limit.map_or(until, |limit| limit.min(until)).max(state.now);
            let step = next - state.now;
            state.pass(step);
            drop(state);
            if limit.is_none_or(|limit| limit > next) {
                break;
            }
            let commit = self.dice.chance(75);
            self.finish(0, commit);
        }
    }

    fn event(&mut self) {
        match self.dice.below(20) {
            0..=2 => self.begin(),
            3..=9 => self.write(),
            10..=12 => self.end_one(),
            13..=17 => {
                let millis = self.dice.one(&[3_u32, 40, 300, 1000, 2600, 9000]);
                self.pass(TimeDelta::milliseconds(i64::from(millis)));
            }
            _ => {}
        }
    }

    /// A look of one feed, perhaps cut short, with other things going on in between.
    fn look(&mut self, which: usize) {
        let limit = self.dice.one(&[1_usize, 2, 5, 1000]);
        self.note(format!("look of {which}"));
        for _ in 0..self.dice.one(&[3, 10, 10_000]) {
            let durable = !self.dice.chance(5);
            let before = self.walkers[which].at.clone();
            if which == 0 && self.old.is_none() && durable {
                self.old = self.sim.state().rows.keys().next_back().copied();
            }
            if !self.walkers[which].step(&self.sim, limit, durable) {
                break;
            }
            if self.dice.chance(30) {
                self.walkers[which].older = before;
            }
            if self.dice.chance(30) {
                self.event();
            }
        }
        match self.dice.below(100) {
            0..8 => {
                let text = self.walkers[which].at.as_str().to_owned();
                self.note(format!("restart of {which} at {text}"));
                self.walkers[which].at = Position::new(text);
                self.walkers[which].older = self.walkers[which].at.clone();
                if self.dice.chance(20) {
                    let hours = i64::try_from(self.dice.below(9)).unwrap();
                    self.pass(TimeDelta::hours(hours));
                }
            }
            8..14 => {
                self.note(format!("merge of {which}"));
                self.walkers[which].at = self.walkers[which].earlier(&self.sim.kind.time);
            }
            _ => {}
        }
    }

    fn run(&mut self) {
        for _ in 0..self.dice.below(60) {
            self.event();
        }
        for _ in 0..100 + self.dice.below(300) {
            self.event();
            if self.dice.chance(15) {
                self.look(0);
            }
            if self.dice.chance(15) {
                self.look(1);
            }
        }
        while !self.sim.state().open.is_empty() {
            self.end_one();
        }
        for _ in 0..60 {
            self.pass(TimeDelta::milliseconds(1300));
            for walker in &mut self.walkers {
                while walker.step(&self.sim, 50, true) {}
            }
        }
        // What was stamped before the wall was set back is read for certain when the wall gets there again.
        if !self.sim.kind.time.is_utc() && !self.walkers[1].owes.is_empty() {
            for _ in 0..3 {
                self.pass(TimeDelta::minutes(25));
                while self.walkers[1].step(&self.sim, 50, true) {}
            }
        }
        let text: serde_json::Value = serde_json::from_str(self.walkers[0].at.as_str()).unwrap();
        let rows = self.sim.state().rows.len() as u64;
        assert_eq!(text["counted"]["after"], serde_json::Value::Null);
        let counted = text["counted"]["rows"].as_u64().unwrap();
        assert!(
            rows <= counted && counted <= rows + self.gone,
            "{rows} rows and {} gone: {counted}",
            self.gone
        );
        for walker in &self.walkers {
            assert!(walker.owes.is_empty(), "the {} feed has not returned {:?}", walker.feed, walker.owes);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_version_is_returned_after_its_commit() {
    let seeds = match number("CUPID_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CUPID_HISTORIES").unwrap_or(500),
    };
    let (mut returned, mut commits) = (0, 0);
    for seed in seeds.clone() {
        let mut history = History::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history.run()));
        if let Err(panic) = outcome {
            if number("CUPID_SEED").is_some() {
                println!("{}", history.log.join("\n"));
            }
            println!("seed {seed} ({:?}): set CUPID_SEED={seed} to see its history", history.sim.kind);
            std::panic::resume_unwind(panic);
        }
        returned += history.walkers.iter().map(|walker| walker.returned).sum::<usize>();
        commits += history.log.iter().filter(|line| line.contains(" commit ")).count();
    }
    println!("{} histories, {commits} commits, {returned} rows returned", seeds.count());
}

/// Queries per look, counted: at most one per 1 000 rows read, and a few for the look itself.
#[test]
fn few_questions_are_asked() {
    let kind = Kind {
        time: TimeForm::Unix(1),
        whole_seconds: true,
        zone: Tz::UTC,
        told: true,
        sparse: 1,
        increment: 1,
    };
    let sim = Sim::new(kind, at("2026-07-01 12:00:00"), 1);
    let mut walkers = [
        Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), 8 << 20),
        Walker::new(Feed::Update, Position::new(r#"{"end":null,"zone":0}"#), 8 << 20),
    ];
    let fill = |many: i128| {
        let mut state = sim.state();
        for _ in 0..many {
            state.version += 1;
            let (id, version) = (state.next_id, state.version);
            state.next_id += 1;
            let time = sim.stamp(state.now);
            state.rows.insert(id, Row { version, time });
        }
    };
    // A transaction holds the horizon all the time.
    let start = sim.state().now;
    sim.state().open.push(Transaction { start, skew: TimeDelta::zero(), writes: BTreeMap::new() });
    fill(30_000);
    for second in 0..40 {
        fill(if second % 2 == 0 { 2000 } else { 0 });
        sim.state().pass(TimeDelta::seconds(1));
        for walker in &mut walkers {
            let (before, had) = (sim.state().queries, walker.returned);
            while walker.step(&sim, 1000, true) {}
            let (queries, rows) = (sim.state().queries - before, walker.returned - had);
            let held = sim.state().rows.len();
            assert!(
                queries <= rows / 1000 + held / 10_000 + 8,
                "{queries} queries for {rows} of {held} rows"
            );
        }
    }
    sim.state().open.clear();
    for _ in 0..10 {
        sim.state().pass(TimeDelta::seconds(3));
        for walker in &mut walkers {
            while walker.step(&sim, 1000, true) {}
        }
    }
    for walker in &mut walkers {
        let before = sim.state().queries;
        while walker.step(&sim, 1000, true) {}
        assert!(sim.state().queries - before <= 2, "an idle look of the {} feed", walker.feed);
    }
}

/// A transaction that is open for longer than `settle` and is not shown: its ids are gaps by then.
#[test]
fn gaps_below_the_settled_id_are_looked_at_again() {
    let kind = Kind {
        time: TimeForm::Unix(1),
        whole_seconds: true,
        zone: Tz::UTC,
        told: false,
        sparse: 1,
        increment: 1,
    };
    let sim = Sim::new(kind, at("2026-07-01 12:00:00"), 1);
    let mut walker = Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), 8 << 20);
    while walker.step(&sim, 1000, true) {}
    let row = |version| Row { version, time: sim.stamp(at("2026-07-01 12:00:00")) };
    for id in (1..=50).filter(|id| *id != 30) {
        sim.state().rows.insert(id, row(1));
    }
    for _ in 0..100 {
        sim.state().pass(TimeDelta::seconds(1));
        while walker.step(&sim, 1000, true) {}
    }
    assert_eq!(walker.settled_id(), Some(50));
    sim.state().rows.insert(30, row(2));
    walker.owes.insert(30, (2, "late".to_owned()));
    // Also over a restart.
    walker.at = Position::new(walker.at.as_str());
    for _ in 0..70 {
        sim.state().pass(TimeDelta::seconds(1));
        while walker.step(&sim, 1000, true) {}
    }
    assert!(walker.owes.is_empty());
    assert!(!walker.at.as_str().contains("gaps"), "{}", walker.at.as_str());
}

#[test]
fn positions_are_told_apart() {
    assert!(insert::Cursor::read(&Position::new("nonsense")).is_none());
    let begin = insert::Cursor::starting_at(Some(RowId(5))).position();
    assert!(begin.as_str().starts_with(r#"{"after":"4""#), "{}", begin.as_str());
}
