//! One service and its slices give its plan. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::guard;
use super::plan::{Guard, PortPlan};
use super::topology::{Targets, is_local, is_ours, is_ready};
use super::Config;
use crate::nft::{SCTP, TCP, UDP};

/// How long a client's choice is kept when the service does not say (upstream: 3 hours).
const AFFINITY_SECONDS: u32 = 10_800;

/// Most addresses and ports by which one service is reached.
const MOST_WAYS: usize = 4_096;
/// Most elements of sets that one service has: ways times endpoints, ports times source ranges.
const MOST_ELEMENTS: usize = 500_000;
/// Most endpoints, counted for each port, that clients of one service may keep: each has a set of its own.
const MOST_KEPT: usize = 10_000;

/// What becomes of one service on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compiled {
    /// One for each port; none for a service that has no address of its own (headless, ExternalName).
    pub(super) ports: Vec<PortPlan>,
    /// Where load balancers ask whether this node has endpoints.
    pub(super) health: Option<Health>,
    /// The service wants more than one may have, and gets nothing.
    pub(super) excess: Option<Excess>,
}

/// More than one service may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Excess {
    pub(super) what: &'static str,
    pub(super) count: usize,
    pub(super) most: usize,
}

/// A health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Port of the node.
    pub(super) port: u16,
    /// Ready endpoints of this node.
    pub(super) endpoints: usize,
}

/// See [`Compiled`].
pub(super) fn compile(config: &Config, service: &Service, slices: &[Arc<EndpointSlice>]) -> Compiled {
    let mut compiled = Compiled::default();
    let Some(spec) = &service.spec else { return compiled };
    let Some(address) = own_address(spec).filter(|_| spec.type_.as_deref() != Some("ExternalName")) else {
        return compiled;
    };
    let balancers = balancers(service);
    let mut outside: Vec<Ipv4Addr> = spec.external_ips.iter().flatten().filter_map(|ip| ip.parse().ok()).collect();
    outside.extend(&balancers);
    outside.retain(|a| !a.is_loopback() && !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast());
    outside.sort_unstable();
    outside.dedup();
    compiled.excess = excess(spec, outside.len(), slices);
    if compiled.excess.is_some() {
        return compiled;
    }
    let guarded = guarded(config, spec, balancers).map(Arc::new);
    let local_only = |policy: &Option<String>| policy.as_deref() == Some("Local");
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = protocol(port.protocol.as_deref()) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        let targets = Targets::of(config, slices, port);
        compiled.ports.push(PortPlan {
            address,
            protocol,
            port: number,
            node_port: port.node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0),
            outside: outside.clone(),
            guarded: guarded.clone(),
            internal_local: local_only(&spec.internal_traffic_policy),
            external_local: local_only(&spec.external_traffic_policy),
            affinity: affinity(spec),
            all: targets.all(),
            local: targets.local(),
        });
    }
    compiled.health = health(config, spec, slices);
    compiled
}

/// Whether the service wants too much, told from its size alone.
fn excess(spec: &ServiceSpec, outside: usize, slices: &[Arc<EndpointSlice>]) -> Option<Excess> {
    let ports = spec.ports.as_ref().map_or(0, Vec::len);
    let endpoints: usize = slices.iter().filter(|s| is_ours(s)).map(|s| s.endpoints.as_ref().map_or(0, Vec::len)).sum();
    let ranges = spec.load_balancer_source_ranges.as_ref().map_or(0, Vec::len);
    let ways = ports.saturating_mul(2 + outside);
    let elements = ways.saturating_mul(endpoints.max(1)).saturating_add(ports.saturating_mul(ranges));
    let kept = if spec.session_affinity.as_deref() == Some("ClientIP") { ports.saturating_mul(endpoints) } else { 0 };
    let limits = [
        ("addresses and ports", ways, MOST_WAYS),
        ("rules", elements, MOST_ELEMENTS),
        ("endpoints for session affinity", kept, MOST_KEPT),
    ];
    limits.into_iter().find(|(_, count, most)| count > most).map(|(what, count, most)| Excess { what, count, most })
}

/// The service's address of this family.
fn own_address(spec: &ServiceSpec) -> Option<Ipv4Addr> {
    spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip).find_map(|ip| ip.parse().ok())
}

/// Addresses of load balancers that packets still have when they arrive here.
fn balancers(service: &Service) -> Vec<Ipv4Addr> {
    let balancer = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let ingress = balancer.and_then(|b| b.ingress.as_deref()).unwrap_or_default();
    let kept = ingress.iter().filter(|i| i.ip_mode.as_deref() != Some("Proxy"));
    kept.filter_map(|i| i.ip.as_deref()?.parse().ok()).collect()
}

fn guarded(config: &Config, spec: &ServiceSpec, addresses: Vec<Ipv4Addr>) -> Option<Guard> {
    let ranges = spec.load_balancer_source_ranges.iter().flatten();
    let ranges: Vec<Ipv4Net> = ranges.filter_map(|range| range.trim().parse().ok()).collect();
    if ranges.is_empty() || addresses.is_empty() {
        return None;
    }
    let mut sources: Vec<(u32, u32)> = ranges.iter().map(|r| (r.network().into(), r.broadcast().into())).collect();
    // A node that has the address itself comes with it as its source (upstream: `allowFromNode`).
    let is_allowed = |node: &IpAddr| ranges.iter().any(|range| IpNet::V4(*range).contains(node));
    if config.addresses.iter().any(is_allowed) {
        sources.extend(addresses.iter().map(|a| (u32::from(*a), u32::from(*a))));
    }
    Some(Guard { addresses, sources: guard::join(sources) })
}

/// Seconds for which a client keeps its endpoint.
fn affinity(spec: &ServiceSpec) -> Option<u32> {
    let sticky = spec.session_affinity.as_deref() == Some("ClientIP");
    let config = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
    let seconds = config.and_then(|c| c.timeout_seconds).and_then(|s| u32::try_from(s).ok()).filter(|s| *s > 0);
    sticky.then(|| seconds.unwrap_or(AFFINITY_SECONDS))
}

/// Only load balancers ask, and only where it matters which node they choose.
fn health(config: &Config, spec: &ServiceSpec, slices: &[Arc<EndpointSlice>]) -> Option<Health> {
    let asked = spec.type_.as_deref() == Some("LoadBalancer") && spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0 && asked)?;
    let endpoints = slices.iter().filter(|s| is_ours(s)).flat_map(|s| s.endpoints.iter().flatten());
    let here = endpoints.filter(|e| is_ready(e) && is_local(config, e)).filter_map(|e| e.addresses.first());
    Some(Health { port, endpoints: here.collect::<BTreeSet<_>>().len() })
}

fn protocol(name: Option<&str>) -> Option<u8> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(TCP),
        "UDP" => Some(UDP),
        "SCTP" => Some(SCTP),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
