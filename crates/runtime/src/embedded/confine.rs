//! What confines a container's processes beside namespaces and capabilities: its seccomp filter.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Inner, system};
use crate::root::Root;
use crate::shim::wire::{Sandbox, Spec};
use crate::shim::{SANDBOX, VERSION};
use crate::{Error, Result, Seccomp, Security, disk, seccomp};

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

    /// The pod's process may have been started by an earlier version, which would leave out what it does not know.
    pub(super) fn check_shim(&self, uid: &str, spec: &Spec) -> Result<()> {
        let recursive = spec.mounts.iter().any(|mount| mount.recursive_read_only);
        if !(spec.strict_groups || recursive) {
            return Ok(());
        }
        let path = self.config.shim(uid).join(SANDBOX);
        let sandbox: Option<Sandbox> = disk::read_json(&path).map_err(system(path.display()))?;
        match sandbox.is_some_and(|sandbox| sandbox.version >= VERSION) {
            true => Ok(()),
            false => Err(Error::System(format!("the process of pod {uid} is of an earlier version: delete the pod"))),
        }
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
