//! The weights of the preferred node affinity terms that a node meets.

use pod::nodes::term_matches;

use super::{Normal, Score};
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const SCORE: Score = Score { name: "NodeAffinity", weight: 2, score, reads, normal: Normal::Proportional };

fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let Some(node) = &node.node else { return 0 };
    let affinity = pod.pod.spec.as_ref().and_then(|s| s.affinity.as_ref()?.node_affinity.as_ref());
    let preferred = affinity.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_deref());
    let met = preferred.unwrap_or_default().iter().filter(|p| term_matches(&p.preference, node));
    met.map(|p| i64::from(p.weight)).sum()
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| &s.affinity));
}
