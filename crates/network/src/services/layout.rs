//! From plans to rules: two shared maps lead from a service to the chain of its class, and from service and number
//! to an endpoint. A class is how the choice is made and among how many, so that a service adds elements, not chains.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::base::{
    self, CLASSES, DROPPED, DROPPED_PORTS, ENDPOINTS, HOST_ADDRESS_PORTS, HOST_PORTS, MARK, NODE_PORTS, PODS, REFUSED,
    REFUSED_PORTS, SERVICES,
};
use super::plan::{End, HostPortPlan, Owner, Plan, PodPlan, PortPlan};
use super::{Config, guard, sticky};
use crate::nft::{self, Base, Elements, Entry, Name, Pool, Rule, SharedChain, TableName, Value, Verdict};

/// The number of a service's first local endpoint.
const LOCAL: u32 = 1 << 31;

/// The part of a table that a plan is.
pub(super) type Part = nft::Part<Class>;

/// How the endpoints of a service are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Class {
    /// By the service's own address, among that many.
    Cluster { local: bool, count: u32 },
    /// From outside, among all of that many.
    External(Entry, u32),
    /// From outside among the local ones; pods and the node itself among all.
    ExternalLocal { entry: Entry, all: u32, local: u32 },
}

impl Class {
    /// As the maps have it. A service has less than 2^30 endpoints.
    fn number(self) -> [u8; 8] {
        let port = |entry: Entry| u64::from(entry == Entry::Port);
        let (kind, all, local) = match self {
            Class::Cluster { local, count } => (u64::from(local), count, 0),
            Class::External(entry, count) => (2 + port(entry), count, 0),
            Class::ExternalLocal { entry, all, local } => (4 + port(entry), all, local),
        };
        (kind << 60 | u64::from(all) << 30 | u64::from(local)).to_ne_bytes()
    }

    fn name(self) -> String {
        let kind = |entry: Entry| if entry == Entry::Port { "port" } else { "ip" };
        match self {
            Class::Cluster { local: false, count } => format!("cluster-{count}"),
            Class::Cluster { local: true, count } => format!("cluster-local-{count}"),
            Class::External(entry, count) => format!("external-{}-{count}", kind(entry)),
            Class::ExternalLocal { entry, all, local } => format!("local-{}-{all}-{local}", kind(entry)),
        }
    }
}

/// Services and host ports, for packets of IPv4.
pub(super) struct Services(pub(super) Config);

impl nft::Layout for Services {
    const TABLE: TableName = super::TABLE;
    type Owner = Owner;
    type Plan = Plan;
    type Shared = Class;

    fn base(&self) -> Base {
        base::base(&self.0)
    }

    fn part(&self, plan: &Plan) -> Part {
        let mut part = Part::default();
        match plan {
            Plan::Service(ports) => ports.iter().for_each(|port| service_port(&self.0, port, &mut part)),
            Plan::Pod(plan) => pod(plan, &mut part),
        }
        part
    }

    fn shared(&self, class: &Class) -> SharedChain {
        let mark = Verdict::Jump(MARK.to_owned());
        let pods = self.0.cluster_range;
        let map = |entry: Entry| if entry == Entry::Port { NODE_PORTS } else { SERVICES };
        let rules = match *class {
            Class::Cluster { local, count } => vec![
                // From outside of the pods: the answer must come back this way.
                Rule::new().source(pods, false).then(&mark),
                Rule::new().choose(pool(local, count), ENDPOINTS),
            ],
            Class::External(entry, count) => vec![
                Rule::new().then(&mark),
                Rule::new().choose_by(entry, map(entry), pool(false, count), ENDPOINTS),
            ],
            Class::ExternalLocal { entry, all, local } => {
                let choose = |rule: Rule, pool| rule.choose_by(entry, map(entry), pool, ENDPOINTS);
                // As if they went up to a load balancer and came back in by a node that has endpoints.
                let mut rules = Vec::new();
                if all > 0 {
                    rules.push(choose(Rule::new().source(pods, true), pool(false, all)));
                    rules.push(Rule::new().source_is_local().then(&mark));
                    rules.push(choose(Rule::new().source_is_local(), pool(false, all)));
                }
                rules.extend((local > 0).then(|| choose(Rule::new(), pool(true, local))));
                rules
            }
        };
        let place = (Cow::Borrowed(CLASSES), class.number().to_vec(), false);
        SharedChain { name: class.name(), rules, place }
    }
}

/// All endpoints, or those of this node.
pub(super) fn pool(local: bool, count: u32) -> Pool {
    Pool { first: if local { LOCAL } else { 0 }, count }
}

fn service_port(config: &Config, port: &PortPlan, part: &mut Part) {
    let (all, local) = (port.all.len() as u32, port.local.len() as u32);
    let name = name(port);
    let uses_local = port.internal_local || (port.external_local && port.is_exposed());
    let pools = [(false, &port.all, !port.internal_local || port.is_exposed()), (true, &port.local, uses_local)];
    for (local, ends, _) in pools.iter().filter(|(_, _, used)| *used) {
        for (number, end) in (pool(*local, 0).first..).zip(*ends) {
            let key = [name.as_slice(), &number.to_ne_bytes()].concat();
            put(&mut part.elements, ENDPOINTS, key, Value::Fields(end_bytes(*end).to_vec()));
        }
    }
    let own = name.to_vec();
    let internal = if port.internal_local { local } else { all };
    if internal == 0 {
        put(&mut part.elements, if port.has_endpoints() { DROPPED } else { REFUSED }, own, Value::Nothing);
    } else if port.affinity.is_none() {
        let class = Class::Cluster { local: port.internal_local, count: internal };
        enter(part, class, SERVICES, own, &name);
    }
    for (entry, key) in entries(port) {
        let (map, dropped, refused) = match entry {
            Entry::Address => (SERVICES, DROPPED, REFUSED),
            Entry::Port => (NODE_PORTS, DROPPED_PORTS, REFUSED_PORTS),
        };
        if !port.has_endpoints() {
            put(&mut part.elements, refused, key, Value::Nothing);
            continue;
        }
        if port.external_local && local == 0 {
            put(&mut part.elements, dropped, key.clone(), Value::Nothing);
        }
        let class = match port.external_local {
            false => Class::External(entry, all),
            true => Class::ExternalLocal { entry, all, local },
        };
        if port.affinity.is_none() {
            enter(part, class, map, key, &name);
        }
    }
    if let Some(seconds) = port.affinity {
        sticky::part(config, port, seconds, part);
    }
    guard::part(port, part);
}

/// The ways in from outside.
pub(super) fn entries(port: &PortPlan) -> impl Iterator<Item = (Entry, Vec<u8>)> {
    let addresses = port.outside.iter().map(|a| (Entry::Address, address_key(*a, port.protocol, port.port).to_vec()));
    addresses.chain(port.node_port.map(|n| (Entry::Port, port_key(port.protocol, n).to_vec())))
}

fn enter(part: &mut Part, class: Class, map: &'static str, key: Vec<u8>, name: &Name) {
    let value = [class.number().as_slice(), name].concat();
    put(&mut part.elements, map, key, Value::Fields(value));
    part.shared.insert(class);
}

fn pod(pod: &PodPlan, part: &mut Part) {
    let pair = [pod.address.octets(), pod.address.octets()].concat();
    put(&mut part.elements, PODS, pair, Value::Nothing);
    for HostPortPlan { at, protocol, port, to } in &pod.ports {
        let (map, key) = match at {
            Some(at) => (HOST_ADDRESS_PORTS, address_key(*at, *protocol, *port).to_vec()),
            None => (HOST_PORTS, port_key(*protocol, *port).to_vec()),
        };
        put(&mut part.elements, map, key, Value::Fields(end_bytes((pod.address, *to)).to_vec()));
    }
}

pub(super) fn put(elements: &mut Elements, set: &'static str, key: Vec<u8>, value: Value) {
    elements.insert((Cow::Borrowed(set), key, false), value);
}

/// The name of a port's endpoints: what its clients see of the service, which no other has.
pub(super) fn name(port: &PortPlan) -> Name {
    address_key(port.address, port.protocol, port.port)
}

/// Address, protocol and port as keys have them: four bytes each, in network order.
pub(super) fn address_key(address: Ipv4Addr, protocol: u8, port: u16) -> [u8; 12] {
    let ([a, b, c, d], [high, low]) = (address.octets(), port.to_be_bytes());
    [a, b, c, d, protocol, 0, 0, 0, high, low, 0, 0]
}

/// The same without the address.
pub(super) fn port_key(protocol: u8, port: u16) -> [u8; 8] {
    let [high, low] = port.to_be_bytes();
    [protocol, 0, 0, 0, high, low, 0, 0]
}

/// An endpoint as keys and values have it.
pub(super) fn end_bytes((address, port): End) -> [u8; 8] {
    let ([a, b, c, d], [high, low]) = (address.octets(), port.to_be_bytes());
    [a, b, c, d, high, low, 0, 0]
}

/// For chains of a port's own.
pub(super) fn label(port: &PortPlan) -> String {
    format!("{}-{}-{}", port.address, port.protocol, port.port)
}
