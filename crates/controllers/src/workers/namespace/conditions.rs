//! What a namespace says of its own deletion.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::workers::rest::Resource;

/// What an attempt found.
#[derive(Default)]
pub struct Found {
    /// Why discovery failed.
    pub discovery: Option<String>,
    /// Why something could not be deleted.
    pub failures: Vec<String>,
    /// Objects that remain, by `resource.group`.
    pub remaining: BTreeMap<String, usize>,
    /// Finalizers that hold them.
    pub finalizers: BTreeMap<String, usize>,
}

impl Found {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.discovery.is_none() && self.failures.is_empty() && self.remaining.is_empty()
    }

    /// Adds what remains of a resource.
    pub fn count<'a>(&mut self, resource: &Resource, left: impl Iterator<Item = &'a ObjectMeta>) {
        for object in left {
            *self.remaining.entry(format!("{}.{}", resource.name, resource.group)).or_default() += 1;
            for finalizer in object.finalizers.iter().flatten() {
                *self.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
    }
}

/// Brings phase and conditions of a namespace up to date. Says whether that changed anything.
pub fn note(namespace: &mut Namespace, found: &Found, now: Timestamp) -> bool {
    let status = namespace.status.get_or_insert_default();
    let mut changed = status.phase.as_deref() != Some("Terminating");
    status.phase = Some("Terminating".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    for (type_, failure, fine) in all(found) {
        let (value, (reason, message)) = match failure {
            Some(failure) => ("True", failure),
            None => ("False", (fine.0, fine.1.to_owned())),
        };
        let new = NamespaceCondition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        };
        changed |= put(conditions, new);
    }
    changed
}

fn put(conditions: &mut Vec<NamespaceCondition>, mut new: NamespaceCondition) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.type_ == new.type_) else {
        conditions.push(new);
        return true;
    };
    if old.status == new.status && old.reason == new.reason && old.message == new.message {
        return false;
    }
    if old.status == new.status {
        new.last_transition_time = old.last_transition_time.clone();
    }
    *old = new;
    true
}

type Line = (&'static str, Option<(&'static str, String)>, (&'static str, &'static str));

/// Every condition: type, what is wrong, and what is said if nothing is.
fn all(found: &Found) -> [Line; 5] {
    let list = |of: &BTreeMap<String, usize>, verb: &str| {
        let entries: Vec<String> = of.iter().map(|(what, n)| format!("{what} {verb} {n} resource instances")).collect();
        entries.join(", ")
    };
    let discovery = found.discovery.clone().map(|message| ("DiscoveryFailed", message));
    let content = (!found.failures.is_empty()).then(|| {
        let mut failures = found.failures.clone();
        failures.sort();
        let (count, text) = (failures.len(), failures.join(", "));
        ("ContentDeletionFailed", format!("Failed to delete all resource types, {count} remaining: {text}"))
    });
    let remaining = (!found.remaining.is_empty()).then(|| {
        ("SomeResourcesRemain", format!("Some resources are remaining: {}", list(&found.remaining, "has")))
    });
    let finalizers = (!found.finalizers.is_empty()).then(|| {
        let text = list(&found.finalizers, "in");
        ("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {text}"))
    });
    [
        ("NamespaceDeletionDiscoveryFailure", discovery, ("ResourcesDiscovered", "All resources successfully discovered")),
        ("NamespaceDeletionGroupVersionParsingFailure", None, ("ParsedGroupVersions", "All legacy kube types successfully parsed")),
        (
            "NamespaceDeletionContentFailure",
            content,
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        ("NamespaceContentRemaining", remaining, ("ContentRemoved", "All content successfully removed")),
        ("NamespaceFinalizersRemaining", finalizers, ("ContentHasNoFinalizers", "All content-preserving finalizers finished")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_remains_and_takes_it_back() {
        let mut found = Found::default();
        let pods = Resource {
            group: String::new(), version: "v1".into(), name: "pods".into(), kind: "Pod".into(), namespaced: true, verbs: vec![],
        };
        let meta = ObjectMeta { finalizers: Some(vec!["a/b".to_owned()]), ..ObjectMeta::default() };
        found.count(&pods, [&meta].into_iter());
        let mut namespace = Namespace::default();
        assert!(note(&mut namespace, &found, Timestamp::UNIX_EPOCH));
        assert!(!note(&mut namespace, &found, Timestamp::UNIX_EPOCH));
        let text = |n: &Namespace, at: usize| {
            n.status.as_ref().and_then(|s| s.conditions.as_ref()).and_then(|c| c[at].message.clone()).unwrap_or_default()
        };
        assert_eq!(text(&namespace, 3), "Some resources are remaining: pods. has 1 resource instances");
        assert_eq!(text(&namespace, 4), "Some content in the namespace has finalizers remaining: a/b in 1 resource instances");
        assert!(note(&mut namespace, &Found::default(), Timestamp::UNIX_EPOCH));
        assert_eq!(text(&namespace, 3), "All content successfully removed");
    }
}
