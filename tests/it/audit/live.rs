//! Tables that are being written to, and a copy that follows late.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cupid::config::Engine;

use super::{at, kinds, nowhere, told};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};

/// Rows change all the time and reach the copy 300 ms later; some that were lost long ago are all that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_follows_late_is_told_from_one_that_has_lost_something() {
    let (Some(src), Some(des)) = (Db::new(Engine::MySql).await, Db::new(Engine::Postgres).await) else {
        return;
    };
    let pair = Pair::of(src, des).await;
    pair.fill(1..=20_000).await;
    pair.lose(&[11, 19_999]).await;
    pair.spoil(&[5000]).await;
    let ends = AtomicBool::new(false);
    let writer = async {
        let mut round = 0;
        while !ends.load(Ordering::Relaxed) {
            // Every row in turn, so that each stretch has some; never those that were lost.
            let ids: Vec<i64> =
                (1..=20_000).filter(|id| id % 97 == round % 97 && ![11, 19_999, 5000].contains(id)).collect();
            pair.update(&ids, &format!("round {round}")).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let t = pair.des.quote(TABLE);
            pair.des
                .run(format!("UPDATE {t} SET name = 'round {round}' WHERE id IN ({})", list.join(", ")))
                .await;
            round += 1;
        }
    };
    let reader = async {
        let site = nowhere();
        let words = ["diff".to_owned(), at(&pair.src, TABLE), at(&pair.des, TABLE)];
        let more = ["-k", "id", "--columns", "number,name,phone", "--json", "--chunk-time", "50ms"]
            .map(str::to_owned);
        let words: Vec<String> = words.into_iter().chain(more).collect();
        let mut all = Vec::new();
        for _ in 0..3 {
            let ran = tokio::task::block_in_place(|| {
                site.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
            });
            all.push(told(&ran));
        }
        ends.store(true, Ordering::Relaxed);
        all
    };
    let ((), all) = tokio::join!(writer, reader);
    for (rows, stats) in all {
        let found: Vec<String> =
            kinds(&rows, "id").into_iter().map(|(kind, id)| format!("{kind} {id}")).collect();
        assert_eq!(found, ["differs 5000", "missing 11", "missing 19999"], "{stats}");
        assert_eq!(stats["moving"], 0);
    }
}
