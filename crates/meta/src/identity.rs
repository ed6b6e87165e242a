//! Who asks, and for what.

use std::collections::BTreeMap;

use crate::selector::Fields;

/// An authenticated caller (upstream: `user.Info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name, for example `system:node:n1`.
    pub name: String,
    /// Unique id, or empty.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Further attributes, for example `authentication.kubernetes.io/node-name`.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A caller of that name and those groups.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        User { name: name.to_owned(), groups: groups.iter().map(|g| (*g).to_owned()).collect(), ..User::default() }
    }

    /// Whether the caller belongs to the group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// What an authorizer decides upon (upstream: `authorizer.Attributes`).
/// For a non-resource request only `user`, `verb` and `path` are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The caller.
    pub user: User,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or the
    /// lower-case HTTP method of a non-resource request.
    pub verb: String,
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Resource; empty for a non-resource request.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Object name, or empty.
    pub name: String,
    /// URL path.
    pub path: String,
    /// Field selector of a list, watch or deletecollection: a node may list its own pods alone.
    pub fields: Fields,
}

impl Attributes {
    /// Whether a resource is asked for, not a bare path.
    pub fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }
}
