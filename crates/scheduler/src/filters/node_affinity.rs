//! `nodeSelector` and required node affinity.

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::selector::term_matches;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodeAffinity", check, reads, helped_by: &[Hint::Node] };

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let (Some(spec), Some(node)) = (&pod.pod.spec, &node.node) else { return Ok(()) };
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|l| l.get(key));
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| label(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    let matched = required.is_none_or(|r| r.node_selector_terms.iter().any(|t| term_matches(t, node)));
    if selected && matched {
        return Ok(());
    }
    Err(Rejection::hard("node(s) didn't match Pod's node affinity/selector"))
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&pod.pod.spec.as_ref().map(|s| (&s.node_selector, &s.affinity)));
}
