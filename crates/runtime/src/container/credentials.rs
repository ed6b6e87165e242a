//! User, groups and capabilities of the program.

use caps::{CapSet, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};

use super::Result;
use super::lookup::Identity;
use crate::User;
use crate::shim::wire::{Failure, Spec};

/// What this process may have at most, within the bits `wanted`.
fn allowed(wanted: u64) -> Result<CapsHashSet> {
    let own = caps::read(None, CapSet::Permitted).map_err(|e| Failure::system("read capabilities", e))?;
    Ok(own.into_iter().filter(|cap| wanted & cap.bitmask() != 0).collect())
}

/// Who the program runs as: with the groups of the pod, and those of the image unless they are not wanted.
pub(super) fn user(identity: &Identity, spec: &Spec) -> User {
    let mut groups = vec![identity.gid];
    groups.extend_from_slice(&spec.supplemental_groups);
    if !spec.strict_groups {
        groups.extend_from_slice(&identity.groups);
    }
    groups.sort_unstable();
    groups.dedup();
    User { uid: identity.uid, gid: identity.gid, groups }
}

/// Becomes the user with these capabilities. A user other than root keeps none over exec, as without
/// ambient capabilities everywhere; they only bound what set-user-id programs can get. None is ever inheritable:
/// a file's capabilities would turn inheritable ones into permitted ones.
pub(super) fn adopt(user: &User, capabilities: u64) -> Result<()> {
    let keep = allowed(capabilities)?;
    bound(keep.iter().fold(0, |bits, cap| bits | cap.bitmask()))?;
    prctl::set_keepcaps(true).map_err(|e| Failure::system("keep capabilities", e))?;
    become_user(user)?;
    prctl::set_keepcaps(false).map_err(|e| Failure::system("keep capabilities", e))?;
    hold(&keep)
}

/// Becomes a user of no group that has no capability and can never get one.
pub(crate) fn renounce(id: u32) -> Result<()> {
    bound(0)?;
    become_user(&User { uid: id, gid: id, groups: Vec::new() })?;
    hold(&CapsHashSet::new())
}

/// Takes everything but these bits out of the bounding set, also what this program has no name for.
fn bound(keep: u64) -> Result<()> {
    for number in 0..u64::BITS {
        if keep & (1 << number) != 0 {
            continue;
        }
        // SAFETY: the call takes plain numbers.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // The kernel knows no more of them.
            Err(Errno::EINVAL) => break,
            Err(e) => return Err(Failure::system(format_args!("drop capability {number}"), e)),
        }
    }
    Ok(())
}

fn hold(keep: &CapsHashSet) -> Result<()> {
    let fail = |e| Failure::system("set capabilities", e);
    caps::clear(None, CapSet::Ambient).map_err(fail)?;
    // Effective first: it must stay within permitted at every step.
    caps::set(None, CapSet::Effective, keep).map_err(fail)?;
    caps::set(None, CapSet::Permitted, keep).map_err(fail)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new()).map_err(fail)
}

fn become_user(User { uid, gid, groups }: &User) -> Result<()> {
    let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    let change = || -> nix::Result<bool> {
        setgroups(&groups.iter().map(|group| Gid::from_raw(*group)).collect::<Vec<_>>())?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
        // The greatest number means "as it is" to the kernel: it would succeed, and change nothing.
        let (users, groups) = (getresuid()?, getresgid()?);
        let is_user = [users.real, users.effective, users.saved].iter().all(|id| *id == user);
        Ok(is_user && [groups.real, groups.effective, groups.saved].iter().all(|id| *id == group))
    };
    match change().map_err(|e| Failure::system("change the user", e))? {
        true => Ok(()),
        false => Err(Failure::Start(format!("cannot become user {uid} and group {gid}"))),
    }
}
