//! Host ports of pods: ports of the node that lead to one pod. Pure.

use std::net::IpAddr;

use super::plan::{HostPortPlan, PodPlan};
use crate::api::{OwnPort, PodPorts};

/// The plan of one pod. What the node serves itself stays the node's; pods that run since before that was asked
/// may still want it.
pub(super) fn compile(pod: &PodPorts, own: &[OwnPort]) -> PodPlan {
    let free = pod.ports.iter().filter(|port| !own.iter().any(|own| own.is_wanted_by(port)));
    let ports = free.filter_map(|port| {
        let at = match port.host_ip {
            Some(IpAddr::V4(ip)) if !ip.is_unspecified() => Some(ip),
            None | Some(IpAddr::V4(_)) => None,
            // The pod network is IPv4; every address of the node is meant by IPv6's unspecified one, too.
            Some(IpAddr::V6(ip)) if ip.is_unspecified() => None,
            Some(IpAddr::V6(_)) => return None,
        };
        Some(HostPortPlan { at, protocol: port.protocol.number(), port: port.host_port, to: port.container_port })
    });
    PodPlan { address: pod.address, ports: ports.collect() }
}
