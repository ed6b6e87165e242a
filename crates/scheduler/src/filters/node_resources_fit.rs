//! The node has room for what the pod asks for.

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter =
    Filter { name: "NodeResourcesFit", check, reads, helped_by: &[Hint::Node, Hint::PodGone] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let mut reasons = Vec::new();
    // More than the node has even when empty: no other pod's end can help.
    let mut unresolvable = false;
    if node.pods.len() as i64 + 1 > node.allocatable.get("pods") {
        reasons.push("Too many pods".to_owned());
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        short(name, pod, node, &mut reasons, &mut unresolvable);
    }
    for (name, _) in pod.requests.iter() {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage" | "pods") {
            short(name, pod, node, &mut reasons, &mut unresolvable);
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Rejection { reasons, unresolvable }) }
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.requests);
}

fn short(name: &str, pod: &PodInfo, node: &NodeInfo, reasons: &mut Vec<String>, unresolvable: &mut bool) {
    let (wanted, all) = (pod.requests.get(name), node.allocatable.get(name));
    if wanted > 0 && wanted > all - node.requested.get(name) {
        reasons.push(format!("Insufficient {name}"));
        *unresolvable |= wanted > all;
    }
}
