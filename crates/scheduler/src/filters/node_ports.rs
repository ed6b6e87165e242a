//! Two pods cannot have one port of a node.

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{HostPort, NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodePorts", check, reads, helped_by: &[Hint::Node, Hint::PodGone] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    if pod.ports.is_empty() {
        return Ok(());
    }
    let taken = node.pods.values().flat_map(|p| &p.ports);
    if taken.into_iter().any(|t| pod.ports.iter().any(|p| collide(p, t))) {
        return Err(Rejection::soft("node(s) didn't have free ports for the requested pod ports"));
    }
    Ok(())
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.ports);
}

/// The wildcard address collides with every address.
fn collide(a: &HostPort, b: &HostPort) -> bool {
    let any = |address: &str| address == "0.0.0.0" || address == "::";
    a.1 == b.1 && a.2 == b.2 && (a.0 == b.0 || any(&a.0) || any(&b.0))
}
