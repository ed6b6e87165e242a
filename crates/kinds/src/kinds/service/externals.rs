//! What of a service is reached from outside of the cluster.

use std::collections::HashSet;

use crate::view::View;

/// Whether the type has ports on every node.
pub fn needs_node_port(spec: &View<'_>) -> bool {
    matches!(spec.text("type"), "NodePort" | "LoadBalancer")
}

/// Whether a load balancer asks every node whether it has an endpoint.
pub fn needs_health_check(spec: &View<'_>) -> bool {
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

/// Whether there is a way in from outside at all.
pub fn accessible(spec: &View<'_>) -> bool {
    needs_node_port(spec) || (spec.text("type") == "ClusterIP" && !spec.at("externalIPs").is_empty())
}

/// The node ports that are named.
pub fn node_ports(spec: &View<'_>) -> HashSet<i64> {
    spec.each("ports").map(|p| p.number("nodePort")).filter(|p| *p != 0).collect()
}
