//! A daemon whose state is on a full disk: it stops, says so once, and goes on when there is room.

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::disk::SmallDisk;
use crate::support::pair::{Pair, ids_of};
use crate::support::receiver::Receiver;
use crate::support::temp::TempDir;
use crate::support::wait::{LIMIT, wait_until};

const SAYS: &str = "the state cannot be written, nothing moves until it can";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_everything_until_there_is_room() {
    let dir = TempDir::new("full");
    let Some(disk) = SmallDisk::new(&dir.path().join("small"), 8) else { return };
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let state = disk.path().display().to_string();
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false, "state": state })));
    let mut daemon = site.start();
    pair.fill_source(1..=5).await;
    daemon.until("it works", LIMIT, || receiver.count() == 5).await;

    disk.fill();
    pair.fill_source(6..=2005).await;
    daemon.wait_output(SAYS).await;
    let message = daemon.output();
    assert!(message.contains("disk of the state") && message.contains(&state), "{message}");
    let told = tokio::task::block_in_place(|| site.run(&["status", "-c", "{c}"]));
    assert!(told.all().contains("is full"), "{told:?}");
    assert!(receiver.count() < 2005, "nothing is sent that cannot be recorded");

    disk.make_room();
    daemon.until("all rows are called back", LIMIT, || receiver.count() >= 2005).await;
    wait_until("it says so", LIMIT, || daemon.output().contains("the state can be written again")).await;
    assert_eq!(ids_of(&receiver.calls()), (1..=2005).collect::<Vec<_>>(), "each once");
    assert_eq!(daemon.output().matches(SAYS).count(), 1, "{}", daemon.output());
    let (status, _) = daemon.stop().await;
    assert!(status.success());
}
