//! A container in its pod's user namespace: what its first process does, and what the builder of its file system.
//! `shim/mapped.rs` says who does what.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, setsid};

use super::place::Place;
use super::program::Last;
use super::stdio::{self, Stdio};
use super::{Result, before, join, program, rootfs};
use crate::shim::socket;
use crate::shim::wire::{Failure, Spec};
use crate::users::{self, IdRange};

/// How a container's first process comes into being.
pub(crate) struct Entrance<'a> {
    /// The pod's user namespace.
    pub users: &'a File,
    /// The pid namespace; none for a new one.
    pub pids: Option<&'a File>,
    /// Where the mount namespace comes from.
    pub door: &'a OwnedFd,
}

/// Makes the first process of a container beside this one, inside the user namespace; its number as this one sees it.
/// The new one becomes the container's program once its file system has been made; there, this returns only when that
/// fails.
pub(crate) fn start_mapped(
    spec: &Spec, entrance: &Entrance<'_>, stdio: &Stdio, terminal: Option<&OwnedFd>,
) -> Result<Pid> {
    let last = before(spec)?;
    stdio::hand_over(stdio, range(spec)?)?;
    let fresh = match entrance.pids {
        Some(pids) => {
            setns(pids, CloneFlags::CLONE_NEWPID).map_err(|e| Failure::system("enter pid namespace", e))?;
            CloneFlags::empty()
        }
        None => CloneFlags::CLONE_NEWPID,
    };
    users::enter(entrance.users).map_err(|e| Failure::system("enter the user namespace", e))?;
    match users::fork_beside(fresh).map_err(|e| Failure::system("start a process", e))? {
        Some(pid) => Ok(pid),
        None => match first(spec, entrance.door, stdio, terminal, last)? {},
    }
}

fn first(
    spec: &Spec, door: &OwnedFd, stdio: &Stdio, terminal: Option<&OwnedFd>, last: Last,
) -> Result<Infallible> {
    // A terminal needs a session.
    let _ = setsid();
    let (_, fds) = socket::receive(door).map_err(|e| Failure::system("wait for the file system", e))?;
    let mut fds = fds.into_iter();
    let (Some(mounts), Some(null)) = (fds.next(), fds.next()) else {
        return Err(Failure::Start("the container's file system was not made".into()));
    };
    // By now it is in the container's cgroups.
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|e| Failure::system("make cgroup namespace", e))?;
    setns(&mounts, CloneFlags::CLONE_NEWNS).map_err(|e| Failure::system("enter mount namespace", e))?;
    let place = Place::here()?;
    stdio::connect(&place, stdio, terminal, Some(&null))?;
    program::run(spec, &place, &spec.args, last)
}

/// Makes the container's file system, with the node's rights, and hands a locked copy of it, and the container's
/// `/dev/null`, to the other end of `door`. This process must be in the container's pid namespace: its procfs is that one's.
pub(crate) fn build(spec: &Spec, users: &File, door: &OwnedFd) -> Result<()> {
    let fail = |e: Errno| Failure::system("copy the mounts into the user namespace", e);
    nix::sys::prctl::set_dumpable(false).map_err(|e| Failure::system("set not dumpable", e))?;
    join::cgroups(&spec.cgroup)?;
    // The node's procfs knows this process, too; no file of the container's is opened.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let own = open("/proc/self/ns", flags, Mode::empty()).map_err(|e| Failure::system("/proc/self/ns", e))?;
    let (place, null) = rootfs::enter(spec, Some((users, range(spec)?)))?;
    rootfs::protect(spec, &place, &null)?;
    setns(users, CloneFlags::CLONE_NEWUSER).map_err(fail)?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(fail)?;
    let mounts = openat(&own, "mnt", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(fail)?;
    socket::send(door, b"m", &[mounts.as_raw_fd(), null.as_raw_fd()])
        .map_err(|e| Failure::system("hand over the file system", e))
}

/// The ids of a container in a user namespace.
pub(super) fn range(spec: &Spec) -> Result<IdRange> {
    spec.users.ok_or_else(|| Failure::Start("the container has no user namespace".into()))
}
