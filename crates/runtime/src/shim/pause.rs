//! The first process of a shared pid namespace, which every container of the pod sees as process 1.
//!
//! It holds nothing that is worth reaching: its root is an empty, read-only file system in a mount namespace of its
//! own, it has no descriptor and no capability, belongs to nobody in the containers, and may make six kinds of system calls.
//! So `/proc/1/root`, `/proc/1/cwd`, `/proc/1/fd` and `/proc/1/ns/mnt` lead nowhere, even for who may follow them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2};

use super::process;
use super::wire::Failure;
use crate::mount::{self, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use crate::{container, seccomp};

type Result<T> = std::result::Result<T, Failure>;

/// User and group, as of upstream's pause image.
const NOBODY: u32 = 65535;
/// What its loop needs, and to let go of its descriptors.
const CALLS: &str = "close_range exit_group restart_syscall rt_sigreturn rt_sigtimedwait wait4";

/// See the module.
pub(super) struct Pause {
    /// Its process id.
    pub pid: Pid,
    /// The namespace.
    pub namespace: File,
}

/// Starts it; returns once nothing is left in it. `place` is any directory: its root is mounted there, where only
/// it can see it.
pub(super) fn start(place: &Path) -> Result<Pause> {
    let fail = |e: Errno| Failure::system("start the first process of the pod", e);
    let own = process::own_pid_namespace()?;
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(fail)?;
    // SAFETY: this process has one thread.
    let pid = match unsafe { fork() }.map_err(fail)? {
        ForkResult::Child => live(place, report),
        ForkResult::Parent { child } => child,
    };
    process::enter_pid_namespace(&own)?;
    drop(report);
    let path = format!("/proc/{pid}/ns/pid");
    let namespace = File::open(&path).map_err(|e| Failure::system(path, e))?;
    let mut text = Vec::new();
    File::from(errors).read_to_end(&mut text).map_err(|e| Failure::system("start the first process of the pod", e))?;
    if !text.is_empty() {
        let _ = waitpid(pid, None);
        return Err(serde_json::from_slice(&text).unwrap_or_else(|e| Failure::system("start the pod's process 1", e)));
    }
    Ok(Pause { pid, namespace })
}

fn live(place: &Path, report: OwnedFd) -> ! {
    if let Err(failure) = strip(place) {
        // When the shim is gone, nobody is left to tell.
        let _ = File::from(report).write_all(&serde_json::to_vec(&failure).unwrap_or_default());
    } else {
        // All of them. The end of the report is the news that it has worked.
        process::close_all_but(&mut []);
        std::mem::forget(report);
        reap_for_ever();
    }
    // SAFETY: leaves without running what belongs to the parent.
    unsafe { libc::_exit(1) }
}

/// Gives everything up.
fn strip(place: &Path) -> Result<()> {
    let step = |what: &'static str| move |e: Errno| Failure::system(format_args!("{what} of the pod's process 1"), e);
    prctl::set_name(c"pause").map_err(step("name"))?;
    prctl::set_dumpable(false).map_err(step("dump"))?;
    empty_root(place).map_err(step("root"))?;
    container::renounce(NOBODY)?;
    // It must not stay when the shim goes. After the user: a change of that forgets it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("end"))?;
    prctl::set_no_new_privs().map_err(step("no_new_privs"))?;
    seccomp::only(CALLS).install().map_err(step("seccomp filter"))
}

fn empty_root(place: &Path) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount::propagate_all(MsFlags::MS_PRIVATE)?;
    let flags = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC;
    let empty = mount::file_system("tmpfs", flags, "mode=555,size=4k,nr_inodes=2")?;
    mount::attach(&empty, open(place, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)?;
    mount::pivot(place)
}

/// Collects the orphans of the pod. All signals are blocked: only the kernel or the shim's SIGKILL ends it.
fn reap_for_ever() -> ! {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    loop {
        let _ = children.wait();
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
    }
}
