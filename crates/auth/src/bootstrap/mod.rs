//! What every cluster starts with: namespaces, priority classes, roles and bindings.
//!
//! [`objects`] is pure; whoever starts the cluster applies it through the API at every start, with the
//! identity [`crate::identity::api_server`], asking [`reconcile`] what to do with what is there.

mod reconcile;
mod table;

use meta::Object;
use serde_json::{Value, json};

use crate::authz::Rule;
use crate::authz::rbac::aggregate;
pub use reconcile::{Action, reconcile};
use table::{binding, bindings, roles};

const CLUSTER_ROLES: &str = include_str!("cluster_roles.txt");
const CONTROLLER_ROLES: &str = include_str!("controller_roles.txt");
const NAMESPACE_ROLES: &str = include_str!("namespace_roles.txt");
const BINDINGS: &str = include_str!("bindings.txt");

/// The namespaces that always exist. The first three cannot be deleted.
pub const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// Everything, in an order in which it can be created.
pub fn objects() -> Vec<Object> {
    let mut all: Vec<Object> = NAMESPACES.iter().map(|name| namespace(name)).collect();
    all.extend(priority_classes());
    let mut cluster_roles = roles(CLUSTER_ROLES);
    let controllers = roles(CONTROLLER_ROLES);
    let of_controllers: Vec<Object> = controllers.iter().map(|role| of_controller(role.name())).collect();
    cluster_roles.extend(controllers);
    sum_up(&mut cluster_roles);
    all.extend(cluster_roles);
    all.extend(bindings(BINDINGS));
    all.extend(of_controllers);
    all.extend(roles(NAMESPACE_ROLES));
    all
}

/// The resource of a kind that occurs among [`objects`]: what the path to create it ends in.
pub fn resource(kind: &str) -> &'static str {
    match kind {
        "Namespace" => "namespaces",
        "PriorityClass" => "priorityclasses",
        "ClusterRole" => "clusterroles",
        "ClusterRoleBinding" => "clusterrolebindings",
        "Role" => "roles",
        _ => "rolebindings",
    }
}

/// The rules of the role `system:node`.
pub fn node_rules() -> Vec<Rule> {
    let roles = roles(CLUSTER_ROLES);
    roles.iter().find(|role| role.name() == "system:node").map(Rule::all_of).unwrap_or_default()
}

fn namespace(name: &str) -> Object {
    object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}

fn priority_classes() -> Vec<Object> {
    let class = |name: &str, value: i64, description: &str| {
        object(json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "description": description,
        }))
    };
    vec![
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if \
             necessary.",
        ),
    ]
}

fn of_controller(role: &str) -> Object {
    let account = role.trim_start_matches("system:controller:");
    let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": "kube-system"});
    binding("", role, role, vec![subject])
}

/// Writes the rules of aggregated roles into them, so that they show without waiting for a controller.
fn sum_up(roles: &mut [Object]) {
    loop {
        let sums: Vec<Option<Value>> = roles
            .iter()
            .map(|role| {
                let rules = aggregate::rules_of(role, roles.iter())?;
                Some(rules.iter().map(Rule::to_value).collect::<Vec<_>>().into())
            })
            .collect();
        let mut changed = false;
        for (role, sum) in roles.iter_mut().zip(sums) {
            let Some(sum) = sum.filter(|sum| role.at("rules") != Some(sum)) else {
                continue;
            };
            role.set("rules", sum);
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

/// An object from a literal.
fn object(value: Value) -> Object {
    Object::from_value(value).unwrap_or_else(|_| unreachable!("the literals here are objects"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_bindings_refer_to_roles() {
        let all = objects();
        let mut seen = HashSet::new();
        for o in &all {
            assert!(seen.insert((o.kind().to_owned(), o.key())), "{} {} twice", o.kind(), o.key());
        }
        for o in all.iter().filter(|o| o.kind().ends_with("Binding")) {
            let kind = o.str_at("roleRef.kind").to_owned();
            let namespace = if kind == "Role" { o.namespace() } else { "" };
            let role = (kind, meta::Key::new(namespace, o.str_at("roleRef.name")));
            assert!(seen.contains(&role), "{} refers to {role:?}", o.key());
        }
    }

    #[test]
    fn aggregated_roles_are_full() {
        let all = objects();
        let rules = |name: &str| {
            let role = all.iter().find(|o| o.kind() == "ClusterRole" && o.name() == name).expect("is there");
            Rule::all_of(role)
        };
        let (view, edit, admin) = (rules("view"), rules("edit"), rules("admin"));
        assert!(!view.is_empty() && view.iter().all(|r| edit.contains(r)) && edit.iter().all(|r| admin.contains(r)));
        assert!(admin.len() > edit.len() && edit.len() > view.len());
    }
}
