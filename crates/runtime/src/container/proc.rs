//! `/proc`, `/sys` and the cgroup file system.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::{Result, files, mount};
use crate::cgroup::Hierarchies;
use crate::shim::wire::{Failure, Spec};

/// containerd's defaults.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/proc/scsi",
];

/// containerd's defaults.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn plain() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV
}

/// Mounts the three.
pub(super) fn mount_all(spec: &Spec) -> Result<()> {
    let access = if spec.privileged { MsFlags::empty() } else { MsFlags::MS_RDONLY };
    files::place(Path::new("/proc"), true)?;
    mount::file_system("proc", Path::new("/proc"), plain(), "")?;
    let sys = Path::new("/sys");
    files::place(sys, true)?;
    mount::file_system("sysfs", sys, plain() | access, "")?;
    cgroups(spec, access)
}

fn cgroups(spec: &Spec, access: MsFlags) -> Result<()> {
    let top = Path::new("/sys/fs/cgroup");
    let all = match &spec.hierarchies {
        Hierarchies::V2(_) => return mount::file_system("cgroup2", top, plain() | access, ""),
        Hierarchies::V1(all) => all,
    };
    mount::file_system("tmpfs", top, plain(), "mode=755,size=64k")?;
    for hierarchy in all {
        let controllers = hierarchy.controllers.join(",");
        let dir = top.join(&controllers);
        files::place(&dir, true)?;
        // The cgroup namespace makes the container's own group the root of this mount.
        mount::file_system("cgroup", &dir, plain() | access, &controllers)?;
        for one in hierarchy.controllers.iter().filter(|c| **c != controllers) {
            std::os::unix::fs::symlink(&controllers, top.join(one))
                .map_err(|e| Failure::system(format_args!("link cgroup controller {one}"), e))?;
        }
    }
    if access.contains(MsFlags::MS_RDONLY) {
        mount::remount_read_only(top).map_err(|e| Failure::system("make /sys/fs/cgroup read-only", e))?;
    }
    Ok(())
}

/// Hides and write-protects what tells too much about the host.
pub(super) fn mask() -> Result<()> {
    for path in READ_ONLY.map(Path::new) {
        match mount::clone_tree(path).and_then(|tree| {
            mount::shape_tree(&tree, true, MsFlags::empty())?;
            mount::attach_tree(&tree, path)
        }) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(Failure::system(format_args!("protect {}", path.display()), e)),
        }
    }
    for path in MASKED.map(Path::new) {
        let Ok(meta) = fs::symlink_metadata(path) else { continue };
        if meta.is_dir() {
            mount::file_system("tmpfs", path, MsFlags::MS_RDONLY, "size=0k,nr_inodes=2")?;
            continue;
        }
        let hidden = mount::clone_tree(Path::new("/dev/null")).and_then(|null| mount::attach_tree(&null, path));
        hidden.map_err(|e| Failure::system(format_args!("mask {}", path.display()), e))?;
    }
    Ok(())
}

/// How willingly the kernel kills this process for memory. To lower it needs `CAP_SYS_RESOURCE`, which a
/// nested machine may lack: then the value stays as it is.
pub(crate) fn set_oom_score_adj(value: i64) -> Result<()> {
    match fs::write("/proc/self/oom_score_adj", value.to_string()) {
        Err(e) if !matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
            Err(Failure::system("set oom_score_adj", e))
        }
        _ => Ok(()),
    }
}
