//! The processes of a group.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

use super::Hierarchies;

/// Process ids in a group and in those below it.
pub(crate) fn procs(hierarchies: &Hierarchies, group: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    for dir in hierarchies.dirs(group) {
        collect(&dir, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn collect(dir: &Path, found: &mut Vec<i32>) {
    if let Ok(text) = fs::read_to_string(dir.join("cgroup.procs")) {
        // Zero stands for a process outside our pid namespace.
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}

/// Kills every process of a group, also those that fork meanwhile.
pub(crate) fn kill(hierarchies: &Hierarchies, group: &Path) {
    if let Hierarchies::V2(mount) = hierarchies
        && fs::write(mount.join(group).join("cgroup.kill"), "1").is_ok()
    {
        return;
    }
    let freezer = hierarchies.dir("freezer", group).map(|dir| dir.join("freezer.state"));
    // A frozen process cannot fork, and dies when it thaws; but freezing takes its time: the second look finds the
    // children of the first moment. Without a freezer more looks must do.
    let looks = if freezer.is_some() { 2 } else { 4 };
    if let Some(state) = &freezer {
        let _ = fs::write(state, "FROZEN");
    }
    for _ in 0..looks {
        let pids = procs(hierarchies, group);
        for pid in &pids {
            let _ = signal(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if pids.is_empty() {
            break;
        }
    }
    if let Some(state) = &freezer {
        let _ = fs::write(state, "THAWED");
    }
}

/// How many processes of the group the kernel has killed for want of memory.
pub(crate) fn oom_kills(hierarchies: &Hierarchies, group: &Path) -> u64 {
    let Some(dir) = hierarchies.dir("memory", group) else { return 0 };
    let file = match hierarchies {
        Hierarchies::V1(_) => "memory.oom_control",
        Hierarchies::V2(_) => "memory.events",
    };
    let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

/// Removes one group. The kernel says busy for a moment after the last process has been reaped.
pub(super) fn remove_dir(dir: &Path) -> io::Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && pause < Duration::from_millis(500) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io::Error::new(e.kind(), format!("remove cgroup {}: {e}", dir.display()))),
            Ok(()) => return Ok(()),
        }
    }
}
