//! Cgroups, version 1 and 2, below one directory of our own in every hierarchy that is used.

mod devices;
mod limits;
mod procs;
mod usage;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use devices::restrict;
pub(crate) use limits::{apply, kill_together};
pub(crate) use procs::{kill, oom_kills, procs};
pub(crate) use usage::usage;

/// Whether this process sees the machine's cgroups; an error says what is missing.
pub fn find() -> io::Result<()> {
    Hierarchies::detect().map(drop)
}

/// Controllers of version 1 that are used when mounted. `cpuset` is not: a new one is empty and refuses processes.
const V1: [&str; 6] = ["cpu", "cpuacct", "memory", "pids", "devices", "freezer"];

/// One mounted hierarchy of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hierarchy {
    /// Mount point.
    pub mount: PathBuf,
    /// Its controllers, for example `cpu,cpuacct`.
    pub controllers: Vec<String>,
}

/// What the machine has mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hierarchies {
    /// Separate hierarchies.
    V1(Vec<Hierarchy>),
    /// One.
    V2(PathBuf),
}

impl Default for Hierarchies {
    fn default() -> Self {
        Self::V1(Vec::new())
    }
}

impl Hierarchies {
    /// Reads the mounts of this process. A mount that another one hides (`ip netns exec` mounts a new `/sys`) does
    /// not count; none at all is an error.
    pub(crate) fn detect() -> io::Result<Self> {
        let found = parse(&fs::read_to_string("/proc/self/mountinfo")?, |mount, version| match version {
            1 => mount.join("cgroup.procs").exists(),
            _ => fs::read_to_string(mount.join("cgroup.controllers")).is_ok_and(|text| text.contains("memory")),
        });
        match found {
            Self::V1(all) if all.is_empty() => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no cgroup file system is mounted in sight of this process; mount one on /sys/fs/cgroup",
            )),
            found => Ok(found),
        }
    }

    /// Directory of a controller for a group; `None` when it is not mounted.
    pub(crate) fn dir(&self, controller: &str, group: &Path) -> Option<PathBuf> {
        match self {
            Self::V1(all) => {
                let found = all.iter().find(|h| h.controllers.iter().any(|c| c == controller))?;
                Some(found.mount.join(group))
            }
            Self::V2(mount) => Some(mount.join(group)),
        }
    }

    /// Directories of a group in all hierarchies.
    pub(crate) fn dirs(&self, group: &Path) -> Vec<PathBuf> {
        match self {
            Self::V1(all) => all.iter().map(|h| h.mount.join(group)).collect(),
            Self::V2(mount) => vec![mount.join(group)],
        }
    }

    /// The files to write a process id to.
    pub(crate) fn procs_files(&self, group: &Path) -> Vec<PathBuf> {
        self.dirs(group).into_iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Makes a group with its parents.
    pub(crate) fn create(&self, group: &Path) -> io::Result<()> {
        for dir in self.dirs(group) {
            fs::create_dir_all(&dir)?;
        }
        if let Self::V2(mount) = self {
            let mut at = mount.clone();
            enable(&at)?;
            for part in group.parent().into_iter().flat_map(Path::components) {
                at.push(part);
                enable(&at)?;
            }
        }
        Ok(())
    }

    /// Names of the groups in a group.
    pub(crate) fn children(&self, group: &Path) -> Vec<String> {
        let mut found = BTreeSet::new();
        for dir in self.dirs(group) {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            found.extend(dirs.filter_map(|entry| entry.file_name().into_string().ok()));
        }
        found.into_iter().collect()
    }

    /// Removes a group with everything below; returns the directories removed. Processes must be gone.
    pub(crate) fn remove(&self, group: &Path) -> io::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for dir in self.dirs(group) {
            remove_tree(&dir, &mut removed)?;
        }
        Ok(removed)
    }
}

/// Hands the controllers of version 2 down to the children.
fn enable(dir: &Path) -> io::Result<()> {
    let have = fs::read_to_string(dir.join("cgroup.controllers"))?;
    let wanted: Vec<String> =
        have.split_whitespace().filter(|c| matches!(*c, "cpu" | "memory" | "pids")).map(|c| format!("+{c}")).collect();
    fs::write(dir.join("cgroup.subtree_control"), wanted.join(" "))
}

fn remove_tree(dir: &Path, removed: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path(), removed)?;
        }
    }
    procs::remove_dir(dir)?;
    removed.push(dir.to_path_buf());
    Ok(())
}

fn parse(mountinfo: &str, useful: impl Fn(&Path, u8) -> bool) -> Hierarchies {
    let mut v1: Vec<Hierarchy> = Vec::new();
    let mut v2 = None;
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
        let mut right = right.split(' ');
        match (right.next(), right.nth(1)) {
            (Some("cgroup"), Some(options)) => {
                let controllers: Vec<String> =
                    options.split(',').filter(|o| V1.contains(o)).map(str::to_owned).collect();
                let new = !v1.iter().any(|h| h.controllers == controllers);
                if !controllers.is_empty() && new && useful(&mount, 1) {
                    v1.push(Hierarchy { mount, controllers });
                }
            }
            (Some("cgroup2"), _) if v2.is_none() && useful(&mount, 2) => v2 = Some(mount),
            _ => {}
        }
    }
    match v2 {
        Some(mount) => Hierarchies::V2(mount),
        None => Hierarchies::V1(v1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_versions() {
        let hybrid = "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let group = Path::new("a");
        let found = parse(hybrid, |_, version| version == 1);
        assert_eq!(found.dirs(group), [PathBuf::from("/sys/fs/cgroup/cpu/a")]);
        assert_eq!(found.dir("cpuacct", group), Some("/sys/fs/cgroup/cpu/a".into()));
        let unified = "32 24 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(parse(unified, |_, _| true), Hierarchies::V2("/sys/fs/cgroup".into()));
    }
}
