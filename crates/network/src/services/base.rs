//! The rules that are always there, whatever the services.

use ipnet::Ipv4Net;

use super::Config;
use crate::bridge::BRIDGE;
use crate::nft::{Base, Hook, Key, Rule, Verdict};

/// Service addresses and ports that lead to endpoints.
pub(super) const BY_ADDRESS: &str = "service-ips";
/// Node ports that lead to endpoints.
pub(super) const BY_NODE_PORT: &str = "service-nodeports";
/// Service addresses and ports without endpoints.
pub(super) const NO_ENDPOINTS: &str = "no-endpoint-services";
/// Node ports without endpoints.
pub(super) const NO_ENDPOINTS_NODE_PORT: &str = "no-endpoint-nodeports";
/// Host ports of pods at one address of the node.
pub(super) const HOST_ADDRESS_PORTS: &str = "host-address-ports";
/// Host ports of pods at all addresses of the node.
pub(super) const HOST_PORTS: &str = "host-ports";
/// Marks a connection whose source is to be translated.
pub(super) const MARK: &str = "mark-for-masquerade";
/// Refuses.
pub(super) const REJECT: &str = "reject-chain";

const SERVICES: &str = "services";
const CHECK: &str = "service-endpoints-check";

pub(super) fn base(config: &Config) -> Base {
    let jump = |chain: &str| Verdict::Jump(chain.to_owned());
    let loopback = Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8);
    let local = || Rule::new().destination_is_local();
    let services = vec![
        Rule::new().by_address(BY_ADDRESS),
        Rule::new().by_address(HOST_ADDRESS_PORTS),
        local().destination(loopback, false).by_port(HOST_PORTS),
        local().destination(loopback, false).by_port(BY_NODE_PORT),
    ];
    let check = vec![
        Rule::new().by_address(NO_ENDPOINTS),
        local().destination(loopback, false).by_port(NO_ENDPOINTS_NODE_PORT),
    ];
    // What was not translated has no service behind it.
    let unclaimed = || vec![Rule::new().is_new().destination(config.service_range, true).reject()];
    let postrouting = vec![
        Rule::new().is_marked().masquerade(),
        // Pods speak to the world with the node's address, to each other with their own.
        Rule::new()
            .source(config.cluster_range, true)
            .destination(config.cluster_range, false)
            .leaves_by(BRIDGE, false)
            .masquerade(),
    ];
    let hook = |kind, number, priority| Some(Hook { kind, number, priority });
    let to_services = || vec![Rule::new().then(&jump(SERVICES))];
    let to_check = || vec![Rule::new().is_new().then(&jump(CHECK))];
    Base {
        maps: vec![
            (BY_ADDRESS, Key::AddressPort),
            (BY_NODE_PORT, Key::Port),
            (NO_ENDPOINTS, Key::AddressPort),
            (NO_ENDPOINTS_NODE_PORT, Key::Port),
            (HOST_ADDRESS_PORTS, Key::AddressPort),
            (HOST_PORTS, Key::Port),
        ],
        chains: vec![
            (MARK, None, vec![Rule::new().mark()]),
            (REJECT, None, vec![Rule::new().reject()]),
            (SERVICES, None, services),
            (CHECK, None, check),
            // -100: destinations are translated, 100: sources are; -110: before the filters of others.
            ("nat-prerouting", hook("nat", 0, -100), to_services()),
            ("nat-output", hook("nat", 3, -100), to_services()),
            ("nat-postrouting", hook("nat", 4, 100), postrouting),
            ("filter-input", hook("filter", 1, -110), to_check()),
            ("filter-forward", hook("filter", 2, -110), to_check()),
            ("filter-output", hook("filter", 3, -110), to_check()),
            ("unclaimed-forward", hook("filter", 2, -90), unclaimed()),
            // The node's own packets are translated at -100, in the same hook.
            ("unclaimed-output", hook("filter", 3, -90), unclaimed()),
        ],
    }
}
