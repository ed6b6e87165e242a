//! Pods that the node ends for good: for what they took, or for want of room.

use serde::{Deserialize, Serialize};

use k8s_openapi::api::core::v1::Pod;

use crate::agent::Agent;
use crate::durable;
use crate::events::Kind;
use crate::spec;

/// What a pod gets that has to go at once, seconds (upstream: `immediateEvictionGracePeriodSeconds`).
pub const AT_ONCE: i64 = 1;
/// File in a pod's directory that says why it is being evicted: an eviction that has begun is not forgotten.
const RECORD: &str = "evicted";

/// Why and how the node ends a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// Of its status and of the event, CamelCase.
    pub reason: String,
    /// Of both, for people.
    pub message: String,
    /// Message of its condition `DisruptionTarget`; without one it gets no such condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<String>,
    /// Seconds that its containers get; its own grace period if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<i64>,
}

impl Eviction {
    /// It took more than it may.
    pub fn over_limit(message: impl Into<String>) -> Self {
        Eviction { reason: "Evicted".to_owned(), message: message.into(), disruption: None, grace: Some(AT_ONCE) }
    }

    /// A critical pod needs its place.
    pub fn preempted() -> Self {
        Eviction {
            reason: "Preempting".to_owned(),
            message: "Preempted in order to admit critical pod".to_owned(),
            disruption: Some("Pod was preempted by Kubelet to accommodate a critical pod.".to_owned()),
            grace: None,
        }
    }

    /// What an earlier agent wrote down; one that knew a single kind of eviction wrote the message alone.
    fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Eviction::over_limit(text))
    }
}

/// Ends a pod for good, unless that has begun. What was written down stays true if this agent ends before the pod does.
/// The event has these notes for machines.
pub fn evict(agent: &Agent, pod: &Pod, eviction: Eviction, notes: Vec<(String, String)>) {
    let uid = spec::uid(pod);
    if agent.pods.is_evicted(uid) {
        return;
    }
    if let Err(error) = durable::replace(&agent.config.pod_dir(uid).join(RECORD), &eviction) {
        // A full disk is no reason to let it go on; another agent will find the same reason again.
        tracing::warn!(pod = %spec::title(pod), %error, "eviction not written down");
    }
    let (reason, message) = (eviction.reason.clone(), eviction.message.clone());
    if agent.pods.evict(uid, eviction) {
        tracing::info!(pod = %spec::title(pod), reason, message, "evicting a pod");
        agent.events.annotated(pod, Kind::Warning, reason, message, notes);
    }
}

/// Why a pod was being evicted when an agent ended.
pub fn recorded(agent: &Agent, uid: &str) -> Option<Eviction> {
    let text = std::fs::read_to_string(agent.config.pod_dir(uid).join(RECORD)).ok()?;
    Some(Eviction::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_all_versions_are_read() {
        let preempted = Eviction::preempted();
        assert_eq!(Eviction::parse(&serde_json::to_string(&preempted).expect("serializes")), preempted);
        assert_eq!(Eviction::parse("Usage exceeds the limit. "), Eviction::over_limit("Usage exceeds the limit. "));
    }
}
