//! One seed: an application whose transactions begin, write, commit and roll back in any interleaving.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::ledger::{Fate, Key, Version};
use super::replica::Replica;
use super::tables::{SETTLE, Table, WINDOW};
use crate::support::dice::Dice;

/// How long a seed goes on with new transactions.
const LENGTH: Duration = Duration::from_secs(7);
/// Rows of a table are numbered, and so is all that is written.
static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// What is known of a row that a story has made.
#[derive(Clone, Copy)]
struct Row {
    id: i64,
    exists: bool,
    /// The transaction that has written it and is open.
    open: Option<usize>,
}

struct Open {
    begun: Instant,
    /// When its first statement was sent, Unix ms.
    wrote: Option<i64>,
    /// Not to be ended before.
    until: Instant,
    writes: BTreeMap<u64, (u64, bool)>,
}

pub(super) struct Story<'a> {
    pub(super) seed: u64,
    pub(super) table: Table,
    pub(super) replica: &'a Arc<Replica>,
    pub(super) desks: &'a mut [Desk],
}

struct Telling<'a> {
    story: Story<'a>,
    dice: Dice,
    rows: BTreeMap<u64, Row>,
    open: Vec<Option<Open>>,
    reserved: Vec<i64>,
}

impl Story<'_> {
    /// Goes through it.
    pub(super) async fn tell(self) {
        let open = self.desks.iter().map(|_| None).collect();
        let dice = Dice::new(self.seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let mut telling = Telling { story: self, dice, rows: BTreeMap::new(), open, reserved: Vec::new() };
        let began = Instant::now();
        while began.elapsed() < LENGTH || telling.open.iter().any(Option::is_some) {
            telling.event(began.elapsed() < LENGTH).await;
            let pause = telling.dice.number(250);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

impl Telling<'_> {
    async fn event(&mut self, goes_on: bool) {
        let at = self.dice.below(self.open.len());
        match &self.open[at] {
            None if goes_on && self.dice.below(3) == 0 => self.begin(at).await,
            None => {}
            Some(open) => match (Instant::now() < open.until, self.dice.below(3)) {
                (false, _) => self.end(at).await,
                (true, 0) => self.write(at).await,
                (true, _) => {}
            },
        }
    }

    async fn begin(&mut self, at: usize) {
        // Those that nobody sees end in time; others outlive even that.
        let most = if self.story.table.is_told() { 6000 } else { 2200 };
        let held = match self.dice.below(4) {
            0 => 0,
            1 => self.dice.number(500),
            _ => self.dice.number(most),
        };
        let begun = Instant::now();
        if self.story.desks[at].run("BEGIN").await.is_ok() {
            let until = begun + Duration::from_millis(held);
            self.open[at] = Some(Open { begun, wrote: None, until, writes: BTreeMap::new() });
        }
        for _ in 0..=self.dice.below(3) {
            self.write(at).await;
        }
    }

    async fn write(&mut self, at: usize) {
        let Some(open) = &mut self.open[at] else { return };
        let table = self.story.table;
        let wrote = *open.wrote.get_or_insert_with(now);
        let free: Vec<(u64, i64)> = (self.rows.iter())
            .filter(|(_, row)| row.exists && row.open.is_none_or(|open| open == at))
            .map(|(number, row)| (*number, row.id))
            .collect();
        let version = next();
        let (number, id, sql) = if free.is_empty() || self.dice.below(5) < 2 {
            let number = next();
            (number, None, self.insert(number, version, wrote))
        } else {
            let (t, (number, id)) = (table.at, free[self.dice.below(free.len())]);
            let sql = if self.dice.below(8) == 0 {
                format!("DELETE FROM s{t} WHERE id = {id}")
            } else {
                let stamp = self.stamp(wrote).map_or(String::new(), |stamp| format!(", stamp = {stamp}"));
                format!("UPDATE s{t} SET name = 'v{version}'{stamp} WHERE id = {id}")
            };
            (number, Some(id), sql)
        };
        let gone = sql.starts_with("DELETE");
        let Ok(made) = self.story.desks[at].run(&sql).await else { return self.refused(at).await };
        let id = id.or(made).expect("an id is returned");
        self.rows.insert(number, Row { id, exists: !gone, open: Some(at) });
        let open = self.open[at].as_mut().expect("it is open");
        open.writes.insert(number, (version, gone));
    }

    fn insert(&mut self, number: u64, version: u64, wrote: i64) -> String {
        let t = self.story.table.at;
        let late = self.dice.below(3) == 0;
        if let Some(id) = self.reserved.pop().filter(|_| late) {
            // Ids that come late are seen by their time, or by the sweep.
            let stamp = if self.story.table.is_swept() { None } else { Some(self.in_time(wrote)) };
            let stamp = stamp.unwrap_or_else(|| "NULL".to_owned());
            return format!(
                "INSERT INTO s{t} (id, number, name, stamp) VALUES ({id}, 'n{number}', 'v{version}', {stamp}) RETURNING id"
            );
        }
        // What has no time is seen by its id alone.
        let stamp = if self.dice.below(2) == 0 { "NULL".to_owned() } else { self.in_time(wrote) };
        format!(
            "INSERT INTO s{t} (number, name, stamp) VALUES ('n{number}', 'v{version}', {stamp}) RETURNING id"
        )
    }

    /// What an UPDATE writes to the update column; `None`: nothing.
    fn stamp(&mut self, wrote: i64) -> Option<String> {
        if self.story.table.is_swept() && self.dice.below(3) == 0 {
            // No feed can see these.
            let old = 30_000 + self.dice.number(7_200_000) as i64;
            return (self.dice.below(2) == 0).then(|| self.story.table.literal(now() - old));
        }
        Some(self.in_time(wrote))
    }

    /// A time that the update feed promises to find: not before the overlap in front of the transaction's first
    /// statement. Columns may hold whole seconds.
    fn in_time(&mut self, wrote: i64) -> String {
        let table = self.story.table;
        let most = WINDOW.as_millis() as u64 - 1500;
        match self.dice.below(5) {
            0 | 1 => table.server_now(self.dice.below(2) == 0),
            // The application's own clock: right, slow, fast; and what it took before it began.
            2 => table.literal(now()),
            3 => table.literal(now() + self.dice.number(2000) as i64),
            _ => table.literal(wrote - self.dice.number(most) as i64),
        }
    }

    async fn end(&mut self, at: usize) {
        let Some(open) = self.open[at].take() else { return };
        let commits = self.dice.below(4) > 0;
        let sent = Instant::now();
        let ended = self.story.desks[at].run(if commits { "COMMIT" } else { "ROLLBACK" }).await;
        let done = Instant::now();
        ended.expect("the server of this test ends a transaction");
        let table = self.story.table;
        for (number, (_, gone)) in &open.writes {
            let exists = if commits { !gone } else { self.existed(*number) };
            let row = self.rows.get_mut(number).expect("it was written");
            (row.exists, row.open) = (exists, None);
        }
        if !commits {
            self.story.replica.ledger.lock().unwrap().rolled_back += 1;
            return self.reserve(at).await;
        }
        let promised = table.is_told() || table.is_swept() || done - open.begun < SETTLE;
        let change = |(number, (version, gone)): (u64, (u64, bool))| {
            let fate = Fate::Copied;
            let (begun, number_of_row) = (open.begun, number);
            let key: Key = (table.at, number_of_row);
            (key, Version { number: version, gone, begun, sent, done, fate, promised })
        };
        // What was made and deleted at once was never there.
        let known = |number: u64| self.existed(number);
        let writes = open.writes.iter().filter(|(number, (_, gone))| !gone || known(**number));
        let changes: Vec<_> = writes.map(|(number, write)| change((*number, *write))).collect();
        if !changes.is_empty() {
            self.story.replica.committed(self.story.seed, changes);
        }
    }

    /// Whether a row was there when the last transaction that wrote it had ended.
    fn existed(&self, number: u64) -> bool {
        let ledger = self.story.replica.ledger.lock().unwrap();
        let line = ledger.lines.get(&(self.story.table.at, number));
        line.and_then(|line| line.versions.last()).is_some_and(|last| !last.gone)
    }

    /// The server has refused a statement: all of its transaction is undone.
    async fn refused(&mut self, at: usize) {
        let Some(open) = self.open[at].take() else { return };
        self.story.desks[at].run("ROLLBACK").await.expect("the server of this test ends a transaction");
        for number in open.writes.keys() {
            let exists = self.existed(*number);
            let row = self.rows.get_mut(number).expect("it was written");
            (row.exists, row.open) = (exists, None);
        }
        self.story.replica.ledger.lock().unwrap().refused += 1;
    }

    async fn reserve(&mut self, at: usize) {
        for sql in self.story.table.reserve(next()) {
            self.reserved.extend(self.story.desks[at].run(&sql).await.ok().flatten());
        }
    }
}

fn now() -> i64 {
    cupid::base::clock::Clock::system().now()
}
