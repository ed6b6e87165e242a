//! Entering cgroups and namespaces that exist.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use super::Result;
use crate::shim::wire::{Failure, Spec};
use crate::users;

/// Moves this process into a cgroup of each hierarchy.
pub(crate) fn cgroups(files: &[PathBuf]) -> Result<()> {
    for file in files {
        fs::write(file, "0").map_err(|e| cannot(file, e))?;
    }
    Ok(())
}

fn cannot(file: &Path, why: io::Error) -> Failure {
    Failure::system(format_args!("join cgroup {}", file.display()), why)
}

/// A way into a cgroup of each hierarchy, for later: what would stand in it is told now.
pub(crate) struct Entry(Vec<File>);

impl Entry {
    /// Opens what [`cgroups`] writes to.
    pub(crate) fn open(files: &[PathBuf]) -> Result<Self> {
        let open = |file: &PathBuf| File::options().write(true).open(file).map_err(|e| cannot(file, e));
        files.iter().map(open).collect::<Result<_>>().map(Entry)
    }

    /// Moves this process.
    pub(crate) fn enter(self) -> io::Result<()> {
        self.0.into_iter().try_for_each(|mut file| file.write_all(b"0"))
    }
}

/// Enters the namespaces of a running container. Network, ipc and uts are the shim's already, and the pid namespace
/// was chosen before the fork. A user namespace comes last: who has ids that others in the container have, too, must not
/// have the node's root.
pub(super) fn container(spec: &Spec, pid: i32, users: Option<&File>) -> Result<()> {
    cgroups(&spec.cgroup)?;
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        File::open(&path).map_err(|e| Failure::system(path, e))
    };
    let (mount, cgroup) = (open("mnt")?, open("cgroup")?);
    setns(&cgroup, CloneFlags::CLONE_NEWCGROUP).map_err(|e| Failure::system("enter cgroup namespace", e))?;
    setns(&mount, CloneFlags::CLONE_NEWNS).map_err(|e| Failure::system("enter mount namespace", e))?;
    users.map_or(Ok(()), users::enter).map_err(|e| Failure::system("enter the user namespace", e))
}
