//! What may be in the status of a pod (upstream: `ValidatePodStatusUpdate`).

use std::collections::{HashMap, HashSet};

use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::{Value, json};

use super::update::annotations;
use crate::validate::{dns_label, dns_subdomain, immutable, ip, qualified_name};
use crate::view::View;

/// An update of the status.
pub(super) fn of(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    annotations(new, old, &mut errors);
    let (is, was) = (View::of(new, "status"), View::of(old, "status"));
    for condition in is.each("conditions") {
        if condition.number("observedGeneration") < 0 {
            errors.push(condition.at("observedGeneration").invalid("must be a non-negative integer"));
        }
        if !matches!(condition.text("type"), "PodScheduled" | "Ready" | "Initialized") {
            qualified_name(&View::new(condition.at("type").value(), condition.path.child("Type")), &mut errors);
        }
    }
    let nominated = is.at("nominatedNodeName");
    if !nominated.str().is_empty() && nominated.str() != was.text("nominatedNodeName") {
        nominated.all_invalid(text::dns1123_subdomain(nominated.str(), false), &mut errors);
        if !old.str_at("spec.nodeName").is_empty() {
            errors.push(nominated.forbidden("may not be set on pods that are already bound to a node"));
        }
    }
    if is.number("observedGeneration") < 0 {
        errors.push(is.at("observedGeneration").invalid("must be a non-negative integer"));
    }
    immutable(&is.at("qosClass"), &was.at("qosClass"), &mut errors);
    for (statuses, containers) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        transitions(&is.at(statuses), &was.at(statuses), &View::of(old, "spec"), containers, &mut errors);
    }
    let spec = View::of(new, "spec");
    claims(&is.at("resourceClaimStatuses"), &spec, &mut errors);
    extended(&is.at("extendedResourceClaimStatus"), &spec, &mut errors);
    addresses(&is, &was, &mut errors);
    for (statuses, containers) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        let containers = by_name(spec.each(containers));
        is.each(statuses).for_each(|status| allocated(&status, &containers, &mut errors));
    }
    for status in is.each("ephemeralContainerStatuses").filter(|s| !s.at("allocatedResourcesStatus").is_empty()) {
        errors.push(status.at("allocatedResourcesStatus").forbidden("must not be specified in container status"));
    }
    errors
}

/// The first of each name.
pub(super) fn by_name<'a>(list: impl Iterator<Item = View<'a>>) -> HashMap<&'a str, View<'a>> {
    let mut found = HashMap::new();
    for one in list {
        found.entry(one.text("name")).or_insert(one);
    }
    found
}

/// Which claims were made for the pod's.
fn claims(statuses: &View<'_>, spec: &View<'_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    let known: HashSet<&str> = spec.each("resourceClaims").map(|claim| claim.text("name")).collect();
    for status in statuses.items() {
        let name = status.at("name");
        if !known.contains(name.str()) {
            errors.push(name.invalid("must match the name of an entry in `spec.resourceClaims`"));
        }
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        if let Some(claim) = status.get("resourceClaimName") {
            dns_subdomain(&claim, errors);
        }
    }
}

/// The claim that was made for extended resources.
fn extended(status: &View<'_>, spec: &View<'_>, errors: &mut Errors) {
    if !status.exists() {
        return;
    }
    let mappings = status.at("requestMappings");
    if mappings.is_empty() {
        errors.push(mappings.required("at least one request mapping is required"));
    }
    let mut seen = HashSet::new();
    let containers = by_name(spec.each("containers").chain(spec.each("initContainers")));
    for mapping in mappings.items() {
        let (name, resource, request) = (mapping.at("containerName"), mapping.at("resourceName"), mapping.at("requestName"));
        match containers.get(name.str()) {
            None => errors.push(name.invalid("must match the name of an entry in spec.initContainers.name or spec.containers.name")),
            Some(container) if container.at("resources").at("requests").has(resource.str()) => {}
            Some(_) => {
                let entry = "must match the extended resource name of an entry in";
                let places = "spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.push(resource.invalid(format!("{entry} {places}")));
            }
        }
        // Upstream reports it beside the mappings.
        dns_label(&View::new(request.value(), status.path.child("requestName")), errors);
        if !seen.insert((name.str(), resource.str(), request.str())) {
            errors.extend([&name, &resource, &request].map(View::duplicate));
        }
    }
    let claim = status.at("resourceClaimName");
    if claim.str().is_empty() {
        errors.push(claim.required(""));
    } else {
        dns_subdomain(&claim, errors);
    }
}

/// The health of what a container was given.
fn allocated(status: &View<'_>, containers: &HashMap<&str, View<'_>>, errors: &mut Errors) {
    let container = containers.get(status.text("name"));
    let asked_claims: HashSet<String> = container.into_iter().flat_map(|c| c.at("resources").each("claims")).map(|c| match c.text("request") {
        "" => c.text("name").to_owned(),
        request => format!("{}/{request}", c.text("name")),
    }).collect();
    for resource in status.each("allocatedResourcesStatus") {
        let name = resource.at("name");
        let asked = |container: &View<'_>| match name.str().strip_prefix("claim:") {
            None => container.at("resources").at("requests").has(name.str()),
            Some(claim) => asked_claims.contains(claim),
        };
        if container.is_some_and(|container| !asked(container)) {
            let of_claim = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
                            'claim:<claimName>' if request is empty";
            let is_claim = name.str().starts_with("claim:");
            errors.push(name.invalid(if is_claim { of_claim } else { "must match one of the container's resource requests" }));
        }
        let mut seen = HashSet::new();
        for part in resource.each("resources") {
            part.at("health").one_of(&["Healthy", "Unhealthy", "Unknown"], errors);
            let id = part.at("resourceID");
            if id.str().is_empty() {
                errors.push(id.required(""));
            } else if !seen.insert(id.str()) {
                errors.push(id.duplicate());
            }
        }
    }
}

/// A container that ended and will not be restarted stays ended.
fn transitions(is: &View<'_>, was: &View<'_>, spec: &View<'_>, containers: &str, errors: &mut Errors) {
    let rules = |c: &View<'_>| !c.at("restartPolicyRules").is_empty();
    if ["containers", "initContainers"].into_iter().flat_map(|l| spec.each(l)).any(|c| rules(&c)) {
        return;
    }
    let (now, own) = (by_name(is.items()), by_name(spec.each(containers)));
    for (i, before) in was.items().enumerate() {
        let Some(ended) = before.at("state").get("terminated") else { continue };
        let name = before.text("name");
        let Some(now) = now.get(name) else { continue };
        let own = own.get(name);
        let policy = own.map_or("", |c| c.text("restartPolicy"));
        let restarts = match if policy.is_empty() { spec.text("restartPolicy") } else { policy } {
            "Always" => true,
            "OnFailure" => ended.number("exitCode") != 0,
            _ => false,
        };
        let may_run = restarts && own.is_some();
        if !may_run && !now.at("state").has("terminated") {
            let path = is.path.index(i).child("state");
            errors.push(Error::forbidden(&path, "may not be transitioned to non-terminated state"));
        }
    }
}

fn addresses(is: &View<'_>, was: &View<'_>, errors: &mut Errors) {
    for list in ["podIPs", "hostIPs"] {
        let all = is.at(list);
        let known: HashSet<&str> = was.each(list).map(|a| a.text("ip")).collect();
        let first = all.items().next();
        if let Some(first) = first.filter(|f| list == "hostIPs" && f.text("ip") != is.text("hostIP")) {
            errors.push(first.at("ip").invalid("must be equal to `hostIP`"));
        }
        for address in all.items().filter(|a| !known.contains(a.text("ip"))) {
            ip::address(&View::new(address.at("ip").value(), address.path.clone()), false, errors);
        }
        let families: HashSet<bool> = all.items().map(|a| a.text("ip").contains(':')).collect();
        if all.list().len() > 1 && (all.list().len() > 2 || families.len() != 2) {
            // Upstream shows its internal form.
            let shown: Vec<Value> = all.items().map(|a| json!({"IP": a.text("ip")})).collect();
            errors.push(Error::invalid(&all.path, shown, "may specify no more than one IP for each IP family"));
        }
    }
}
