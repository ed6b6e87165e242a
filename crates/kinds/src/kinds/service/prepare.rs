//! Defaults of services, and what the server does to them before they are stored (upstream:
//! `pkg/apis/core/v1/defaults.go`, `pkg/registry/core/service`).
//!
//! Before that the registry has allocated addresses and node ports (see `settle`).

use meta::Object;
use serde_json::{Value, json};

use super::externals::{accessible, needs_health_check, needs_node_port, node_ports};
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
    let outside = accessible(&View::new(Some(&Value::Object(spec.clone())), Default::default()));
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
}

/// The update drops what its new type does not have.
pub(super) fn update(new: &mut Object, old: &Object) {
    restore(new, old, "status");
    drop_by_type(new, old);
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
        (accessible(&was) && !accessible(&is), "spec.externalTrafficPolicy"),
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
            "sessionAffinity": "None", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"});
        assert_eq!(service.at("spec"), Some(&want));
    }

    #[test]
    fn an_update_drops_what_its_type_has_not() {
        let mut old = object(json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30000}]}}));
        defaults(&mut old);
        let mut plain = object(json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30000}],
            "externalTrafficPolicy": "Cluster"}}));
        defaults(&mut plain);
        update(&mut plain, &old);
        assert_eq!(plain.list_at("spec.ports")[0].get("nodePort"), None);
        assert_eq!(plain.at("spec.externalTrafficPolicy"), None);
    }
}
