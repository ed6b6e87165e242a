//! Subsets of Endpoints in their canonical form: each set of addresses once, with all its ports
//! (upstream: `pkg/api/v1/endpoints`, `RepackSubsets`), told apart by address family.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort as Port, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use meta::text;

/// Endpoints of one subset that are mirrored (upstream: `--mirroring-max-endpoints-per-subset`).
pub const CAPACITY: usize = 1000;

/// A port as a sortable value: name, number, protocol, application protocol.
type Sorted = (String, i32, String, Option<String>);
/// Who is at an address: the address, and the uid of what it belongs to.
type Id = (String, String);

/// What becomes one slice.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// Ports, sorted.
    pub ports: Vec<EndpointPort>,
    /// Endpoints: the ready ones first, by address.
    pub endpoints: Vec<Endpoint>,
}

/// The endpoints by family and ports, and how many were left out because they are too many. Who is not ready in one
/// place is not ready at that port.
pub fn groups(endpoints: &Endpoints) -> (Vec<Group>, usize) {
    let mut details: BTreeMap<Id, &EndpointAddress> = BTreeMap::new();
    let mut by_port: BTreeMap<Option<Sorted>, BTreeMap<Id, bool>> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let addresses: Vec<_> = ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false))).collect();
        let ports: Vec<Option<Sorted>> = match subset.ports.as_deref() {
            None | Some([]) => vec![None],
            Some(ports) => ports.iter().map(|port| Some(sorted(port))).collect(),
        };
        for port in ports {
            let at_port = by_port.entry(port).or_default();
            for (address, ready) in &addresses {
                let uid = address.target_ref.as_ref().and_then(|target| target.uid.clone());
                let id = (address.ip.clone(), uid.unwrap_or_default());
                details.entry(id.clone()).or_insert(address);
                at_port.entry(id).and_modify(|is| *is &= ready).or_insert(*ready);
            }
        }
    }
    let mut by_addresses: BTreeMap<BTreeMap<Id, bool>, Vec<Sorted>> = BTreeMap::new();
    for (port, addresses) in by_port {
        by_addresses.entry(addresses).or_default().extend(port);
    }
    let (mut groups, mut skipped) = (Vec::new(), 0);
    for (addresses, ports) in by_addresses {
        let ports: Vec<EndpointPort> = ports.into_iter().map(port_of).collect();
        let group = |family| Group { family, ports: ports.clone(), endpoints: Vec::new() };
        let mut families = [group("IPv4"), group("IPv6")];
        let of = |ready: bool| addresses.iter().filter(move |(_, is)| **is == ready).map(move |(id, _)| (id, ready));
        let wanted = of(true).chain(of(false)).filter_map(|(id, ready)| endpoint(details.get(id)?, ready));
        for (family, endpoint) in wanted.take(CAPACITY) {
            families[family].add(endpoint);
        }
        skipped += addresses.len().saturating_sub(CAPACITY);
        groups.extend(families.into_iter().filter(|group| !group.endpoints.is_empty()));
    }
    (groups, skipped)
}

impl Group {
    /// The last of several that are one endpoint to readers of slices counts.
    fn add(&mut self, endpoint: Endpoint) {
        match self.endpoints.iter().position(|other| identity(other) == identity(&endpoint)) {
            Some(same) => self.endpoints[same] = endpoint,
            None => self.endpoints.push(endpoint),
        }
    }
}

/// What an endpoint is told apart by: addresses, host name, and what it belongs to.
pub fn identity(endpoint: &Endpoint) -> (&[String], Option<&str>, Option<(&str, &str)>) {
    let target = endpoint.target_ref.as_ref();
    let of = target.map(|t| (t.namespace.as_deref().unwrap_or(""), t.name.as_deref().unwrap_or("")));
    (&endpoint.addresses, endpoint.hostname.as_deref(), of)
}

/// An address as an endpoint, and the place of its family. An IPv4 address that is written as IPv6 is one.
fn endpoint(address: &EndpointAddress, ready: bool) -> Option<(usize, Endpoint)> {
    let ip: IpAddr = text::loose_ip(&address.ip)?.to_canonical();
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    };
    Some((usize::from(ip.is_ipv6()), endpoint))
}

fn sorted(port: &Port) -> Sorted {
    let protocol = port.protocol.clone().unwrap_or("TCP".to_owned());
    (port.name.clone().unwrap_or_default(), port.port, protocol, port.app_protocol.clone())
}

fn port_of((name, port, protocol, app_protocol): Sorted) -> EndpointPort {
    EndpointPort { name: Some(name), port: Some(port), protocol: Some(protocol), app_protocol }
}
