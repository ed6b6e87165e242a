//! Endpoints: the older form of what EndpointSlices say (upstream: `pkg/controller/endpoint`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};
use crate::{pods, services};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Addresses in one object at most.
const CAPACITY: usize = 1000;

/// The controller.
pub struct EndpointsObjects;

impl Controller for EndpointsObjects {
    fn profile(&self) -> Profile {
        const WRITE: &[&str] = &["create", "delete", "get", "list", "update", "watch"];
        Profile {
            name: "endpoint-controller",
            account: "endpoint-controller",
            watches: vec![Watch::of::<Service>(), Watch::pods(), Watch::of::<Endpoints>()],
            permissions: &[
                Permission { group: "", resource: "services", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "pods", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "endpoints", verbs: WRITE },
                Permission { group: "", resource: "endpoints/restricted", verbs: &["create"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(key) = seen.key::<Service>() {
            return vec![key];
        }
        if seen.is::<Pod>() {
            return services::of_pod(seen, world);
        }
        // Endpoints that people made are theirs, also before the Service is there.
        let ours = seen.sides::<Endpoints>().any(is_ours);
        seen.key::<Endpoints>().filter(|_| ours).into_iter().collect()
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<Service>().iter().map(|service| client::informer::key_of(&**service)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let current = world.of::<Endpoints>().get(key);
        let Some(service) = world.of::<Service>().get(key) else {
            plan.steps.extend(current.map(|endpoints| Step::delete(&**endpoints)));
            return plan;
        };
        if !services::is_managed(service) {
            return plan;
        }
        let backends = services::backends(service, world);
        let (subsets, truncated) = truncate(subsets(service, &backends));
        let labels = labels(service);
        let same = |e: &Endpoints| {
            e.subsets.as_deref().unwrap_or_default() == subsets
                && e.metadata.labels.as_ref() == Some(&labels)
                && e.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(OVER_CAPACITY)) == truncated
        };
        if current.is_some_and(|e| same(e)) {
            return plan;
        }
        let mut new = current.map(|e| (**e).clone()).unwrap_or_else(|| Endpoints {
            metadata: ObjectMeta {
                name: service.metadata.name.clone(),
                namespace: service.metadata.namespace.clone(),
                ..ObjectMeta::default()
            },
            subsets: None,
        });
        new.subsets = Some(subsets).filter(|s| !s.is_empty());
        new.metadata.labels = Some(labels);
        annotate(&mut new, services::trigger_time(service, &backends), truncated);
        plan.step(write(service, &new, current.is_none()));
        plan
    }
}

fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints.metadata.labels.as_ref().and_then(|l| l.get(MANAGED_BY)).is_some_and(|m| m == MANAGER)
}

fn write(service: &Service, new: &Endpoints, create: bool) -> Step {
    let name = service.metadata.name.as_deref().unwrap_or("");
    let namespace = service.metadata.namespace.as_deref().unwrap_or("");
    if create {
        let text = format!("Failed to create endpoint for service {namespace}/{name}: {{}}");
        Step::create(new).refused(Report::warning(new, "FailedToCreateEndpoint", text))
    } else {
        let text = format!("Failed to update endpoint {namespace}/{name}: {{}}");
        Step::update(new).refused(Report::warning(new, "FailedToUpdateEndpoint", text))
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(services::HEADLESS);
    if service.spec.as_ref().is_none_or(services::is_headless) {
        labels.insert(services::HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn annotate(endpoints: &mut Endpoints, trigger: Option<String>, truncated: bool) {
    let annotations = endpoints.metadata.annotations.get_or_insert_default();
    match trigger {
        Some(at) => annotations.insert(services::TRIGGER_TIME.to_owned(), at),
        None => annotations.remove(services::TRIGGER_TIME),
    };
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
}

/// A port as a sortable value: name, number, protocol, application protocol. `None`: no port at all.
type Port = Option<(String, i32, String, Option<String>)>;
/// The pod at an address, and whether it is ready.
type Addresses = BTreeMap<(String, String), bool>;

/// The addresses by port, with ports that have the same addresses joined.
fn subsets(service: &Service, backends: &[&Pod]) -> Vec<EndpointSubset> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let publish = spec.publish_not_ready_addresses.unwrap_or(false);
    let mut by_port: BTreeMap<Port, Addresses> = BTreeMap::new();
    let mut details: BTreeMap<(String, String), EndpointAddress> = BTreeMap::new();
    for pod in backends.iter().filter(|pod| publish || pod.metadata.deletion_timestamp.is_none()) {
        let Some(address) = address(pod, service) else { continue };
        let id = (address.ip.clone(), pod.metadata.uid.clone().unwrap_or_default());
        let ready = publish || pods::is_ready(pod);
        let ports = spec.ports.as_deref().unwrap_or_default();
        if ports.is_empty() && spec.cluster_ip.as_deref() == Some("None") {
            by_port.entry(None).or_default().insert(id.clone(), ready);
        }
        for port in ports {
            let Some(number) = services::port_at(pod, port) else { continue };
            let protocol = port.protocol.clone().unwrap_or("TCP".to_owned());
            let port = (port.name.clone().unwrap_or_default(), number, protocol, port.app_protocol.clone());
            by_port.entry(Some(port)).or_default().insert(id.clone(), ready);
        }
        details.insert(id, address);
    }
    let mut joined: Vec<(Addresses, Vec<Port>)> = Vec::new();
    for (port, addresses) in by_port {
        match joined.iter_mut().find(|(a, _)| *a == addresses) {
            Some((_, ports)) => ports.push(port),
            None => joined.push((addresses, vec![port])),
        }
    }
    joined.into_iter().map(|(addresses, ports)| subset(addresses, ports, &details)).collect()
}

fn subset(
    addresses: Addresses,
    ports: Vec<Port>,
    details: &BTreeMap<(String, String), EndpointAddress>,
) -> EndpointSubset {
    let of = |wanted: bool| {
        let chosen = addresses.iter().filter(|(_, ready)| **ready == wanted).filter_map(|(id, _)| details.get(id).cloned());
        Some(chosen.collect::<Vec<_>>()).filter(|list| !list.is_empty())
    };
    let ports = ports.into_iter().flatten().map(|(name, port, protocol, app_protocol)| EndpointPort {
        name: Some(name).filter(|n| !n.is_empty()),
        port,
        protocol: Some(protocol),
        app_protocol,
    });
    let ports = Some(ports.collect::<Vec<_>>()).filter(|p| !p.is_empty());
    EndpointSubset { addresses: of(true), not_ready_addresses: of(false), ports }
}

/// The pod's address of the Service's first family.
fn address(pod: &Pod, service: &Service) -> Option<EndpointAddress> {
    let spec = service.spec.as_ref()?;
    let v6 = match spec.ip_families.as_ref().and_then(|f| f.first()) {
        Some(family) => family == "IPv6",
        None => spec.cluster_ip.as_ref().is_some_and(|ip| ip.contains(':')),
    };
    let ip = services::addresses(pod).into_iter().find(|ip| ip.contains(':') == v6)?;
    Some(EndpointAddress {
        ip: ip.to_owned(),
        hostname: services::hostname(pod, service),
        node_name: Some(pods::node(pod).to_owned()).filter(|n| !n.is_empty()),
        target_ref: Some(services::reference(pod)),
    })
}

/// Cuts to the capacity, ready addresses last. Says whether it had to.
fn truncate(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let total: usize = subsets.iter().map(|s| count(&s.addresses) + count(&s.not_ready_addresses)).sum();
    if total <= CAPACITY {
        return (subsets, false);
    }
    let mut left = CAPACITY;
    let mut cut = |list: &mut Option<Vec<EndpointAddress>>| {
        if let Some(addresses) = list {
            addresses.truncate(left);
            left -= addresses.len();
        }
        *list = list.take().filter(|addresses| !addresses.is_empty());
    };
    subsets.iter_mut().for_each(|subset| cut(&mut subset.addresses));
    subsets.iter_mut().for_each(|subset| cut(&mut subset.not_ready_addresses));
    (subsets, true)
}
