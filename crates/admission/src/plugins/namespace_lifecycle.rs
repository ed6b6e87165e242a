//! Nothing is created in a namespace that does not exist or is going away, and some namespaces never go
//! (upstream: `apiserver/pkg/admission/plugin/namespace/lifecycle`).

use std::sync::Arc;

use async_trait::async_trait;
use auth::bootstrap;
use meta::status::Cause;
use meta::{Key, Object, Status};

use super::Context;
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};

/// How many of [`bootstrap::NAMESPACES`] cannot be deleted: all but that of the node leases.
const IMMORTAL: usize = 3;

struct NamespaceLifecycle;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(NamespaceLifecycle)
}

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        let is = |group: &str, resource: &str| a.group == group && a.resource == resource;
        if is("", "namespaces") {
            return immortal(request);
        }
        // What a review answers about a namespace must not depend on whether it exists.
        let review = is("authorization.k8s.io", "localsubjectaccessreviews");
        let checked = matches!(request.operation, Operation::Create | Operation::Update);
        if a.namespace.is_empty() || review || !checked {
            return Ok(());
        }
        let found = lookup.get("", "namespaces", &Key::new("", &a.namespace)).await?;
        let namespace = found.ok_or_else(|| Status::not_found("", "namespaces", &a.namespace))?;
        if request.operation == Operation::Create { open(request, &namespace) } else { Ok(()) }
    }
}

fn immortal(request: &Request<'_>) -> Result<(), Status> {
    let name = &request.attributes.name;
    if request.operation == Operation::Delete && bootstrap::NAMESPACES[..IMMORTAL].contains(&name.as_str()) {
        return Err(Status::forbidden("", "namespaces", name, "this namespace may not be deleted"));
    }
    Ok(())
}

fn open(request: &Request<'_>, namespace: &Object) -> Result<(), Status> {
    if namespace.str_at("status.phase") != "Terminating" {
        return Ok(());
    }
    let name = namespace.name();
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let mut status = forbidden(request, why);
    status.causes.push(Cause {
        reason: "NamespaceTerminating".to_owned(),
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".to_owned(),
    });
    Err(status)
}
