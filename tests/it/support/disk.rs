//! A small file system that can be filled.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many MiB; `None` where this process may not mount, after saying so.
    pub fn new(folder: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|out| out.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("NOT RUN: this process may not mount a small file system");
        None
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves no byte.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for size in [65536, 4096, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
