//! The actor: changes in, bindings out.

use std::sync::Arc;
use std::time::Instant;

use client::Hub;
use client::events::{Form, Note, Recorder, Regarding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use meta::Key;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::cycle::Decision;
use crate::preempt::{Outcome, effects};
use crate::state::{Attempt, Nomination, Shared};

/// The scheduler's name in `spec.schedulerName`.
pub const NAME: &str = "default-scheduler";

/// Bindings and status writes under way at once; further decisions wait.
const WRITES: usize = 64;

/// Schedules pods until `stop`. `host` names the machine, for events.
pub async fn run(hub: Hub, host: String, stop: tokio_util::sync::CancellationToken) {
    let shared = Arc::new(Shared::default());
    let (pods, nodes) = (hub.informer::<Pod>(), hub.informer::<Node>());
    nodes.on_change({
        let shared = shared.clone();
        move |change| shared.node_changed(change)
    });
    pods.on_change({
        let shared = shared.clone();
        move |change| shared.pod_changed(change)
    });
    // A decision on half of the pods would overcommit nodes.
    tokio::join!(nodes.synced(), pods.synced());
    let events = Recorder::new(hub.client().clone(), NAME, &format!("{NAME}-{host}"), Form::Modern);
    let actor = Actor { shared, client: hub.client().clone(), events, writes: Arc::new(Semaphore::new(WRITES)) };
    stop.run_until_cancelled(actor.run()).await;
}

struct Actor {
    shared: Arc<Shared>,
    client: kube::Client,
    events: Recorder,
    writes: Arc<Semaphore>,
}

impl Actor {
    async fn run(self) {
        let actor = Arc::new(self);
        loop {
            // Bound first: a decision is made when it can be carried out.
            let Ok(permit) = actor.writes.clone().acquire_owned().await else { return };
            let (attempt, next) = actor.shared.lock().next(Instant::now());
            let Some(attempt) = attempt else {
                drop(permit);
                actor.wait(next).await;
                continue;
            };
            let actor = actor.clone();
            tokio::spawn(async move {
                actor.carry_out(&attempt).await;
                drop(permit);
            });
        }
    }

    async fn carry_out(&self, attempt: &Attempt) {
        let pod = &attempt.pod.pod;
        match &attempt.decision {
            Decision::Node(node) => self.bind(&attempt.key, pod, node).await,
            Decision::Unschedulable { message, preemption, .. } => {
                // Written before victims go: on a pod that is bound it may not be.
                self.report(pod, message, &attempt.nomination).await;
                for displaced in &attempt.displaced {
                    self.patch_status(displaced, json!({"nominatedNodeName": null})).await;
                }
                if let Outcome::Evict(candidate) = preemption {
                    let told = effects::evict(&self.client, &self.events, pod, candidate).await;
                    if let Err(error) = &told {
                        tracing::debug!(pod = %attempt.key, node = %candidate.node, %error, "preemption failed");
                    }
                    self.shared.lock().told(attempt, told.ok());
                    self.shared.changed.notify_one();
                }
            }
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        match until {
            None => self.shared.changed.notified().await,
            Some(until) => {
                // Either end is a reason to look again.
                let _ = tokio::time::timeout_at(until.into(), self.shared.changed.notified()).await;
            }
        }
    }

    fn api(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or("default"))
    }

    async fn bind(&self, key: &Key, pod: &Pod, node: &Arc<str>) {
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
            }
            Err(error) => {
                tracing::debug!(pod = %key, %node, %error, "binding failed");
                self.shared.lock().retry(key, node, Instant::now());
                self.shared.changed.notify_one();
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
        });
    }
}
