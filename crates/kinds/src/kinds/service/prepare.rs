//! Defaults of services, and what the server does to them before they are stored (upstream:
//! `pkg/apis/core/v1/defaults.go`, `pkg/registry/core/service`).
//!
//! Addresses and node ports are allocated by the registry, between preparation and validation.

use std::collections::HashSet;

use meta::Object;
use serde_json::{Value, json};

use crate::tree::{child_or_new, default_absent, default_zero, each_mut, restore, same_at};
use crate::view::View;

/// How long a client stays with its endpoint by default, in seconds.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn defaults(object: &mut Object) {
    let spec = child_or_new(object.fields_mut(), "spec");
    default_zero(spec, "sessionAffinity", "None");
    match spec["sessionAffinity"].as_str() {
        Some("None") => drop(spec.remove("sessionAffinityConfig")),
        Some("ClientIP") => {
            let client = child_or_new(child_or_new(spec, "sessionAffinityConfig"), "clientIP");
            default_absent(client, "timeoutSeconds", AFFINITY_SECONDS);
        }
        _ => {}
    }
    default_zero(spec, "type", "ClusterIP");
    for port in each_mut(spec, "ports") {
        default_zero(port, "protocol", "TCP");
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        default_zero(port, "targetPort", number);
    }
    let outside = externally_accessible(&View::new(Some(&Value::Object(spec.clone())), Default::default()));
    if outside {
        default_zero(spec, "externalTrafficPolicy", "Cluster");
    }
    let sort = spec["type"].as_str().unwrap_or("").to_owned();
    if matches!(sort.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default_absent(spec, "internalTrafficPolicy", "Cluster");
    }
    if sort == "LoadBalancer" {
        default_absent(spec, "allocateLoadBalancerNodePorts", true);
    }
    let balancer = child_or_new(child_or_new(object.fields_mut(), "status"), "loadBalancer");
    if sort == "LoadBalancer" {
        for ingress in each_mut(balancer, "ingress").filter(|i| i.get("ip").is_some_and(|ip| ip != "")) {
            default_absent(ingress, "ipMode", "VIP");
        }
    }
}

pub(super) fn create(object: &mut Object) {
    object.set("status", json!({"loadBalancer": {}}));
    let one = object.str_at("spec.clusterIP").to_owned();
    if !one.is_empty() && object.list_at("spec.clusterIPs").is_empty() {
        object.set("spec.clusterIPs", json!([one]));
    }
    families(object);
}

/// The update keeps what was allocated before and drops what its new type does not have.
pub(super) fn update(new: &mut Object, old: &Object) {
    restore(new, old, "status");
    drop_by_type(new, old);
    keep_allocated(new, old);
    normalize(new, old);
    families(new);
}

/// Policy and families of the addresses, as far as they follow from what the client says; the family of an
/// address that is still to be allocated is set with it.
fn families(object: &mut Object) {
    let spec = View::of(object, "spec");
    if spec.text("type") == "ExternalName" {
        return;
    }
    let anywhere = spec.text("clusterIP") == "None" && spec.at("selector").is_empty();
    let family = |ip: &str| if ip.contains(':') { "IPv6" } else { "IPv4" };
    let mut list: Vec<&str> = spec.at("ipFamilies").strings().collect();
    let of_addresses = spec.at("clusterIPs").strings().filter(|ip| *ip != "None").map(family);
    list.extend(of_addresses.skip(list.len()));
    let default = if anywhere { "RequireDualStack" } else { "SingleStack" };
    let policy = spec.get("ipFamilyPolicy").map_or(default, |p| p.str());
    if anywhere && policy != "SingleStack" {
        // Its endpoints may be anything.
        let other = if list.first() == Some(&"IPv6") { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
        list = other.to_vec();
    }
    let (policy, list) = (policy.to_owned(), json!(list));
    object.set("spec.ipFamilyPolicy", policy);
    if list != json!([]) {
        object.set("spec.ipFamilies", list);
    }
}

pub(super) fn needs_node_port(spec: &View<'_>) -> bool {
    matches!(spec.text("type"), "NodePort" | "LoadBalancer")
}

pub(super) fn needs_health_check(spec: &View<'_>) -> bool {
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

pub(super) fn externally_accessible(spec: &View<'_>) -> bool {
    needs_node_port(spec) || (spec.text("type") == "ClusterIP" && !spec.at("externalIPs").is_empty())
}

fn drop_by_type(new: &mut Object, old: &Object) {
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    let same = |path: &str| same_at(new, old, path);
    let mut gone: Vec<&str> = Vec::new();
    if was.text("type") != "ExternalName" && is.text("type") == "ExternalName" {
        if same("spec.clusterIP") && same("spec.clusterIPs") {
            gone.extend(["spec.clusterIP", "spec.clusterIPs"]);
        }
        gone.extend(["spec.ipFamilies", "spec.ipFamilyPolicy"].into_iter().filter(|path| same(path)));
    }
    let conditions = [
        (needs_health_check(&was) && !needs_health_check(&is), "spec.healthCheckNodePort"),
        (was.text("type") == "LoadBalancer" && is.text("type") != "LoadBalancer", "spec.allocateLoadBalancerNodePorts"),
        (was.text("type") == "LoadBalancer" && is.text("type") != "LoadBalancer", "spec.loadBalancerClass"),
        (externally_accessible(&was) && !externally_accessible(&is), "spec.externalTrafficPolicy"),
    ];
    gone.extend(conditions.into_iter().filter(|(lost, path)| *lost && same(path)).map(|(_, path)| path));
    let ports = needs_node_port(&was) && !needs_node_port(&is) && node_ports(&is).is_subset(&node_ports(&was));
    let balancer = is.text("type") == "LoadBalancer";
    for path in gone {
        new.remove(path);
    }
    if ports {
        each_mut(child_or_new(new.fields_mut(), "spec"), "ports").for_each(|p| drop(p.remove("nodePort")));
    }
    if !balancer {
        new.set("status.loadBalancer", json!({}));
    }
}

fn node_ports(spec: &View<'_>) -> HashSet<i64> {
    spec.each("ports").map(|p| p.number("nodePort")).filter(|p| *p != 0).collect()
}

/// Fills in what the server chose and the client does not repeat.
fn keep_allocated(new: &mut Object, old: &Object) {
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    let cluster_ip = is.text("type") != "ExternalName" && was.text("type") != "ExternalName";
    let ports = needs_node_port(&is) && needs_node_port(&was);
    let health = needs_health_check(&is) && needs_health_check(&was) && is.number("healthCheckNodePort") == 0;
    let used: HashSet<i64> = node_ports(&is).intersection(&node_ports(&was)).copied().collect();
    if cluster_ip {
        for path in ["spec.clusterIP", "spec.clusterIPs"] {
            if new.at(path).is_none_or(crate::tree::is_zero) {
                restore(new, old, path);
            }
        }
    }
    if ports {
        for port in each_mut(child_or_new(new.fields_mut(), "spec"), "ports") {
            let name = port.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
            let before = was.each("ports").find(|p| p.text("name") == name).map_or(0, |p| p.number("nodePort"));
            if before != 0 && !used.contains(&before) {
                default_zero(port, "nodePort", before);
            }
        }
    }
    if health {
        restore(new, old, "spec.healthCheckNodePort");
    }
    if new.at("spec.ipFamilyPolicy").is_none() && cluster_ip {
        restore(new, old, "spec.ipFamilyPolicy");
        if new.list_at("spec.ipFamilies").is_empty() {
            restore(new, old, "spec.ipFamilies");
        }
    }
}

/// Keeps `clusterIP` and `clusterIPs` together when a client changed one of them.
fn normalize(new: &mut Object, old: &Object) {
    let (is, was) = (new.str_at("spec.clusterIP").to_owned(), old.str_at("spec.clusterIP"));
    if is == was || !same_at(new, old, "spec.clusterIPs") {
        return;
    }
    if is.is_empty() {
        new.remove("spec.clusterIPs");
    } else {
        new.set("spec.clusterIPs", json!([is]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn a_small_service_becomes_complete() {
        let mut service = object(json!({"spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}}}));
        defaults(&mut service);
        create(&mut service);
        let once = service.clone();
        defaults(&mut service);
        assert_eq!(service, once);
        let want = json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "selector": {"a": "b"},
            "sessionAffinity": "None", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
            "ipFamilyPolicy": "SingleStack"});
        assert_eq!(service.at("spec"), Some(&want));
    }

    #[test]
    fn an_update_keeps_what_was_allocated() {
        let mut old = object(json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30000}]}}));
        defaults(&mut old);
        create(&mut old);
        let mut new = object(json!({"spec": {"type": "NodePort", "ports": [{"port": 81}]}}));
        defaults(&mut new);
        update(&mut new, &old);
        assert_eq!(new.str_at("spec.clusterIP"), "10.0.0.1");
        assert_eq!(new.list_at("spec.ports")[0]["nodePort"], 30000);
        let mut plain = object(json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30000}],
            "externalTrafficPolicy": "Cluster"}}));
        defaults(&mut plain);
        update(&mut plain, &old);
        assert_eq!(plain.list_at("spec.ports")[0].get("nodePort"), None);
        assert_eq!(plain.at("spec.externalTrafficPolicy"), None);
    }
}
