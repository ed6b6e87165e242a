//! Requests and limits of containers and pods.

use std::collections::{BTreeSet, HashMap, HashSet};

use meta::Quantity;
use meta::field::{Error, Errors};
use pod::resources::{Side, of_containers};

use super::Context;
use crate::validate::resources::{amount, is_huge_page, may_overcommit, name_in_container, resource_name};
use crate::validate::dns_label;
use crate::view::View;

/// `resources` of a container, or of the pod of this specification itself.
pub(super) fn requirements(spec: &View<'_>, resources: &View<'_>, of_pod: bool, errors: &mut Errors) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    for (name, value) in limits.entries() {
        one(name, &value, of_pod, errors);
    }
    for (name, value) in requests.entries() {
        one(name, &value, of_pod, errors);
        let Some(limit) = limits.get(name) else {
            if !may_overcommit(name) {
                errors.push(limits.required("Limit must be set for non overcommitable resources"));
            }
            continue;
        };
        let (Ok(asked), Ok(most)) = (Quantity::parse(value.str()), Quantity::parse(limit.str())) else { continue };
        let rule = if asked != most && !may_overcommit(name) {
            "equal to"
        } else if asked > most {
            "less than or equal to"
        } else {
            continue;
        };
        errors.push(Error::invalid(&requests.path, value.str(), format!("must be {rule} {name} limit of {}", limit.str())));
    }
    let any = |test: &dyn Fn(&str) -> bool| limits.map().keys().chain(requests.map().keys()).any(|n| test(n));
    if any(&is_huge_page) && !any(&|n| matches!(n, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
    let known = spec.each("resourceClaims").map(|claim| claim.text("name")).filter(|name| !name.is_empty()).collect();
    check_claims(&resources.at("claims"), &known, errors);
}

fn one(name: &str, value: &View<'_>, of_pod: bool, errors: &mut Errors) {
    if of_pod && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        let before = errors.len();
        resource_name(name, &value.path, errors);
        if errors.len() == before {
            errors.push(Error::not_supported(&value.path, name, &["cpu", "hugepages-", "memory"]));
        }
    } else {
        name_in_container(name, &value.path, errors);
    }
    amount(name, value, errors);
    if is_huge_page(name) {
        let size = name.strip_prefix("hugepages-").and_then(|s| Quantity::parse(s).ok());
        let count = Quantity::parse(value.str()).ok();
        if let (Some(size), Some(count)) = (size.filter(|s| s.value() > 0), count)
            && count.value() % size.value() != 0
        {
            let detail = format!("{} is not positive integer multiple of {name}", value.str());
            errors.push(value.invalid(detail));
        }
    }
}

fn check_claims(claims: &View<'_>, known: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    // How many requests of a claim were seen.
    let mut requests: HashMap<&str, usize> = HashMap::new();
    let listed = listed(known);
    for claim in claims.items() {
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        if seen.contains(&(name, "")) {
            errors.push(Error::duplicate(&claim.path, name));
        } else {
            if !request.is_empty() {
                dns_label(&claim.at("request"), errors);
                if seen.contains(&(name, request)) {
                    errors.push(Error::duplicate(&claim.path, format!("{name}/{request}")));
                }
            } else {
                // The whole claim is twice every request of it that stood before.
                let before = requests.get(name).copied().unwrap_or(0);
                errors.extend((0..before).map(|_| Error::duplicate(&claim.path, name)));
            }
            if seen.insert((name, request)) {
                *requests.entry(name).or_default() += 1;
            }
        }
        if !known.contains(name) {
            let mut error = Error::not_found(&claim.path, name);
            error.detail = format!("must be one of the names in pod.spec.resourceClaims{listed}");
            errors.push(error);
        }
    }
}

/// The names of the pod's claims for a message, which is said of every claim that is none of them: a few thousand bytes
/// of them at most.
fn listed(known: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 4096;
    let mut list = if known.is_empty() { " which is empty".to_owned() } else { ":".to_owned() };
    for (at, name) in known.iter().enumerate() {
        if list.len() + name.len() > SHOWN {
            list.push_str(", ...");
            break;
        }
        list.push_str(if at == 0 { " " } else { ", " });
        list.push_str(name);
    }
    list
}

/// `resizePolicy` of a container.
pub(super) fn resize_policy(context: &Context<'_>, list: &View<'_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    let never = context.spec.text("restartPolicy") == "Never";
    for policy in list.items() {
        let (resource, restart) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if !seen.insert(resource) {
            errors.push(Error::duplicate(&policy.path, resource));
        }
        for (value, supported) in [(resource, ["cpu", "memory"]), (restart, ["NotRequired", "RestartContainer"])] {
            if value.is_empty() {
                errors.push(list.required(""));
            } else if !supported.contains(&value) {
                errors.push(Error::not_supported(&list.path, value, &supported));
            }
        }
        if never && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(Error::invalid(&list.path, restart, detail));
        }
    }
}

/// `resources` of the pod itself, and that the containers fit in.
pub(super) fn of_pod(spec: &View<'_>, errors: &mut Errors) {
    let Some(own) = spec.get("resources") else { return };
    if spec.at("os").text("name") == "windows" {
        errors.push(own.forbidden("may not be set for a windows pod"));
        return;
    }
    if own.has("claims") {
        errors.push(own.at("claims").forbidden("claims may not be set for Resources at pod-level"));
    }
    requirements(spec, &own, true, errors);
    let Some(whole) = spec.value() else { return };
    let smaller = |name: &str, list: &View<'_>, sum: Quantity| {
        Quantity::parse(list.text(name)).ok().filter(|own| *own < sum).map(|own| own.to_string())
    };
    let requests = own.at("requests");
    for (name, sum) in of_containers(whole, Side::Requests) {
        if let Some(shown) = smaller(&name, &requests, sum) {
            let detail = format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.push(Error::invalid(&requests.path.key(&name), shown, detail));
        }
    }
    let limits = own.at("limits");
    for (name, sum) in of_containers(whole, Side::Limits).into_iter().filter(|(name, _)| is_huge_page(name)) {
        if let Some(shown) = smaller(&name, &limits, sum) {
            let detail = format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.push(Error::invalid(&limits.path.key(&name), shown, detail));
        }
    }
    for (i, container) in spec.each("containers").enumerate() {
        for (name, limit) in container.at("resources").at("limits").entries() {
            let Ok(limit) = Quantity::parse(limit.str()) else { continue };
            if let Some(most) = smaller(name, &limits, limit) {
                let path = own.path.child("containers").index(i).key(name).child("limits");
                errors.push(Error::invalid(
                    &path,
                    limit.to_string(),
                    format!("must be less than or equal to pod limits of {most}"),
                ));
            }
        }
    }
}

/// What a pod costs beyond its containers; a class of pods says the same. Upstream takes them for limits.
pub fn overhead(overhead: &View<'_>, errors: &mut Errors) {
    for (name, value) in overhead.entries() {
        let path = overhead.path.child("limits").key(name);
        one(name, &View::new(value.value(), path), false, errors);
    }
    let any = |test: fn(&str) -> bool| overhead.map().keys().any(|name| test(name));
    if any(is_huge_page) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(overhead.forbidden("HugePages require cpu or memory"));
    }
}
