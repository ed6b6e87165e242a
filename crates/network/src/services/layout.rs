//! From plans to rules: shared maps lead from a service to the chain of its class, and from service and number to an
//! endpoint. A class is how the choice is made and among how many, so that a service adds elements, not chains.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::base::{
    self, DROPPED, DROPPED_PORTS, ENDPOINTS, HOST_ADDRESS_PORTS, HOST_PORTS, NODE_PORTS, PODS, PORT_ENDPOINTS,
    REFUSED, REFUSED_PORTS, SERVICES,
};
use super::plan::{End, HostPortPlan, Owner, Plan, PodPlan, PortPlan};
use super::{Config, guard, sticky};
use crate::nft::{self, Base, Elements, Entry, Pool, Rule, SharedChain, TableName, Value, Verdict};

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
    type Owner = Owner;
    type Plan = Plan;
    type Shared = Class;

    fn table(&self) -> TableName {
        self.0.names.services()
    }

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
        let choose = |rule: Rule, entry, local, count| rule.choose(entry, pool(local, count), endpoints(entry));
        let rules = match *class {
            Class::Cluster { local, count } => {
                vec![from_outside(&self.0), choose(Rule::new(), Entry::Address, local, count)]
            }
            Class::External(entry, count) => vec![marked(), choose(Rule::new(), entry, false, count)],
            Class::ExternalLocal { entry, all, local } => {
                let mut rules = Vec::new();
                if all > 0 {
                    rules.extend(shortcut(&self.0, |rule| choose(rule, entry, false, all)));
                }
                rules.extend((local > 0).then(|| choose(Rule::new(), entry, true, local)));
                rules
            }
        };
        SharedChain { name: class.name(), rules }
    }
}

/// What comes from outside of the pods must come back this way.
pub(super) fn from_outside(config: &Config) -> Rule {
    Rule::new().source(config.cluster_range, false).mark()
}

/// The answer must come back this way.
pub(super) fn marked() -> Rule {
    Rule::new().mark()
}

/// For pods and the node itself, as if they went up to a load balancer and came back in by a node with endpoints.
pub(super) fn shortcut(config: &Config, go: impl Fn(Rule) -> Rule) -> [Rule; 3] {
    let pods = Rule::new().source(config.cluster_range, true);
    [go(pods), Rule::new().source_is_local().mark(), go(Rule::new().source_is_local())]
}

fn endpoints(entry: Entry) -> &'static str {
    if entry == Entry::Port { PORT_ENDPOINTS } else { ENDPOINTS }
}

/// All endpoints, or those of this node.
pub(super) fn pool(local: bool, count: u32) -> Pool {
    Pool { first: if local { LOCAL } else { 0 }, count }
}

fn service_port(config: &Config, port: &PortPlan, part: &mut Part) {
    let (all, local) = (port.all.len() as u32, port.local.len() as u32);
    let sticky = port.affinity.map(|seconds| sticky::part(config, port, seconds, part));
    let own = address_key(port.address, port.protocol, port.port).to_vec();
    let internal = if port.internal_local { local } else { all };
    if internal == 0 {
        put(&mut part.elements, if port.has_endpoints() { DROPPED } else { REFUSED }, own, Value::Nothing);
    } else {
        let chain = match &sticky {
            Some(chains) => chains.internal.clone(),
            None => {
                ends(part, Entry::Address, &own, port.internal_local, port);
                share(part, Class::Cluster { local: port.internal_local, count: internal })
            }
        };
        put(&mut part.elements, SERVICES, own, Value::Verdict(Verdict::Goto(chain)));
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
        let chain = match &sticky {
            Some(chains) => chains.external.clone(),
            None => {
                ends(part, entry, &key, false, port);
                if port.external_local {
                    ends(part, entry, &key, true, port);
                    share(part, Class::ExternalLocal { entry, all, local })
                } else {
                    share(part, Class::External(entry, all))
                }
            }
        };
        put(&mut part.elements, map, key, Value::Verdict(Verdict::Goto(chain)));
    }
    guard::part(port, part);
}

/// The ways in from outside.
fn entries(port: &PortPlan) -> impl Iterator<Item = (Entry, Vec<u8>)> {
    let addresses = port.outside.iter().map(|a| (Entry::Address, address_key(*a, port.protocol, port.port).to_vec()));
    addresses.chain(port.node_port.map(|n| (Entry::Port, port_key(port.protocol, n).to_vec())))
}

/// The endpoints, under the name by which packets come.
fn ends(part: &mut Part, entry: Entry, key: &[u8], local: bool, port: &PortPlan) {
    let ends = if local { &port.local } else { &port.all };
    for (number, end) in (pool(local, 0).first..).zip(ends) {
        let key = [key, &number.to_ne_bytes()].concat();
        put(&mut part.elements, endpoints(entry), key, Value::Fields(end_bytes(*end).to_vec()));
    }
}

/// The name of the class's chain.
fn share(part: &mut Part, class: Class) -> String {
    part.shared.insert(class);
    class.name()
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
