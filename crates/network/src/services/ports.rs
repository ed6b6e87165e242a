//! Host ports of pods: ports of the node that lead to one pod.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::base::{HOST_ADDRESS_PORTS, HOST_PORTS, MARK};
use super::compile::port_key;
use crate::api::{HostPort, Protocol};
use crate::nft::{Part, Rule, SCTP, TCP, UDP, Verdict};

/// The part of one pod. Pure.
pub(super) fn compile(pod_uid: &str, address: Ipv4Addr, ports: &[HostPort]) -> Part {
    let mut part = Part::default();
    for port in ports {
        let protocol = match port.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Sctp => SCTP,
        };
        let chain = format!("hostport-{pod_uid}-{protocol}-{}", port.host_port);
        let hairpin = Rule::new().source(Ipv4Net::from(address), true);
        let rules = vec![
            hairpin.then(&Verdict::Jump(MARK.to_owned())),
            Rule::new().protocol(protocol).dnat(address, port.container_port),
        ];
        let key = port_key(protocol, port.host_port);
        let at = match port.host_ip {
            Some(IpAddr::V4(ip)) if !ip.is_unspecified() => {
                (HOST_ADDRESS_PORTS, [ip.octets().as_slice(), &key].concat())
            }
            None | Some(IpAddr::V4(_)) => (HOST_PORTS, key),
            // The pod network is IPv4.
            Some(IpAddr::V6(_)) => continue,
        };
        part.chains.insert(chain.clone(), rules);
        part.elements.insert(at, Verdict::Goto(chain));
    }
    part
}
