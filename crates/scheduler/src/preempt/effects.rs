//! Carries a preemption out: tells the victims to go.

use client::events::{Note, Recorder, Regarding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use super::{Candidate, REASON};
use crate::run::NAME;

/// Tells all victims to go and records why. Returns them as the server has them now, but for those that were
/// gone already.
///
/// # Errors
/// The first refusal of the server; victims after it were not told.
pub(crate) async fn evict(
    client: &kube::Client, events: &Recorder, preemptor: &Pod, candidate: &Candidate,
) -> Result<Vec<Pod>, kube::Error> {
    let mut told = Vec::new();
    for (key, victim) in &candidate.victims {
        // One that is leaving anyway has been told by whoever ended it.
        if victim.pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let api = Api::namespaced(client.clone(), &key.namespace);
        match tell(&api, &victim.pod).await {
            Ok(pod) => {
                events.record(note(preemptor, &victim.pod, &candidate.node));
                told.extend(pod);
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                tracing::debug!(pod = %key, node = %candidate.node, "the pod to be preempted is gone already");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}

/// The condition first: who sees the deletion is to see its reason.
async fn tell(api: &Api<Pod>, victim: &Pod) -> Result<Option<Pod>, kube::Error> {
    let name = victim.metadata.name.as_deref().unwrap_or("");
    if let Some(patch) = condition(victim, Timestamp::now()) {
        api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    }
    let preconditions = Preconditions { uid: victim.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    Ok(api.delete(name, &params).await?.left())
}

/// The patch that sets `DisruptionTarget`; none when the victim has it so already.
fn condition(victim: &Pod, now: Timestamp) -> Option<serde_json::Value> {
    let message = format!("{NAME}: preempting to accommodate a higher priority pod");
    let conditions = victim.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let old = conditions.iter().find(|c| c.type_ == "DisruptionTarget" && c.status == "True");
    if old.is_some_and(|c| c.reason.as_deref() == Some(REASON) && c.message.as_deref() == Some(message.as_str())) {
        return None;
    }
    let since = old.and_then(|c| c.last_transition_time.as_ref()).map_or(now, |at| at.0);
    Some(json!({"metadata": {"uid": victim.metadata.uid}, "status": {"conditions": [{
        "type": "DisruptionTarget", "status": "True", "reason": REASON, "message": message,
        "lastProbeTime": null, "lastTransitionTime": meta::time::seconds(since),
        "observedGeneration": victim.metadata.generation,
    }]}}))
}

fn note(preemptor: &Pod, victim: &Pod, node: &str) -> Note {
    let uid = preemptor.metadata.uid.as_deref().unwrap_or("");
    Note {
        regarding: victim.regarding(),
        related: Some(preemptor.regarding()),
        type_: "Normal",
        reason: "Preempted".to_owned(),
        action: "Preempting".to_owned(),
        message: format!("Preempted by pod {uid} on node {node}"),
        at: Timestamp::now(),
        annotations: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::ranked;

    #[test]
    fn victims_are_told_in_upstreams_words_and_only_once() {
        let (victim, preemptor) = (ranked("v", "1", 1, 0), ranked("p", "1", 10, 0));
        let patch = condition(&victim.pod, Timestamp::UNIX_EPOCH).expect("it has none");
        let set = &patch["status"]["conditions"][0];
        assert_eq!(set["message"], "default-scheduler: preempting to accommodate a higher priority pod");
        assert_eq!((&set["lastTransitionTime"], &patch["metadata"]["uid"]), (&json!("1970-01-01T00:00:00Z"), &json!("v")));
        let mut told = (*victim.pod).clone();
        told.status = serde_json::from_value(patch["status"].clone()).expect("a status");
        assert_eq!(condition(&told, Timestamp::now()), None);
        // Another reason is replaced, but the condition has held since then.
        if let Some(conditions) = told.status.as_mut().and_then(|s| s.conditions.as_mut()) {
            conditions[0].reason = Some("EvictionByEvictionAPI".to_owned());
        }
        assert_eq!(condition(&told, Timestamp::now()), Some(patch));
        let note = note(&preemptor.pod, &victim.pod, "n");
        assert_eq!(note.message, "Preempted by pod p on node n");
        assert_eq!(note.related.and_then(|r| r.name).as_deref(), Some("p"));
    }
}
