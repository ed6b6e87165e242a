//! `nodeSelector` and required node affinity.

use pod::nodes::{NOT_SELECTED, selects};

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodeAffinity", check, reads, helped_by: &[Hint::Node] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    match (&pod.pod.spec, &node.node) {
        (Some(spec), Some(node)) if !selects(spec, node) => Err(Rejection::hard(NOT_SELECTED)),
        _ => Ok(()),
    }
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| (&s.node_selector, &s.affinity)));
}
