//! Taints of effect NoSchedule and NoExecute keep pods away that do not tolerate them.

use pod::nodes::untolerated;

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "TaintToleration", check, reads, helped_by: &[Hint::Node] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let taints = node.node.as_ref().and_then(|n| n.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
    let tolerations = pod.pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    match untolerated(taints, tolerations, &["NoSchedule", "NoExecute"]) {
        None => Ok(()),
        Some(_) => Err(Rejection::hard("node(s) had untolerated taint(s)")),
    }
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| &s.tolerations));
}
