//! Random histories of concurrent transactions against the real feeds.
//!
//! Transactions begin, write, commit and roll back in any interleaving, also between two steps of one look; the
//! application's clock is off; the daemon is restarted from the stored text, forgets a step that could not be made
//! durable, merges with an older position, or is away for hours; two destinations go on apart and together. Whatever happens: every version that is committed and
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

use super::dice::Dice;
use super::sim::{self, Kind, Row, Sim, Transaction};

const OVERLAP: TimeDelta = TimeDelta::seconds(5);
const SETTLE: Duration = Duration::from_secs(30);

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
                    column: sim::TIME,
                };
                update::read(ground, terms, &self.at, limit).now_or_never()
            }
            Feed::Sweep | Feed::Extra | Feed::Audit => unreachable!("no cursor of theirs settles"),
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
        let version = u64::try_from(row.values[1].as_int().unwrap()).unwrap();
        if self.owes.get(&row.id.0).is_some_and(|(least, _)| *least <= version) {
            self.owes.remove(&row.id.0);
        }
    }

    /// The durable settled id.
    fn settled_id(&self) -> Option<i128> {
        let text: serde_json::Value = serde_json::from_str(self.at.as_str()).unwrap();
        text["after"].as_str().map(|id| id.parse().unwrap())
    }

    fn earlier(&self, other: &Position, time: &TimeForm) -> Position {
        match self.feed {
            Feed::Insert => insert::earlier(other, &self.at),
            Feed::Update => update::earlier_place(other, &self.at, OVERLAP, time),
            Feed::Sweep | Feed::Extra | Feed::Audit => unreachable!("no cursor of theirs settles"),
        }
    }
}

struct History {
    sim: Sim,
    dice: Dice,
    /// For each of two destinations the insert feed and the update feed.
    walkers: [Walker; 4],
    /// For each of them the ids that were there when the insert feed was started.
    old: [Option<i128>; 2],
    log: Vec<String>,
    /// Rows deleted after they had settled: they are counted until a pass leaves them out.
    gone: u64,
    /// Two have gone on as one.
    met: bool,
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
            ..Kind::default()
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
        let insert = || Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), memory);
        let update = || Walker::new(Feed::Update, Position::new(r#"{"end":null,"zone":0}"#), memory);
        let walkers = [insert(), update(), insert(), update()];
        Self { sim, dice, walkers, old: [None; 2], log: Vec::new(), gone: 0, met: false }
    }

    fn note(&mut self, what: String) {
        let now = self.sim.state().now;
        self.log.push(format!("{now} {what}"));
    }

    fn write(&mut self) {
        if let Some(text) = self.sim.write(&mut self.dice) {
            self.note(text);
        }
    }

    fn finish(&mut self, which: usize, commit: bool) {
        let done = self.sim.finish(which, commit);
        let mut texts = vec![format!("{} {which}", if commit { "commit" } else { "roll back" })];
        for (id, write) in done.writes {
            let Some(row) = write.row else {
                let settled = self.walkers[0].settled_id();
                self.gone += u64::from(Some(id) <= settled);
                self.walkers.iter_mut().for_each(|walker| drop(walker.owes.remove(&id)));
                continue;
            };
            let why =
                format!("version {} of row {id}, time {:?}, begun {}", row.version, row.time, done.start);
            for (destination, walkers) in self.walkers.chunks_mut(2).enumerate() {
                let settled = walkers[0].settled_id();
                if write.inserted {
                    assert!(Some(id) > settled, "{id} was inserted below the settled {settled:?}");
                }
                if write.inserted || (Some(id) > settled && Some(id) > self.old[destination]) {
                    walkers[0].owes.insert(id, (row.version, why.clone()));
                }
                if write.stamped {
                    walkers[1].owes.insert(id, (row.version, why.clone()));
                }
            }
            texts.push(why);
        }
        self.note(texts.join("; "));
    }

    fn end_one(&mut self) {
        if let Some((which, commit)) = self.sim.whom_to_end(&mut self.dice) {
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
            0..=2 => self.sim.begin(&mut self.dice),
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
            if which.is_multiple_of(2) && self.old[which / 2].is_none() && durable {
                self.old[which / 2] = self.sim.state().rows.keys().next_back().copied();
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
                let walker = &self.walkers[which];
                self.walkers[which].at = walker.earlier(&walker.older, &self.sim.kind.time);
            }
            14..40 => {
                let other = (which + 2) % 4;
                let texts = [which, other].map(|walker| self.walkers[walker].at.as_str().to_owned());
                self.note(format!("{which} and {other} go on together from {texts:?}"));
                self.met = true;
                let at = self.walkers[which].earlier(&self.walkers[other].at, &self.sim.kind.time);
                for walker in [which, other] {
                    (self.walkers[walker].at, self.walkers[walker].older) = (at.clone(), at.clone());
                }
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
            for which in 0..4 {
                if self.dice.chance(12) {
                    self.look(which);
                }
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
        for which in [1, 3] {
            if !self.sim.kind.time.is_utc() && !self.walkers[which].owes.is_empty() {
                for _ in 0..3 {
                    self.pass(TimeDelta::minutes(25));
                    while self.walkers[which].step(&self.sim, 50, true) {}
                }
            }
        }
        let text: serde_json::Value = serde_json::from_str(self.walkers[0].at.as_str()).unwrap();
        let rows = self.sim.state().rows.len() as u64;
        assert_eq!(text["counted"]["after"], serde_json::Value::Null);
        let counted = text["counted"]["rows"].as_u64().unwrap();
        // Of two that have come together, one may have counted what the other still looks for.
        assert!(
            rows <= counted && (self.met || counted <= rows + self.gone),
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
    let kind =
        Kind { time: TimeForm::Unix(1), whole_seconds: true, zone: Tz::UTC, told: true, ..Kind::default() };
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
            state.rows.insert(id, Row::new(version, time));
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
        // Now and then the greatest id is asked for as well.
        assert!(sim.state().queries - before <= 3, "an idle look of the {} feed", walker.feed);
    }
}

/// Two destinations of one feed, while a transaction is open for long: one is away for a while, reads what it has missed
/// from where it had settled, and is at the tip again.
#[test]
fn those_who_come_together_again_go_on_with_what_both_have_read() {
    let kind = Kind {
        time: TimeForm::Unix(1),
        whole_seconds: true,
        zone: Tz::UTC,
        told: true,
        sparse: 1,
        increment: 1,
        ..Kind::default()
    };
    let sim = Sim::new(kind, at("2026-07-01 12:00:00"), 1);
    let fill = |many: i128| {
        let mut state = sim.state();
        for _ in 0..many {
            state.version += 1;
            let (id, version) = (state.next_id, state.version);
            state.next_id += 1;
            let time = sim.stamp(state.now);
            state.rows.insert(id, Row::new(version, time));
        }
    };
    let start = sim.state().now;
    sim.state().open.push(Transaction { start, skew: TimeDelta::zero(), writes: BTreeMap::new() });
    for feed in [Feed::Insert, Feed::Update] {
        let first = match feed {
            Feed::Insert => insert::Cursor::starting_at(None).position(),
            _ => Position::new(r#"{"end":null,"zone":0}"#),
        };
        let mut walkers = [Walker::new(feed, first.clone(), 8 << 20), Walker::new(feed, first, 8 << 20)];
        let pass = |walkers: &mut [Walker], many| {
            fill(many);
            sim.state().pass(TimeDelta::seconds(1));
            for walker in walkers {
                while walker.step(&sim, 1000, true) {}
            }
        };
        for _ in 0..10 {
            pass(&mut walkers, 1000);
        }
        walkers[1].at = Position::new(walkers[1].at.as_str());
        for _ in 0..20 {
            pass(&mut walkers[..1], 1000);
        }
        pass(&mut walkers, 0);
        pass(&mut walkers, 500);
        let mut together = Walker::new(feed, walkers[0].earlier(&walkers[1].at, &sim.kind.time), 8 << 20);
        let rows = sim.state().rows.len();
        let before = sim.state().queries;
        pass(std::slice::from_mut(&mut together), 0);
        let queries = sim.state().queries - before;
        // What lies within the overlap is read whole at every look.
        let most = if feed == Feed::Insert { 0 } else { 4000 };
        assert!(together.returned <= most, "{feed}: {} of {rows} rows again", together.returned);
        assert!(queries <= 8 + rows / 10_000, "{feed}: {queries} questions");
    }
}

/// Only the newest rows are gone, and nothing counts ids: they are given out again.
#[test]
fn ids_that_are_given_out_again_are_returned_again() {
    let kind = Kind {
        time: TimeForm::Unix(1),
        whole_seconds: true,
        zone: Tz::UTC,
        told: true,
        sparse: 1,
        increment: 1,
        ..Kind::default()
    };
    for (newest, counted) in [(1, true), (500, true), (1, false), (500, false), (3000, false)] {
        let sim = Sim::new(kind.clone(), at("2026-07-01 12:00:00"), 3001);
        sim.state().counted = counted;
        let mut walker = Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), 8 << 20);
        let row = |version| Row::new(version, sim.stamp(at("2026-07-01 12:00:00")));
        for id in 1..=3000 {
            sim.state().rows.insert(id, row(1));
        }
        let look = |walker: &mut Walker| {
            for _ in 0..4 {
                sim.state().pass(TimeDelta::seconds(2));
                while walker.step(&sim, 1000, true) {}
            }
        };
        look(&mut walker);
        assert_eq!(walker.settled_id(), Some(3000));
        sim.state().rows.retain(|id, _| *id <= 3000 - newest);
        if newest == 3000 {
            let bounds = Bounds { memory: 8 << 20, settle: SETTLE };
            sim.state().pass(TimeDelta::seconds(6));
            let read = insert::read(&sim, bounds, &walker.at, 1000).now_or_never().unwrap();
            assert_eq!(read.unwrap_err().kind, crate::sql::PlaceErrorKind::Anew);
            continue;
        }
        look(&mut walker);
        assert_eq!(walker.settled_id(), Some(if counted { 3000 } else { 3000 - newest }));
        let next = if counted { 3001 } else { 3001 - newest };
        sim.state().rows.insert(next, row(2));
        walker.owes.insert(next, (2, "again".to_owned()));
        look(&mut walker);
        assert!(walker.owes.is_empty(), "{newest} {counted}");
    }
}

/// A transaction that is open for longer than `settle` and is not shown: its ids are gaps by then.
#[test]
fn gaps_below_the_settled_id_are_looked_at_again() {
    let kind =
        Kind { time: TimeForm::Unix(1), whole_seconds: true, zone: Tz::UTC, told: false, ..Kind::default() };
    let sim = Sim::new(kind, at("2026-07-01 12:00:00"), 1);
    let mut walker = Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), 8 << 20);
    while walker.step(&sim, 1000, true) {}
    let row = |version| Row::new(version, sim.stamp(at("2026-07-01 12:00:00")));
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

/// Its beginning lies ahead of the clock, and once the clock gets there again it looks as if it had just begun.
#[test]
fn a_transaction_is_waited_for_although_the_clock_is_set_back_under_it() {
    let sim = Sim::new(Kind::default(), at("2026-07-01 12:00:30"), 1);
    let mut walkers = [
        Walker::new(Feed::Insert, insert::Cursor::starting_at(None).position(), 8 << 20),
        Walker::new(Feed::Update, Position::new(r#"{"end":null,"zone":0}"#), 8 << 20),
    ];
    let pass = |seconds, walkers: &mut [Walker; 2]| {
        for _ in 0..seconds {
            sim.state().pass(TimeDelta::seconds(1));
            walkers.iter_mut().for_each(|walker| while walker.step(&sim, 1000, true) {});
        }
    };
    pass(3, &mut walkers);
    let start = sim.state().now;
    sim.state().open.push(Transaction { start, skew: TimeDelta::zero(), writes: BTreeMap::new() });
    sim.state().now -= TimeDelta::seconds(20);
    pass(3, &mut walkers);
    // The transaction writes row 1, another one row 2, and commits.
    let late = Row::new(1, sim.stamp(sim.state().now));
    let row = Row::new(2, sim.stamp(sim.state().now));
    sim.state().rows.insert(2, row);
    pass(60, &mut walkers);
    walkers.iter_mut().for_each(|walker| drop(walker.owes.insert(1, (1, "late".to_owned()))));
    sim.state().rows.insert(1, late);
    sim.state().open.clear();
    pass(5, &mut walkers);
    for walker in &walkers {
        assert!(walker.owes.is_empty(), "the {} feed has not returned {:?}", walker.feed, walker.owes);
    }
}

#[test]
fn positions_are_told_apart() {
    assert!(insert::Cursor::read(&Position::new("nonsense")).is_none());
    let begin = insert::Cursor::starting_at(Some(RowId(5))).position();
    assert!(begin.as_str().starts_with(r#"{"after":"4""#), "{}", begin.as_str());
}
