//! Starting a container in its pod's user namespace.
//!
//! Its first process, and with it its pid namespace, is made by a process inside the user namespace, which has no right
//! over the node's files: it waits. A builder with the node's rights is put beside it, into the same pid namespace,
//! and makes the file system as for every other container; then it takes a copy of its mount namespace into the user
//! namespace. There the kernel locks every mount with its flags: what is hidden or read-only stays so, whatever
//! capabilities the container has. The first process enters the copy and becomes the container's program.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2};

use super::process::{self, PidSource, Spawned, Terminal};
use super::socket;
use super::wire::Failure;
use crate::container::{self, Entrance, Stdio};

type Result<T> = std::result::Result<T, Failure>;

/// What a container is started from.
pub(super) struct Start<'a> {
    /// Its directory.
    pub dir: &'a Path,
    /// The pod's user namespace.
    pub users: &'a File,
    /// Where its pid namespace comes from.
    pub pids: PidSource<'a>,
    /// The `cgroup.procs` files that it joins.
    pub group: Vec<PathBuf>,
}

/// Starts the container, and returns once its program has been executed.
pub(super) fn spawn(start: &Start<'_>, stdio: Stdio) -> Result<Spawned> {
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    let (ours, door) = socket::pair().map_err(fail)?;
    let terminal = Terminal::wanted(&stdio)?;
    let first = first(start, &stdio, [&report, &door], terminal.as_ref().map(Terminal::end))?;
    drop((report, door, stdio));
    let Some(pid) = first else {
        let failure = process::told(errors)?;
        return Err(failure.unwrap_or_else(|| Failure::Start("the process of the user namespace ended at once".into())));
    };
    // Handed on only when the builder is gone: the end of a short container takes all of its pid namespace along.
    let ready = join(pid, &start.group).and_then(|()| build(start, pid)).and_then(|parts| hand_on(&ours, &parts));
    if let Some(failure) = ready.err().map_or_else(|| process::told(errors), |failure| Ok(Some(failure)))? {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
        return Err(failure);
    }
    Ok(Spawned { pid, terminal: terminal.map(Terminal::receive).transpose()?.flatten() })
}

fn fail(e: Errno) -> Failure {
    Failure::system("start a process", e)
}

/// Makes the first process, a child of this one, which then waits at the door; none when that has failed, which is
/// reported.
fn first(
    start: &Start<'_>, stdio: &Stdio, [report, door]: [&OwnedFd; 2], terminal: Option<&OwnedFd>,
) -> Result<Option<Pid>> {
    let (users, pids) = (start.users, start.pids.existing());
    process::leave_behind(|number| {
        let mut keep: Vec<RawFd> = [report, door, number].map(|fd| fd.as_raw_fd()).to_vec();
        keep.push(users.as_raw_fd());
        keep.extend(terminal.map(|fd| fd.as_raw_fd()));
        keep.extend(pids.map(|fd| fd.as_raw_fd()));
        process::keep_only(stdio, keep);
        let entrance = Entrance { users, pids, door };
        let spec = process::read_spec(start.dir);
        let made = spec.and_then(|spec| container::start_mapped(&spec, &entrance, stdio, terminal));
        made.map_or_else(|failure| process::tell(report, &failure), |pid| process::announce(number, pid))
    })
}

/// From here it inherits the group's limits; its own cgroup namespace begins there.
fn join(pid: Pid, group: &[PathBuf]) -> Result<()> {
    for file in group {
        let joined = fs::write(file, pid.to_string());
        joined.map_err(|e| Failure::system(format_args!("join cgroup {}", file.display()), e))?;
    }
    Ok(())
}

/// Runs the builder to its end: what it hands over.
fn build(start: &Start<'_>, first: Pid) -> Result<Vec<OwnedFd>> {
    let (errors, report) = pipe2(OFlag::O_CLOEXEC).map_err(fail)?;
    let (ours, theirs) = socket::pair().map_err(fail)?;
    let path = format!("/proc/{first}/ns/pid");
    let namespace = File::open(&path).map_err(|e| Failure::system(path, e))?;
    let own = process::own_pid_namespace()?;
    process::enter_pid_namespace(&namespace)?;
    // SAFETY: this process has one thread.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        process::close_all_but(&mut [0, 1, 2, report.as_raw_fd(), theirs.as_raw_fd(), start.users.as_raw_fd()]);
        let built = process::read_spec(start.dir).and_then(|spec| container::build(&spec, start.users, &theirs));
        let code = built.map_or_else(|failure| process::tell(&report, &failure), |()| 0);
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    process::enter_pid_namespace(&own)?;
    let ForkResult::Parent { child } = forked.map_err(fail)? else { unreachable!("the child does not come here") };
    drop((report, theirs));
    let parts = socket::receive(&ours);
    let told = process::told(errors);
    match (waitpid(child, None), told?, parts) {
        (_, Some(failure), _) => Err(failure),
        (Ok(WaitStatus::Exited(_, 0)), None, Ok((_, parts))) => Ok(parts),
        (ended, None, _) => Err(Failure::Start(format!("the container's file system was not made: {ended:?}"))),
    }
}

fn hand_on(door: &OwnedFd, parts: &[OwnedFd]) -> Result<()> {
    let parts: Vec<RawFd> = parts.iter().map(AsRawFd::as_raw_fd).collect();
    socket::send(door, b"m", &parts).map_err(|e| Failure::system("hand over the file system", e))
}
