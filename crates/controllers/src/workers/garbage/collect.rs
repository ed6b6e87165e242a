//! Looking at single objects: what the API says, and what follows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Recorder, Regarding};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use meta::names::split_api_version;
use serde_json::{Value, json};

use super::decide::{Action, Owner, decide};
use super::graph::{FOREGROUND, Node, ORPHAN, Task};
use super::monitor::Shared;
use crate::workers::rest::{Partial, Resource, Rest, is_code, message};

/// Owners known to be gone; uids never come back. When full, it is emptied.
const REMEMBERED: usize = 10_000;

/// Why an object could not be dealt with; it is looked at again later.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The API refused or did not answer.
    #[error("{subject}: {}", message(.source))]
    Api {
        /// The object.
        subject: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// An owner's kind is not served (yet): whether it exists cannot be told.
    #[error("owner kind {kind} of {api_version} is not served")]
    UnknownKind {
        /// The owner's `apiVersion`.
        api_version: String,
        /// The owner's `kind`.
        kind: String,
    },
}

/// What a collector asks of the API.
pub trait Cluster: Send + Sync {
    /// The metadata of one object.
    fn metadata(&self, resource: &Resource, namespace: &str, name: &str) -> impl Future<Output = kube::Result<Partial>> + Send;
    /// Patches one object by a JSON merge patch.
    fn merge(&self, resource: &Resource, namespace: &str, name: &str, patch: &Value) -> impl Future<Output = kube::Result<()>> + Send;
    /// Deletes one object.
    fn delete(&self, resource: &Resource, namespace: &str, name: &str, options: &Value) -> impl Future<Output = kube::Result<()>> + Send;
    /// Makes an event about an object.
    fn warn(&self, node: &Node, reason: &str, message: String);
}

/// The API, and where events go.
#[derive(Clone)]
pub struct Live {
    /// Requests.
    pub rest: Rest,
    /// Events.
    pub recorder: Recorder,
}

impl Cluster for Live {
    async fn metadata(&self, resource: &Resource, namespace: &str, name: &str) -> kube::Result<Partial> {
        self.rest.metadata(resource, namespace, name).await
    }

    async fn merge(&self, resource: &Resource, namespace: &str, name: &str, patch: &Value) -> kube::Result<()> {
        self.rest.merge(resource, namespace, name, patch).await
    }

    async fn delete(&self, resource: &Resource, namespace: &str, name: &str, options: &Value) -> kube::Result<()> {
        self.rest.delete(resource, namespace, name, options).await
    }

    fn warn(&self, node: &Node, reason: &str, message: String) {
        self.recorder.event(node, "Warning", reason, message);
    }
}

impl Regarding for Node {
    fn regarding(&self) -> ObjectReference {
        let Resource { group, version, kind, .. } = &*self.resource;
        let api_version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
        ObjectReference {
            api_version: Some(api_version),
            kind: Some(kind.clone()),
            namespace: Some(self.namespace.clone()).filter(|n| !n.is_empty()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}

/// Examines objects.
pub struct Collector<C> {
    rest: C,
    shared: Arc<Shared>,
    resources: Vec<Resource>,
    /// Uids, with the namespace that they were looked for in.
    absent: Mutex<HashSet<(String, String)>>,
}

impl<C: Cluster + Clone> Collector<C> {
    /// A collector that knows these resources.
    pub fn new(rest: C, shared: Arc<Shared>, resources: Vec<Resource>) -> Self {
        Collector { rest, shared, resources, absent: Mutex::default() }
    }

    /// The same for other resources.
    pub fn renewed(&self, resources: Vec<Resource>) -> Self {
        Collector::new(self.rest.clone(), self.shared.clone(), resources)
    }

    /// Decides about the object with this uid, and acts.
    pub async fn examine(&self, uid: &str) -> Result<(), CollectError> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        if node.deleting && !node.foreground {
            return Ok(());
        }
        // That all owners were seen, and none was seen to go, is enough to let it live.
        if !node.foreground && node.owners.iter().all(|reference| self.is_seen(&node, reference)) {
            return Ok(());
        }
        let Some(live) = self.live(&node, uid).await? else { return Ok(()) };
        if live.deletion_timestamp.is_some() {
            let waits = live.finalizers.iter().flatten().any(|f| f == FOREGROUND);
            return if waits { self.finish_foreground(&node, uid, &live).await } else { Ok(()) };
        }
        let references = live.owner_references.clone().unwrap_or_default();
        let mut owners = Vec::new();
        for reference in &references {
            match self.owner(&node, reference).await? {
                Some(owner) => owners.push(owner),
                // A reference that can never be right: nothing is ever done about such an object.
                None => return Ok(()),
            }
        }
        let has_dependents = self.shared.lock().graph.dependents(uid).next().is_some();
        match decide(&live, &owners, has_dependents) {
            Action::Keep => Ok(()),
            Action::DropReferences => {
                let solid = |(reference, owner): (&OwnerReference, &Owner)| (*owner == Owner::Solid).then(|| reference.clone());
                let kept: Vec<_> = references.iter().zip(&owners).filter_map(solid).collect();
                self.patch(&node, &live, json!({"ownerReferences": kept})).await
            }
            Action::Delete(policy) => self.delete(&node, uid, &live, &references, policy).await,
        }
    }

    /// Makes orphans of the dependents of the object with this uid, then lets it go.
    pub async fn orphan(&self, uid: &str) -> Result<(), CollectError> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        let dependents: Vec<(String, Node)> = {
            let state = self.shared.lock();
            state.graph.dependents(uid).map(|(uid, node)| (uid.clone(), node.clone())).collect()
        };
        for (dependent, node) in dependents {
            let Some(live) = self.live(&node, &dependent).await? else { continue };
            let references = live.owner_references.clone().unwrap_or_default();
            let kept: Vec<_> = references.iter().filter(|r| r.uid != uid).collect();
            if kept.len() < references.len() {
                self.patch(&node, &live, json!({"ownerReferences": kept})).await?;
            }
        }
        match self.live(&node, uid).await? {
            Some(live) => self.remove_finalizer(&node, &live, ORPHAN).await,
            None => Ok(()),
        }
    }

    /// An object that waits for its dependents: it goes when none blocks, else they are looked at.
    async fn finish_foreground(&self, node: &Node, uid: &str, live: &ObjectMeta) -> Result<(), CollectError> {
        let blocking: Vec<Task> = {
            let state = self.shared.lock();
            let blocking = state.graph.blocking(uid);
            blocking.map(|(uid, node)| (uid.clone(), node.foreground)).map(|(uid, _)| Task::Examine(uid)).collect()
        };
        if blocking.is_empty() {
            return self.remove_finalizer(node, live, FOREGROUND).await;
        }
        let mut state = self.shared.lock();
        // Those on their way already will tell when they are gone.
        let idle = blocking.into_iter().filter(|task| match task {
            Task::Examine(uid) => state.graph.get(uid).is_some_and(|node| !node.deleting),
            Task::Orphan(_) => false,
        });
        let idle: Vec<Task> = idle.collect();
        state.add(idle);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn delete(
        &self,
        node: &Node,
        uid: &str,
        live: &ObjectMeta,
        references: &[OwnerReference],
        policy: &str,
    ) -> Result<(), CollectError> {
        let circular = policy == "Foreground" && {
            let state = self.shared.lock();
            state.graph.dependents(uid).any(|(_, node)| node.foreground)
        };
        let mut version = live.resource_version.clone();
        if circular {
            // Each would wait for the other for ever.
            let open: Vec<OwnerReference> =
                references.iter().map(|r| OwnerReference { block_owner_deletion: Some(false), ..r.clone() }).collect();
            self.patch(node, live, json!({"ownerReferences": open})).await?;
            version = None;
        }
        let mut preconditions = json!({"uid": uid});
        if let Some(version) = version {
            preconditions["resourceVersion"] = json!(version);
        }
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions, "propagationPolicy": policy,
        });
        match self.rest.delete(&node.resource, &node.namespace, &node.name, &options).await {
            Err(error) if !is_code(&error, 404) => Err(failed(node, error)),
            _ => Ok(()),
        }
    }

    async fn remove_finalizer(&self, node: &Node, live: &ObjectMeta, name: &str) -> Result<(), CollectError> {
        let all = live.finalizers.clone().unwrap_or_default();
        let kept: Vec<_> = all.iter().filter(|f| *f != name).collect();
        if kept.len() == all.len() {
            return Ok(());
        }
        self.patch(node, live, json!({"finalizers": kept})).await
    }

    /// Changes metadata, if the object is still as it was read.
    async fn patch(&self, node: &Node, live: &ObjectMeta, mut metadata: Value) -> Result<(), CollectError> {
        metadata["uid"] = json!(live.uid);
        metadata["resourceVersion"] = json!(live.resource_version);
        let patch = json!({"metadata": metadata});
        match self.rest.merge(&node.resource, &node.namespace, &node.name, &patch).await {
            Err(error) if !is_code(&error, 404) => Err(failed(node, error)),
            _ => Ok(()),
        }
    }

    /// Whether the graph has this very owner, not being deleted.
    fn is_seen(&self, node: &Node, reference: &OwnerReference) -> bool {
        self.node(&reference.uid).is_some_and(|owner| !owner.deleting && owner.is_meant(reference, &node.namespace))
    }

    fn node(&self, uid: &str) -> Option<Node> {
        self.shared.lock().graph.get(uid).cloned()
    }

    /// The metadata of an object by the API's word; if it is gone, the graph is told.
    async fn live(&self, node: &Node, uid: &str) -> Result<Option<ObjectMeta>, CollectError> {
        match self.rest.metadata(&node.resource, &node.namespace, &node.name).await {
            Ok(object) if object.metadata.uid.as_deref() == Some(uid) => Ok(Some(object.metadata)),
            Err(error) if !is_code(&error, 404) => Err(failed(node, error)),
            _ => {
                let mut state = self.shared.lock();
                let tasks = state.graph.gone(uid);
                state.add(tasks);
                drop(state);
                self.shared.changed.notify_one();
                Ok(None)
            }
        }
    }

    /// What an owner is; `None` for a reference from a cluster-wide object into a namespace.
    async fn owner(&self, node: &Node, reference: &OwnerReference) -> Result<Option<Owner>, CollectError> {
        let looked_for = (reference.uid.clone(), node.namespace.clone());
        if self.absent.lock().unwrap_or_else(PoisonError::into_inner).contains(&looked_for) {
            return Ok(Some(Owner::Dangling));
        }
        if self.is_seen(node, reference) {
            return Ok(Some(Owner::Solid));
        }
        let (group, _) = split_api_version(&reference.api_version);
        let resource = self.resources.iter().find(|r| r.group == group && r.kind == reference.kind);
        let Some(resource) = resource else {
            let (api_version, kind) = (reference.api_version.clone(), reference.kind.clone());
            return Err(CollectError::UnknownKind { api_version, kind });
        };
        if resource.namespaced && node.namespace.is_empty() {
            return Ok(None);
        }
        let namespace = if resource.namespaced { node.namespace.as_str() } else { "" };
        match self.rest.metadata(resource, namespace, &reference.name).await {
            Ok(owner) if owner.metadata.uid.as_deref() == Some(&reference.uid) => {
                let waiting = owner.metadata.deletion_timestamp.is_some()
                    && owner.metadata.finalizers.iter().flatten().any(|f| f == FOREGROUND);
                Ok(Some(if waiting { Owner::Waiting } else { Owner::Solid }))
            }
            Err(error) if !is_code(&error, 404) => Err(failed(node, error)),
            _ => {
                let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
                if absent.len() >= REMEMBERED {
                    absent.clear();
                }
                absent.insert(looked_for);
                drop(absent);
                self.report_mistaken(node, reference);
                Ok(Some(Owner::Dangling))
            }
        }
    }
}

impl<C: Cluster + Clone> Collector<C> {
    /// Tells of a reference whose owner is elsewhere (upstream: `reportInvalidNamespaceOwnerRef`).
    fn report_mistaken(&self, node: &Node, reference: &OwnerReference) {
        let Some(owner) = self.node(&reference.uid) else { return };
        if owner.resource.namespaced && owner.namespace != node.namespace {
            let (namespace, OwnerReference { api_version, kind, name, uid, .. }) = (&node.namespace, reference);
            let meant = format!("[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]");
            self.rest.warn(node, "OwnerRefInvalidNamespace", format!("ownerRef {meant} does not exist in namespace {namespace:?}"));
        }
    }
}

fn failed(node: &Node, error: kube::Error) -> CollectError {
    let subject = format!("{} {}/{}", node.resource.name, node.namespace, node.name);
    CollectError::Api { subject, source: Box::new(error) }
}
