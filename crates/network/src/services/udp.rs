//! Which UDP flows are out of date after services have changed. Pure.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use meta::Key;

use super::plan::Plan;
use crate::conntrack::Flow;
use crate::nft::UDP;

/// Endpoints that one way may lead to.
type Ends = BTreeSet<(Ipv4Addr, u16)>;

/// How clients reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Way {
    /// By an address of its own.
    Address(Ipv4Addr, u16),
    /// By a port of the node.
    NodePort(u16),
}

/// The UDP services, as the rules have them.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Key, HashMap<Way, Ends>>);

impl Known {
    /// Takes in a service as it is now; the ways whose endpoints have gone, with those that are left.
    pub(super) fn take(&mut self, key: &Key, now: HashMap<Way, Ends>) -> HashMap<Way, Ends> {
        let before = if now.is_empty() { self.0.remove(key) } else { self.0.insert(key.clone(), now.clone()) };
        let left = |way: &Way| now.get(way).cloned().unwrap_or_default();
        let lost = |(way, ends): (Way, Ends)| Some((way, left(&way))).filter(|(_, left)| !ends.is_subset(left));
        before.unwrap_or_default().into_iter().filter_map(lost).collect()
    }
}

/// The UDP ways into a service.
pub(super) fn ways(plan: &Plan) -> HashMap<Way, Ends> {
    let mut ways = HashMap::new();
    let Plan::Service(ports) = plan else { return ways };
    for port in ports.iter().filter(|port| port.protocol == UDP) {
        let ends: Ends = port.all.iter().chain(&port.local).copied().collect();
        let addresses = std::iter::once(&port.address).chain(&port.outside);
        ways.extend(addresses.map(|address| (Way::Address(*address, port.port), ends.clone())));
        ways.extend(port.node_port.map(|port| (Way::NodePort(port), ends.clone())));
    }
    ways
}

/// Whether a flow leads to an endpoint that its way no longer has. A port of the node is only a way if a pod answers.
pub(super) fn is_stale(flow: &Flow, lost: &HashMap<Way, Ends>, pods: Ipv4Net) -> bool {
    let by_address = lost.get(&Way::Address(flow.to.0, flow.to.1));
    let by_port = || lost.get(&Way::NodePort(flow.to.1)).filter(|_| flow.to != flow.from && pods.contains(&flow.from.0));
    by_address.or_else(by_port).is_some_and(|ends| !ends.contains(&flow.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lost_endpoints_matter() {
        let (a, b) = ((Ipv4Addr::new(10, 0, 0, 1), 53), (Ipv4Addr::new(10, 0, 0, 2), 53));
        let way = Way::Address(Ipv4Addr::new(10, 96, 0, 9), 53);
        let with = |ends: &[(Ipv4Addr, u16)]| HashMap::from([(way, ends.iter().copied().collect::<Ends>())]);
        let key = Key::new("n", "s");
        let mut known = Known::default();
        assert_eq!(known.take(&key, with(&[a])), HashMap::new(), "new");
        assert_eq!(known.take(&key, with(&[a, b])), HashMap::new(), "more");
        assert_eq!(known.take(&key, with(&[b])), with(&[b]), "one went");
        assert_eq!(known.take(&key, HashMap::new()), with(&[]), "the service went");
    }
}
