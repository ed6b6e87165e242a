//! What is done for a pod that fits nowhere: pods of a lower priority make room for it
//! (upstream: `pkg/scheduler/framework/preemption`, `plugins/defaultpreemption`).
//!
//! [`decide`] is pure; [`effects`] carries it out.

mod choose;
mod dry_run;
pub(crate) mod effects;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use meta::Key;

use crate::filters::Refused;
use crate::snapshot::{PodInfo, Snapshot};

/// The reason of the condition `DisruptionTarget` of pods that were told to go.
const REASON: &str = "PreemptionByScheduler";

/// Of the nodes that come into question as many are looked at, in hundredths
/// (upstream: `minCandidateNodesPercentage`), …
const PART: usize = 10;
/// … but not fewer than this (upstream: `minCandidateNodesAbsolute`).
const AT_LEAST: usize = 100;

/// A node, and the pods that have to leave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The node.
    pub node: Arc<str>,
    /// The pods, the most important first. Never empty.
    pub victims: Vec<(Key, Arc<PodInfo>)>,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// These pods have to go; the pod is nominated for their node.
    Evict(Candidate),
    /// Nothing is done now, and why. The pod stays nominated where it is.
    Wait(&'static str),
    /// It helps on no node; upstream's reasons, one or more a node. The pod is nominated no longer.
    Nowhere(Vec<String>),
}

/// Decides for a pod that all nodes have refused. `turn` says with which node to begin, so that not always the
/// same nodes are looked at.
pub fn decide(pod: &PodInfo, refused: &[Refused<'_>], snapshot: &Snapshot, turn: usize) -> Outcome {
    let key = pod.key();
    if let Some(why) = waits(pod, &key, refused, snapshot) {
        return Outcome::Wait(why);
    }
    let (closed, open): (Vec<&Refused<'_>>, Vec<_>) = refused.iter().partition(|r| r.rejection.unresolvable);
    let mut reasons = vec!["Preemption is not helpful for scheduling".to_owned(); closed.len()];
    let wanted = (open.len() * PART / 100).max(AT_LEAST);
    let (later, first) = open.split_at(turn % open.len().max(1));
    let mut candidates = Vec::new();
    for refused in first.iter().chain(later) {
        match dry_run::victims(pod, &key, refused.node) {
            Ok(victims) => candidates.push(Candidate { node: refused.name.clone(), victims }),
            Err(rejection) => reasons.extend(rejection.reasons),
        }
        if candidates.len() >= wanted {
            break;
        }
    }
    choose::cheapest(candidates).map_or(Outcome::Nowhere(reasons), Outcome::Evict)
}

/// Why the pod may not drive out others (upstream: `PodEligibleToPreemptOthers`).
fn waits(pod: &PodInfo, key: &Key, refused: &[Refused<'_>], snapshot: &Snapshot) -> Option<&'static str> {
    if pod.pod.spec.as_ref().and_then(|s| s.preemption_policy.as_deref()) == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let nomination = snapshot.nomination(key)?;
    // What was nominated and is closed to the pod by now will never be its own.
    let there = refused.iter().find(|r| r.name == nomination && !r.rejection.unresolvable)?;
    let still_going = there.node.pods.values().any(|p| p.priority() < pod.priority() && was_told(&p.pod));
    still_going.then_some("not eligible due to a terminating pod on the nominated node.")
}

/// Whether a pod is leaving because it was told to (upstream: `podTerminatingByPreemption`).
fn was_told(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let target = conditions.iter().find(|c| c.type_ == "DisruptionTarget");
    pod.metadata.deletion_timestamp.is_some()
        && target.is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some(REASON))
}
