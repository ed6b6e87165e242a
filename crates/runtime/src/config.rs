//! Where the runtime keeps its files.

use std::path::{Path, PathBuf};

/// Places and names that one embedded runtime owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What survives a reboot: images, container file systems, exit records.
    pub root: PathBuf,
    /// What does not: sockets, network namespaces, shared memory.
    pub run: PathBuf,
    /// Name of the one cgroup below which everything is.
    pub cgroup_root: String,
    /// Program that runs `shim --dir …`; the running program by default. It is opened once, when the runtime is.
    pub shim_exe: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: "/var/lib/ironclad/runtime".into(),
            run: "/run/ironclad".into(),
            cgroup_root: "ironclad".into(),
            shim_exe: "/proc/self/exe".into(),
        }
    }
}

impl Config {
    /// Directory of the image store.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// What the node's owner says about registries: `certs.d`, beside [`Config::root`].
    pub fn registries(&self) -> PathBuf {
        self.root.with_file_name("certs.d")
    }

    /// Directories of all pods.
    pub(crate) fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    /// Directory of one pod.
    pub(crate) fn pod(&self, uid: &str) -> PathBuf {
        self.pods().join(uid)
    }

    /// Directories of all containers.
    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// Directory of one container.
    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// Compiled seccomp filters.
    pub(crate) fn seccomp(&self) -> PathBuf {
        self.run.join("seccomp")
    }

    /// Directory of a running shim.
    pub(crate) fn shim(&self, uid: &str) -> PathBuf {
        self.run.join("pods").join(uid)
    }

    /// Mount point of a pod's network namespace.
    pub fn netns(&self, uid: &str) -> PathBuf {
        self.run.join("netns").join(uid)
    }

    /// Cgroup of a pod, relative to a hierarchy.
    pub(crate) fn pod_cgroup(&self, parent: &str, uid: &str) -> PathBuf {
        Path::new(&self.cgroup_root).join(parent.trim_matches('/')).join(format!("pod{uid}"))
    }
}

/// Whether a pod uid or container id is safe as one file name.
pub(crate) fn is_file_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
