//! The plug-ins, one file or folder each, in the order in which they run (upstream:
//! `kubeapiserver/options/plugins.go`).

mod certificates;
mod default_toleration_seconds;
mod namespace_lifecycle;
mod node_restriction;
pub mod pod_security;
mod priority;
mod rbac_escalation;
mod runtime_class;
mod service_account;
mod taint_nodes;

use std::sync::Arc;

use crate::{Plugin, Request};

/// The annotation of a pod that a kubelet runs from a file of its own.
const MIRROR_POD: &str = "kubernetes.io/config.mirror";

/// What plug-ins need besides the request and other objects.
#[derive(Clone)]
pub struct Context {
    /// Who may do what.
    pub authorization: Arc<auth::Authorization>,
    /// What PodSecurity does where no label says anything, and whom it lets be.
    pub pod_security: Arc<pod_security::config::Config>,
}

/// Makes one plug-in.
pub type Make = fn(&Context) -> Arc<dyn Plugin>;

/// All plug-ins.
pub const ALL: &[Make] = &[
    namespace_lifecycle::make,
    service_account::make,
    node_restriction::make,
    taint_nodes::make,
    pod_security::make,
    priority::make,
    default_toleration_seconds::make,
    runtime_class::make,
    certificates::approval::make,
    certificates::signing::make,
    certificates::subject::make,
    rbac_escalation::make,
];

/// All plug-ins, made.
pub fn all(context: &Context) -> Vec<Arc<dyn Plugin>> {
    ALL.iter().map(|make| make(context)).collect()
}

/// Whether the request is about a pod's subresource (empty: the pod itself).
fn is_pod(request: &Request<'_>, subresource: &str) -> bool {
    let a = request.attributes;
    a.group.is_empty() && a.resource == "pods" && a.subresource == subresource
}

#[cfg(test)]
mod tests;
