//! What confines a container's processes beside namespaces and capabilities: its seccomp
//! filter and its AppArmor profile.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Inner, system};
use crate::root::Root;
use crate::shim::wire::{Sandbox, Spec};
use crate::shim::{SANDBOX, VERSION};
use crate::{AppArmor, Error, Result, Seccomp, Security, apparmor, disk, seccomp};

/// Largest seccomp profile, bytes.
const MAX_PROFILE: u64 = 1 << 20;

impl Inner {
    /// The compiled filter of a container, if it gets one. A privileged one never does, as with containerd.
    pub(super) fn filter_of(&self, id: &str, security: &Security, capabilities: u64) -> Result<Option<PathBuf>> {
        match &security.seccomp {
            _ if security.privileged => Ok(None),
            Seccomp::Unconfined => Ok(None),
            Seccomp::RuntimeDefault => self.default_filter(capabilities).map(Some),
            Seccomp::Localhost { root, profile } => {
                let path = self.config.container(id).join("seccomp.bpf");
                local_filter(root, profile, &path, capabilities)?;
                Ok(Some(path))
            }
        }
    }

    /// The AppArmor profile of a container, if it gets one; it is loaded then. Texts are containerd's (`sputil`).
    /// Where nothing was said, the process of an earlier version (`current` is false) goes on without.
    pub(super) fn profile_of(&self, security: &Security, current: bool) -> Result<Option<String>> {
        let able = apparmor::enabled();
        match &security.app_armor {
            AppArmor::Unconfined => Ok(None),
            AppArmor::Unset if !current || !able || !apparmor::can_load() => Ok(None),
            _ if !able => Err(Error::System("apparmor is not supported".into())),
            // As with containerd: a privileged one is only held by a profile of its own.
            AppArmor::Unset | AppArmor::RuntimeDefault if security.privileged => Ok(None),
            AppArmor::Unset | AppArmor::RuntimeDefault => self.default_profile().map(Some),
            AppArmor::Localhost(name) => match apparmor::is_loaded(name).map_err(system("read AppArmor's profiles"))? {
                true => Ok(Some(name.clone())),
                false => Err(Error::System(format!("apparmor profile not found {name}"))),
            },
        }
    }

    /// The default profile; loaded once per process, so that a new version loads its own, and again when it is gone.
    fn default_profile(&self) -> Result<String> {
        let fail = |e| system(format_args!("load apparmor profile {}", apparmor::DEFAULT))(e);
        let mut loaded = self.profile.lock().unwrap_or_else(PoisonError::into_inner);
        if !*loaded || !apparmor::is_loaded(apparmor::DEFAULT).map_err(fail)? {
            apparmor::load_default().map_err(fail)?;
            *loaded = true;
        }
        Ok(apparmor::DEFAULT.to_owned())
    }

    /// Whether the pod's process knows all that this version may ask of it: an earlier one would leave it out.
    pub(super) fn shim_is_current(&self, uid: &str) -> Result<bool> {
        let path = self.config.shim(uid).join(SANDBOX);
        let sandbox: Option<Sandbox> = disk::read_json(&path).map_err(system(path.display()))?;
        Ok(sandbox.is_some_and(|sandbox| sandbox.version >= VERSION))
    }

    /// The compiled filter for these capabilities; made once per process, so that a new version makes it anew.
    fn default_filter(&self, capabilities: u64) -> Result<PathBuf> {
        let path = self.config.seccomp().join(format!("{capabilities:x}.bpf"));
        let mut made = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(&capabilities) {
            seccomp::store(&path, capabilities).map_err(system(path.display()))?;
            made.insert(capabilities);
        }
        Ok(path)
    }
}

/// Compiles a profile of the node's own; the texts are containerd's (`contrib/seccomp`).
fn local_filter(root: &Path, profile: &Path, to: &Path, capabilities: u64) -> Result<()> {
    let name = root.join(profile);
    let unread = |why: &dyn std::fmt::Display| {
        Error::System(format!("cannot load seccomp profile {name:?}: open {}: {why}", name.display()))
    };
    let system_words = |e: std::io::Error| match e.raw_os_error() {
        Some(code) => unread(&nix::errno::Errno::from_raw(code).desc().to_lowercase()),
        None => unread(&e),
    };
    let text = Root::strict(root).map_err(Into::into).and_then(|root| root.read(profile, MAX_PROFILE));
    let text = text.map_err(system_words)?;
    let stored = seccomp::store_local(to, &text, capabilities).map_err(system(to.display()))?;
    stored.map_err(|why| Error::System(format!("decoding seccomp profile failed {name:?}: {why}")))
}

/// Refuses what the pod's process does not know.
pub(super) fn check_shim(spec: &Spec, current: bool) -> Result<()> {
    let recursive = spec.mounts.iter().any(|mount| mount.recursive_read_only);
    let fresh = spec.strict_groups || recursive || spec.app_armor.is_some();
    match current || !fresh {
        true => Ok(()),
        false => Err(Error::System("the pod's process is of an earlier version: delete the pod".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mount;

    #[test]
    fn what_an_older_process_would_leave_out_is_not_asked_of_it() {
        let recursive = Mount { recursive_read_only: true, ..Mount::default() };
        for spec in [
            Spec { strict_groups: true, ..Spec::default() },
            Spec { mounts: vec![Mount::default(), recursive], ..Spec::default() },
            Spec { app_armor: Some("a".into()), ..Spec::default() },
        ] {
            assert!(check_shim(&spec, false).is_err() && check_shim(&spec, true).is_ok(), "{spec:?}");
        }
        assert!(check_shim(&Spec { mounts: vec![Mount::default()], ..Spec::default() }, false).is_ok());
    }
}
