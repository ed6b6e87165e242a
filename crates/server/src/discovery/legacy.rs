//! The old documents: one a group and one a version.

use kinds::{Descriptor, Subresource};
use meta::names::join_api_version;
use serde_json::{Map, Value, json};

use super::{Group, Resource, Version};

/// `/api`.
pub fn versions(groups: &[Group], address: &str) -> Value {
    let names: Vec<&str> = groups.iter().flat_map(|g| &g.versions).map(|v| v.name.as_str()).collect();
    json!({
        "kind": "APIVersions",
        "versions": names,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub fn group_list(groups: &[Group]) -> Value {
    let groups: Vec<Value> = groups.iter().map(|g| group(g, false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`, or the group within the list of all.
pub fn group(group: &Group, typed: bool) -> Value {
    let name = &group.name;
    let version = |v: &Version| json!({"groupVersion": join_api_version(name, &v.name), "version": v.name});
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    let mut out = json!({"name": name, "versions": versions, "preferredVersion": versions.first()});
    if typed {
        out["kind"] = "APIGroup".into();
        out["apiVersion"] = "v1".into();
    }
    out
}

/// `/api/VERSION` and `/apis/GROUP/VERSION`.
pub fn resources(group: &str, version: &Version) -> Value {
    let mut all = Vec::new();
    for r in &version.resources {
        all.push(resource(r));
        let mut below: Vec<&Subresource> = r.kind.subresources.iter().collect();
        below.sort_by_key(|s| s.name);
        all.extend(below.into_iter().map(|s| subresource(&r.kind, s)));
    }
    let mut out = json!({
        "kind": "APIResourceList",
        "groupVersion": join_api_version(group, &version.name),
        "resources": all,
    });
    if !group.is_empty() {
        out["apiVersion"] = "v1".into();
    }
    out
}

fn resource(resource: &Resource) -> Value {
    let kind = &resource.kind;
    let mut out = Map::new();
    out.insert("name".into(), (*kind.resource).into());
    out.insert("singularName".into(), (*kind.singular).into());
    out.insert("namespaced".into(), kind.namespaced.into());
    out.insert("kind".into(), (*kind.gvk.kind).into());
    out.insert("verbs".into(), kind.verbs.names().into());
    for (field, names) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !names.is_empty() {
            out.insert(field.into(), names.iter().map(|n| Value::from(&**n)).collect());
        }
    }
    if let Some(hash) = &resource.storage_hash {
        out.insert("storageVersionHash".into(), hash.as_str().into());
    }
    out.into()
}

fn subresource(kind: &Descriptor, subresource: &Subresource) -> Value {
    let (group, version, name) = response_kind(kind, subresource);
    let mut out = json!({
        "name": format!("{}/{}", kind.resource, subresource.name),
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": name,
        "verbs": subresource.verbs,
    });
    if !version.is_empty() {
        out["version"] = version.into();
    }
    if !group.is_empty() {
        out["group"] = group.into();
    }
    out
}

/// Group, version and kind of what a subresource takes; group and version are empty when they are the parent's.
pub fn response_kind<'a>(kind: &'a Descriptor, subresource: &Subresource) -> (&'a str, &'a str, &'a str) {
    match subresource.gvk {
        None => ("", "", &kind.gvk.kind),
        Some((group, version, name)) if *kind.gvk.group == *group && *kind.gvk.version == *version => ("", "", name),
        Some(other) => other,
    }
}
