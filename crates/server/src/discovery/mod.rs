//! What is served, as clients read it: groups, versions, resources. All of it is derived from the
//! list of kinds.

pub mod aggregated;
pub mod legacy;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kinds::{Descriptor, Verbs};
use meta::names::version_rank;

/// Groups in upstream's order; others follow in alphabetical order.
const ORDER: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "storagemigration.k8s.io",
];

/// A group.
#[derive(Clone)]
pub struct Group {
    /// Name; empty for the core group.
    pub name: String,
    /// Versions, the preferred one first.
    pub versions: Vec<Version>,
}

/// A version of a group.
#[derive(Clone)]
pub struct Version {
    /// For example `v1`.
    pub name: String,
    /// Resources by name.
    pub resources: Vec<Resource>,
}

/// A resource.
#[derive(Clone)]
pub struct Resource {
    /// Its kind.
    pub kind: Descriptor,
    /// Of the form in which objects are stored; absent for kinds that are not.
    pub storage_hash: Option<String>,
}

/// Everything that the kinds serve.
pub fn groups(kinds: &[Descriptor]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in kinds {
        let (group, version) = (&*kind.gvk.group, &*kind.gvk.version);
        let resource = Resource { kind: kind.clone(), storage_hash: storage_hash(kind, kinds) };
        let group = entry(&mut groups, |g| g.name == group, || Group { name: group.to_owned(), versions: Vec::new() });
        let fresh = || Version { name: version.to_owned(), resources: Vec::new() };
        entry(&mut group.versions, |v| v.name == version, fresh).resources.push(resource);
    }
    let place = |name: &str| ORDER.iter().position(|o| *o == name).unwrap_or(ORDER.len());
    groups.sort_by(|a, b| (place(&a.name), &a.name).cmp(&(place(&b.name), &b.name)));
    for group in &mut groups {
        group.versions.sort_by(|a, b| version_rank(&b.name).cmp(&version_rank(&a.name)).then_with(|| a.name.cmp(&b.name)));
        for version in &mut group.versions {
            version.resources.sort_by(|a, b| a.kind.resource.cmp(&b.kind.resource));
        }
    }
    groups
}

fn entry<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, fresh: impl FnOnce() -> T) -> &mut T {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(fresh());
        list.len() - 1
    });
    &mut list[at]
}

/// Kinds with one storage share the hash of the first of them.
fn storage_hash(kind: &Descriptor, kinds: &[Descriptor]) -> Option<String> {
    if kind.verbs == Verbs::CreateOnly {
        return None;
    }
    let stored = kinds.iter().find(|k| k.storage == kind.storage).unwrap_or(kind);
    let text = format!("{}/{}/{}", stored.gvk.group, stored.gvk.version, stored.gvk.kind);
    Some(BASE64_STANDARD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..8]))
}

/// A hash for cache validation, in upper-case hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    digest(&SHA512, bytes).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_and_newer_versions_come_first() {
        let mut versions = ["v1alpha1", "x", "v1", "v2beta1", "v2", "v1beta2"];
        versions.sort_by_key(|v| std::cmp::Reverse(version_rank(v)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "x"]);
    }

    #[test]
    fn hashes_are_upstreams() {
        let kinds = kinds::all();
        let of = |resource: &str, group: &str| {
            kinds
                .iter()
                .find(|k| &*k.resource == resource && &*k.gvk.group == group)
                .and_then(|k| storage_hash(k, &kinds))
        };
        assert_eq!(of("pods", "").as_deref(), Some("xPOwRZ+Yhw8="));
        assert_eq!(of("events", "events.k8s.io").as_deref(), Some("r2yiGXH7wu8="));
        assert_eq!(of("tokenreviews", "authentication.k8s.io"), None);
    }
}
