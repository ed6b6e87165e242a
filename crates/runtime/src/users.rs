//! Ids of a pod that has a user namespace, and how a process gets into it.
//!
//! Inside, ids go from 0 to 65535; on the node they are a range of their own that no other pod and nobody of the node
//! has. What a process of the pod breaks out of, it leaves as nobody.

use std::fs::File;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

/// Ids of one pod (upstream: `DefaultKubeletUserNamespacesIDsPerPod`).
pub(crate) const LENGTH: u32 = 65536;

/// The range of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct IdRange {
    /// The id on the node of the pod's root: a multiple of [`LENGTH`], never 0.
    pub first: u32,
}

impl IdRange {
    /// The id on the node of an id in the pod, which must be less than [`LENGTH`].
    pub(crate) fn on_node(self, id: u32) -> u32 {
        debug_assert!(id < LENGTH, "{id} is no id of a pod");
        self.first + id
    }

    /// As the kernel reads it.
    pub(crate) fn map(self) -> String {
        format!("0 {} {LENGTH}\n", self.first)
    }
}

/// Enters a user namespace and becomes its root: with every capability there, and none on the node.
pub(crate) fn enter(namespace: &File) -> nix::Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWUSER)?;
    become_root()
}

/// In a new user namespace: the node's root has no name there.
pub(crate) fn become_root() -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    // The change of user may have lifted it.
    prctl::set_dumpable(false)
}

/// Becomes the pod's root while still among the node's users, with all rights.
pub(crate) fn become_owner(range: IdRange) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(range.first), Gid::from_raw(range.first));
    prctl::set_keepcaps(true)?;
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    keep_rights()
}

/// Makes this process act on files as the pod's root, whose they then are; its rights on the node stay. Through an
/// id-mapped mount nobody else could make a file.
pub(crate) fn make_files_for(range: IdRange) -> nix::Result<()> {
    let set = |call: libc::c_long| -> nix::Result<()> {
        // SAFETY: both calls take one plain number. They tell the id before, and so whether the first has worked.
        unsafe { libc::syscall(call, range.first) };
        let now = unsafe { libc::syscall(call, range.first) };
        if now == libc::c_long::from(range.first) { Ok(()) } else { Err(Errno::EPERM) }
    };
    set(libc::SYS_setfsgid)?;
    set(libc::SYS_setfsuid)?;
    keep_rights()
}

/// The kernel takes rights away from who is no longer root; they are still permitted.
fn keep_rights() -> nix::Result<()> {
    let permitted = caps::read(None, caps::CapSet::Permitted).map_err(|_| Errno::EPERM)?;
    caps::set(None, caps::CapSet::Effective, &permitted).map_err(|_| Errno::EPERM)
}

/// Forks a child of this process's own parent, which must not be the first one of a pid namespace. Returns its id in
/// our pid namespace, or nothing in the child. Only for a process with one thread.
pub(crate) fn fork_beside(flags: CloneFlags) -> nix::Result<Option<Pid>> {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD | flags.bits());
    // SAFETY: no memory is shared and no stack is given, so both go on from here as after a fork.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(i32::try_from(pid).ok().filter(|pid| *pid != 0).map(Pid::from_raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_the_kernel_and_the_pod_see() {
        let range = IdRange { first: 131_072 };
        assert_eq!((range.map().as_str(), range.on_node(5)), ("0 131072 65536\n", 131_077));
    }
}
