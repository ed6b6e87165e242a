//! The rules that are always there, whatever the services.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::Config;
use super::layout::{address_key, port_key};
use crate::nft::{Base, Elements, Entry, Field, Hook, Rule, Says, Set, Value, Verdict};

/// Service addresses and ports: the chain that chooses an endpoint.
pub(super) const SERVICES: &str = "services";
/// The same for ports of the node.
pub(super) const NODE_PORTS: &str = "node-ports";
/// Endpoints by service address, port and number.
pub(super) const ENDPOINTS: &str = "endpoints";
/// Endpoints by port of the node and number.
pub(super) const PORT_ENDPOINTS: &str = "node-port-endpoints";
/// Service addresses and ports without endpoints.
pub(super) const REFUSED: &str = "refused-services";
/// See [`REFUSED`].
pub(super) const REFUSED_PORTS: &str = "refused-node-ports";
/// Service addresses and ports whose endpoints are elsewhere.
pub(super) const DROPPED: &str = "dropped-services";
/// See [`DROPPED`].
pub(super) const DROPPED_PORTS: &str = "dropped-node-ports";
/// Addresses of load balancers that not everybody may use.
pub(super) const GUARDED: &str = "guarded-services";
/// Host ports of pods at one address of the node.
pub(super) const HOST_ADDRESS_PORTS: &str = "host-address-ports";
/// Host ports of pods at all addresses of the node.
pub(super) const HOST_PORTS: &str = "host-ports";
/// The pods of this node, twice each.
pub(super) const PODS: &str = "pods";

const OWN_ADDRESS_PORTS: &str = "own-address-ports";
const OWN_PORTS: &str = "own-ports";
const OWN: &str = "own";
const TRANSLATE: &str = "translate";
const TRANSLATE_PORT: &str = "translate-port";
const CHECK: &str = "check";
const CHECK_PORT: &str = "check-port";

const BY_ADDRESS: &[Field] = &[Field::Address, Field::Protocol, Field::Port];
const BY_PORT: &[Field] = &[Field::Protocol, Field::Port];
const BY_NUMBER: &[Field] = &[Field::Address, Field::Protocol, Field::Port, Field::Number];
const BY_PORT_NUMBER: &[Field] = &[Field::Protocol, Field::Port, Field::Number];
const END: &[Field] = &[Field::Address, Field::Port];

pub(super) fn base(config: &Config) -> Base {
    Base { sets: sets(), chains: chains(config), elements: own_ports(config) }
}

fn sets() -> Vec<(&'static str, Set)> {
    vec![
        (SERVICES, Set::new(BY_ADDRESS, Says::Verdict)),
        (NODE_PORTS, Set::new(BY_PORT, Says::Verdict)),
        (ENDPOINTS, Set::new(BY_NUMBER, Says::Fields(END))),
        (PORT_ENDPOINTS, Set::new(BY_PORT_NUMBER, Says::Fields(END))),
        (REFUSED, Set::new(BY_ADDRESS, Says::Nothing)),
        (REFUSED_PORTS, Set::new(BY_PORT, Says::Nothing)),
        (DROPPED, Set::new(BY_ADDRESS, Says::Nothing)),
        (DROPPED_PORTS, Set::new(BY_PORT, Says::Nothing)),
        (GUARDED, Set::new(BY_ADDRESS, Says::Verdict)),
        (HOST_ADDRESS_PORTS, Set::new(BY_ADDRESS, Says::Fields(END))),
        (HOST_PORTS, Set::new(BY_PORT, Says::Fields(END))),
        (PODS, Set::new(&[Field::Address, Field::Address], Says::Nothing)),
        (OWN_ADDRESS_PORTS, Set::new(BY_ADDRESS, Says::Verdict)),
        (OWN_PORTS, Set::new(BY_PORT, Says::Verdict)),
    ]
}

fn chains(config: &Config) -> Vec<(&'static str, Option<Hook>, Vec<Rule>)> {
    let jump = |chain: &str| Verdict::Jump(chain.to_owned());
    let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    // Ports of the node are none of its loopback addresses.
    let at_node = |chain: &str| Rule::new().destination_is_local().destination(loopback, false).then(&jump(chain));
    let translate = vec![
        Rule::new().verdict_by(Entry::Address, OWN_ADDRESS_PORTS),
        Rule::new().verdict_by(Entry::Port, OWN_PORTS),
        Rule::new().verdict_by(Entry::Address, SERVICES),
        Rule::new().translate_by(Entry::Address, HOST_ADDRESS_PORTS),
        at_node(TRANSLATE_PORT),
    ];
    let translate_port = vec![
        Rule::new().translate_by(Entry::Port, HOST_PORTS),
        Rule::new().verdict_by(Entry::Port, NODE_PORTS),
    ];
    let check = vec![
        Rule::new().named_in(Entry::Address, REFUSED).reject(),
        Rule::new().named_in(Entry::Address, DROPPED).then(&Verdict::Drop),
        at_node(CHECK_PORT),
    ];
    let check_port = vec![
        Rule::new().named_in(Entry::Port, REFUSED_PORTS).reject(),
        Rule::new().named_in(Entry::Port, DROPPED_PORTS).then(&Verdict::Drop),
    ];
    // What was not translated has no service behind it.
    let unclaimed = || vec![Rule::new().is_new().destination(config.service_range, true).reject()];
    let postrouting = vec![
        Rule::new().is_marked().masquerade(),
        // A pod that reaches itself must not see its own address as the client's.
        Rule::new().pair_in(PODS).masquerade(),
        // Pods speak to the world with the node's address, to each other with their own.
        Rule::new()
            .source(config.cluster_range, true)
            .destination(config.cluster_range, false)
            .leaves_by(&config.names.bridge, false)
            .masquerade(),
    ];
    let hook = |kind, number, priority| Some(Hook { kind, number, priority });
    let to_translate = || vec![Rule::new().then(&jump(TRANSLATE))];
    let to_check = || vec![Rule::new().is_new().then(&jump(CHECK))];
    let guard = || vec![Rule::new().is_new().verdict_by(Entry::Address, GUARDED)];
    vec![
        (OWN, None, vec![Rule::new().destination_is_local().then(&Verdict::Accept)]),
        (TRANSLATE_PORT, None, translate_port),
        (TRANSLATE, None, translate),
        (CHECK_PORT, None, check_port),
        (CHECK, None, check),
        // -100: destinations are translated, 100: sources are; -110: before that, and before the filters of others.
        ("guard-prerouting", hook("filter", 0, -110), guard()),
        ("guard-output", hook("filter", 3, -110), guard()),
        ("nat-prerouting", hook("nat", 0, -100), to_translate()),
        ("nat-output", hook("nat", 3, -100), to_translate()),
        ("nat-postrouting", hook("nat", 4, 100), postrouting),
        ("filter-input", hook("filter", 1, -110), to_check()),
        ("filter-forward", hook("filter", 2, -110), to_check()),
        // The node's own packets are translated at -100, in the same hook.
        ("filter-output", hook("filter", 3, -95), to_check()),
        ("unclaimed-forward", hook("filter", 2, -90), unclaimed()),
        ("unclaimed-output", hook("filter", 3, -90), unclaimed()),
    ]
}

/// What the node serves itself is never translated.
fn own_ports(config: &Config) -> Elements {
    let mut elements = Elements::new();
    for own in &config.own_ports {
        let protocol = own.protocol.number();
        let (place, verdict) = match own.address {
            None => ((OWN_PORTS, port_key(protocol, own.port).to_vec()), Verdict::Jump(OWN.to_owned())),
            Some(IpAddr::V4(at)) => {
                ((OWN_ADDRESS_PORTS, address_key(at, protocol, own.port).to_vec()), Verdict::Accept)
            }
            // The rules are those of IPv4.
            Some(IpAddr::V6(_)) => continue,
        };
        elements.insert((Cow::Borrowed(place.0), place.1, false), Value::Verdict(verdict));
    }
    elements
}
