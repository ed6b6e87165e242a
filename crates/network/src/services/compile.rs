//! One service and its slices give its part of the rules. Pure.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::Config;
use super::base::{BY_ADDRESS, BY_NODE_PORT, MARK, NO_ENDPOINTS, NO_ENDPOINTS_NODE_PORT, REJECT};
use crate::nft::{Part, Rule, SCTP, TCP, UDP, Verdict};

/// How long a client's choice is kept when the service does not say (upstream: 3 hours).
const AFFINITY_SECONDS: i32 = 10_800;

/// An endpoint that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    address: Ipv4Addr,
    port: u16,
    local: bool,
}

/// The part of one service; empty for one that has no address of its own (headless, ExternalName).
pub(super) fn compile(config: &Config, service: &Service, slices: &[Arc<EndpointSlice>]) -> Part {
    let mut part = Part::default();
    let Some(spec) = &service.spec else { return part };
    let cluster_ip: Option<Ipv4Addr> = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok());
    let Some(cluster_ip) = cluster_ip.filter(|_| spec.type_.as_deref() != Some("ExternalName")) else { return part };
    let names = (service.metadata.namespace.as_deref().unwrap_or(""), service.metadata.name.as_deref().unwrap_or(""));
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = protocol(port.protocol.as_deref()) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        let name = ports_name(names, protocol, port);
        let one = OnePort { config, spec, cluster_ip, protocol, number, name };
        one.compile(port, &targets(config, slices, port), service, &mut part);
    }
    part
}

struct OnePort<'a> {
    config: &'a Config,
    spec: &'a ServiceSpec,
    cluster_ip: Ipv4Addr,
    protocol: u8,
    number: u16,
    name: String,
}

impl OnePort<'_> {
    fn compile(&self, port: &ServicePort, targets: &[Target], service: &Service, part: &mut Part) {
        let local_only = |policy: &Option<String>| policy.as_deref() == Some("Local");
        let internal = select(targets, local_only(&self.spec.internal_traffic_policy));
        let node_port = port.node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0);
        let outside = external_addresses(self.spec, service);
        let external_local = local_only(&self.spec.external_traffic_policy);
        let external = select(targets, external_local);

        let cluster = self.lead("service", part, &internal, Source::Cluster, targets);
        part.elements.insert((map(&cluster, BY_ADDRESS, NO_ENDPOINTS), self.key(self.cluster_ip)), verdict(&cluster));
        if node_port.is_none() && outside.is_empty() {
            return;
        }
        let source = if external_local { Source::Keep } else { Source::Translate };
        let entry = self.lead("external", part, &external, source, targets);
        for address in outside {
            part.elements.insert((map(&entry, BY_ADDRESS, NO_ENDPOINTS), self.key(address)), verdict(&entry));
        }
        if let Some(port) = node_port {
            let key = port_key(self.protocol, port);
            part.elements.insert((map(&entry, BY_NODE_PORT, NO_ENDPOINTS_NODE_PORT), key), verdict(&entry));
        }
    }

    /// The chain that chooses among the targets; `None` when there are none.
    fn lead(&self, kind: &str, part: &mut Part, chosen: &[&Target], source: Source, all: &[Target]) -> Option<String> {
        if chosen.is_empty() {
            return None;
        }
        let chain = format!("{kind}-{}", self.name);
        let mark = Verdict::Jump(MARK.to_owned());
        let mut rules = Vec::new();
        match source {
            // From outside of the pods: the answer must come back this way.
            Source::Cluster => {
                let here = Rule::new().destination(Ipv4Net::from(self.cluster_ip), true);
                rules.push(here.source(self.config.cluster_range, false).then(&mark));
            }
            Source::Translate => rules.push(Rule::new().then(&mark)),
            Source::Keep => {}
        }
        for target in chosen.iter().filter(|_| self.affinity().is_some()) {
            let found = Rule::new().source_in(&self.set(target));
            rules.push(found.then(&Verdict::Goto(self.endpoint(target))));
        }
        for (i, target) in chosen.iter().enumerate() {
            let left = (chosen.len() - i) as u32;
            let rule = if left > 1 { Rule::new().one_in(left) } else { Rule::new() };
            rules.push(rule.then(&Verdict::Goto(self.endpoint(target))));
        }
        part.chains.insert(chain.clone(), rules);
        for target in all.iter().filter(|t| chosen.contains(t)) {
            self.endpoint_chain(target, part);
        }
        Some(chain)
    }

    fn endpoint_chain(&self, target: &Target, part: &mut Part) {
        // A pod that reaches itself must not see its own address as the client's.
        let hairpin = Rule::new().source(Ipv4Net::from(target.address), true);
        let mut rules = vec![hairpin.then(&Verdict::Jump(MARK.to_owned()))];
        if let Some(seconds) = self.affinity() {
            let set = self.set(target);
            rules.push(Rule::new().remember_source(&set));
            part.sets.insert(set, seconds);
        }
        rules.push(Rule::new().protocol(self.protocol).dnat(target.address, target.port));
        part.chains.insert(self.endpoint(target), rules);
    }

    /// Seconds for which a client keeps its endpoint.
    fn affinity(&self) -> Option<u32> {
        let sticky = self.spec.session_affinity.as_deref() == Some("ClientIP");
        let config = self.spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
        let seconds = config.and_then(|c| c.timeout_seconds).unwrap_or(AFFINITY_SECONDS);
        sticky.then(|| u32::try_from(seconds).unwrap_or(AFFINITY_SECONDS as u32))
    }

    fn endpoint(&self, target: &Target) -> String {
        format!("endpoint-{}-{:08x}-{}", self.name, u32::from(target.address), target.port)
    }

    fn set(&self, target: &Target) -> String {
        format!("affinity-{}-{:08x}-{}", self.name, u32::from(target.address), target.port)
    }

    fn key(&self, address: Ipv4Addr) -> Vec<u8> {
        let mut key = address.octets().to_vec();
        key.extend(port_key(self.protocol, self.number));
        key
    }
}

#[derive(Clone, Copy)]
enum Source {
    Cluster,
    Translate,
    Keep,
}

fn map(chain: &Option<String>, with: &'static str, without: &'static str) -> &'static str {
    if chain.is_some() { with } else { without }
}

fn verdict(chain: &Option<String>) -> Verdict {
    Verdict::Goto(chain.clone().unwrap_or_else(|| REJECT.to_owned()))
}

/// Protocol and port as a map's key has them: four bytes each, the port in network order.
pub(super) fn port_key(protocol: u8, port: u16) -> Vec<u8> {
    let port = port.to_be_bytes();
    vec![protocol, 0, 0, 0, port[0], port[1], 0, 0]
}

fn select(targets: &[Target], local_only: bool) -> Vec<&Target> {
    targets.iter().filter(|t| t.local || !local_only).collect()
}

/// Ready endpoints; if there is none, those that are ending but still serve (upstream: KEP-1669).
fn targets(config: &Config, slices: &[Arc<EndpointSlice>], port: &ServicePort) -> Vec<Target> {
    let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices.iter().filter(|s| s.address_type == "IPv4") {
        let named = slice.ports.iter().flatten().find(|p| {
            p.name.as_deref().unwrap_or("") == port.name.as_deref().unwrap_or("")
                && p.protocol.as_deref().unwrap_or("TCP") == port.protocol.as_deref().unwrap_or("TCP")
        });
        let Some(number) = named.and_then(|p| u16::try_from(p.port?).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(target) = target(config, endpoint, number) else { continue };
            let conditions = endpoint.conditions.as_ref();
            if conditions.and_then(|c| c.ready).unwrap_or(true) {
                ready.insert(target);
            } else if conditions.is_some_and(|c| c.serving == Some(true) && c.terminating == Some(true)) {
                ending.insert(target);
            }
        }
    }
    if ready.is_empty() { ending } else { ready }.into_iter().collect()
}

/// Addresses and ports of the endpoints that are used.
pub(super) fn ends(config: &Config, slices: &[Arc<EndpointSlice>], port: &ServicePort) -> BTreeSet<(Ipv4Addr, u16)> {
    targets(config, slices, port).into_iter().map(|target| (target.address, target.port)).collect()
}

fn target(config: &Config, endpoint: &Endpoint, port: u16) -> Option<Target> {
    let address = endpoint.addresses.first()?.parse().ok()?;
    Some(Target { address, port, local: endpoint.node_name.as_deref() == Some(&config.node) })
}

pub(super) fn external_addresses(spec: &ServiceSpec, service: &Service) -> Vec<Ipv4Addr> {
    let balancer = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let ingress = balancer.and_then(|b| b.ingress.as_deref()).unwrap_or_default();
    let addresses = spec.external_ips.iter().flatten().map(String::as_str);
    addresses.chain(ingress.iter().filter_map(|i| i.ip.as_deref())).filter_map(|ip| ip.parse().ok()).collect()
}

pub(super) fn protocol(name: Option<&str>) -> Option<u8> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(TCP),
        "UDP" => Some(UDP),
        "SCTP" => Some(SCTP),
        _ => None,
    }
}

/// Unique, and short enough for a chain's name with what is put around it (128 bytes): long
/// names are cut, and a hash of the whole makes up for it.
fn ports_name((namespace, name): (&str, &str), protocol: u8, port: &ServicePort) -> String {
    let whole = format!("{namespace}/{name}/{protocol}/{}", port.name.as_deref().unwrap_or(""));
    let hash = whole.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    format!("{:08x}-{}-{}-{}", hash as u32, cut(namespace, 16), cut(name, 24), port.port)
}

#[cfg(test)]
mod tests;
