//! The played world: what happens to it by itself, at random.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::clockwork::{Clockwork, millis};
use super::copy::{Habits, PlayedCopy};
use super::ledger::Ledger;
use super::receiver::{Does, Receiver};
use crate::base::clock::Clock;
use crate::model::form;
use crate::source::dice::Dice;
use crate::source::sim::{Kind, Row, Sim, Wording};

/// How long a transaction may be open that the database does not show.
pub(super) const SETTLE: Duration = Duration::from_secs(30);

/// What a seed makes of world and configuration.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) copies: usize,
    pub(super) habits: Habits,
    pub(super) does: Vec<Does>,
    /// Receivers drop messages whose id they know.
    pub(super) drops: bool,
    pub(super) insert: bool,
    pub(super) update: bool,
    /// Seconds between two sweeps; then copies are spoiled, and update times forgotten.
    pub(super) sweep: Option<u64>,
    /// Milliseconds.
    pub(super) confirm: u64,
    pub(super) interval: u64,
    /// Whether clocks are set, and of which sides.
    pub(super) sets: bool,
    pub(super) memory: usize,
    /// Whether a receiver that fails as a whole is left alone.
    pub(super) breaker: bool,
    /// Rows in one call.
    pub(super) batch: Option<usize>,
}

impl Plan {
    pub(super) fn new(dice: &mut Dice) -> Self {
        use Does::{Fails, FailsAndHeals, HangsUp, Heals, HealsLate, Nothing};
        let (insert, update) = dice.one(&[(true, true), (true, true), (true, false), (false, true)]);
        let sweep = dice.chance(25).then_some(20);
        let wall = Wording::Wall;
        let mut kind =
            Kind::written(dice.one(&[wall, wall, Wording::Utc, Wording::Seconds, Wording::Millis]));
        kind.whole_seconds = dice.chance(50);
        kind.zone = dice.one(&[Tz::UTC, Tz::Asia__Shanghai]);
        kind.told = dice.chance(60);
        kind.sparse = dice.one(&[1, 1 << 10]);
        kind.flips = dice.one(&[0, 20]);
        kind.stamps = sweep.is_none();
        kind.inserts_only = !update && sweep.is_none();
        let all = [Heals, Heals, Heals, HealsLate, Nothing, Fails, FailsAndHeals, HangsUp];
        let does: Vec<Vec<Does>> = vec![
            vec![Heals],
            vec![Nothing],
            vec![Fails, HangsUp, Heals],
            vec![HealsLate, Heals],
            all.to_vec(),
        ];
        Self {
            kind,
            copies: dice.one(&[1, 1, 2]),
            habits: Habits {
                lag: dice.one(&[20, 300, 800]),
                loses: dice.one(&[0, 5, 25]),
                mends: dice.one(&[0, 50]),
            },
            does: dice.one(&does),
            drops: dice.chance(50),
            insert,
            update,
            sweep,
            confirm: dice.one(&[1000, 1000, 2000]),
            interval: dice.one(&[200, 500, 1500]),
            sets: dice.chance(50),
            memory: dice.one(&[1 << 20, 150]),
            breaker: dice.chance(40),
            batch: dice.one(&[None, None, Some(3)]),
        }
    }
}

/// See the module's documentation.
pub(super) struct World {
    pub(super) clockwork: Arc<Clockwork>,
    pub(super) sim: Arc<Sim>,
    pub(super) copies: Vec<Arc<PlayedCopy>>,
    pub(super) receivers: Vec<Arc<Receiver>>,
    ledger: Arc<Mutex<Ledger>>,
    dice: Dice,
    sets: bool,
    spoils: bool,
    commits: u64,
    /// When an application does something next; `None`: never again.
    next_write: Option<Duration>,
    next_trouble: Option<Duration>,
    /// The daemon's clock is to be set by so many milliseconds.
    set: Option<i64>,
    /// It was set back by so much that what is due waits for minutes.
    pub(super) set_far: bool,
}

impl World {
    pub(super) fn new(seed: u64, plan: &Plan) -> Self {
        let mut dice = Dice(seed ^ 0x0a1d);
        let start = form::parse_moment("2026-07-01 12:00:00.25").unwrap();
        // The daemon's clock is off from the first.
        let skew = dice.one(&[0, 0, -3000, 40_000, -900_000]);
        let clock = Clock::manual(start.and_utc().timestamp_millis() + skew);
        let clockwork = Arc::new(Clockwork::new(seed, clock));
        let ledger = Arc::new(Mutex::new(Ledger::new(millis(plan.confirm))));
        let mut sim = Sim::new(plan.kind.clone(), start, dice.one(&[1, -40, 1 << 50]));
        let of_sim = clockwork.clone();
        sim.pause = Some(Box::new(move || {
            let clockwork = of_sim.clone();
            Box::pin(async move { clockwork.ask(0).await })
        }));
        let copies: Vec<_> = (0..plan.copies)
            .map(|i| Arc::new(PlayedCopy::new(i, plan.habits, seed, clockwork.clone(), ledger.clone())))
            .collect();
        let receiver = |copy: &Arc<PlayedCopy>| {
            Arc::new(Receiver::new(
                copy.clone(),
                seed,
                (plan.does.clone(), plan.drops),
                clockwork.clone(),
                ledger.clone(),
            ))
        };
        let receivers = copies.iter().map(receiver).collect();
        let sim = Arc::new(sim);
        let (sets, spoils) = (plan.sets, plan.sweep.is_some());
        let (next_write, next_trouble) = (Some(millis(0)), Some(millis(500)));
        let mut world = Self {
            clockwork,
            sim,
            copies,
            receivers,
            ledger,
            dice,
            sets,
            spoils,
            commits: 0,
            next_write,
            next_trouble,
            set: None,
            set_far: false,
        };
        world.load();
        world
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn ledger_arc(&self) -> Arc<Mutex<Ledger>> {
        self.ledger.clone()
    }

    /// Rows that were there before cupid; some copies lack some of them.
    fn load(&mut self) {
        let now = self.clockwork.now();
        for _ in 0..self.dice.below(12) {
            let (id, row) = {
                let mut state = self.sim.state();
                state.version += 1;
                let (id, version) = (state.next_id, state.version);
                state.next_id += 1;
                let row = Row::new(version, self.sim.stamp(state.now - TimeDelta::hours(1)));
                state.rows.insert(id, row.clone());
                (id, row)
            };
            self.commits += 1;
            self.ledger().source(now, id, Some(row.cells), self.commits);
            for copy in &self.copies {
                if self.dice.chance(75) {
                    copy.load(id, self.commits, row.cells);
                }
            }
        }
    }

    fn note(&self, what: String) {
        self.ledger().note(self.clockwork.now(), None, what);
    }

    fn finish(&mut self, which: usize, commit: bool) {
        let now = self.clockwork.now();
        for (id, write) in self.sim.finish(which, commit).writes {
            let content = write.row.map(|row| row.cells);
            if content.is_none() && self.ledger().now_at_source(id).is_none() {
                continue;
            }
            self.commits += 1;
            self.ledger().source(now, id, content, self.commits);
            self.copies.iter().for_each(|copy| copy.follow(id, self.commits, content));
        }
    }

    fn write(&mut self) {
        match self.dice.below(20) {
            0..=3 => self.sim.begin(&mut self.dice),
            4..=12 => drop(self.sim.write(&mut self.dice)),
            13..=16 => {
                if let Some((which, commit)) = self.sim.whom_to_end(&mut self.dice) {
                    self.finish(which, commit);
                }
            }
            _ => {}
        }
    }

    fn trouble(&mut self) {
        let which = usize::try_from(self.dice.below(self.copies.len() as u64)).unwrap();
        let copy = self.copies[which].clone();
        let time = millis(self.dice.one(&[200, 2000, 6000]));
        let told = self.sim.kind.told;
        match self.dice.below(12) {
            0 => {
                self.note(format!("the source is down for {time:?}"));
                self.clockwork.take_down(0, time);
            }
            1 | 2 => {
                self.note(format!("copy {which} is down for {time:?}"));
                self.clockwork.take_down(copy.place(), time);
            }
            3 => {
                self.note(format!("receiver {which} is down for {time:?}"));
                self.clockwork.take_down(self.receivers[which].place(), time);
            }
            4 | 5 => {
                let time = time * 2;
                self.note(format!("replicator {which} stops for {time:?}"));
                copy.stop(time);
            }
            6 if self.sets => {
                self.set = Some(self.dice.one(&[-600_000, -15_000, -2000, 2000, 15_000, 600_000]));
            }
            7 if self.sets && told => {
                let by: i64 = self.dice.one(&[-20_000, -1500, 1500, 20_000]);
                self.note(format!("the database's clock is set by {by} ms"));
                self.sim.state().now += TimeDelta::milliseconds(by);
            }
            8 | 9 => self.clockwork.crash_in(self.dice.below(40)),
            10 | 11 if self.spoils => copy.spoil(),
            _ => {}
        }
    }

    /// Sets the daemon's clock, if that is to happen.
    pub(super) fn set_clock(&mut self) {
        let Some(by) = self.set.take() else { return };
        self.note(format!("the daemon's clock is set by {by} ms"));
        self.clockwork.clock.set(self.clockwork.clock.now() + by);
        self.set_far |= by < -60_000;
    }

    /// Everything that is due.
    pub(super) fn step(&mut self) {
        let now = self.clockwork.now();
        if self.next_write.is_some_and(|at| at <= now) {
            self.write();
            self.next_write = Some(now + millis(self.dice.one(&[5, 20, 60, 200, 600])));
        }
        if self.next_trouble.is_some_and(|at| at <= now) {
            self.trouble();
            self.next_trouble = Some(now + millis(400 + self.dice.below(4000)));
        }
        while self.too_long().is_some_and(|at| at <= now) {
            let commit = self.dice.chance(75);
            self.finish(0, commit);
        }
        self.copies.iter().for_each(|copy| copy.step());
    }

    /// When the oldest transaction ends at the latest, if the database does not show it.
    fn too_long(&self) -> Option<Duration> {
        let state = self.sim.state();
        let open = state.open.first().filter(|_| !self.sim.kind.told)?;
        let age = (state.now - open.start).to_std().unwrap_or_default();
        Some(self.clockwork.now() + SETTLE.saturating_sub(age))
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Duration> {
        let copies = self.copies.iter().filter_map(|copy| copy.next());
        [self.next_write, self.next_trouble, self.too_long(), self.clockwork.next()]
            .into_iter()
            .flatten()
            .chain(copies)
            .min()
    }

    /// Lets time pass until `to`.
    pub(super) fn pass(&self, to: Duration) {
        let by = to.saturating_sub(self.clockwork.now());
        self.sim.state().pass(TimeDelta::from_std(by).unwrap());
        self.clockwork.pass(to);
    }

    /// Transactions end, places are up, nobody writes any more. What is on its way arrives.
    pub(super) fn quiet(&mut self) {
        while let Some((which, commit)) = self.sim.whom_to_end(&mut self.dice) {
            self.finish(which, commit);
        }
        (self.next_write, self.next_trouble) = (None, None);
        self.clockwork.calm();
        self.note("quiet".to_owned());
    }

    /// From now on every receiver heals.
    pub(super) fn all_heal(&self) {
        self.receivers.iter().for_each(|receiver| receiver.becomes(vec![Does::Heals]));
        self.note("all receivers heal".to_owned());
    }

    /// One of these, as this world draws.
    pub(super) fn draw<T: Clone>(&mut self, of: &[T]) -> T {
        self.dice.one(of)
    }
}
