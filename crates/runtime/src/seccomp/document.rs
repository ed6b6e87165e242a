//! A seccomp profile as people write it: the runtime specification's form (`LinuxSeccomp`), with the conditions that
//! Docker and CRI-O add. What is not known here is an error: a profile is relied upon.

use serde::Deserialize;

/// See the module.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    pub default_action: String,
    pub default_errno_ret: Option<u32>,
    pub architectures: Option<Vec<String>>,
    pub arch_map: Option<Vec<Architecture>>,
    pub flags: Option<Vec<String>>,
    pub listener_path: Option<String>,
    pub listener_metadata: Option<String>,
    pub syscalls: Option<Vec<Entry>>,
}

/// An architecture, and those whose programs it runs as well.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Architecture {
    pub architecture: String,
    pub sub_architectures: Option<Vec<String>>,
}

/// What happens to some calls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    /// The older form of `names`.
    pub name: Option<String>,
    pub names: Option<Vec<String>>,
    pub action: String,
    pub errno_ret: Option<u32>,
    pub args: Option<Vec<Argument>>,
    pub includes: Option<Filter>,
    pub excludes: Option<Filter>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

/// A condition on one argument.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Argument {
    pub index: u32,
    pub value: u64,
    #[serde(default)]
    pub value_two: u64,
    pub op: String,
}

/// Where an entry holds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    pub caps: Option<Vec<String>>,
    pub arches: Option<Vec<String>>,
    pub min_kernel: Option<String>,
}
