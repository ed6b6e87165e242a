//! Who gets what, and who is told.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::*;
use crate::api::{OwnPort, Protocol};
use crate::services::plan::PortPlan;

fn config() -> Config {
    let own = |address: Option<[u8; 4]>, port| OwnPort { address: address.map(IpAddr::from), protocol: Protocol::Tcp, port };
    Config {
        node: "n1".to_owned(),
        names: crate::Names::first(),
        zone: String::new(),
        addresses: vec![IpAddr::from([192, 0, 2, 1])],
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
        own_ports: vec![own(None, 6443), own(Some([10, 244, 0, 1]), 53)],
    }
}

fn service(name: &str) -> Owner {
    Owner::Service(Key::new("d", name))
}

fn port(own: u8, outside: &[[u8; 4]], port: u16, node_port: Option<u16>) -> PortPlan {
    PortPlan {
        address: Ipv4Addr::new(10, 96, 0, own),
        protocol: 6,
        port,
        node_port,
        outside: outside.iter().map(|a| Ipv4Addr::from(*a)).collect(),
        guarded: None,
        internal_local: false,
        external_local: false,
        affinity: None,
        all: vec![(Ipv4Addr::new(10, 244, 0, 9), 8080)],
        local: Vec::new(),
    }
}

/// A small world: owners with their plans.
#[derive(Default)]
struct World {
    state: State,
    plans: HashMap<Owner, (Since, PortPlan)>,
}

impl World {
    fn set(&mut self, name: &str, since: Since, plan: Option<PortPlan>) -> Decision {
        match plan {
            Some(plan) => drop(self.plans.insert(service(name), (since, plan))),
            None => drop(self.plans.remove(&service(name))),
        }
        let plans = &self.plans;
        let wanted = |owner: &Owner| {
            let (since, plan) = plans.get(owner)?.clone();
            Some(Wanted { plan: Plan::Service(vec![plan]), since, health: None, excess: None })
        };
        self.state.decide(&config(), [service(name)], wanted)
    }
}

/// The addresses from outside that an owner gets by a decision; `None`: nothing changes for it.
fn outside(decision: &Decision, name: &str) -> Option<Vec<Ipv4Addr>> {
    let (_, plan) = decision.changes.iter().find(|(owner, _)| *owner == service(name))?;
    Some(match plan {
        Some(Plan::Service(ports)) => ports.iter().flat_map(|port| port.outside.clone()).collect(),
        _ => Vec::new(),
    })
}

const SHARED: [u8; 4] = [203, 0, 113, 7];

#[test]
fn two_services_with_one_external_address_do_not_stop_each_other() {
    let mut world = World::default();
    let first = world.set("b", 5, Some(port(1, &[SHARED], 80, None)));
    assert_eq!(outside(&first, "b"), Some(vec![SHARED.into()]));
    let second = world.set("a", 9, Some(port(2, &[SHARED, [203, 0, 113, 8]], 80, None)));
    assert_eq!(outside(&second, "a"), Some(vec![Ipv4Addr::new(203, 0, 113, 8)]), "the rest of it is served");
    assert_eq!(outside(&second, "b"), None, "the older one is left alone");
    let (owner, loss) = &second.losses[0];
    let text = "node n1 does not serve IP 203.0.113.7, port 80/TCP: service d/b has it";
    assert_eq!((owner, loss.words("n1")), (&service("a"), ("IPAlreadyAllocated", text.to_owned())));
    assert!(world.set("a", 9, Some(port(2, &[SHARED], 80, None))).losses.is_empty(), "told once");
    let gone = world.set("b", 5, None);
    assert_eq!(outside(&gone, "a"), Some(vec![SHARED.into()]), "the younger one gets it");
}

#[test]
fn a_cluster_address_beats_an_older_external_one() {
    let mut world = World::default();
    world.set("thief", 1, Some(port(1, &[[10, 96, 0, 2]], 80, None)));
    let owner = world.set("owner", 9, Some(port(2, &[], 80, None)));
    assert_eq!(outside(&owner, "thief"), Some(vec![]));
    let Some((_, Some(Plan::Service(ports)))) = owner.changes.iter().find(|(o, _)| *o == service("owner")) else { panic!() };
    assert_eq!(ports.len(), 1);
    assert_eq!(owner.losses.len(), 1);
}

#[test]
fn an_address_named_twice_is_one() {
    let mut world = World::default();
    let decision = world.set("a", 1, Some(port(1, &[SHARED, SHARED, [10, 96, 0, 1]], 80, None)));
    assert_eq!(outside(&decision, "a").map(|mut list| { list.dedup(); list }), Some(vec![SHARED.into()]));
    assert!(decision.losses.is_empty());
}

#[test]
fn what_the_node_serves_itself_no_service_gets() {
    let mut world = World::default();
    let wanted = [([192, 0, 2, 1], 6443, false), ([203, 0, 113, 7], 6443, true), ([10, 244, 0, 1], 53, false)];
    for (address, number, gets) in wanted {
        let decision = world.set("a", 1, Some(port(1, &[address], number, None)));
        assert_eq!(outside(&decision, "a"), Some(if gets { vec![address.into()] } else { vec![] }), "{address:?}");
        assert_eq!(decision.losses.len(), usize::from(!gets));
    }
    let decision = world.set("a", 1, Some(port(1, &[], 80, Some(6443))));
    assert_eq!(decision.losses[0].1.words("n1").0, "PortAlreadyAllocated");
    let Some((_, Some(Plan::Service(ports)))) = decision.changes.first() else { panic!() };
    assert_eq!((ports[0].node_port, ports.len()), (None, 1), "its own address stays");
}
