//! What a service or a pod wants of the kernel, in the words of services: small enough to be kept for each of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use meta::Key;

/// Address and port of an endpoint.
pub(super) type End = (Ipv4Addr, u16);

/// Who wants it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A pod of this node, by its uid.
    Pod(Arc<str>),
    Service(Key),
}

/// For log lines and events: where an owner is named to people.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Pod(uid) => write!(f, "pod {uid}"),
            Owner::Service(key) => write!(f, "service {key}"),
        }
    }
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Service(Vec<PortPlan>),
    Pod(PodPlan),
}

/// One port of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortPlan {
    /// The service's own address.
    pub(super) address: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) port: u16,
    pub(super) node_port: Option<u16>,
    /// Addresses from outside: external ones, and those of load balancers.
    pub(super) outside: Vec<Ipv4Addr>,
    /// Those of load balancers, and who may come to them; `None`: everybody.
    pub(super) guarded: Option<Arc<Guard>>,
    pub(super) internal_local: bool,
    pub(super) external_local: bool,
    /// Seconds for which a client keeps its endpoint.
    pub(super) affinity: Option<u32>,
    /// The endpoints of the cluster.
    pub(super) all: Vec<End>,
    /// Those of this node.
    pub(super) local: Vec<End>,
}

/// Source ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) addresses: Vec<Ipv4Addr>,
    /// First and last address of each, in order, never side by side.
    pub(super) sources: Vec<(u32, u32)>,
}

impl PortPlan {
    /// Reached by something else than the service's own address.
    pub(super) fn is_exposed(&self) -> bool {
        self.node_port.is_some() || !self.outside.is_empty()
    }

    /// There is somebody to answer, here or elsewhere.
    pub(super) fn has_endpoints(&self) -> bool {
        !self.all.is_empty() || !self.local.is_empty()
    }
}

/// A pod of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodPlan {
    pub(super) address: Ipv4Addr,
    pub(super) ports: Vec<HostPortPlan>,
}

/// A port of the node that leads to a port of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPortPlan {
    /// `None`: at every address of the node.
    pub(super) at: Option<Ipv4Addr>,
    pub(super) protocol: u8,
    pub(super) port: u16,
    pub(super) to: u16,
}

/// What only one can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Claim {
    Address(Ipv4Addr, u8, u16),
    NodePort(u8, u16),
    HostPort(Option<Ipv4Addr>, u8, u16),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |protocol: &u8| match *protocol {
            crate::nft::UDP => "UDP",
            crate::nft::SCTP => "SCTP",
            _ => "TCP",
        };
        match self {
            Claim::Address(address, protocol, port) => write!(f, "IP {address}, port {port}/{}", name(protocol)),
            Claim::NodePort(protocol, port) => write!(f, "node port {port}/{}", name(protocol)),
            Claim::HostPort(Some(at), protocol, port) => write!(f, "host port {port}/{} at {at}", name(protocol)),
            Claim::HostPort(None, protocol, port) => write!(f, "host port {port}/{}", name(protocol)),
        }
    }
}

/// How strong a claim is; the least wins: who has the right, then who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    /// The address is the service's own: the cluster gave it.
    Own,
    /// Somebody wrote it into the object.
    Asked,
}

impl Plan {
    /// All that it claims.
    pub(super) fn claims(&self) -> Vec<(Claim, Right)> {
        let mut claims = Vec::new();
        match self {
            Plan::Service(ports) => {
                for port in ports {
                    claims.push((port.own(), Right::Own));
                    claims.extend(port.outside.iter().map(|a| (port.at(*a), Right::Asked)));
                    claims.extend(port.node_port.map(|n| (Claim::NodePort(port.protocol, n), Right::Asked)));
                }
            }
            Plan::Pod(pod) => claims.extend(pod.ports.iter().map(|port| (port.claim(), Right::Asked))),
        }
        // The strongest of equal ones.
        claims.sort_unstable();
        claims.dedup_by_key(|(claim, _)| *claim);
        claims
    }

    /// What is left of it when only some claims hold. A service port without its own address is none.
    pub(super) fn keep(&mut self, holds: impl Fn(&Claim) -> bool) {
        match self {
            Plan::Service(ports) => {
                ports.retain(|port| holds(&port.own()));
                for port in ports {
                    let (own, at) = (port.address, |a: &Ipv4Addr| Claim::Address(*a, port.protocol, port.port));
                    let kept = port.outside.iter().filter(|a| **a != own && holds(&at(a))).copied().collect();
                    port.node_port = port.node_port.filter(|n| holds(&Claim::NodePort(port.protocol, *n)));
                    port.outside = kept;
                }
            }
            Plan::Pod(pod) => pod.ports.retain(|port| holds(&port.claim())),
        }
    }
}

impl PortPlan {
    fn own(&self) -> Claim {
        self.at(self.address)
    }

    fn at(&self, address: Ipv4Addr) -> Claim {
        Claim::Address(address, self.protocol, self.port)
    }
}

impl HostPortPlan {
    fn claim(&self) -> Claim {
        Claim::HostPort(self.at, self.protocol, self.port)
    }
}
