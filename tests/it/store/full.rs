//! A daemon whose state is on a full disk: it stops, says so once, and goes on when there is room.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, ids_of};
use crate::support::receiver::Receiver;
use crate::support::temp::TempDir;
use crate::support::wait::{LIMIT, wait_until};

const SAYS: &str = "the state cannot be written, nothing moves until it can";

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn new(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(folder).output();
        mounted.is_ok_and(|out| out.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Leaves no byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for size in [65536, 4096, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_everything_until_there_is_room() {
    let dir = TempDir::new("full");
    let Some(disk) = SmallDisk::new(&dir.path().join("small")) else {
        eprintln!("NOT RUN: this process may not mount a small file system");
        return;
    };
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let state = disk.0.display().to_string();
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
