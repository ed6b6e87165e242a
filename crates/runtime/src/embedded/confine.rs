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

/// The version of a pod's process from which on it knows AppArmor's profiles.
const KNOWS_PROFILES: u32 = 1;

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
    /// Where nothing was said, a pod's process of an earlier version goes on without.
    pub(super) fn profile_of(&self, security: &Security, process: u32) -> Result<Option<String>> {
        let able = apparmor::enabled();
        match &security.app_armor {
            AppArmor::Unconfined => Ok(None),
            AppArmor::Unset if process < KNOWS_PROFILES || !able || !apparmor::can_load() => Ok(None),
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

    /// The version of the pod's process: an earlier one would leave out what it does not know.
    pub(super) fn shim_version(&self, uid: &str) -> Result<u32> {
        let path = self.config.shim(uid).join(SANDBOX);
        let sandbox: Option<Sandbox> = disk::read_record(&path, VERSION).map_err(system(path.display()))?;
        Ok(sandbox.map_or(0, |sandbox| sandbox.version))
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

/// The earliest version of a pod's process that does all of this.
pub(super) fn needs(spec: &Spec, pid_of: Option<&str>) -> u32 {
    let recursive = spec.mounts.iter().any(|mount| mount.recursive_read_only);
    u32::from(spec.strict_groups || recursive || spec.app_armor.is_some() || pid_of.is_some())
}

/// Refuses what the pod's process does not know.
pub(super) fn check_shim(spec: &Spec, process: u32) -> Result<()> {
    match spec.version <= process {
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
        let plain = Spec { mounts: vec![Mount::default()], ..Spec::default() };
        let fits = |spec: &Spec, pid_of, process| {
            check_shim(&Spec { version: needs(spec, pid_of), ..spec.clone() }, process).is_ok()
        };
        for (spec, pid_of) in [
            (Spec { strict_groups: true, ..Spec::default() }, None),
            (Spec { mounts: vec![Mount::default(), recursive], ..Spec::default() }, None),
            (Spec { app_armor: Some("a".into()), ..Spec::default() }, None),
            (plain.clone(), Some("other")),
        ] {
            assert!(!fits(&spec, pid_of, 0) && fits(&spec, pid_of, VERSION), "{spec:?}");
        }
        // What it knows can be asked of it whatever is known since: its containers are restarted.
        assert!(fits(&plain, None, 0) && fits(&plain, None, VERSION));
    }
}
