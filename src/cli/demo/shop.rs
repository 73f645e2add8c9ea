//! The writer: a shop in which something happens about twenty times a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::ledger::Ledger;
use super::tables::{Databases, Row, TABLES, TableNo};
use crate::base::clock::Clock;

/// Time between two changes.
const PACE: Duration = Duration::from_millis(55);
/// Changes of a burst, which comes in one transaction…
const BURST: usize = 10;
/// …instead of so many of a hundred single changes.
const BURSTS: usize = 3;
/// New rows among a hundred changes, until the shop is large; then there are few.
const NEW: usize = 35;
const LARGE: usize = 2000;
/// Rows of each table at the beginning.
const AT_FIRST: usize = 120;
/// Lag of the copier, from and to, in milliseconds. Short, because a row that is looked at while its copy is under way
/// counts as a difference.
const LAG: (usize, usize) = (0, 1);

const FIRST: [&str; 16] = [
    "Ada", "Bo", "Chiara", "Dmitri", "Elena", "Fatou", "Goran", "Hana", "Ivo", "Jun", "Karla", "李雷", "Mei",
    "Nils", "Olga", "Paul",
];
const LAST: [&str; 12] = [
    "Abel", "Brandt", "Castro", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jensen",
    "O'Neill", "Žižka",
];
const ARTICLES: [&str; 12] = [
    "blue teapot",
    "brass lamp",
    "garden chair",
    "green kettle",
    "linen shirt",
    "oak table",
    "paper \"A4\"",
    "red bicycle",
    "steel pan",
    "string quartet",
    "wall clock",
    "wool socks",
];
const REMARKS: [&str; 6] = ["", "", "", "call first", "gift", "rings twice"];

/// One change of the shop, on its way to the copy.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) table: TableNo,
    pub(super) row: Row,
    /// As it was; `None`: it is new.
    pub(super) before: Option<Row>,
    /// When the copier gets to it.
    pub(super) due: Instant,
}

/// The shop's own memory of what it holds.
#[derive(Debug)]
pub(super) struct Shop {
    rows: [Vec<Row>; TABLES.len()],
    dice: Dice,
    clock: Clock,
    /// Of the last change, Unix milliseconds.
    last: i64,
}

impl Shop {
    pub(super) fn new(clock: Clock, seed: u64) -> Self {
        Self { rows: [Vec::new(), Vec::new()], dice: Dice::new(seed), clock, last: 0 }
    }

    /// Fills both databases with the same rows.
    pub(super) async fn fill(&mut self, databases: &Databases) -> Result<()> {
        for table in 0..TABLES.len() {
            for _ in 0..AT_FIRST {
                self.insert(table);
            }
        }
        let all: Vec<(TableNo, &Row)> = self
            .rows
            .iter()
            .enumerate()
            .flat_map(|(table, rows)| rows.iter().map(move |r| (table, r)))
            .collect();
        databases.write_shop(&all).await?;
        databases.write_copy(&all).await
    }

    /// Changes the shop until the stop, and hands every change to the copier.
    pub(super) async fn run(
        mut self,
        databases: Arc<Databases>,
        ledger: Arc<Ledger>,
        copier: mpsc::UnboundedSender<Change>,
        stop: CancellationToken,
    ) -> Result<()> {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = pace.tick() => {}
            }
            let count = if self.dice.percent(BURSTS) { BURST } else { 1 };
            let changes: Vec<Change> = (0..count).filter_map(|_| self.change(&ledger)).collect();
            let rows: Vec<(TableNo, &Row)> = changes.iter().map(|c| (c.table, &c.row)).collect();
            databases.write_shop(&rows).await?;
            for mut change in changes {
                let lag = LAG.0 + self.dice.below(LAG.1 - LAG.0 + 1);
                change.due = Instant::now() + Duration::from_millis(u64::try_from(lag)?);
                if copier.send(change).is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Decides on a change and notes it. `None`: the row chosen still waits for its copy and is left alone, so that
    /// every row that is spoiled stays so until somebody repairs it.
    fn change(&mut self, ledger: &Ledger) -> Option<Change> {
        let table = self.dice.below(TABLES.len());
        let new = if self.rows[table].len() < LARGE { NEW } else { 1 };
        if self.dice.percent(new) {
            let row = self.insert(table);
            ledger.changed(table, row.id, true).then(|| Change {
                table,
                row,
                before: None,
                due: Instant::now(),
            })
        } else {
            let at = self.dice.below(self.rows[table].len());
            if !ledger.changed(table, self.rows[table][at].id, false) {
                return None;
            }
            let (row, before) = self.update(table, at);
            Some(Change { table, row, before: Some(before), due: Instant::now() })
        }
    }

    fn insert(&mut self, table: TableNo) -> Row {
        let row = Row {
            id: i64::try_from(self.rows[table].len()).expect("a shop of this size") + 1,
            name: self.name(table),
            remark: Some(self.dice.one(&REMARKS).to_owned()),
            cents: self.cents(),
            updated_at: self.stamp(),
        };
        self.rows[table].push(row.clone());
        row
    }

    fn update(&mut self, table: TableNo, at: usize) -> (Row, Row) {
        let before = self.rows[table][at].clone();
        let mut row = Row { updated_at: self.stamp(), ..before.clone() };
        match self.dice.below(4) {
            0 => row.name = self.name(table),
            1 => row.remark = Some(self.dice.one(&REMARKS).to_owned()),
            _ => row.cents = self.cents(),
        }
        self.rows[table][at] = row.clone();
        (row, before)
    }

    fn name(&mut self, table: TableNo) -> String {
        match table {
            0 => format!("{} {}", self.dice.one(&FIRST), self.dice.one(&LAST)),
            _ => format!("{} × {}", 1 + self.dice.below(5), self.dice.one(&ARTICLES)),
        }
    }

    fn cents(&mut self) -> i64 {
        i64::try_from(100 + self.dice.below(50_000)).expect("a small number")
    }

    /// A time later than that of every change before.
    fn stamp(&mut self) -> String {
        self.last = self.clock.now().max(self.last + 1);
        let at = chrono::DateTime::from_timestamp_millis(self.last).unwrap_or_default();
        at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_and_busy_rows_are_left_alone() {
        let mut shop = Shop::new(Clock::manual(1_700_000_000_000), 1);
        let ledger = Ledger::default();
        let mut seen = std::collections::HashSet::new();
        let mut last = String::new();
        for _ in 0..500 {
            if shop.rows.iter().any(Vec::is_empty) {
                shop.insert(0);
                shop.insert(1);
            }
            let Some(change) = shop.change(&ledger) else { continue };
            assert!(change.row.updated_at > last, "{change:?} after {last}");
            assert!(
                seen.insert((change.table, change.row.id)),
                "nothing was copied, so nothing changes twice"
            );
            last = change.row.updated_at;
        }
        assert!(seen.len() > 100);
    }
}
