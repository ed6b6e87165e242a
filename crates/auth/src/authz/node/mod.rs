//! What a kubelet may: the objects that the pods bound to its node refer to, and its own
//! (upstream: `plugin/pkg/auth/authorizer/node`).

mod graph;
pub mod references;

use std::sync::{OnceLock, PoisonError, RwLock};

use meta::{Attributes, Key, Object, User};

use super::rbac::Rule;
use super::{Authorizer, Decision, Event, RulesReview};
use crate::identity::{NODE_PREFIX, NODES, node_name};
use graph::Graph;
pub use graph::Kind;

/// The authorizer and what it knows of pods, volumes and attachments.
#[derive(Default)]
pub struct Node {
    graph: RwLock<Graph>,
}

impl Node {
    /// Takes in a change.
    pub fn observe(&self, group: &str, resource: &str, event: Event<'_>) {
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Put(object) => graph.put(group, resource, object),
            Event::Gone(key) => graph.remove(group, resource, key),
        }
    }

    /// Takes in all objects of one resource.
    pub fn replace(&self, group: &str, resource: &str, objects: &[Object]) {
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        graph.clear(group, resource);
        objects.iter().for_each(|object| graph.put(group, resource, object));
    }

    fn related(&self, node: &str, kind: Kind, a: &Attributes) -> Decision {
        if a.name.is_empty() {
            return Decision::no_opinion("No Object name found");
        }
        let graph = self.graph.read().unwrap_or_else(PoisonError::into_inner);
        if graph.leads_to(kind, &Key::new(&a.namespace, &a.name), node) {
            return Decision::allow("");
        }
        Decision::no_opinion(format!("no relationship found between node '{node}' and this object"))
    }

    fn get(&self, node: &str, kind: Kind, a: &Attributes) -> Decision {
        match (a.verb.as_str(), a.subresource.as_str()) {
            ("get", "") => self.related(node, kind, a),
            ("get", _) => Decision::no_opinion("cannot get subresource"),
            _ => Decision::no_opinion("can only get individual resources of this type"),
        }
    }

    fn read(&self, node: &str, kind: Kind, a: &Attributes) -> Decision {
        let why = if !matches!(a.verb.as_str(), "get" | "list" | "watch") {
            "can only read resources of this type"
        } else if !a.subresource.is_empty() {
            "cannot read subresource"
        } else if a.namespace.is_empty() {
            "can only read namespaced object of this type"
        } else {
            return self.related(node, kind, a);
        };
        Decision::no_opinion(why)
    }

    fn claim(&self, node: &str, a: &Attributes) -> Decision {
        match (a.subresource.as_str(), a.verb.as_str()) {
            ("status", "update" | "patch") => self.related(node, Kind::Claim, a),
            ("status", _) => Decision::no_opinion("can only get/update/patch this type"),
            _ => self.get(node, Kind::Claim, a),
        }
    }

    fn service_account(&self, node: &str, a: &Attributes) -> Decision {
        match (a.verb.as_str(), a.subresource.as_str()) {
            ("get", "") => self.read(node, Kind::ServiceAccount, a),
            ("create", "token") if !a.name.is_empty() => self.related(node, Kind::ServiceAccount, a),
            ("create", _) if !a.name.is_empty() => {
                Decision::no_opinion("can only create token subresource of serviceaccount")
            }
            _ => Decision::no_opinion("can only create tokens for individual service accounts"),
        }
    }

    fn pod(&self, node: &str, a: &Attributes) -> Decision {
        match (a.subresource.as_str(), a.verb.as_str()) {
            ("", "get") => self.get(node, Kind::Pod, a),
            ("", "list" | "watch") if a.fields.exact("spec.nodeName") == Some(node) => Decision::allow(""),
            ("", "list" | "watch") if !a.name.is_empty() => self.related(node, Kind::Pod, a),
            ("", "list" | "watch") => {
                Decision::no_opinion("can only list/watch pods with spec.nodeName field selector")
            }
            // Whether it is a mirror pod, or a pod of this node, is for the admission plug-in NodeRestriction.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Decision::allow(""),
            _ => Decision::no_opinion(""),
        }
    }
}

fn own_node(node: &str, a: &Attributes) -> Decision {
    match (a.subresource.as_str(), a.verb.as_str()) {
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Decision::allow(""),
        ("", "get" | "list" | "watch") if a.name == node => Decision::allow(""),
        ("", "get" | "list" | "watch") if a.name.is_empty() => {
            Decision::no_opinion(format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch") => {
            Decision::no_opinion(format!("node '{node}' cannot read '{}', only its own Node object", a.name))
        }
        _ => Decision::no_opinion(""),
    }
}

fn own_lease(node: &str, a: &Attributes) -> Decision {
    if !matches!(a.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return Decision::no_opinion("can only get, create, update, patch, or delete a node lease");
    }
    if a.namespace != "kube-node-lease" {
        return Decision::no_opinion("can only access leases in the \"kube-node-lease\" system namespace");
    }
    if a.verb != "create" && a.name != node {
        return Decision::no_opinion("can only access node lease with the same name as the requesting node");
    }
    Decision::allow("")
}

fn own_csi_node(node: &str, a: &Attributes) -> Decision {
    if !matches!(a.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return Decision::no_opinion("can only get, create, update, patch, or delete a CSINode");
    }
    if !a.subresource.is_empty() {
        return Decision::no_opinion("cannot authorize CSINode subresources");
    }
    if a.verb != "create" && a.name != node {
        return Decision::no_opinion("can only access CSINode with the same name as the requesting node");
    }
    Decision::allow("")
}

/// Everything that is the same for all nodes: the rules of the role `system:node`.
fn uniform(a: &Attributes) -> Decision {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    let rules = RULES.get_or_init(crate::bootstrap::node_rules);
    if rules.iter().any(|rule| rule.allows(a)) { Decision::allow("") } else { Decision::no_opinion("") }
}

impl Authorizer for Node {
    fn name(&self) -> &'static str {
        "Node"
    }

    fn authorize(&self, a: &Attributes) -> Decision {
        let Some(node) = node_name(&a.user) else {
            return Decision::no_opinion("");
        };
        if node.is_empty() {
            return Decision::no_opinion(format!("unknown node for user {:?}", a.user.name));
        }
        match (a.group.as_str(), a.resource.as_str()) {
            ("", "secrets") => self.read(node, Kind::Secret, a),
            ("", "configmaps") => self.read(node, Kind::ConfigMap, a),
            ("", "persistentvolumeclaims") => self.claim(node, a),
            ("", "persistentvolumes") => self.get(node, Kind::Volume, a),
            ("resource.k8s.io", "resourceclaims") => self.get(node, Kind::ResourceClaim, a),
            ("storage.k8s.io", "volumeattachments") => self.get(node, Kind::Attachment, a),
            ("", "serviceaccounts") => self.service_account(node, a),
            ("coordination.k8s.io", "leases") => own_lease(node, a),
            ("storage.k8s.io", "csinodes") => own_csi_node(node, a),
            ("", "nodes") => own_node(node, a),
            ("", "pods") => self.pod(node, a),
            _ => uniform(a),
        }
    }

    fn rules(&self, user: &User, _namespace: &str, review: &mut RulesReview) {
        if user.in_group(NODES) && user.name.starts_with(NODE_PREFIX) {
            review.incomplete = true;
            review.errors.push("node authorizer does not support user rule resolution".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
