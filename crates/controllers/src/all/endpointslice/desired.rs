//! The endpoints that a Service should have.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use meta::Key;

use super::{MANAGED_BY, MANAGER, SERVICE, hints, zone};
use crate::frame::World;
use crate::{pods, services};

/// Endpoints that share address family and ports, and so may share slices.
pub struct Group {
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// Ports.
    pub ports: Vec<EndpointPort>,
    /// Endpoints, by pod.
    pub endpoints: Vec<Endpoint>,
}

/// All groups of a Service. Each family has at least one, perhaps empty.
pub fn groups(service: &Service, backends: &[&Pod], world: &World) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for family in families(service) {
        let first = groups.len();
        for pod in backends {
            let Some(endpoint) = endpoint(pod, service, family, world) else { continue };
            let ports = ports(pod, service);
            match groups[first..].iter_mut().find(|group| group.ports == ports) {
                Some(group) => group.endpoints.push(endpoint),
                None => groups.push(Group { family, ports, endpoints: vec![endpoint] }),
            }
        }
        if groups.len() == first {
            groups.push(Group { family, ports: Vec::new(), endpoints: Vec::new() });
        }
    }
    groups
}

/// The labels of all slices of a Service: its own, and those by which slices are found.
pub fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(services::HEADLESS);
    if service.spec.as_ref().is_none_or(services::is_headless) {
        labels.insert(services::HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE.to_owned(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Adds the time of the change that a slice answers.
pub fn stamped(mut slice: EndpointSlice, trigger: &Option<String>) -> EndpointSlice {
    let annotations = slice.metadata.annotations.get_or_insert_default();
    match trigger {
        Some(at) => annotations.insert(services::TRIGGER_TIME.to_owned(), at.clone()),
        None => annotations.remove(services::TRIGGER_TIME),
    };
    slice
}

fn families(service: &Service) -> Vec<&'static str> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let named = spec.ip_families.iter().flatten().filter_map(|family| match family.as_str() {
        "IPv4" => Some("IPv4"),
        "IPv6" => Some("IPv6"),
        _ => None,
    });
    let named: Vec<_> = named.collect();
    match (named.is_empty(), spec.cluster_ip.as_deref()) {
        (false, _) => named,
        (true, Some(ip)) if ip.contains(':') => vec!["IPv6"],
        (true, _) => vec!["IPv4"],
    }
}

fn endpoint(pod: &Pod, service: &Service, family: &str, world: &World) -> Option<Endpoint> {
    let of_family = |ip: &&str| !ip.is_empty() && ip.contains(':') == (family == "IPv6");
    let addresses: Vec<String> = services::addresses(pod).into_iter().filter(of_family).map(str::to_owned).collect();
    if addresses.is_empty() {
        return None;
    }
    let serving = pods::is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let publish = service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses).unwrap_or(false);
    let node = Some(pods::node(pod)).filter(|n| !n.is_empty());
    let zone = node.and_then(|n| world.of::<Node>().get(&Key::new("", n))).and_then(|n| zone(n)).filter(|z| !z.is_empty());
    let ready = publish || (serving && !terminating);
    Some(Endpoint {
        addresses,
        hints: if ready { hints::of(service, zone, node) } else { None },
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: services::hostname(pod, service),
        node_name: node.map(str::to_owned),
        zone: zone.map(str::to_owned),
        target_ref: Some(services::reference(pod)),
        ..Endpoint::default()
    })
}

fn ports(pod: &Pod, service: &Service) -> Vec<EndpointPort> {
    let ports = service.spec.as_ref().and_then(|s| s.ports.as_deref()).unwrap_or_default();
    let at = |port: &k8s_openapi::api::core::v1::ServicePort| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(services::port_at(pod, port)?),
            protocol: Some(port.protocol.clone().unwrap_or("TCP".to_owned())),
            app_protocol: port.app_protocol.clone(),
        })
    };
    ports.iter().filter_map(at).collect()
}
