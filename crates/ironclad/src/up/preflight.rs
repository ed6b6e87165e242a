//! What must be so before anything is changed; every refusal says what to do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Options, lock, machine, marker, ports, ranges, supervise};

/// Where `ip netns` keeps network namespaces (ip-netns(8)).
const NAMESPACES: &str = "/run/netns";

/// Refuses what cannot work. Changes nothing.
pub fn check(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`up` makes namespaces, mounts and network links: run it as root");
    }
    if let Some(pid) = lock::running(&options.dirs)? {
        let (data, down) = (options.dirs.data.display(), options.dirs.command("down"));
        bail!("Ironclad is already running on {data} (process {pid}); nothing was changed. `{down}` stops it");
    }
    if let Some(pid) = supervise::running(&options.dirs).filter(|pid| supervise::of_this_process() != Some(*pid)) {
        let (data, down) = (options.dirs.data.display(), options.dirs.command("down"));
        bail!("Ironclad on {data} is being started again by process {pid}; nothing was changed. `{down}` stops it");
    }
    let data = &options.dirs.data;
    if data.exists() && !data.is_dir() {
        bail!("{} is a file: name a directory with --data-dir", data.display());
    }
    marker::check(&options.dirs.data)?;
    kernel()?;
    cgroups()?;
    if supervise::is_again() {
        // What was up goes on, whatever links and listeners the machine has got since.
        return ports::check(options);
    }
    machine::check(options)?;
    ports::check(options)?;
    ranges::check(options)?;
    ports::check_dns(options)
}

/// Where there are none in sight, nothing can run.
pub fn cgroups() -> Result<()> {
    let Err(error) = runtime::find_cgroups() else { return Ok(()) };
    match namespace() {
        Some(path) => bail!(
            "{error}; `ip netns exec` hides it: enter the network namespace with `nsenter --net={} ironclad …`",
            path.display()
        ),
        None => bail!("{error}"),
    }
}

/// The file of the network namespace of this process, if `ip netns` has made it.
fn namespace() -> Option<PathBuf> {
    let own = fs::metadata("/proc/self/ns/net").ok()?;
    let all = fs::read_dir(NAMESPACES).ok()?.flatten().map(|entry| entry.path());
    let is_own = |path: &Path| fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (own.dev(), own.ino()));
    all.into_iter().find(|path| is_own(path))
}

fn kernel() -> Result<()> {
    if !has_overlay()? {
        // Where it is a module, asking for it has the kernel load it.
        // SAFETY: the name is a string that ends; the descriptor, if there is one, is closed at once.
        unsafe {
            let fd = libc::syscall(libc::SYS_fsopen, c"overlay".as_ptr(), 0);
            libc::close(i32::try_from(fd).unwrap_or(-1));
        }
    }
    if !has_overlay()? {
        bail!("the kernel has no overlayfs, which container images need: load it with `modprobe overlay`");
    }
    let needs = [
        ("/proc/self/ns/net", "network namespaces"),
        ("/proc/self/ns/pid", "pid namespaces"),
        ("/proc/self/cgroup", "cgroups"),
    ];
    for (path, what) in needs {
        if fs::symlink_metadata(path).is_err() {
            bail!("the kernel has no {what}, which pods need: use a kernel that has them");
        }
    }
    Ok(())
}

fn has_overlay() -> Result<bool> {
    let known = fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    Ok(known.lines().any(|line| line.split_whitespace().last() == Some("overlay")))
}

/// When memory runs out, the pods go first (upstream: `--oom-score-adj=-999` of the kubelet and kube-proxy). Shims and
/// containers set their own.
pub fn go_last() {
    // A nested machine may forbid it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
}

/// As many open files as the machine allows: every watch and every connection is one.
pub fn limits() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // A lower limit is no reason to refuse.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

