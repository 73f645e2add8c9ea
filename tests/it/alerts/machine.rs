//! What is seen of the machine, of the state, of databases and of rows, on the real daemon: told, and told to be over.
//!
//! Not here, as nothing honest brings them about in a test: memory that runs out (the machine's own, or a control group,
//! which only root may set), and a part of the daemon that ends by itself, which would be a bug.

use std::time::{Duration, Instant};

use cupid::config::Engine;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::{quick, told};
use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::disk::SmallDisk;
use crate::support::faketime;
use crate::support::held::Held;
use crate::support::pair::{Pair, TABLE};
use crate::support::proxy::Proxy;
use crate::support::receiver::Receiver;
use crate::support::temp::TempDir;
use crate::support::wait::LIMIT;

/// What is looked at every ten seconds, and believed to be over after five more, and after relapses later.
const LONG: Duration = Duration::from_secs(90);

fn events(hook: &Receiver) -> Vec<(String, bool)> {
    told(hook).into_iter().map(|(event, over, _)| (event, over)).collect()
}

async fn until_told(daemon: &mut Daemon, hook: &Receiver, event: &str, over: bool) {
    let wanted = (event.to_owned(), over);
    daemon.until(&format!("{wanted:?} is told"), LONG, || events(hook).contains(&wanted)).await;
}

fn hook_of(hook: &Receiver, on: &[&str]) -> Value {
    json!({ "notify": { "hook": { "webhook": hook.url(), "on": on } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_descriptors_are_told() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let site =
        Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook, &["descriptors"])));
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let used = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count() as u64;
    let few = used + 5;
    assert!(5 < few / 5, "{used} are open");
    // The hard limit stays as it is inherited from here.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(few), maximum }).unwrap();
    until_told(&mut daemon, &hook, "descriptors", false).await;
    let body = hook.calls()[0].json();
    assert!(body["text"].as_str().unwrap().contains(&format!("of {few} left")), "{body}");
    prlimit(pid, Resource::Nofile, before).unwrap();
    until_told(&mut daemon, &hook, "descriptors", true).await;
    daemon.stop().await;
    assert_eq!(hook.count(), 2);
}

/// The disk of the state: low, then full, so that nothing can be written; then there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_state_that_cannot_be_written_are_told() {
    let dir = TempDir::new("low");
    let Some(disk) = SmallDisk::new(&dir.path().join("small"), 64) else { return };
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let state = json!({ "state": disk.path().display().to_string() });
    let notify = hook_of(&hook, &["disk", "state"]);
    let site = Site::new(&with(with(with(pair.inserts(&receiver.url()), quick()), notify), state));
    let mut daemon = site.start_ready().await;
    pair.fill_source(1..=3).await;
    daemon.until("it works", LIMIT, || receiver.count() >= 3).await;
    disk.fill();
    pair.fill_source(4..=2003).await;
    until_told(&mut daemon, &hook, "state", false).await;
    until_told(&mut daemon, &hook, "disk", false).await;
    disk.make_room();
    until_told(&mut daemon, &hook, "state", true).await;
    until_told(&mut daemon, &hook, "disk", true).await;
    daemon.stop().await;
    assert_eq!(hook.count(), 4, "each once: {:?}", events(&hook));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told() {
    let (Some(src), Some(des)) = (Db::new(Engine::Postgres).await, Db::new(Engine::MySql).await) else {
        return;
    };
    let pair = Pair::of(src, des).await;
    pair.fill(1..=3).await;
    let door = Proxy::before(pair.des.server.as_ref().unwrap());
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let mut config = with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook, &[]));
    config["notify"]["hook"].as_object_mut().unwrap().remove("on");
    config["des"][0]["dsn"] = door.url(&pair.des.url()).into();
    let site = Site::new(&config);
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    door.shut();
    pair.fill_source(4..=4).await;
    until_told(&mut daemon, &hook, "unreachable", false).await;
    let body = hook.calls()[0].json();
    assert!(body["error"].is_string() && body["severity"] == "critical", "{body}");
    door.open();
    until_told(&mut daemon, &hook, "unreachable", true).await;
    daemon.stop().await;
    assert_eq!(hook.count(), 2, "nothing else is told: {:?}", events(&hook));
}

/// Two hundred seconds pass in each one: who is behind for one and a half is late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_looked_at_in_time_is_told() {
    let Some(pair) = Pair::apart(&[Engine::Postgres]).await.pop() else { return };
    pair.fill(1..=1).await;
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let mut site = Site::new(&with(with(pair.inserts(&receiver.url()), quick()), hook_of(&hook, &["lag"])));
    if !faketime::set(&mut site, "+0 x200") {
        return;
    }
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let mut held = Held::begin(&pair.des).await;
    held.run(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", pair.des.quote(TABLE))).await;
    pair.fill_source(2..=2).await;
    until_told(&mut daemon, &hook, "lag", false).await;
    held.end("COMMIT").await;
    until_told(&mut daemon, &hook, "lag", true).await;
    daemon.stop().await;
}

/// A row that goes on moving, its copy always one version behind, for longer than ten times `hot`; then both stand still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_never_stands_still_is_told() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=1).await;
    let (receiver, hook) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let settings = json!({ "confirm": "90s", "hot": "2m", "verify": false });
    let mut site = Site::new(&with(with(pair.inserts(&receiver.url()), settings), hook_of(&hook, &["hot"])));
    // Twenty minutes are twelve seconds.
    if !faketime::set(&mut site, "+0 x100") {
        return;
    }
    let mut daemon = site.start_ready().await;
    daemon.wait_output("caught up").await;
    let t = pair.src.quote(TABLE);
    let set = async |db: &Db, version: u32| {
        db.run(format!("UPDATE {t} SET name = 'v{version}' WHERE id = 2")).await;
    };
    pair.fill_copy(2).await;
    set(&pair.des, 0).await;
    pair.fill_source(2..=2).await;
    let (began, mut version) = (Instant::now(), 0);
    while !events(&hook).contains(&("hot".to_owned(), false)) {
        assert!(daemon.running() && began.elapsed() < LONG, "{:?}\n{}", events(&hook), daemon.output());
        version += 1;
        set(&pair.src, version).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        set(&pair.des, version - 1).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    set(&pair.des, version).await;
    until_told(&mut daemon, &hook, "hot", true).await;
    daemon.stop().await;
    assert_eq!(receiver.count(), 0, "its copy followed");
    assert_eq!(hook.count(), 2, "{:?}", events(&hook));
}
