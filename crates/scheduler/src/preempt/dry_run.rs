//! Which pods would have to leave a node for another to fit (upstream: `SelectVictimsOnNode`). Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use meta::Key;

use crate::filters::{self, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// The fewest and least important pods of a lower priority without which the pod fits, the most important
/// first; or why it does not fit even without all of them.
pub(super) fn victims(pod: &PodInfo, key: &Key, node: &NodeInfo) -> Result<Vec<(Key, Arc<PodInfo>)>, Rejection> {
    let lower = node.pods.iter().filter(|(_, other)| other.priority() < pod.priority());
    let mut lower: Vec<(Key, Arc<PodInfo>)> = lower.map(|(key, other)| (key.clone(), other.clone())).collect();
    if lower.is_empty() {
        return Err(Rejection::hard("No preemption victims found for incoming pod"));
    }
    let mut rest = node.clone();
    lower.iter().for_each(|(key, _)| rest.take_away(key));
    filters::check(pod, key, &rest).map_err(|(_, rejection)| rejection)?;
    // Each may stay with whom the pod still fits. This order says who is asked first.
    lower.sort_by_key(|(_, other)| importance(other));
    lower.retain(|(name, other)| {
        rest.put(name, other.clone());
        let goes = filters::check(pod, key, &rest).is_err();
        if goes {
            rest.take_away(name);
        }
        goes
    });
    Ok(lower)
}

/// A higher priority first, then who has run longest (upstream: `MoreImportantPod`).
fn importance(pod: &PodInfo) -> (Reverse<i32>, Timestamp) {
    (Reverse(pod.priority()), started(pod))
}

/// When the pod was started; one that was not yet is younger than all others.
pub(super) fn started(pod: &PodInfo) -> Timestamp {
    pod.pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or(Timestamp::MAX, |at| at.0)
}
