//! The first process of a shared pid namespace, which every container of the pod sees as process 1.
//!
//! It holds nothing that is worth reaching: its root is an empty, read-only file system in a mount namespace of its
//! own, it has no descriptor and no capability, belongs to nobody in the containers, and may make six kinds of system calls.
//! So `/proc/1/root`, `/proc/1/cwd`, `/proc/1/fd` and `/proc/1/ns/mnt` lead nowhere, even for who may follow them.

use std::fs::File;
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
use crate::{container, seccomp, users};

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
/// it can see it. With `users` it and its namespace are in that user namespace.
pub(super) fn start(place: &Path, users: Option<&File>) -> Result<Pause> {
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    let pid = match users {
        None => Some(plain(place, &report)?),
        Some(users) => process::leave_behind(|number| inside(place, users, number, &report))?,
    };
    drop(report);
    process::told(errors).inspect_err(|_| {
        let _ = pid.map(|pid| waitpid(pid, None));
    })?;
    let pid = pid.ok_or_else(|| Failure::Start("the first process of the pod ended at once".into()))?;
    let path = format!("/proc/{pid}/ns/pid");
    let namespace = File::open(&path).map_err(|e| Failure::system(path, e))?;
    Ok(Pause { pid, namespace })
}

fn fail(e: Errno) -> Failure {
    Failure::system("start the first process of the pod", e)
}

fn plain(place: &Path, report: &OwnedFd) -> Result<Pid> {
    let own = process::own_pid_namespace()?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(fail)?;
    // SAFETY: this process has one thread.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        live(empty_root(place), report)
    }
    process::enter_pid_namespace(&own)?;
    let ForkResult::Parent { child } = forked.map_err(fail)? else { unreachable!("the child does not come here") };
    Ok(child)
}

/// In a child: its root is made with the node's rights, and belongs to a mount namespace of the node's.
fn inside(place: &Path, users: &File, number: &OwnedFd, report: &OwnedFd) -> i32 {
    let enter = || -> Result<Option<Pid>> {
        empty_root(place)?;
        users::enter(users).map_err(|e| Failure::system("enter the user namespace", e))?;
        users::fork_beside(CloneFlags::CLONE_NEWPID).map_err(fail)
    };
    match enter() {
        Ok(None) => live(Ok(()), report),
        Ok(Some(pid)) => process::announce(number, pid),
        Err(failure) => process::tell(report, failure),
    }
}

fn live(rooted: Result<()>, report: &OwnedFd) -> ! {
    match rooted.and_then(|()| strip()) {
        Ok(()) => {
            // All of them. The end of the report is the news that it has worked.
            process::close_all_but(&mut []);
            reap_for_ever()
        }
        Err(failure) => {
            let code = process::tell(report, failure);
            // SAFETY: leaves without running what belongs to the parent.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Gives everything up.
fn strip() -> Result<()> {
    let step = |what: &'static str| move |e: Errno| Failure::system(format_args!("{what} of the pod's process 1"), e);
    prctl::set_name(c"pause").map_err(step("name"))?;
    prctl::set_dumpable(false).map_err(step("dump"))?;
    container::renounce(NOBODY)?;
    // It must not stay when the shim goes. After the user: a change of that forgets it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("end"))?;
    prctl::set_no_new_privs().map_err(step("no_new_privs"))?;
    seccomp::only(CALLS).install().map_err(step("seccomp filter"))
}

fn empty_root(place: &Path) -> Result<()> {
    let make = || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount::propagate_all(MsFlags::MS_PRIVATE)?;
        let flags = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC;
        let empty = mount::file_system("tmpfs", flags, "mode=555,size=4k,nr_inodes=2")?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        mount::attach(&empty, open(place, flags, Mode::empty())?)?;
        mount::pivot(place)
    };
    make().map_err(|e| Failure::system("root of the pod's process 1", e))
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
