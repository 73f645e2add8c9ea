//! The commonest case: the source goes on, the copy stays where it was, for ever. In every engine pair.

use std::time::Instant;

use cupid::config::Engine;
use futures_util::future::join_all;

use super::LIMIT;
use crate::support::daemon::Site;
use crate::support::db::{Db, ENGINES};
use crate::support::pair::{Pair, TABLE, id_of};
use crate::support::state;
use crate::support::wait::wait_for;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_update_is_told_once_in_every_engine_pair() {
    let pairs = ENGINES.iter().flat_map(|from| ENGINES.iter().map(|to| (*from, *to)));
    let tested = join_all(pairs.map(|(from, to)| lost_update(from, to))).await;
    let tested = tested.into_iter().filter(|is| *is).count();
    eprintln!("a lost update was told once in {tested} engine pairs");
}

async fn lost_update(from: Engine, to: Engine) -> bool {
    let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { return false };
    let pair = Pair::of(src, des).await;
    pair.fill(1..=20).await;
    let receiver = pair.repairer().await;
    let site = Site::new(&pair.both_feeds(&receiver.url()));
    let mut daemon = super::start(&site).await;
    let follow = |name: &'static str| {
        let t = pair.des.quote(TABLE);
        pair.des.run(format!("UPDATE {t} SET name = '{name}' WHERE id = 7"))
    };
    // One that arrives, one that never does.
    pair.update(&[7], "V1").await;
    follow("V1").await;
    let lost = Instant::now();
    pair.update(&[7], "V2").await;
    daemon.until("the lost update is called back", LIMIT, || receiver.answered() >= 1).await;
    let took = lost.elapsed();
    // Another one behind it: had anything else been said of the first, it would have been said by then.
    pair.update(&[9], "V2").await;
    daemon.until("the next one is called back", LIMIT, || receiver.answered() >= 2).await;
    wait_for("both are seen to agree", LIMIT, async || {
        let healed = "SELECT count(*) FROM delivery WHERE attempts = 1 AND state = 'healed'";
        (state::try_number(&site, healed).await? == 2).then_some(())
    })
    .await;
    let calls = receiver.calls();
    let said: Vec<_> = calls.iter().map(|c| (id_of(c), c.kind(), c.src("name").unwrap())).collect();
    let expected = [(7, 2, "V2".to_owned()), (9, 2, "V2".to_owned())];
    assert_eq!(said, expected, "{from} -> {to}");
    assert_eq!(pair.differences().await, [0_i64; 0], "{from} -> {to}");
    eprintln!("{from} -> {to}: told {took:.1?} after it was lost");
    true
}
