//! Carries out what was decided: bindings, events, status, and word to victims.

use std::sync::Arc;

use client::events::{Form, Note, Recorder, Regarding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use meta::Key;
use serde_json::json;

use crate::cycle::Decision;
use crate::preempt::{Outcome, effects};
use crate::run::NAME;
use crate::attempt::{Attempt, End, Nomination};

/// Writes to the API server.
pub(crate) struct Writer {
    client: kube::Client,
    events: Recorder,
}

impl Writer {
    /// One that signs its events with the machine's name.
    pub(crate) fn new(client: &kube::Client, host: &str) -> Self {
        let events = Recorder::new(client.clone(), NAME, &format!("{NAME}-{host}"), Form::Modern);
        Writer { client: client.clone(), events }
    }

    /// Writes what an attempt decided.
    pub(crate) async fn carry_out(&self, attempt: &Attempt) -> End {
        let pod = &attempt.pod.pod;
        match &attempt.decision {
            Decision::Node(node) => self.bind(&attempt.key, pod, node).await,
            Decision::Unschedulable { message, preemption, .. } => {
                // Written before victims go: on a pod that is bound it may not be.
                self.report(pod, message, &attempt.nomination).await;
                for displaced in &attempt.displaced {
                    self.patch_status(displaced, json!({"nominatedNodeName": null})).await;
                }
                let Outcome::Evict(candidate) = preemption else { return End::Written };
                match effects::evict(&self.client, &self.events, pod, candidate).await {
                    Ok(told) => End::Told(told),
                    Err(error) => {
                        tracing::debug!(pod = %attempt.key, node = %candidate.node, %error, "preemption failed");
                        End::Failed
                    }
                }
            }
        }
    }

    fn api(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or("default"))
    }

    async fn bind(&self, key: &Key, pod: &Pod, node: &Arc<str>) -> End {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": pod.metadata.uid},
            "target": {"kind": "Node", "name": &**node},
        });
        let (api, params) = (self.api(pod), PostParams::default());
        let bound = api.create_subresource::<_, serde_json::Value>("binding", &key.name, &params, &binding);
        match bound.await {
            Ok(_) => {
                let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
                self.record(pod, "Normal", "Scheduled", "Binding", message);
                End::Written
            }
            Err(error) => {
                tracing::debug!(pod = %key, %node, %error, "binding failed");
                End::Failed
            }
        }
    }

    /// Tells people why the pod waits: an event, and the status if it says something else.
    async fn report(&self, pod: &Pod, message: &str, nomination: &Nomination) {
        self.record(pod, "Warning", "FailedScheduling", "Scheduling", message.to_owned());
        let mut status = serde_json::Map::new();
        match nomination {
            Nomination::AsItIs => {}
            Nomination::Nowhere => drop(status.insert("nominatedNodeName".to_owned(), json!(null))),
            Nomination::Node(node) => drop(status.insert("nominatedNodeName".to_owned(), json!(&**node))),
        }
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled");
        if scheduled.is_none_or(|c| c.message.as_deref() != Some(message)) {
            let since = scheduled.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone());
            let since = since.map_or_else(|| meta::time::seconds(Timestamp::now()), |t| meta::time::seconds(t.0));
            status.insert("conditions".to_owned(), json!([{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
                "lastProbeTime": null, "lastTransitionTime": since, "observedGeneration": pod.metadata.generation,
            }]));
        }
        if !status.is_empty() {
            self.patch_status(pod, status.into()).await;
        }
    }

    async fn patch_status(&self, pod: &Pod, status: serde_json::Value) {
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        let name = pod.metadata.name.as_deref().unwrap_or("");
        let written = self.api(pod).patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        if let Err(error) = written {
            tracing::debug!(pod = name, %error, "could not write the status");
        }
    }

    fn record(&self, pod: &Pod, type_: &'static str, reason: &str, action: &str, message: String) {
        let regarding = pod.regarding();
        self.events.record(Note {
            regarding,
            related: None,
            type_,
            reason: reason.to_owned(),
            action: action.to_owned(),
            message,
            at: Timestamp::now(),
            annotations: Default::default(),
        });
    }
}
