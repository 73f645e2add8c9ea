//! Rows of their own beside others, and a receiver that is down, for hours of virtual time.

use super::*;

/// One lane and its rows, in virtual time.
struct World {
    receiver: Arc<Receiver>,
    clock: Clock,
    concurrency: usize,
    rows: Vec<Row>,
    /// Those that are not done.
    waiting: Vec<usize>,
    turn: usize,
    calls: Vec<(Duration, usize, Pass)>,
    ready: VecDeque<usize>,
    /// What the receiver answers to a row.
    answers: fn(&Row, Duration) -> AttemptOutcome,
    made: usize,
}

#[derive(Clone, Debug)]
struct Row {
    poison: bool,
    found: Duration,
    due: Duration,
    tries: u32,
    main: bool,
    taken: bool,
    done: Option<Duration>,
}

const TICK: Duration = Duration::from_millis(100);
/// How long a call takes.
const TAKES: Duration = Duration::from_millis(100);

impl World {
    fn new(concurrency: usize, answers: fn(&Row, Duration) -> AttemptOutcome) -> Self {
        let (receiver, clock) = receiver(1, concurrency, Duration::ZERO);
        let (rows, calls, ready) = (Vec::new(), Vec::new(), VecDeque::new());
        let waiting = Vec::new();
        Self { receiver, clock, concurrency, rows, waiting, turn: 0, calls, ready, answers, made: 0 }
    }

    fn find(&mut self, poison: bool, tries: u32, due: Duration) {
        let (main, found) = (tries == 0, self.clock.elapsed());
        self.waiting.push(self.rows.len());
        self.rows.push(Row { poison, found, due, tries, main, taken: false, done: None });
    }

    /// As the store shares it out: the newest, what is tried again, and the oldest.
    fn claim(&mut self, limit: usize, fresh: bool, again: bool) {
        let now = self.clock.elapsed();
        for _ in 0..limit {
            self.turn += 1;
            let part = self.turn % 4;
            let due = |main: bool| {
                let rows = self.waiting.iter().map(|at| (*at, &self.rows[*at]));
                rows.filter(move |(_, r)| r.main == main && r.due <= now && !r.taken)
            };
            let newest = due(true).max_by_key(|(_, r)| r.due).filter(|_| fresh).map(|(at, _)| at);
            let oldest = due(true).min_by_key(|(_, r)| r.due).filter(|_| fresh).map(|(at, _)| at);
            let again = due(false).min_by_key(|(_, r)| r.due).filter(|_| again).map(|(at, _)| at);
            let one = match part {
                1 => again.or(newest),
                3 => oldest.or(again),
                _ => newest.or(again),
            };
            let Some(one) = one else { return };
            self.rows[one].taken = true;
            self.ready.push_back(one);
        }
    }

    fn tick(&mut self) {
        self.clock.advance(TICK);
        let now = self.clock.elapsed();
        let (ended, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.calls).into_iter().partition(|c| c.0 <= now);
        self.calls = open;
        for (_, at, pass) in ended {
            self.end(at, pass, now);
        }
        while self.calls.len() < self.concurrency {
            if self.ready.is_empty() {
                match self.receiver.room(0, 64) {
                    Room::For(n) => self.claim(n, true, true),
                    Room::Few(n) => {
                        self.claim(n, true, false);
                        if self.ready.is_empty() {
                            self.claim(n, false, true);
                        }
                    }
                    Room::Probe => {
                        self.claim(1, true, false);
                        if self.ready.is_empty() {
                            self.claim(1, false, true);
                        }
                    }
                    Room::Fresh(_) => self.claim(1, true, false),
                    Room::None(_) => {}
                }
            }
            if self.ready.is_empty() {
                return self.receiver.rest(0);
            }
            match self.receiver.admit(0) {
                Admitted::Now(pass) => {
                    let at = self.ready.pop_front().unwrap();
                    self.calls.push((now + TAKES, at, pass));
                    self.made += 1;
                }
                Admitted::Later(_) => return,
                Admitted::Shut => {
                    self.ready.drain(..).for_each(|at| self.rows[at].taken = false);
                    return self.receiver.rest(0);
                }
            }
        }
    }

    fn end(&mut self, at: usize, pass: Pass, now: Duration) {
        let row = &mut self.rows[at];
        let outcome = (self.answers)(row, now);
        let probes = pass.probes();
        let change = pass.ended(&[id(at as u128)], row.tries == 0, &outcome).map(|c| c.0);
        row.taken = false;
        if matches!(outcome, AttemptOutcome::Accepted { .. }) {
            row.done = Some(now);
            self.waiting.retain(|other| *other != at);
        } else if let (true, Some(Change::StillOpen { pause })) = (probes, change) {
            row.due = now + pause + S / 5;
        } else {
            (row.tries, row.main) = (row.tries + 1, false);
            row.due = now + if row.tries <= 3 { 10 * S } else { 600 * S };
        }
    }

    /// Goes on for so long; a fine row is found after each `every`.
    fn run(&mut self, time: Duration, every: Duration) {
        let (end, mut next) = (self.clock.elapsed() + time, self.clock.elapsed() + every);
        while self.clock.elapsed() < end {
            if self.clock.elapsed() >= next {
                next += every;
                self.find(false, 0, self.clock.elapsed());
            }
            self.tick();
        }
    }

    /// The longest that a fine row waited, of those found from then on.
    fn longest(&self, since: Duration) -> Duration {
        let now = self.clock.elapsed();
        let fine = self.rows.iter().filter(|row| !row.poison && row.found >= since);
        fine.map(|row| row.done.unwrap_or(now) - row.found).max().unwrap_or_default()
    }
}

fn spoils(status: u16) -> fn(&Row, Duration) -> AttemptOutcome {
    fn of(row: &Row, status: u16) -> AttemptOutcome {
        match (row.poison, status) {
            (false, _) => accepted(),
            (true, 500) => refused(500, None),
            (true, _) => AttemptOutcome::Failed {
                class: crate::model::ErrorClass::Http4xx,
                status: Some(422),
                detail: String::new(),
                answer: None,
                retry_after: None,
            },
        }
    }
    if status == 500 { |row, _| of(row, 500) } else { |row, _| of(row, 422) }
}

/// Rows that always fail, all of them due in the same minute again and again, whatever comes beside them.
#[test]
fn rows_that_fail_for_their_own_reasons_keep_nobody_else_waiting() {
    for (poison, status) in [(12, 500), (50, 500), (12, 422), (50, 422), (300, 500), (300, 422)] {
        for every in [S, 70 * S] {
            let mut world = World::new(4, spoils(status));
            let begin = world.clock.elapsed();
            for n in 0..poison {
                world.find(true, 5, begin + 120 * S + S * n / 10);
            }
            world.run(1500 * S, every);
            let longest = world.longest(begin);
            assert!(longest < 2 * S, "{poison} rows with {status} beside one each {every:?}: {longest:?}");
            let spoilt = world.rows.iter().filter(|row| row.poison);
            assert!(spoilt.clone().all(|row| row.tries >= 7), "they are tried all the same");
        }
    }
}

/// The same when they are new, as after a deployment: beside others nothing is closed.
#[test]
fn rows_that_begin_to_fail_keep_nobody_else_waiting_for_long() {
    for (poison, status) in [(12, 500), (50, 500), (12, 422), (50, 422)] {
        let mut world = World::new(4, spoils(status));
        let begin = world.clock.elapsed();
        world.run(120 * S, S);
        (0..poison).for_each(|_| world.find(true, 0, world.clock.elapsed()));
        world.run(900 * S, S);
        let longest = world.longest(begin);
        assert!(longest < 2 * S, "{poison} rows with {status}: {longest:?}");

        // With nothing beside them they look like a receiver that is down: one pause, and then it is known.
        let mut world = World::new(4, spoils(status));
        (0..poison).for_each(|_| world.find(true, 0, Duration::ZERO));
        world.run(2 * S, 10 * S);
        world.run(900 * S, S);
        assert!(
            world.longest(Duration::ZERO) < 32 * S,
            "{poison}, {status}: {:?}",
            world.longest(Duration::ZERO)
        );
        let later = world.longest(begin + 120 * S);
        assert!(later < 2 * S, "{poison} rows with {status} at first: {later:?}");
    }
}

/// Whatever waits, and whatever is found meanwhile: few calls, few tries spent, and all of it goes out when it works.
#[test]
fn a_receiver_that_is_down_is_left_alone_whatever_waits_for_it() {
    const BACK: Duration = Duration::from_secs(3700);
    for (fresh, tried, every) in [
        (200, 0, 3600 * S),
        (0, 200, 3600 * S),
        (200, 200, 5 * S),
        (3, 200, 60 * S),
        (1, 0, 7200 * S),
        (0, 0, 5 * S),
    ] {
        let mut world = World::new(4, |_, now| if now < BACK { refused(503, None) } else { accepted() });
        (0..fresh).for_each(|_| world.find(false, 0, Duration::ZERO));
        (0..tried).for_each(|_| world.find(false, 1, Duration::ZERO));
        world.run(3600 * S, every);
        let what = format!("{fresh} and {tried}, one each {every:?}");
        assert!(world.made < 110 + 2 * 17, "{what}: {} calls", world.made);
        let spent: u32 = world.rows.iter().map(|row| row.tries).sum::<u32>() - tried as u32;
        assert!(spent < 110, "{what}: {spent} tries");
        world.run(1500 * S, every);
        let waits = world.rows.iter().filter(|row| row.done.is_none() && row.found < BACK).count();
        assert_eq!(waits, 0, "{what}");
        let later = world.longest(BACK + 400 * S);
        assert!(later < 2 * S, "{what}: {later:?} when it works again");
    }
}
