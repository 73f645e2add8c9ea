//! A folder that is gone when the test is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new folder below the system's temporary folder, removed on drop.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes one; `what` only helps people who look.
    pub fn new(what: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cupid-test-{what}-{}", unique()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A word no other test of this run, in this process or another, gets.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
