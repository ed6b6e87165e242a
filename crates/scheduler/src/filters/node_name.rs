//! A pod that names its node goes nowhere else.

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodeName", check, reads, helped_by: &[Hint::Node] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let wanted = pod.pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or("");
    let name = node.node.as_ref().and_then(|n| n.metadata.name.as_deref()).unwrap_or("");
    if wanted.is_empty() || wanted == name {
        return Ok(());
    }
    Err(Rejection::hard("node(s) didn't match the requested node name"))
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| &s.node_name));
}
