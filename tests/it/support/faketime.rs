//! Daemons whose clock is not that of their databases (Debian's package `faketime`).

use std::path::PathBuf;

use super::daemon::Site;
use super::servers::skip;

/// The daemons of this site live by another clock from now on; `clock` as libfaketime takes it: `"+37m"`, `"-2h"`,
/// `"+0 x1.05"` for one that runs fast. Timers are none of it. `false` after a loud skip.
pub fn set(site: &mut Site, clock: &str) -> bool {
    let Some(library) = library() else {
        skip("libfaketime is not installed (Debian package faketime)");
        return false;
    };
    let more =
        [("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_DISABLE_SHM", "1")];
    site.env("LD_PRELOAD", library.display().to_string()).env("FAKETIME", clock);
    for (name, value) in more {
        site.env(name, value);
    }
    true
}

fn library() -> Option<PathBuf> {
    let folders =
        std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("faketime")));
    folders.map(|folder| folder.join("libfaketimeMT.so.1")).find(|file| file.exists())
}
