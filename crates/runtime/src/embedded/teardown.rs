//! Removing everything that a runtime has made, with or without a runtime that works.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::system;
use crate::cgroup::{self, Hierarchies};
use crate::shim::SHM;
use crate::{Config, Error, Result};

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Unmounts what a sandbox has in the file system.
pub(super) fn unmount_pod(config: &Config, uid: &str) {
    // What is not mounted needs no unmounting.
    let _ = umount2(&config.shim(uid).join(SHM), MntFlags::MNT_DETACH);
    let netns = config.netns(uid);
    let _ = umount2(&netns, MntFlags::MNT_DETACH);
    let _ = fs::remove_file(&netns);
}

/// Kills all pods, and removes mounts, cgroups, namespaces and the records of pods and containers; images stay.
/// Returns what was removed, for people. Blocks; no [`Embedded`](super::Embedded) may be at work on the same directories.
pub fn teardown(config: &Config) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let hierarchies = Hierarchies::detect().map_err(system("read the mounts"))?;
    let top = Path::new(&config.cgroup_root);
    kill_all(config, &hierarchies, top, &mut removed)?;
    for mount in mounts_below(config)? {
        match umount2(&mount, MntFlags::MNT_DETACH) {
            Ok(()) => removed.push(format!("mount {}", mount.display())),
            // A shim on its way out has done it.
            Err(Errno::ENOENT | Errno::EINVAL) => {}
            Err(e) => return Err(Error::System(format!("unmount {}: {e}", mount.display()))),
        }
    }
    let groups = hierarchies.remove(top).map_err(system("remove cgroups"))?;
    removed.extend(groups.into_iter().map(|dir| format!("cgroup {}", dir.display())));
    for (what, dir) in [
        ("pod", config.pods()),
        ("container", config.containers()),
        ("network namespace", config.run.join("netns")),
        ("pod directory", config.run.join("pods")),
        ("directory", config.seccomp()),
    ] {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        if what != "directory" {
            removed.extend(entries.flatten().map(|entry| format!("{what} {}", entry.file_name().to_string_lossy())));
        }
        crate::remove_tree(&dir).map_err(system(dir.display()))?;
    }
    // Others may have files there.
    let _ = fs::remove_dir(&config.run);
    Ok(removed)
}

fn kill_all(config: &Config, hierarchies: &Hierarchies, top: &Path, removed: &mut Vec<String>) -> Result<()> {
    let before = cgroup::procs(hierarchies, top);
    // Containers first: a shim without them has nothing to write down.
    for pid in shims(config) {
        if kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok() && !before.contains(&pid) {
            removed.push(format!("process {pid}"));
        }
    }
    removed.extend(before.iter().map(|pid| format!("process {pid}")));
    let deadline = Instant::now() + PATIENCE;
    loop {
        cgroup::kill(hierarchies, top);
        let left = cgroup::procs(hierarchies, top);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Timeout(format!("processes {left:?} do not end after SIGKILL")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Processes that run a shim of this runtime, by their command line: a shim may have failed to join its cgroup.
fn shims(config: &Config) -> Vec<i32> {
    let dir = config.run.join("pods");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        let ours = matches!(words.as_slice(), [_, b"shim", b"--dir", path, ..]
            if Path::new(&*String::from_utf8_lossy(path)).starts_with(&dir));
        if ours {
            found.push(pid);
        }
    }
    found
}

/// Mount points below our directories, innermost first.
fn mounts_below(config: &Config) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(system("read the mounts"))?;
    let all = text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let ours = |path: &PathBuf| {
        [&config.root, &config.run].iter().any(|top| path.starts_with(top) && path.as_path() != top.as_path())
    };
    let mut found: Vec<PathBuf> = all.filter(ours).collect();
    found.reverse();
    Ok(found)
}
