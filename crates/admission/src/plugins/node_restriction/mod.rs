//! A kubelet writes its own node, its own pods and what belongs to them, whatever RBAC says
//! (upstream: `plugin/pkg/admission/noderestriction`). The authorizer decides by names; here the
//! objects themselves are looked at.

mod node;
mod pod;
mod token;

use std::sync::Arc;

use async_trait::async_trait;
use auth::{Authorization, identity};
use kinds::kinds::certificatesigningrequest::subject;
use meta::{Object, Status};
use serde_json::Value;

use super::Context;
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};

struct NodeRestriction {
    authorization: Arc<Authorization>,
}

/// Makes the plug-in.
pub(super) fn make(context: &Context) -> Arc<dyn Plugin> {
    Arc::new(NodeRestriction { authorization: context.authorization.clone() })
}

#[async_trait]
impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let request = &*request;
        let a = request.attributes;
        let Some(node) = identity::node_name(&a.user).filter(|_| request.operation != Operation::Connect) else {
            return Ok(());
        };
        if node.is_empty() {
            return Err(forbidden(request, format!("could not determine node from user {:?}", a.user.name)));
        }
        match (a.group.as_str(), a.resource.as_str(), a.subresource.as_str()) {
            ("", "pods", "") => pod::whole(node, request, lookup).await,
            ("", "pods", "status") => pod::status(node, request),
            ("", "pods", "eviction") => pod::eviction(node, request, lookup).await,
            ("", "pods", other) => {
                let why = format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed");
                Err(forbidden(request, why))
            }
            ("", "nodes", _) => node::check(node, request),
            ("", "persistentvolumeclaims", "status") => claim_status(node, request),
            ("", "persistentvolumeclaims", _) => Err(forbidden(request, "may only update PVC status")),
            ("", "serviceaccounts", "token") => token::check(node, request, lookup, &self.authorization).await,
            ("coordination.k8s.io", "leases", _) => lease(node, request),
            ("storage.k8s.io", "csinodes", _) => {
                own_name(node, request, "can only access CSINode with the same name as the requesting node")
            }
            ("certificates.k8s.io", "certificatesigningrequests", "") => certificate(node, request),
            ("resource.k8s.io", "resourceslices", _) => resource_slice(node, request),
            _ => Ok(()),
        }
    }
}

fn lease(node: &str, request: &Request<'_>) -> Result<(), Status> {
    if request.attributes.namespace != "kube-node-lease" {
        return Err(forbidden(request, "can only access leases in the \"kube-node-lease\" system namespace"));
    }
    own_name(node, request, "can only access node lease with the same name as the requesting node")
}

/// A node asks for certificates of its own alone.
fn certificate(node: &str, request: &Request<'_>) -> Result<(), Status> {
    const SIGNERS: [&str; 2] = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
    let created = request.object.as_deref().filter(|_| request.operation == Operation::Create);
    let Some(asked) = created.filter(|asked| SIGNERS.contains(&asked.str_at("spec.signerName"))) else { return Ok(()) };
    let subject = subject(asked).map_err(|why| forbidden(request, format!("unable to parse csr: {why}")))?;
    let own = format!("system:node:{node}");
    if subject.common_name == own { Ok(()) } else { Err(forbidden(request, format!("can only create a node CSR with CN={own}"))) }
}

/// The object must be called as the node. A new one's name is in the object.
fn own_name(node: &str, request: &Request<'_>, why: &str) -> Result<(), Status> {
    let created = request.object.as_deref().filter(|_| request.operation == Operation::Create);
    let name = created.map_or(request.attributes.name.as_str(), Object::name);
    if name == node { Ok(()) } else { Err(forbidden(request, why)) }
}

fn resource_slice(node: &str, request: &Request<'_>) -> Result<(), Status> {
    let (slice, verb) = match request.operation {
        Operation::Create => (request.object.as_deref(), "create"),
        Operation::Delete => (request.old, "delete"),
        _ => return Ok(()),
    };
    if slice.is_some_and(|slice| slice.str_at("spec.nodeName") == node) {
        return Ok(());
    }
    Err(forbidden(request, format!("can only {verb} ResourceSlice with the same NodeName as the requesting node")))
}

fn claim_status(node: &str, request: &Request<'_>) -> Result<(), Status> {
    let (Operation::Update, Some(new), Some(old)) = (request.operation, request.object.as_deref(), request.old) else {
        return Err(forbidden(request, format!("unexpected operation {:?}", operation(request))));
    };
    let rest = |claim: &Object| {
        let mut rest = claim.clone();
        for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
            rest.remove(&format!("status.{field}"));
        }
        rest.remove("metadata.resourceVersion");
        rest.remove("metadata.managedFields");
        rest
    };
    if rest(new) == rest(old) {
        return Ok(());
    }
    let why = format!("node {node:?} is not allowed to update fields other than status.quantity and status.conditions");
    Err(forbidden(request, why))
}

/// The operation as messages name it.
fn operation(request: &Request<'_>) -> &'static str {
    match request.operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}
