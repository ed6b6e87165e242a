//! Service CIDRs: a ServiceCIDR is ready as soon as it is there, and goes when no Service has an address that only it has
//! (upstream: `pkg/controller/servicecidrs`).

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::workers::service_addresses::{ALLOCATOR, MANAGED_BY};

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// Seconds until one that ends is nowhere taken for one that has addresses to give.
const GRACE: i64 = 10;
const READY: &str = "Kubernetes Service CIDR is ready";
const IN_USE: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

/// The controller.
pub struct ServiceCidrs;

impl Controller for ServiceCidrs {
    fn profile(&self) -> Profile {
        Profile {
            name: "service-cidr-controller",
            account: "service-cidrs-controller",
            watches: vec![Watch::of::<ServiceCIDR>(), Watch::of::<IPAddress>()],
            permissions: &[
                Permission { group: "networking.k8s.io", resource: "servicecidrs", verbs: &["patch", "update"] },
                Permission { group: "networking.k8s.io", resource: "servicecidrs/finalizers", verbs: &["patch", "update"] },
                Permission { group: "networking.k8s.io", resource: "servicecidrs/status", verbs: &["patch", "update"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        // Those that wait for others, or for an address to be given back.
        let ending = || world.of::<ServiceCIDR>().iter().filter(|cidr| is_ending(cidr)).map(|cidr| client::informer::key_of(&**cidr));
        match seen.key::<ServiceCIDR>() {
            Some(key) => ending().chain([key]).collect(),
            None => ending().collect(),
        }
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<ServiceCIDR>().iter().map(|cidr| client::informer::key_of(&**cidr)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(cidr) = world.of::<ServiceCIDR>().get(key) else { return plan };
        let kept = cidr.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
        let Some(ends) = &cidr.metadata.deletion_timestamp else {
            if !kept {
                let mut new = (**cidr).clone();
                new.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
                plan.step(Step::update(&new));
            } else if let Some(new) = with_condition(cidr, "True", "", READY, now) {
                plan.step(Step::update_status(&new));
            }
            return plan;
        };
        if !kept {
            return plan;
        }
        if is_needed(cidr, world) {
            if let Some(new) = with_condition(cidr, "False", "Terminating", IN_USE, now) {
                plan.step(Step::update_status(&new));
            }
            return plan;
        }
        let until = meta::time::after(ends.0, GRACE);
        if now < until {
            plan.revisit_at(until);
            return plan;
        }
        let mut new = (**cidr).clone();
        new.metadata.finalizers.get_or_insert_default().retain(|finalizer| finalizer != FINALIZER);
        plan.step(Step::update(&new));
        plan
    }
}

fn is_ending(cidr: &ServiceCIDR) -> bool {
    cidr.metadata.deletion_timestamp.is_some()
}

/// With the condition `Ready`, if it is not so already.
fn with_condition(cidr: &ServiceCIDR, status: &str, reason: &str, message: &str, now: Timestamp) -> Option<ServiceCIDR> {
    let mut new = cidr.clone();
    let conditions = new.status.get_or_insert_default().conditions.get_or_insert_default();
    let old = conditions.iter().position(|condition| condition.type_ == "Ready").map(|at| conditions.remove(at));
    let same = |old: &&Condition| old.status == status && old.reason == reason && old.message == message;
    if old.as_ref().filter(same).is_some() {
        return None;
    }
    let since = old.filter(|old| old.status == status).map_or(Time(now), |old| old.last_transition_time);
    conditions.push(Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: since,
        observed_generation: None,
    });
    Some(new)
}

fn nets(cidr: &ServiceCIDR) -> impl Iterator<Item = IpNet> + '_ {
    cidr.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten()).filter_map(|cidr| cidr.parse().ok())
}

/// Whether a Service has an address that no other ServiceCIDR has.
fn is_needed(cidr: &ServiceCIDR, world: &World) -> bool {
    let name = |cidr: &ServiceCIDR| cidr.metadata.name.clone();
    let others = || world.of::<ServiceCIDR>().iter().filter(|other| name(other) != name(cidr));
    if nets(cidr).all(|net| others().any(|other| nets(other).any(|wider| wider.contains(&net)))) {
        return false;
    }
    let of_services = world.of::<IPAddress>().iter().filter(|address| {
        address.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == ALLOCATOR)
    });
    let mut addresses = of_services.filter_map(|address| address.metadata.name.as_ref()?.parse::<IpAddr>().ok());
    addresses.any(|ip| {
        nets(cidr).any(|net| net.contains(&ip)) && !others().any(|other| nets(other).any(|net| net.contains(&ip)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use client::Informer;
    use serde_json::json;

    use super::*;
    use crate::frame::Op;
    use crate::frame::world::Streams;

    const NOW: &str = "2026-01-01T00:00:20Z";

    fn cidr(name: &str, range: &str, ending: Option<&str>, finalizers: &[&str], status: &str) -> ServiceCIDR {
        let metadata = json!({"name": name, "deletionTimestamp": ending, "finalizers": finalizers});
        let condition = json!({"type": "Ready", "status": status, "reason": "", "message": READY, "lastTransitionTime": NOW});
        let object = json!({"metadata": metadata, "spec": {"cidrs": [range]}, "status": {"conditions": [condition]}});
        serde_json::from_value(object).expect("a ServiceCIDR")
    }

    /// What is to be done about the first of them, in words.
    fn plan(cidrs: &[ServiceCIDR], addresses: &[(&str, &str)]) -> Vec<String> {
        let (all, ips) = (Informer::<ServiceCIDR>::detached(), Informer::<IPAddress>::detached());
        cidrs.iter().for_each(|cidr| all.apply(cidr.clone()));
        for (ip, by) in addresses {
            let object = json!({"metadata": {"name": ip, "labels": {MANAGED_BY: by}}});
            ips.apply(serde_json::from_value(object).expect("an IPAddress"));
        }
        let now: Timestamp = NOW.parse().expect("a time");
        let mut streams = Streams::empty(now);
        streams.add(Arc::new(all));
        streams.add(Arc::new(ips));
        let plan = ServiceCidrs.reconcile(&client::informer::key_of(&cidrs[0]), &streams.world(), now);
        let mut words: Vec<String> = plan.steps.iter().map(|step| {
            let (_, resource, verb) = step.permission();
            let (Op::Update(body) | Op::UpdateStatus(body)) = &step.op else { panic!("{step:?}") };
            let ready = body["status"]["conditions"][0]["reason"].as_str().unwrap_or("");
            format!("{verb} {resource} {} {ready}", body["metadata"]["finalizers"].as_array().map_or(0, Vec::len)).trim_end().to_owned()
        }).collect();
        words.extend(plan.revisit.map(|at| format!("again in {}", at.duration_since(now).as_secs())));
        words
    }

    #[test]
    fn one_that_is_there_is_kept_and_ready() {
        let of = |finalizers: &[&str], status: &str| plan(&[cidr("a", "203.0.113.0/24", None, finalizers, status)], &[]);
        assert_eq!(of(&[], "Unknown"), ["update servicecidrs 1"]);
        assert_eq!(of(&[FINALIZER], "Unknown"), ["update servicecidrs/status 1"]);
        assert_eq!(of(&[FINALIZER], "True"), [""; 0]);
    }

    #[test]
    fn one_that_is_deleted_goes_when_nobody_needs_it() {
        let range = "203.0.113.0/24";
        let ending = |at: &str| cidr("a", range, Some(at), &["x/y", FINALIZER], "True");
        let (long_ago, now) = (ending("2026-01-01T00:00:00Z"), ending("2026-01-01T00:00:15Z"));
        assert_eq!(plan(std::slice::from_ref(&long_ago), &[("203.0.113.9", "others")]), ["update servicecidrs 1"]);
        assert_eq!(plan(&[now], &[]), ["again in 5"]);
        let held = [("203.0.113.9", ALLOCATOR)];
        assert_eq!(plan(std::slice::from_ref(&long_ago), &held), ["update servicecidrs/status 2 Terminating"]);
        for (other, gone) in [("203.0.113.8/29", true), ("203.0.112.0/23", true), ("10.0.0.0/8", false)] {
            let other = cidr("b", other, None, &[FINALIZER], "True");
            let words = plan(&[long_ago.clone(), other], &held);
            assert_eq!(words == ["update servicecidrs 1"], gone, "{words:?}");
        }
    }
}
