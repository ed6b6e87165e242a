//! Cordoned nodes take only pods that tolerate it.

use k8s_openapi::api::core::v1::Taint;
use pod::nodes::untolerated;

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodeUnschedulable", check, reads, helped_by: &[Hint::Node] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let spec = node.node.as_ref().and_then(|n| n.spec.as_ref());
    if !spec.is_some_and(|s| s.unschedulable == Some(true)) {
        return Ok(());
    }
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    let tolerations = pod.pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    match untolerated(std::slice::from_ref(&taint), tolerations, &["NoSchedule"]) {
        None => Ok(()),
        Some(_) => Err(Rejection::hard("node(s) were unschedulable")),
    }
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| &s.tolerations));
}
