//! The aggregated document: everything at once (`apidiscovery.k8s.io`).

use kinds::Subresource;
use serde_json::{Value, json};

use super::legacy::response_kind;
use super::{Group, Resource, Version};

/// An `APIGroupDiscoveryList` of version `v2` or `v2beta1`.
pub fn list(groups: &[Group], version: &str) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &Group) -> Value {
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>()})
}

fn version(version: &Version) -> Value {
    let resources: Vec<Value> = version.resources.iter().map(resource).collect();
    json!({"version": version.name, "freshness": "Current", "resources": resources})
}

fn resource(resource: &Resource) -> Value {
    let kind = &resource.kind;
    let mut out = json!({
        "resource": &*kind.resource,
        "responseKind": {"group": "", "version": "", "kind": &*kind.gvk.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": &*kind.singular,
        "verbs": kind.verbs.names(),
    });
    for (field, names) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !names.is_empty() {
            out[field] = names.iter().map(|n| Value::from(&**n)).collect();
        }
    }
    if !kind.subresources.is_empty() {
        let mut below: Vec<&Subresource> = kind.subresources.iter().collect();
        below.sort_by_key(|s| s.name);
        let one = |s: &Subresource| {
            let (group, version, name) = response_kind(kind, s);
            let kind = json!({"group": group, "version": version, "kind": name});
            json!({"subresource": s.name, "responseKind": kind, "verbs": s.verbs})
        };
        out["subresources"] = below.into_iter().map(one).collect();
    }
    out
}
