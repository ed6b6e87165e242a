//! Fewer untolerated taints of effect PreferNoSchedule are better.

use k8s_openapi::api::core::v1::Toleration;
use pod::nodes::tolerates;

use super::{Normal, Score};
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const SCORE: Score = Score { name: "TaintToleration", weight: 3, score, reads, normal: Normal::Reversed };

fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let taints = node.node.as_ref().and_then(|n| n.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
    let tolerations = pod.pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    let soft: Vec<&Toleration> =
        tolerations.iter().filter(|t| matches!(t.effect.as_deref(), None | Some("" | "PreferNoSchedule"))).collect();
    let bad = taints.iter().filter(|t| t.effect == "PreferNoSchedule" && !soft.iter().any(|s| tolerates(s, t)));
    bad.count() as i64
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| &s.tolerations));
}
