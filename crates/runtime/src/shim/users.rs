//! The pod's user namespace, and the namespaces that it owns.
//!
//! Whoever makes a network, ipc or uts namespace owns it by its own user namespace, and only an owner may mount sysfs
//! or a message queue, or use a capability there. So a child makes them from inside; the shim takes them over and
//! stays outside itself, with the node's rights.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::wire::Failure;
use super::{process, socket};
use crate::users::{self, IdRange};

type Result<T> = std::result::Result<T, Failure>;

const OWNED: CloneFlags = CloneFlags::CLONE_NEWNET.union(CloneFlags::CLONE_NEWUTS).union(CloneFlags::CLONE_NEWIPC);

/// Makes the namespaces, and moves this process into those that are not the user namespace itself; returns that one. Sysctls are set from
/// inside: their numbers are the pod's ids, and the kernel asks for the owner.
pub(super) fn make(range: IdRange, sysctls: &[(String, String)]) -> Result<File> {
    let fail = |e: Errno| Failure::system("make the user namespace", e);
    let (ours, theirs) = socket::pair().map_err(fail)?;
    // SAFETY: this process has one thread.
    match unsafe { fork() }.map_err(fail)? {
        ForkResult::Child => {
            process::close_all_but(&mut [0, 1, 2, theirs.as_raw_fd()]);
            let _ = inside(&theirs, range, sysctls).or_else(|failure| say(&theirs, &Err(failure)));
            // SAFETY: leaves without running what belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let made = take_over(child, &ours, range);
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
            made
        }
    }
}

fn inside(door: &OwnedFd, range: IdRange, sysctls: &[(String, String)]) -> Result<()> {
    // What the kernel counts for the namespace's owner (namespaces, watches of files) is the pod's then and not the
    // node's root's, who would run out of them for all pods.
    users::become_owner(range).map_err(|e| Failure::system("become the owner of the user namespace", e))?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| match e {
        Errno::ENOSPC => Failure::Start("make the user namespace: the kernel has no more (user.max_user_namespaces)".into()),
        e => Failure::system("make the user namespace", e),
    })?;
    say(door, &Ok(()))?;
    hear(door)?;
    users::become_root().map_err(|e| Failure::system("become root of the user namespace", e))?;
    unshare(OWNED).map_err(|e| Failure::system("make namespaces", e))?;
    set_sysctls(sysctls)?;
    say(door, &Ok(()))?;
    // Until all is taken over.
    hear(door)
}

fn take_over(child: Pid, door: &OwnedFd, range: IdRange) -> Result<File> {
    hear(door)?;
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{child}/{file}");
        fs::write(&path, range.map()).map_err(|e| Failure::system(format_args!("write {path}"), e))?;
    }
    say(door, &Ok(()))?;
    hear(door)?;
    let open = |kind: &str| {
        let path = format!("/proc/{child}/ns/{kind}");
        File::open(&path).map_err(|e| Failure::system(path, e))
    };
    for (kind, flag) in [
        ("net", CloneFlags::CLONE_NEWNET),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("ipc", CloneFlags::CLONE_NEWIPC),
    ] {
        setns(open(kind)?, flag).map_err(|e| Failure::system(format_args!("enter the {kind} namespace"), e))?;
    }
    open("user")
}

/// Writes kernel parameters of this process's namespaces.
pub(super) fn set_sysctls(sysctls: &[(String, String)]) -> Result<()> {
    for (name, value) in sysctls {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::write(&path, value).map_err(|e| Failure::system(format_args!("set sysctl {name}={value}"), e))?;
    }
    Ok(())
}

fn say(door: &OwnedFd, word: &Result<()>) -> Result<()> {
    let text = serde_json::to_vec(word).map_err(|e| Failure::system("encode a message", e))?;
    socket::send(door, &text, &[]).map_err(|e| Failure::system("speak to the user namespace", e))
}

fn hear(door: &OwnedFd) -> Result<()> {
    let (text, _) = socket::receive(door).map_err(|e| Failure::system("hear from the user namespace", e))?;
    serde_json::from_slice::<Result<()>>(&text).map_err(|e| Failure::system("hear from the user namespace", e))?
}
