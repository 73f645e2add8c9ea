//! Tables that are being written to, and a copy that follows late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cupid::config::Engine;
use tokio::task::JoinSet;

use super::{COLUMNS, at, diff, kinds, nowhere, told};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};
use crate::support::wait::{LIMIT, wait_until};

const ROWS: i64 = 20_000;
/// Rows that were lost, and one that was spoilt, long ago; nobody writes them.
const LOST: [i64; 2] = [11, 19_999];
const SPOILT: i64 = 5000;

/// Every row in turn is written, some of each stretch at once, and reaches the copy a while later.
async fn write(pair: Pair, rounds: Arc<AtomicU64>, ends: Arc<AtomicBool>) {
    while !ends.load(Ordering::Relaxed) {
        let round = i64::try_from(rounds.fetch_add(1, Ordering::Relaxed)).unwrap();
        let ids: Vec<i64> =
            (1..=ROWS).filter(|id| id % 97 == round % 97 && !LOST.contains(id) && *id != SPOILT).collect();
        pair.update(&ids, &format!("round {round}")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let t = pair.des.quote(TABLE);
        pair.des
            .run(format!("UPDATE {t} SET name = 'round {round}' WHERE id IN ({})", list.join(", ")))
            .await;
    }
}

/// What was lost long ago is all that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_follows_late_is_told_from_one_that_has_lost_something() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::Postgres).await) else {
        return;
    };
    let pair = Pair::of(src, des).await;
    pair.fill(1..=ROWS).await;
    pair.lose(&LOST).await;
    pair.spoil(&[SPOILT]).await;
    let (rounds, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writer = JoinSet::new();
    let again = Pair { src: pair.src.clone(), des: pair.des.clone() };
    writer.spawn(write(again, rounds.clone(), ends.clone()));
    let site = nowhere();
    // Longer than the copy is late, on a busy machine as well.
    let more =
        |strategy| ["-k", "id", "--json", "--chunk-time", "50ms", "--confirm", "4s", "--strategy", strategy];
    for strategy in ["auto", "stream", "digest"] {
        let before = rounds.load(Ordering::Relaxed);
        wait_until("rows are being written", LIMIT, || rounds.load(Ordering::Relaxed) > before).await;
        let ran = tokio::task::block_in_place(|| {
            diff(
                &site,
                &at(&pair.src, TABLE),
                &at(&pair.des, TABLE),
                &[&more(strategy), &COLUMNS[..]].concat(),
            )
        });
        assert!(rounds.load(Ordering::Relaxed) > before + 2, "rows were written meanwhile");
        let (rows, stats) = told(&ran);
        let found: Vec<String> =
            kinds(&rows, "id").into_iter().map(|(kind, id)| format!("{kind} {id}")).collect();
        assert_eq!(found, ["differs 5000", "missing 11", "missing 19999"], "{stats}");
        assert_eq!(stats["moving"], 0);
    }
    ends.store(true, Ordering::Relaxed);
    writer.join_next().await.unwrap().unwrap();
}
