//! What an update leaves out and what follows from the addresses that a client names (upstream:
//! `pkg/registry/core/service/storage`: `patchAllocatedValues`, `normalizeClusterIPs`, `initIPFamilyFields`).
//!
//! The registry calls it before it allocates addresses and ports, which is before everything else is checked.

use std::collections::{HashMap, HashSet};

use meta::Object;
use meta::field::Errors;
use serde_json::{Value, json};

use super::{addresses, externals};
use crate::tree::{child_or_new, default_zero, each_mut, restore, same_at};
use crate::view::View;

const SINGLE: &str = "SingleStack";

/// Completes addresses, their families and their policy in a cluster whose service addresses are all of `family`
/// (`IPv4` or `IPv6`). What makes that impossible is all that is to be said about the object.
pub fn addresses(new: &mut Object, old: Option<&Object>, family: &str) -> Errors {
    match old {
        Some(old) => {
            keep(new, old);
            agree(new, old);
        }
        None => {
            let one = new.str_at("spec.clusterIP").to_owned();
            if !one.is_empty() && new.list_at("spec.clusterIPs").is_empty() {
                new.set("spec.clusterIPs", json!([one]));
            }
        }
    }
    if new.str_at("spec.type") == "ExternalName" || old.is_some_and(|old| same_preference(new, old)) {
        return Errors::new();
    }
    default_policy(new, old);
    let errors = addresses::check(&View::of(new, "spec"), old.map(|old| View::of(old, "spec")).as_ref());
    if errors.is_empty() { families(new, old, family) } else { errors }
}

/// Fills in the node ports that the server chose and the client does not repeat.
pub fn node_ports(new: &mut Object, old: &Object) {
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    if allocates(&is) && allocates(&was) {
        let used: HashSet<i64> = externals::node_ports(&is).intersection(&externals::node_ports(&was)).copied().collect();
        let before: HashMap<&str, i64> = was.each("ports").map(|p| (p.text("name"), p.number("nodePort"))).collect();
        for port in each_mut(child_or_new(new.fields_mut(), "spec"), "ports") {
            let name = port.get("name").and_then(Value::as_str).unwrap_or("");
            let kept = before.get(name).copied().filter(|number| *number != 0 && !used.contains(number));
            if let Some(number) = kept {
                default_zero(port, "nodePort", number);
            }
        }
    }
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    if externals::needs_health_check(&is) && externals::needs_health_check(&was) && is.number("healthCheckNodePort") == 0 {
        restore(new, old, "spec.healthCheckNodePort");
    }
}

/// Whether every port of the service gets a node port.
pub fn allocates(spec: &View<'_>) -> bool {
    let asked = spec.at("allocateLoadBalancerNodePorts").bool();
    spec.text("type") == "NodePort" || spec.text("type") == "LoadBalancer" && asked.unwrap_or(true)
}

/// Fills in the addresses that the client does not repeat.
fn keep(new: &mut Object, old: &Object) {
    if [&*new, old].iter().any(|service| service.str_at("spec.type") == "ExternalName") {
        return;
    }
    for path in ["spec.clusterIP", "spec.clusterIPs"] {
        if new.at(path).is_none_or(crate::tree::is_zero) {
            restore(new, old, path);
        }
    }
}

/// Keeps `clusterIP` and `clusterIPs` together when a client changed one of them.
fn agree(new: &mut Object, old: &Object) {
    let (is, was) = (new.str_at("spec.clusterIP").to_owned(), old.str_at("spec.clusterIP"));
    if new.list_at("spec.clusterIPs").is_empty() && is == was {
        restore(new, old, "spec.clusterIPs");
    }
    if is == was || !same_at(new, old, "spec.clusterIPs") {
        return;
    }
    if is.is_empty() {
        new.remove("spec.clusterIPs");
    } else {
        new.set("spec.clusterIPs", json!([is]));
    }
}

/// Whether a service that takes what it can get is left as it was.
fn same_preference(new: &Object, old: &Object) -> bool {
    let prefers = |service: &Object| matches!(service.str_at("spec.ipFamilyPolicy"), "PreferDualStack");
    let sort = new.str_at("spec.type");
    matches!(sort, "ClusterIP" | "NodePort" | "LoadBalancer")
        && sort == old.str_at("spec.type")
        && prefers(new)
        && (prefers(old) || old.at("spec.ipFamilyPolicy").is_none())
        && ["spec.clusterIPs", "spec.ipFamilies"].iter().all(|path| same_at(new, old, path))
}

/// An update keeps the policy. Without endpoints of its own a headless service is for both families.
fn default_policy(new: &mut Object, old: Option<&Object>) {
    let spec = View::of(new, "spec");
    if spec.has("ipFamilyPolicy") {
        return;
    }
    let default = if anywhere(&spec) { "RequireDualStack" } else { SINGLE };
    let before = old.and_then(|old| old.at("spec.ipFamilyPolicy")).filter(|v| !v.is_null()).cloned();
    new.set("spec.ipFamilyPolicy", before.unwrap_or_else(|| default.into()));
}

/// Headless, and nobody says where its endpoints are.
fn anywhere(spec: &View<'_>) -> bool {
    spec.text("clusterIP") == "None" && spec.at("selector").is_empty()
}

fn families(new: &mut Object, old: Option<&Object>, own: &str) -> Errors {
    let mut errors = Errors::new();
    if let Some(old) = old {
        release(new, old, &mut errors);
    }
    let spec = View::of(new, "spec");
    let (addresses, policy) = (spec.at("clusterIPs"), spec.at("ipFamilyPolicy"));
    let mut list: Vec<&str> = spec.at("ipFamilies").strings().collect();
    if policy.str() == SINGLE {
        let several = [(addresses.list().len(), "cluster IPs"), (list.len(), "IP families")];
        for (_, what) in several.iter().filter(|(count, _)| *count == 2) {
            let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            errors.push(policy.invalid(why));
        }
    }
    for (i, address) in addresses.strings().enumerate().take_while(|(_, address)| *address != "None").skip(list.len()) {
        let family = if address.contains(':') { "IPv6" } else { "IPv4" };
        if family == own {
            list.push(family);
        } else {
            let all = addresses.value().cloned().unwrap_or_default();
            let why = format!("{family} is not configured on this cluster");
            errors.push(meta::field::Error::invalid(&addresses.path.index(i), all, why));
        }
    }
    if !errors.is_empty() {
        return errors;
    }
    if !anywhere(&spec) {
        if policy.str() == "RequireDualStack" {
            errors.push(policy.invalid("this cluster is not configured for dual-stack services"));
        }
        let foreign = spec.each("ipFamilies").filter(|family| family.str() != own);
        errors.extend(foreign.map(|family| family.invalid("not configured on this cluster")));
    }
    if list.is_empty() {
        list.push(own);
    }
    if anywhere(&spec) && policy.str() != SINGLE && list.len() < 2 {
        list.push(if list[0] == "IPv4" { "IPv6" } else { "IPv4" });
    }
    if errors.is_empty() {
        let list = json!(list);
        new.set("spec.ipFamilies", list);
    }
    errors
}

/// An update may give up the second address or family if it says so in the policy.
fn release(new: &mut Object, old: &Object, errors: &mut Errors) {
    let policy = new.str_at("spec.ipFamilyPolicy").to_owned();
    for (path, what) in [("spec.clusterIPs", "cluster IP"), ("spec.ipFamilies", "IP family")] {
        let count = new.list_at(path).len();
        if policy != SINGLE {
            if count != 0 && count < old.list_at(path).len() {
                let why = format!("must be 'SingleStack' to release the secondary {what}");
                errors.push(View::of(new, "spec").at("ipFamilyPolicy").invalid(why));
            }
        } else if count > 1 && same_at(new, old, path) {
            let first = new.list_at(path)[..1].to_vec();
            new.set(path, first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare;
    use super::*;

    fn object(value: Value) -> Object {
        let mut object = Object::from_value(value).unwrap_or_default();
        prepare::defaults(&mut object);
        object
    }

    fn shown(errors: Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_follow_from_addresses_and_policy() {
        let families = |spec: Value| {
            let mut service = object(json!({"spec": spec}));
            let errors = shown(addresses(&mut service, None, "IPv4"));
            assert!(errors.is_empty(), "{errors:?}");
            let spec = service.at("spec").cloned().unwrap_or_default();
            (spec["ipFamilyPolicy"].clone(), spec["ipFamilies"].clone())
        };
        assert_eq!(families(json!({})), (json!("SingleStack"), json!(["IPv4"])));
        assert_eq!(families(json!({"ipFamilyPolicy": "PreferDualStack"})), (json!("PreferDualStack"), json!(["IPv4"])));
        assert_eq!(families(json!({"clusterIP": "None"})), (json!("RequireDualStack"), json!(["IPv4", "IPv6"])));
        assert_eq!(families(json!({"clusterIP": "None", "selector": {"a": "b"}})), (json!("SingleStack"), json!(["IPv4"])));
    }

    #[test]
    fn one_family_is_all_that_the_cluster_has() {
        let wrong = |spec: Value| shown(addresses(&mut object(json!({"spec": spec})), None, "IPv4"));
        assert_eq!(
            wrong(json!({"clusterIP": "fd00::1"})),
            [r#"spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster"#]
        );
        assert_eq!(
            wrong(json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]})),
            [
                r#"spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services"#,
                r#"spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster"#,
            ]
        );
        assert_eq!(
            wrong(json!({"ipFamilies": ["IPv4", "IPv6"]})),
            ["spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when \
              multiple IP families are specified"]
        );
    }

    #[test]
    fn an_update_keeps_what_was_allocated() {
        let old = object(json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80, "nodePort": 30000}]}}));
        let mut new = object(json!({"spec": {"type": "NodePort", "ports": [{"port": 81}]}}));
        assert!(addresses(&mut new, Some(&old), "IPv4").is_empty());
        node_ports(&mut new, &old);
        assert_eq!(new.str_at("spec.clusterIP"), "10.0.0.1");
        assert_eq!(new.at("spec.clusterIPs"), old.at("spec.clusterIPs"));
        assert_eq!(new.list_at("spec.ports")[0]["nodePort"], 30000);
    }
}
