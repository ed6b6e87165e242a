//! What is wrong with a service (upstream: `validateService`).

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::{Value, json};

use super::addresses::{self, headless};
use super::externals::{accessible, needs_health_check};
use crate::validate::metadata::labels;
use crate::validate::{dns_label, dns_subdomain, internal, ip, port_number, protocol, qualified_name};
use crate::view::View;

/// The longest session affinity, in seconds: one day.
const AFFINITY_LIMIT: i64 = 86_400;

const ONLY_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

pub(super) fn service(object: &Object, old: Option<&Object>) -> Errors {
    let mut errors = Errors::new();
    let spec = View::of(object, "spec");
    let before = old.map(|o| View::of(o, "spec"));
    topology(object, &mut errors);
    by_type(&spec, &mut errors);
    let mut names = HashSet::new();
    let several = spec.at("ports").list().len() > 1;
    spec.each("ports").for_each(|p| port(&p, several, &mut names, &mut errors));
    let selector = spec.at("selector");
    errors.extend(labels(selector.value(), &selector.path));
    affinity(&spec, &mut errors);
    errors.extend(addresses::check(&spec, before.as_ref()));
    let known: HashSet<&str> = before.as_ref().map(|b| b.at("externalIPs").strings().collect()).unwrap_or_default();
    for address in spec.each("externalIPs") {
        if known.contains(address.str()) || ip::address(&address, false, &mut errors).is_some() {
            ip::endpoint(&address, &mut errors);
        }
    }
    let sort = spec.at("type");
    if sort.str().is_empty() {
        errors.push(sort.required(""));
    } else {
        sort.one_of(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], &mut errors);
    }
    port_numbers(&spec, &mut errors);
    source_ranges(object, old, &mut errors);
    if spec.has("allocateLoadBalancerNodePorts") && sort.str() != "LoadBalancer" {
        errors.push(spec.at("allocateLoadBalancerNodePorts").forbidden(ONLY_BALANCER));
    }
    balancer_class(&spec, &mut errors);
    traffic(&spec, &mut errors);
    errors
}

fn topology(object: &Object, errors: &mut Errors) {
    let (old, new) = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode");
    if let (Some(hints), Some(mode)) = (object.annotation(old), object.annotation(new))
        && hints != mode
    {
        let path = Path::new("metadata").child("annotations").key(new);
        errors.push(Error::invalid(&path, mode, format!("must match annotations[{old}] when both are specified")));
    }
}

fn by_type(spec: &View<'_>, errors: &mut Errors) {
    let sort = spec.text("type");
    if spec.at("ports").is_empty() && !headless(spec) && sort != "ExternalName" {
        errors.push(spec.at("ports").required(""));
    }
    match sort {
        "LoadBalancer" | "NodePort" if headless(spec) => {
            let path = spec.at("clusterIPs").path.index(0);
            errors.push(Error::invalid(&path, "None", format!("may not be set to 'None' for {sort} services")));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if spec.at(field).value().is_some_and(|v| !crate::tree::is_zero(v)) {
                    errors.push(spec.at(field).forbidden("may not be set for ExternalName services"));
                }
            }
            let name = spec.at("externalName");
            let shown = name.str().strip_suffix('.').unwrap_or(name.str());
            if shown.is_empty() {
                errors.push(name.required(""));
            } else {
                dns_subdomain(&View::new(Some(&Value::from(shown)), name.path), errors);
            }
        }
        _ => {}
    }
}

fn port<'a>(port: &View<'a>, needs_name: bool, names: &mut HashSet<&'a str>, errors: &mut Errors) {
    let name = port.at("name");
    if needs_name && name.str().is_empty() {
        errors.push(name.required(""));
    } else if !name.str().is_empty() {
        dns_label(&name, errors);
        if !names.insert(name.str()) {
            errors.push(name.duplicate());
        }
    }
    port_number(&port.at("port"), errors);
    protocol(&port.at("protocol"), errors);
    crate::validate::port_number_or_name(&port.at("targetPort"), errors);
    if let Some(application) = port.get("appProtocol") {
        qualified_name(&application, errors);
    }
}

fn affinity(spec: &View<'_>, errors: &mut Errors) {
    let (affinity, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    if affinity.str().is_empty() {
        errors.push(affinity.required(""));
    } else {
        affinity.one_of(&["ClientIP", "None"], errors);
    }
    if affinity.str() == "None" && config.exists() {
        errors.push(config.forbidden("must not be set when session affinity is None"));
    }
    if affinity.str() == "ClientIP" {
        let client = config.at("clientIP");
        let seconds = client.at("timeoutSeconds");
        if let Some(missing) = [&config, &client, &seconds].into_iter().find(|f| !f.exists()) {
            errors.push(missing.required("when session affinity type is ClientIP"));
        } else if !seconds.int().is_some_and(|s| (1..=AFFINITY_LIMIT).contains(&s)) {
            errors.push(seconds.invalid(format!("must be greater than 0 and less than {AFFINITY_LIMIT}")));
        }
    }
}

/// Numbers that may not occur twice.
fn port_numbers(spec: &View<'_>, errors: &mut Errors) {
    if spec.text("type") == "ClusterIP" {
        for port in spec.each("ports").filter(|p| p.number("nodePort") != 0) {
            errors.push(port.at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut outside = HashSet::new();
    for port in spec.each("ports").filter(|p| p.number("nodePort") != 0) {
        if !outside.insert((port.text("protocol"), port.number("nodePort"))) {
            errors.push(port.at("nodePort").duplicate());
        }
    }
    let mut inside = HashSet::new();
    for port in spec.each("ports") {
        let (protocol, number) = (port.text("protocol"), port.number("port"));
        if !inside.insert((protocol, number)) {
            let text = internal(&[
                ("Name", json!("")),
                ("Protocol", json!(protocol)),
                ("AppProtocol", Value::Null),
                ("Port", json!(number)),
                ("TargetPort", json!(0)),
                ("NodePort", json!(0)),
            ]);
            errors.push(Error::duplicate(&port.path, Value::Null).showing(text));
        }
    }
}

fn source_ranges(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let spec = View::of(object, "spec");
    let balancer = spec.text("type") == "LoadBalancer";
    let ranges = spec.at("loadBalancerSourceRanges");
    let before = old.map(|o| o.list_at("spec.loadBalancerSourceRanges")).unwrap_or_default();
    let known: HashSet<&str> = before.iter().filter_map(Value::as_str).map(str::trim).collect();
    let check = |text: &str, path: Path, errors: &mut Errors| {
        let _ = ip::range(&View::new(Some(&Value::from(text.trim())), path), false, errors);
    };
    if !ranges.is_empty() {
        let path = spec.path.child("LoadBalancerSourceRanges");
        if !balancer {
            errors.push(Error::forbidden(&path, ONLY_BALANCER));
        }
        for (i, range) in ranges.strings().enumerate().filter(|(_, r)| !known.contains(r.trim())) {
            check(range, path.index(i), errors);
        }
    } else if let Some(value) = object.annotation(ANNOTATION) {
        let path = Path::new("metadata").child("annotations").key(ANNOTATION);
        if !balancer {
            errors.push(Error::forbidden(&path, ONLY_BALANCER));
        }
        if old.is_none_or(|o| o.annotation(ANNOTATION) != Some(value)) && !value.trim().is_empty() {
            value.split(',').for_each(|range| check(range, path.clone(), errors));
        }
    }
}

fn balancer_class(spec: &View<'_>, errors: &mut Errors) {
    let Some(class) = spec.get("loadBalancerClass") else { return };
    if spec.text("type") == "LoadBalancer" {
        qualified_name(&class, errors);
    } else {
        errors.push(class.forbidden(ONLY_BALANCER));
    }
}

fn traffic(spec: &View<'_>, errors: &mut Errors) {
    let outside = spec.at("externalTrafficPolicy");
    match (accessible(spec), outside.str()) {
        (false, "") | (true, "Cluster" | "Local") => {}
        (false, _) => errors.push(outside.invalid("may only be set for externally-accessible services")),
        (true, "") => errors.push(outside.required("")),
        (true, _) => errors.push(outside.not_supported(&["Cluster", "Local"])),
    }
    let health = spec.at("healthCheckNodePort");
    match (needs_health_check(spec), health.int().unwrap_or(0)) {
        (false, 0) => {}
        (false, _) => {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(health.invalid(detail));
        }
        (true, 0) => errors.push(health.required("")),
        (true, port) => health.all_invalid(text::port_number(port), errors),
    }
    let inside = spec.at("internalTrafficPolicy");
    if inside.exists() {
        inside.one_of(&["Cluster", "Local"], errors);
    } else if matches!(spec.text("type"), "NodePort" | "LoadBalancer" | "ClusterIP") {
        errors.push(inside.required(""));
    }
    if let Some(distribution) = spec.get("trafficDistribution") {
        distribution.one_of(&["PreferClose", "PreferSameZone", "PreferSameNode"], errors);
    }
}

/// Fields that are fixed once set. Upstream looks at the class here too.
pub(super) fn update(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    let (is, was) = (View::of(new, "spec"), View::of(old, "spec"));
    let class = is.at("loadBalancerClass");
    if is.text("type") == "LoadBalancer"
        && was.text("type") == "LoadBalancer"
        && class.value() != was.at("loadBalancerClass").value()
    {
        let shown = class.value().cloned().unwrap_or_default();
        errors.push(Error::invalid(&class.path, shown, "may not change once set"));
    }
    balancer_class(&is, &mut errors);
    let changed = is.number("healthCheckNodePort") != was.number("healthCheckNodePort");
    if needs_health_check(&is) && needs_health_check(&was) && changed {
        errors.push(is.at("healthCheckNodePort").forbidden(crate::validate::IMMUTABLE));
    }
    errors
}

/// The status that a load balancer reports.
pub(super) fn status(object: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    let ingress = View::of(object, "status").at("loadBalancer").at("ingress");
    let before = View::of(old, "status").at("loadBalancer").each("ingress");
    let known: HashSet<&str> = before.map(|entry| entry.text("ip")).collect();
    if object.str_at("spec.type") != "LoadBalancer" && !ingress.is_empty() {
        return vec![ingress.forbidden("may only be used when `spec.type` is 'LoadBalancer'")];
    }
    for entry in ingress.items() {
        let (address, mode, name) = (entry.at("ip"), entry.at("ipMode"), entry.at("hostname"));
        if !address.str().is_empty() && !known.contains(address.str()) {
            ip::address(&address, false, &mut errors);
        }
        match (mode.exists(), address.str().is_empty()) {
            (false, false) => errors.push(mode.required("must be specified when `ip` is set")),
            (true, true) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
            (true, false) => mode.one_of(&["Proxy", "VIP"], &mut errors),
            (false, true) => {}
        }
        if !name.str().is_empty() {
            dns_subdomain(&name, &mut errors);
            if name.str().parse::<std::net::IpAddr>().is_ok() {
                errors.push(name.invalid("must be a DNS name, not an IP address"));
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: Value) -> Vec<String> {
        let mut object = Object::from_value(json!({ "spec": spec })).unwrap_or_default();
        super::super::prepare::defaults(&mut object);
        super::super::prepare::create(&mut object);
        let errors = super::super::settle::addresses(&mut object, None, "IPv4");
        if !errors.is_empty() {
            return errors.iter().map(ToString::to_string).collect();
        }
        service(&object, None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn messages() {
        assert!(check(json!({"ports": [{"port": 80}]})).is_empty());
        assert_eq!(check(json!({})), ["spec.ports: Required value"]);
        assert_eq!(
            check(json!({"type": "X", "ports": [{"port": 0}, {"port": 70000, "name": "a"}]})),
            [
                "spec.ports[0].name: Required value",
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.ports[1].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ]
        );
        assert_eq!(
            check(json!({"clusterIP": "300.0.0.1", "ports": [{"port": 80, "nodePort": 30000}]})),
            ["spec.clusterIPs[0]: Invalid value: \"300.0.0.1\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
        );
        assert_eq!(
            check(json!({"ports": [{"port": 80, "nodePort": 30000}, {"port": 80, "name": "b"}]})),
            [
                "spec.ports[0].name: Required value",
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\
                 \"TargetPort\":0,\"NodePort\":0}",
            ]
        );
        assert_eq!(check(json!({"type": "ExternalName"})), ["spec.externalName: Required value"]);
    }
}
