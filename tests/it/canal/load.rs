//! A thousand changes per second, half a second late on average, one in a hundred lost.
//!
//! `CUPID_TEST_CANAL=120` changes rows for so many seconds instead of the usual ones.

use std::collections::BTreeSet;
use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use super::{describe, end, start};
use crate::support::canal::{Canal, Journal, Load, row_of};
use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::dice::{Dice, seed};
use crate::support::pair::Pair;
use crate::support::receiver::Call;

/// Twice the greatest lag of the canal: what cupid learns to wait.
const WAIT: Duration = Duration::from_millis(1600);
/// What it waits before it has learned anything, and how long that may take.
const FLOOR: Duration = Duration::from_secs(1);
const LEARNED: Duration = Duration::from_secs(5);
/// A lost change is to be reported before its row has stood still for so long.
const STOOD: Duration = Duration::from_secs(10);
/// Rows that change every 100 ms, and those of them whose copies stop following.
const HOT: i64 = 20;
const FROZEN: [i64; 5] = [3, 8, 11, 16, 20];
/// Rows there are at first.
const ROWS: i64 = 20_000;

fn seconds(usual: u64) -> Duration {
    let given = std::env::var("CUPID_TEST_CANAL").ok().map(|s| s.parse().expect("seconds"));
    Duration::from_secs(given.unwrap_or(usual))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_is_silent_and_what_is_lost_is_told() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::MySql).await) else { return };
    until_it_counts(&src, &des, seconds(30), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rows_that_never_stand_still_exactly_those_that_stopped_following_are_told() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::Postgres).await) else {
        return;
    };
    until_it_counts(&src, &des, seconds(20), true).await;
}

/// A run in which the canal itself was later than cupid waits proves nothing, whatever came of it.
async fn until_it_counts(src: &Db, des: &Db, length: Duration, hot: bool) {
    for round in 1..=3 {
        let pair = Pair::of(src.clone(), des.clone()).await;
        let run = run(&pair, seed(), length, hot).await;
        let what = format!("{} -> {} ({}/s)", src.engine, des.engine, run.rate);
        describe(&what, &run.journal, &run.calls, STOOD);
        assert_eq!(run.unreported(), 0, "lost changes that stayed lost and were not called back in time");
        if let Some(why) = run.void(length) {
            eprintln!("run {round} is void: {why}");
            pair.drop_tables().await;
            continue;
        }
        return run.check();
    }
    panic!("void: in none of three runs was the canal itself as quick as it should be; this shows nothing");
}

struct Run {
    journal: Journal,
    calls: Vec<Call>,
    /// Calls before the writers ended.
    during: Vec<Call>,
    hot: bool,
    rate: u64,
}

async fn run(pair: &Pair, seed: u64, length: Duration, hot: bool) -> Run {
    pair.fill(1..=ROWS).await;
    let mut dice = Dice::new(seed);
    let canal = Canal::new(pair, dice.roll(), 0..800, 10);
    let receiver = canal.repairer().await;
    let site = Site::new(&with(pair.both_feeds(&receiver.url()), json!({ "hot": "5s" })));
    let mut daemon = start(&site).await;
    let mut tasks = JoinSet::new();
    canal.copy(&mut tasks);
    let hot_keys: Vec<i64> = (1..=HOT).collect();
    canal.spare(hot_keys.iter().copied());
    let load = Load { rate: 1000, inserts: 30, keys: HOT + 1..ROWS + 1, warm: 500 };
    let hot_writer = async {
        if hot {
            let second = Duration::from_secs(1);
            canal.write_hot(&hot_keys, second / 10, second).await;
            canal.freeze(FROZEN);
            canal.write_hot(&hot_keys, second / 10, length - second).await;
        }
    };
    tokio::join!(canal.write(&load, dice.roll(), length), hot_writer);
    let during = receiver.calls();
    end(&mut daemon, &site, pair, &canal, &receiver, STOOD).await;
    let journal = canal.journal();
    let rate = journal.changes.len() as u64 / length.as_secs();
    Run { journal, calls: receiver.calls(), during, hot, rate }
}

impl Run {
    fn unreported(&self) -> usize {
        let (_, stayed) = self.journal.lost(STOOD);
        let missed = self.journal.unreported(&stayed, &self.calls);
        missed.iter().take(5).for_each(|c| eprintln!("not reported: {c:?}"));
        missed.len()
    }

    /// Why this run shows nothing.
    fn void(&self, length: Duration) -> Option<String> {
        let first = self.journal.changes.first().expect("changes").began;
        let max = |early: bool| {
            self.journal.lags(|c| (c.began - first < LEARNED) == early).last().copied().unwrap_or_default()
        };
        let (before, after) = (max(true), max(false));
        if before >= FLOOR || after >= WAIT {
            return Some(format!("a lag of {before:?} in the first {LEARNED:?}, of {after:?} later"));
        }
        let wanted = 800 * length.as_secs();
        ((self.journal.changes.len() as u64) < wanted)
            .then(|| format!("only {} changes per second were made", self.rate))
    }

    fn check(&self) {
        let (wrong, _) = self.journal.false_calls(&self.calls);
        assert_eq!(wrong.len(), 0, "callbacks for rows that were only late");
        if self.hot {
            let hot = |calls: &[Call]| -> BTreeSet<i64> {
                calls.iter().map(|c| row_of(c).0).filter(|key| *key <= HOT).collect()
            };
            let told = self.calls.iter().filter(|c| row_of(c).0 <= HOT).count();
            eprintln!(
                "{HOT} hot rows, {} of them frozen: {told} callbacks about {:?}",
                FROZEN.len(),
                hot(&self.calls)
            );
            assert_eq!(
                hot(&self.during),
                BTreeSet::from(FROZEN),
                "hot rows that were called back while they moved"
            );
            assert_eq!(hot(&self.calls), BTreeSet::from(FROZEN), "hot rows that were called back at all");
        }
    }
}
