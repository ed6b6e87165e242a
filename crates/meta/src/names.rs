//! Names of types and of objects.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Group, version and kind: what a manifest says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: Arc<str>,
    /// Version within the group, for example `v1`.
    pub version: Arc<str>,
    /// Kind in CamelCase, for example `ConfigMap`.
    pub kind: Arc<str>,
}

/// Group, version and resource: what a URL path says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvr {
    /// API group; empty for the core group.
    pub group: Arc<str>,
    /// Version within the group.
    pub version: Arc<str>,
    /// Lower-case plural, for example `configmaps`.
    pub resource: Arc<str>,
}

/// Namespace and name of an object within its resource. Cluster-scoped objects
/// have an empty namespace. The order is that of the store's keys: of the text `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Gvk {
    /// Builds the three parts.
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Splits an `apiVersion` (`v1`, `apps/v1`) and adds the kind.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Gvk::new(group, version, kind)
    }

    /// `v1` for the core group, `group/version` otherwise.
    pub fn api_version(&self) -> String {
        join_api_version(&self.group, &self.version)
    }
}

impl Gvr {
    /// Builds the three parts.
    pub fn new(group: &str, version: &str, resource: &str) -> Self {
        Gvr { group: group.into(), version: version.into(), resource: resource.into() }
    }

    /// `configmaps` in the core group, `deployments.apps` elsewhere: how messages
    /// name a resource (upstream: `schema.GroupResource.String`).
    pub fn group_resource(&self) -> String {
        group_resource(&self.group, &self.resource)
    }
}

impl Key {
    /// Builds a key; pass an empty namespace for a cluster-scoped object.
    pub fn new(namespace: &str, name: &str) -> Self {
        Key { namespace: namespace.into(), name: name.into() }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.namespace.as_bytes(), other.namespace.as_bytes());
        if a == b {
            return self.name.cmp(&other.name);
        }
        // The shorter namespace goes on with a slash, which sorts after `-` and `.`.
        let shared = a.len().min(b.len());
        let next = |ns: &[u8]| ns.get(shared).copied().unwrap_or(b'/');
        a[..shared].cmp(&b[..shared]).then_with(|| next(a).cmp(&next(b)))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Kind={}", self.api_version(), self.kind)
    }
}

/// Splits `apps/v1` into (`apps`, `v1`) and `v1` into (``, `v1`).
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The reverse of [`split_api_version`].
pub fn join_api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// `resource` or `resource.group`.
pub fn group_resource(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// Stability, major, minor: the higher, the more preferred (upstream: `version.CompareKubeAwareVersionStrings`).
pub fn version_rank(version: &str) -> (u8, u32, u32) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        match &rest[digits..] {
            "" => Some((3, major, 0)),
            tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(minor), _) => Some((2, major, minor.parse().ok()?)),
                (_, Some(minor)) => Some((1, major, minor.parse().ok()?)),
                _ => None,
            },
        }
    });
    parsed.unwrap_or((0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_their_paths() {
        let names = [("a", "z"), ("a-b", "x"), ("a", "b"), ("ab", "x"), ("a.b", "x"), ("", "n"), ("", "m")];
        let mut keys: Vec<Key> = names[..5].iter().map(|(ns, n)| Key::new(ns, n)).collect();
        keys.sort();
        let mut paths: Vec<String> = keys.iter().map(Key::to_string).collect();
        let sorted = paths.clone();
        paths.sort();
        assert_eq!(paths, sorted);
        assert!(Key::new("", "m") < Key::new("", "n"));
    }
}
