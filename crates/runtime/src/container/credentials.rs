//! User, groups and capabilities of the program.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::Result;
use super::lookup::Identity;
use crate::shim::wire::Failure;

/// What this process may have at most, within the bits `wanted`.
fn allowed(wanted: u64) -> Result<CapsHashSet> {
    let own = caps::read(None, CapSet::Permitted).map_err(|e| Failure::system("read capabilities", e))?;
    Ok(own.into_iter().filter(|cap| wanted & cap.bitmask() != 0).collect())
}

/// Becomes the user with these capabilities. A user other than root keeps none over exec, as without
/// ambient capabilities everywhere; they only bound what set-user-id programs can get.
pub(super) fn adopt(identity: &Identity, supplemental: &[u32], capabilities: u64) -> Result<()> {
    let keep = allowed(capabilities)?;
    let held = caps::read(None, CapSet::Bounding).map_err(|e| Failure::system("read capabilities", e))?;
    for capability in held {
        if !keep.contains(&capability) {
            drop_bounding(capability)?;
        }
    }
    prctl::set_keepcaps(true).map_err(|e| Failure::system("keep capabilities", e))?;
    become_user(identity, supplemental).map_err(|e| Failure::system("change the user", e))?;
    prctl::set_keepcaps(false).map_err(|e| Failure::system("keep capabilities", e))?;
    let fail = |e| Failure::system("set capabilities", e);
    caps::clear(None, CapSet::Ambient).map_err(fail)?;
    // Effective first: it must stay within permitted at every step.
    caps::set(None, CapSet::Effective, &keep).map_err(fail)?;
    caps::set(None, CapSet::Permitted, &keep).map_err(fail)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new()).map_err(fail)
}

fn drop_bounding(capability: Capability) -> Result<()> {
    caps::drop(None, CapSet::Bounding, capability).map_err(|e| Failure::system(format_args!("drop {capability}"), e))
}

fn become_user(identity: &Identity, supplemental: &[u32]) -> nix::Result<()> {
    let mut groups: Vec<u32> = [identity.gid].into_iter().chain(identity.groups.iter().copied()).collect();
    groups.extend_from_slice(supplemental);
    groups.sort_unstable();
    groups.dedup();
    setgroups(&groups.into_iter().map(Gid::from_raw).collect::<Vec<_>>())?;
    let (gid, uid) = (Gid::from_raw(identity.gid), Uid::from_raw(identity.uid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}
