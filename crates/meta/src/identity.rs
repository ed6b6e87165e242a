//! Who asks, and for what.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::selector::Fields;

/// An authenticated caller. Cheap to clone: every request carries one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User(Arc<Info>);

/// What is known of a caller (upstream: `user.Info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
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
        Info { name: name.to_owned(), groups: groups.iter().map(|g| (*g).to_owned()).collect(), ..Info::default() }.into()
    }

    /// Whether the caller belongs to the group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

impl From<Info> for User {
    fn from(info: Info) -> Self {
        User(Arc::new(info))
    }
}

impl Deref for User {
    type Target = Info;

    fn deref(&self) -> &Info {
        &self.0
    }
}

impl DerefMut for User {
    /// Others who have the same caller keep it as it was.
    fn deref_mut(&mut self) -> &mut Info {
        Arc::make_mut(&mut self.0)
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
