//! The actor: changes in, bindings out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use client::events::{Form, Note, Recorder, Regarding};
use client::{Change, Hub};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use meta::Key;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::cycle::{Decision, schedule};
use crate::queue::{Hint, Queue};
use crate::snapshot::{PodInfo, Snapshot};

/// The scheduler's name in `spec.schedulerName`.
pub const NAME: &str = "default-scheduler";

/// Bindings and status writes under way at once; further decisions wait.
const WRITES: usize = 64;

/// What handlers and cycles share. The lock is held for moments and never over an await.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    snapshot: Snapshot,
    queue: Queue,
    /// Pods in the queue.
    pending: HashMap<Key, Arc<PodInfo>>,
    /// Pods whose binding is under way, and where to.
    assumed: HashMap<Key, Arc<str>>,
    turn: usize,
}

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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_changed(&self, change: &Change<Node>) {
        let mut state = self.lock();
        match &change.new {
            Some(node) => state.snapshot.set_node(node.clone()),
            None => state.snapshot.remove_node(change.latest().metadata.name.as_deref().unwrap_or("")),
        }
        let matters = match (&change.old, &change.new) {
            (Some(old), Some(new)) => matters(old, new),
            (None, Some(_)) => true,
            _ => false,
        };
        if matters {
            state.queue.happened(Hint::Node, Instant::now());
            self.changed.notify_one();
        }
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let mut state = self.lock();
        let key = client::informer::key_of(change.latest().as_ref());
        let old_node = change.old.as_deref().and_then(node_of);
        match &change.new {
            Some(pod) if !terminal(pod) => state.pod_is(&key, pod, change.old.as_deref()),
            _ => {
                state.forget(&key);
                if let Some(node) = old_node {
                    state.snapshot.remove_pod(node, &key);
                    state.queue.happened(Hint::PodGone, Instant::now());
                }
            }
        }
        self.changed.notify_one();
    }
}

impl State {
    fn pod_is(&mut self, key: &Key, pod: &Arc<Pod>, old: Option<&Pod>) {
        if let Some(node) = node_of(pod) {
            // An assumption elsewhere (another scheduler was faster) ends here.
            self.forget(key);
            self.snapshot.set_pod(node, key, Arc::new(PodInfo::new(pod.clone())));
            return;
        }
        if !waits_for_us(pod) {
            return self.forget(key);
        }
        let same = |old: &Pod| old.spec == pod.spec && old.metadata.labels == pod.metadata.labels;
        let news = old.is_none_or(|old| !same(old)) || !self.pending.contains_key(key);
        self.pending.insert(key.clone(), Arc::new(PodInfo::new(pod.clone())));
        if news {
            self.queue.add(key.clone(), priority(pod));
        }
    }

    /// The pod no longer waits, and is no longer assumed anywhere.
    fn forget(&mut self, key: &Key) {
        self.queue.remove(key);
        self.pending.remove(key);
        if let Some(node) = self.assumed.remove(key) {
            self.snapshot.remove_pod(&node, key);
        }
    }

    /// Decides upon the next pod. A node counts with the pod from here on.
    fn decide(&mut self) -> Option<(Key, Arc<PodInfo>, Decision)> {
        let key = self.queue.pop()?;
        let pod = self.pending.get(&key)?.clone();
        self.turn = self.turn.wrapping_add(1);
        let decision = schedule(&pod, &self.snapshot, self.turn);
        match &decision {
            Decision::Node(node) => {
                self.snapshot.set_pod(node, &key, pod.clone());
                self.assumed.insert(key.clone(), node.clone());
            }
            Decision::Unschedulable { refused_by, .. } => {
                self.queue.unschedulable(&key, refused_by.clone(), Instant::now());
            }
        }
        Some((key, pod, decision))
    }

    /// A binding failed: the node has its room back, and the pod is tried again after its back-off.
    fn retry(&mut self, key: &Key, node: &Arc<str>) {
        if self.assumed.get(key) == Some(node) {
            self.assumed.remove(key);
            self.snapshot.remove_pod(node, key);
            self.queue.failed(key, Instant::now());
            self.queue.happened(Hint::PodGone, Instant::now());
        }
    }
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
            let (decided, next) = {
                let mut state = actor.shared.lock();
                let next = state.queue.tick(Instant::now());
                (state.decide(), next)
            };
            let Some((key, pod, decision)) = decided else {
                drop(permit);
                actor.wait(next).await;
                continue;
            };
            let actor = actor.clone();
            tokio::spawn(async move {
                match decision {
                    Decision::Node(node) => actor.bind(&key, &pod.pod, &node).await,
                    Decision::Unschedulable { message, .. } => actor.report(&pod.pod, &message).await,
                }
                drop(permit);
            });
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
                self.shared.lock().retry(key, node);
                self.shared.changed.notify_one();
            }
        }
    }

    /// Tells people why the pod waits: an event, and the condition if it says something else.
    async fn report(&self, pod: &Pod, message: &str) {
        self.record(pod, "Warning", "FailedScheduling", "Scheduling", message.to_owned());
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled");
        if scheduled.is_some_and(|c| c.message.as_deref() == Some(message)) {
            return;
        }
        let since = scheduled.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone());
        let since = since.map_or_else(|| meta::time::seconds(Timestamp::now()), |t| meta::time::seconds(t.0));
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": since, "observedGeneration": pod.metadata.generation,
        }]}});
        let name = pod.metadata.name.as_deref().unwrap_or("");
        let written = self.api(pod).patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        if let Err(error) = written {
            tracing::debug!(pod = name, %error, "could not write the PodScheduled condition");
        }
    }

    fn record(&self, pod: &Pod, type_: &'static str, reason: &str, action: &str, message: String) {
        let regarding = pod.regarding();
        self.events.record(Note {
            regarding,
            type_,
            reason: reason.to_owned(),
            action: action.to_owned(),
            message,
            at: Timestamp::now(),
        });
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|n| !n.is_empty())
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0)
}

fn terminal(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"))
}

fn waits_for_us(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    pod.metadata.deletion_timestamp.is_none()
        && spec.scheduler_name.as_deref().is_none_or(|n| n == NAME)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a change of a node is one that filters look at; heartbeats are not.
fn matters(old: &Node, new: &Node) -> bool {
    let allocatable = |n: &Node| n.status.as_ref().and_then(|s| s.allocatable.clone());
    old.spec != new.spec || old.metadata.labels != new.metadata.labels || allocatable(old) != allocatable(new)
}
