//! What this process may still use of the machine.

use std::fs;
use std::path::Path;

/// Part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What is left.
    pub free: u64,
    /// What there is.
    pub of: u64,
}

/// What is left; `None`: the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// MiB of the disk a folder is on.
    pub disk: Option<Left>,
    /// MiB of memory: the tighter of the machine's and the control group's.
    pub memory: Option<Left>,
    /// File descriptors.
    pub descriptors: Option<Left>,
}

const MIB: u64 = 1024 * 1024;

impl Resources {
    /// As it is now; `folder` names the disk.
    pub fn read(folder: &Path) -> Self {
        let memory = machine_memory().into_iter().chain(group_memory());
        Self { disk: disk(folder), memory: memory.min_by_key(|left| left.free), descriptors: descriptors() }
    }
}

fn disk(folder: &Path) -> Option<Left> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / MIB;
    Some(Left { free: mib(stat.f_bavail), of: mib(stat.f_blocks) })
}

fn machine_memory() -> Option<Left> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
    };
    Some(Left { free: of("MemAvailable:")?, of: of("MemTotal:")? })
}

/// Control groups v2; caches count as used there, and can be given back.
fn group_memory() -> Option<Left> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (max, used) = (number("memory.max")?, number("memory.current")?);
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix("file ")?.parse::<u64>().ok()).unwrap_or(0);
    Some(Left { free: max.saturating_sub(used.saturating_sub(cache)) / MIB, of: max / MIB })
}

fn descriptors() -> Option<Left> {
    let of = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let used = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Left { free: of.saturating_sub(used), of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells() {
        let found = Resources::read(Path::new("/"));
        for left in [found.disk, found.memory, found.descriptors] {
            let left = left.unwrap();
            assert!(left.of > 0 && left.free <= left.of, "{found:?}");
        }
    }
}
