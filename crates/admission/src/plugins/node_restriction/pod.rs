//! A kubelet's own pods: it makes mirror pods, reports the status of those bound to it, evicts and deletes them.

use auth::authz::node::{Kind, references};
use meta::{Key, Object, Status};
use serde_json::Value;

use super::super::MIRROR_POD;
use super::{operation, text};
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Request};

pub(super) async fn whole(node: &str, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
    match (request.operation, request.object.as_deref()) {
        (Operation::Create, Some(pod)) => create(node, request, pod, lookup).await,
        (Operation::Delete, _) => {
            let why = format!("node {node:?} can only delete pods with spec.nodeName set to itself");
            bound_here(node, request, &request.attributes.name, lookup, why).await
        }
        _ => {
            let operation = operation(request);
            let why =
                format!("unexpected operation {operation:?}, node {node:?} can only create and delete mirror pods");
            Err(forbidden(request, why))
        }
    }
}

pub(super) async fn eviction(node: &str, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
    if request.operation != Operation::Create {
        return Err(forbidden(request, format!("unexpected operation {}", operation(request))));
    }
    let named = &request.attributes.name;
    let name = if named.is_empty() { request.object.as_deref().map_or("", Object::name) } else { named };
    if name.is_empty() {
        return Err(forbidden(request, "could not determine pod from request data"));
    }
    let why = format!("node {node} can only evict pods with spec.nodeName set to itself");
    bound_here(node, request, name, lookup, why).await
}

async fn bound_here(
    node: &str,
    request: &Request<'_>,
    name: &str,
    lookup: &dyn Lookup,
    why: String,
) -> Result<(), Status> {
    let pod = lookup.get("", "pods", &Key::new(&request.attributes.namespace, name)).await?;
    let pod = pod.ok_or_else(|| Status::not_found("", "pods", name))?;
    if pod.str_at("spec.nodeName") == node { Ok(()) } else { Err(forbidden(request, why)) }
}

pub(super) fn status(node: &str, request: &Request<'_>) -> Result<(), Status> {
    let (Operation::Update, Some(new), Some(old)) = (request.operation, request.object.as_deref(), request.old) else {
        return Err(forbidden(request, format!("unexpected operation {:?}", operation(request))));
    };
    let refuse = |why: &str| Err(forbidden(request, format!("node {node:?} {why}")));
    if old.str_at("spec.nodeName") != node {
        return refuse("can only update pod status for pods with spec.nodeName set to itself");
    }
    let labels = |pod: &Object| pod.labels().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>();
    if labels(new) != labels(old) {
        return refuse("cannot update labels through pod status");
    }
    if new.list_at("status.resourceClaimStatuses") != old.list_at("status.resourceClaimStatuses") {
        return refuse("cannot update resource claim statues");
    }
    if new.at("status.extendedResourceClaimStatus") != old.at("status.extendedResourceClaimStatus") {
        return refuse("cannot update extended resource claim status");
    }
    Ok(())
}

async fn create(node: &str, request: &Request<'_>, pod: &Object, lookup: &dyn Lookup) -> Result<(), Status> {
    let refuse = |why: String| Err(forbidden(request, why));
    if pod.annotation(MIRROR_POD).is_none() {
        let why = format!("pod does not have {MIRROR_POD:?} annotation, node {node:?} can only create mirror pods");
        return refuse(why);
    }
    if pod.str_at("spec.nodeName") != node {
        return refuse(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    let owner = match pod.list_at("metadata.ownerReferences") {
        [owner] => owner,
        [] => return refuse(format!("node {node:?} can only create pods with an owner reference set to itself")),
        _ => return refuse(format!("node {node:?} can only create pods with a single owner reference set to itself")),
    };
    owned_by(node, request, owner, lookup).await?;
    match api_reference(pod) {
        Some(what) => refuse(format!("node {node:?} can not create pods that reference {what}")),
        None => Ok(()),
    }
}

async fn owned_by(node: &str, request: &Request<'_>, owner: &Value, lookup: &dyn Lookup) -> Result<(), Status> {
    let flag = |field: &str| owner.get(field).and_then(Value::as_bool) == Some(true);
    if text(owner, "apiVersion") != "v1" || text(owner, "kind") != "Node" || text(owner, "name") != node {
        let why = format!("node {node:?} can only create pods with an owner reference set to itself");
        return Err(forbidden(request, why));
    }
    if !flag("controller") {
        let why = format!("node {node:?} can only create pods with a controller owner reference set to itself");
        return Err(forbidden(request, why));
    }
    if flag("blockOwnerDeletion") {
        let why = format!("node {node:?} must not set blockOwnerDeletion on an owner reference");
        return Err(forbidden(request, why));
    }
    let found = lookup.get("", "nodes", &Key::new("", node)).await?;
    let found = found.ok_or_else(|| Status::not_found("", "nodes", node))?;
    let uid = text(owner, "uid");
    if uid == found.uid() {
        return Ok(());
    }
    Err(forbidden(request, format!("node {node} UID mismatch: expected {uid} got {}", found.uid())))
}

/// Volume sources by which a pod would reach other objects, and how messages name them.
const VOLUMES: &[(&str, &str)] = &[
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
];
const PROJECTED: &[(&str, &str)] = &[
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

/// What the pod refers to in the API, if anything: a node must not gain access by a pod of its own making.
fn api_reference(pod: &Object) -> Option<&'static str> {
    if !pod.str_at("spec.serviceAccountName").is_empty() {
        return Some("serviceaccounts");
    }
    let references = references::of_pod(pod);
    let refers = |kind: Kind| references.iter().any(|(k, _)| *k == kind);
    if refers(Kind::Secret) {
        return Some("secrets");
    }
    if refers(Kind::ConfigMap) {
        return Some("configmaps");
    }
    if !pod.list_at("spec.resourceClaims").is_empty() {
        return Some("resourceclaims");
    }
    let named = |value: &Value, table: &[(&str, &'static str)]| {
        table.iter().find(|(field, _)| value.get(field).is_some_and(Value::is_object)).map(|(_, what)| *what)
    };
    pod.list_at("spec.volumes").iter().find_map(|volume| {
        let sources = volume.pointer("/projected/sources").and_then(Value::as_array);
        named(volume, VOLUMES).or_else(|| sources?.iter().find_map(|source| named(source, PROJECTED)))
    })
}
