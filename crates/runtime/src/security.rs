//! What the processes of a container may do: a part of its configuration.

use std::path::PathBuf;

/// Seccomp profile.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Seccomp {
    #[default]
    RuntimeDefault,
    Unconfined,
    /// A file below a directory of the node's owner.
    Localhost {
        /// The directory; nothing outside of it is read.
        root: PathBuf,
        /// The file in it.
        profile: PathBuf,
    },
}

/// AppArmor profile.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub enum AppArmor {
    /// The runtime's default where the machine can have it, else none.
    #[default]
    Unset,
    /// None.
    Unconfined,
    /// The runtime's default.
    RuntimeDefault,
    /// One that the node's owner has loaded.
    Localhost(String),
}

/// What the process may do.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct Security {
    /// Everything allowed, all devices.
    pub privileged: bool,
    /// User, numeric or a name in the image; `None`: the image's.
    pub user: Option<String>,
    /// Primary group; `None`: the user's.
    pub group: Option<u32>,
    /// Additional groups.
    pub supplemental_groups: Vec<u32>,
    /// Leave out the groups that the image's `/etc/group` has for the user.
    #[serde(default)]
    pub strict_groups: bool,
    /// Refuse to start as uid 0 (the kubelet's `runAsNonRoot`).
    pub non_root: bool,
    /// Root file system is read-only.
    pub read_only_root: bool,
    /// `no_new_privs`.
    pub no_new_privileges: bool,
    /// Capabilities to add, without `CAP_`; `ALL` for all.
    pub add_capabilities: Vec<String>,
    /// Capabilities to drop; `ALL` for all.
    pub drop_capabilities: Vec<String>,
    /// Seccomp profile.
    pub seccomp: Seccomp,
    /// AppArmor profile.
    #[serde(default)]
    pub app_armor: AppArmor,
    /// Paths made unreadable and read-only as usual (`procMount: Default`).
    pub unmasked_proc: bool,
}
