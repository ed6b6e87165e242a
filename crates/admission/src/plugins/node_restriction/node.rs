//! A kubelet's own Node: no taints, no owners, and of the labels only those that do not steer workloads.

use std::collections::{BTreeMap, BTreeSet};

use meta::{Object, Status};

use crate::refusal::forbidden;
use crate::{Operation, Request};

/// Labels of Kubernetes that a kubelet may set on its own node.
const ALLOWED: &[&str] = &[
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const ALLOWED_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];

pub(super) fn check(node: &str, request: &Request<'_>) -> Result<(), Status> {
    let name = request.attributes.name.as_str();
    let created = request.object.as_deref().filter(|_| request.operation == Operation::Create);
    let name = created.map_or(name, Object::name);
    if name != node {
        return Err(forbidden(request, format!("node {node:?} is not allowed to modify node {name:?}")));
    }
    let Some(new) = request.object.as_deref() else { return Ok(()) };
    let refuse = |why: String| Err(forbidden(request, why));
    let source = new.at("spec.configSource").filter(|s| !s.is_null());
    let Some(old) = request.old else {
        if source.is_some() {
            return refuse(format!("node {node:?} is not allowed to create pods with a non-nil configSource"));
        }
        let labels = forbidden_labels(new, &Object::default());
        if !labels.is_empty() {
            return refuse(format!("node {node:?} is not allowed to set the following labels: {labels}"));
        }
        return Ok(());
    };
    if source.is_some() && source != old.at("spec.configSource") {
        return refuse(format!("node {node:?} is not allowed to update configSource to a new non-nil configSource"));
    }
    if new.list_at("spec.taints") != old.list_at("spec.taints") {
        return refuse(format!("node {node:?} is not allowed to modify taints"));
    }
    if new.list_at("metadata.ownerReferences") != old.list_at("metadata.ownerReferences") {
        return refuse(format!("node {node:?} is not allowed to modify ownerReferences"));
    }
    let labels = forbidden_labels(new, old);
    if labels.is_empty() { Ok(()) } else { refuse(format!("is not allowed to modify labels: {labels}")) }
}

/// The changed labels that a kubelet may not change, as a list for people.
fn forbidden_labels(new: &Object, old: &Object) -> String {
    let (new, old): (BTreeMap<&str, &str>, BTreeMap<&str, &str>) = (new.labels().collect(), old.labels().collect());
    let keys: BTreeSet<&str> = new.keys().chain(old.keys()).copied().collect();
    let changed = keys.into_iter().filter(|key| new.get(key) != old.get(key));
    let bad: Vec<&str> = changed.filter(|key| !allowed(key)).collect();
    bad.join(", ")
}

fn allowed(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    if within(domain, "node-restriction.kubernetes.io") {
        return false;
    }
    let of_kubernetes = within(domain, "kubernetes.io") || within(domain, "k8s.io");
    !of_kubernetes || ALLOWED.contains(&key) || ALLOWED_DOMAINS.iter().any(|d| within(domain, d))
}

fn within(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
