//! `/proc`, `/sys` and the cgroup file system.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::symlinkat;

use super::Result;
use super::place::Place;
use crate::cgroup::Hierarchies;
use crate::mount::{self, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use crate::shim::wire::{Failure, Spec};

/// The defaults of containerd and of the kubelet (`defaultMaskedPaths`).
const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/timer_list",
    "proc/timer_stats",
    "proc/sched_debug",
    "proc/scsi",
    "sys/firmware",
    "sys/devices/virtual/powercap",
];

/// containerd's defaults.
const PROTECTED: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// Most processors of a Linux machine: a volume on `/sys` may hold any number of names.
const MAX_CPUS: u32 = 8192;

const PLAIN: u64 = NO_SUID | NO_EXEC | NO_DEV;

/// Mounts the three.
pub(super) fn mount_all(spec: &Spec, place: &Place) -> Result<()> {
    let access = if spec.privileged { 0 } else { READ_ONLY };
    own(place, "proc", "proc", PLAIN, "")?;
    let sys = own(place, "sys", "sysfs", PLAIN | access, "")?;
    cgroups(spec, &sys, access)
}

/// Mounts a file system on a directory of the root's own: an image in which it is a link, or anything else, would
/// have the kernel's files somewhere else than where they are protected (runc refuses the same).
pub(super) fn own(place: &Place, name: &str, kind: &str, flags: u64, options: &str) -> Result<OwnedFd> {
    let directory = place.root.plain_directory(name).map_err(|e| match e {
        Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV => {
            Failure::Start(format!("filesystem {kind:?} must be mounted on ordinary directory (/{name} is none)"))
        }
        e => Failure::system(format_args!("make mount point /{name}"), e),
    })?;
    made(kind, flags, options).and_then(|tree| {
        mount::attach(&tree, &directory).map_err(|e| Failure::system(format_args!("mount {kind} on /{name}"), e))?;
        Ok(tree)
    })
}

/// A new mount, attached nowhere yet.
pub(super) fn made(kind: &str, flags: u64, options: &str) -> Result<OwnedFd> {
    mount::file_system(kind, flags, options).map_err(|e| Failure::system(format_args!("mount {kind}"), e))
}

/// `sys` is the new sysfs, in which no name is the container's.
fn cgroups(spec: &Spec, sys: &OwnedFd, access: u64) -> Result<()> {
    let fail = |e: Errno| Failure::system("mount /sys/fs/cgroup", e);
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let top = openat(sys, "fs/cgroup", directory, Mode::empty()).map_err(fail)?;
    let all = match &spec.hierarchies {
        Hierarchies::V2(_) => return mount::attach(&made("cgroup2", PLAIN | access, "")?, &top).map_err(fail),
        Hierarchies::V1(all) => all,
    };
    let tree = made("tmpfs", PLAIN, "mode=755,size=64k")?;
    mount::attach(&tree, &top).map_err(fail)?;
    for hierarchy in all {
        let controllers = hierarchy.controllers.join(",");
        mkdirat(&tree, controllers.as_str(), Mode::from_bits_truncate(0o755)).map_err(fail)?;
        let at = openat(&tree, controllers.as_str(), directory, Mode::empty()).map_err(fail)?;
        // The cgroup namespace makes the container's own group the root of this mount.
        mount::attach(&made("cgroup", PLAIN | access, &controllers)?, &at).map_err(fail)?;
        for one in hierarchy.controllers.iter().filter(|c| **c != controllers) {
            symlinkat(controllers.as_str(), &tree, one.as_str()).map_err(fail)?;
        }
    }
    if access & READ_ONLY != 0 {
        mount::make_read_only(&tree).map_err(fail)?;
    }
    Ok(())
}

/// Hides and write-protects what tells too much about the host. Only what is not there needs neither; anything else
/// that goes wrong is an error. `null` is the container's own `/dev/null`.
pub(super) fn mask(place: &Place, null: &OwnedFd) -> Result<()> {
    let fail = |path: &str, e: Errno| Failure::system(format_args!("mask /{path}"), e);
    for path in PROTECTED {
        let Some(found) = lookup(place, path)? else { continue };
        let protect = || -> nix::Result<()> {
            let tree = mount::clone_of(&found)?;
            mount::shape_tree(&tree, true, MsFlags::empty())?;
            mount::attach(&tree, &found)
        };
        protect().map_err(|e| fail(path, e))?;
    }
    // One empty directory covers them all.
    let mut empty: Option<OwnedFd> = None;
    for path in MASKED.map(str::to_owned).into_iter().chain(throttling(place)?) {
        let Some(found) = lookup(place, &path)? else { continue };
        let stat = fstat(&found).map_err(|e| fail(&path, e))?;
        let directory = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
        let cover = match &empty {
            _ if !directory => mount::clone_of(null).map_err(|e| fail(&path, e))?,
            Some(empty) => mount::clone_of(empty).map_err(|e| fail(&path, e))?,
            None => made("tmpfs", READ_ONLY, "size=4k,nr_inodes=2")?,
        };
        mount::attach(&cover, &found).map_err(|e| fail(&path, e))?;
        if directory {
            empty = Some(cover);
        }
    }
    Ok(())
}

/// What is at a path of procfs or sysfs; links are refused: there are none in the kernel's own.
fn lookup(place: &Place, path: &str) -> Result<Option<OwnedFd>> {
    match place.root.find_plain(Path::new(path)) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(e) => Err(Failure::system(format_args!("mask /{path}"), e)),
    }
}

/// Counters of each processor that let one pod hear the others' load (masked by the kubelet since 1.34).
fn throttling(place: &Place) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for cpu in 0..MAX_CPUS {
        let path = format!("sys/devices/system/cpu/cpu{cpu}");
        if lookup(place, &path)?.is_none() {
            break;
        }
        found.push(path + "/thermal_throttle");
    }
    Ok(found)
}

/// How willingly the kernel kills this process for memory. To lower it needs `CAP_SYS_RESOURCE`, which a
/// nested machine may lack: then the value stays as it is. Only for a process that still has the host's `/proc`.
pub(crate) fn set_oom_score_adj(value: i64) -> Result<()> {
    match fs::write("/proc/self/oom_score_adj", value.to_string()) {
        Err(e) if !matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
            Err(Failure::system("set oom_score_adj", e))
        }
        _ => Ok(()),
    }
}
