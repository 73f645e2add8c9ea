//! What is not as it was decided upon is neither believed nor sent: the task says why, and goes on by itself.

mod reset;

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::pair::{Pair, TABLE, ids_of};
use crate::support::receiver::Receiver;
use crate::support::wait::LIMIT;

async fn status_says(daemon: &mut Daemon, site: &Site, words: &str) {
    let what = format!("status says {words:?}");
    daemon.until(&what, LIMIT, || site.run(&["status", "-c", "{c}"]).all().contains(words)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_of_another_type_blocks_until_it_is_back() {
    for engine in [Engine::MySql, Engine::Postgres] {
        let Some(pair) = Pair::new(engine).await else { continue };
        pair.fill(1..=5).await;
        let receiver = Receiver::answering(200).await;
        let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
        let mut daemon = site.start_ready().await;
        daemon.wait_output("caught up").await;

        let d = pair.des.quote(TABLE);
        let (to, back) = match engine {
            Engine::MySql => ("MODIFY phone VARBINARY(30)", "MODIFY phone VARCHAR(30)"),
            _ => (
                "ALTER COLUMN phone TYPE BYTEA USING convert_to(phone, 'UTF8')",
                "ALTER COLUMN phone TYPE VARCHAR(30) USING convert_from(phone, 'UTF8')",
            ),
        };
        pair.des.run(format!("ALTER TABLE {d} {to}")).await;
        pair.fill_source(6..=6).await;
        status_says(&mut daemon, &site, "change it back, or restart cupid").await;
        assert_eq!(receiver.count(), 0, "nothing is sent by another comparison");
        assert!(site.run(&["status", "-c", "{c}"]).all().contains("blocked"));

        pair.des.run(format!("ALTER TABLE {d} {back}")).await;
        daemon.until("the row is told", LIMIT, || receiver.count() == 1).await;
        assert_eq!(ids_of(&receiver.calls()), [6]);
        status_says(&mut daemon, &site, "nothing waits").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_dropped_blocks_until_it_is_there_again() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    pair.fill(1..=5).await;
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let d = pair.des.quote(TABLE);
    pair.des.run(format!("RENAME TABLE {d} TO away")).await;
    pair.fill_source(6..=7).await;
    status_says(&mut daemon, &site, "blocked").await;
    assert_eq!(receiver.count(), 0);
    pair.des.run(format!("RENAME TABLE away TO {d}")).await;
    daemon.until("the rows are told", LIMIT, || receiver.count() == 2).await;
    assert_eq!(ids_of(&receiver.calls()), [6, 7]);
}
