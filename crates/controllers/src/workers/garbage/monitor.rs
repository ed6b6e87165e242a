//! The streams that feed the graph: the metadata of every resource there is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::watch::{Metadata, Sink};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use meta::Key;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::graph::{Graph, Task};
use crate::frame::queue::Queue;
use crate::workers::rest::Resource;

/// The namespace part of queue keys: what is to be done with the uid in the name part.
pub const EXAMINE: &str = "examine";
/// See [`EXAMINE`].
pub const ORPHAN: &str = "orphan";

/// What the streams write and the worker reads.
#[derive(Default)]
pub struct State {
    /// The graph.
    pub graph: Graph,
    /// What is to be looked at.
    pub queue: Queue,
    /// Resources whose first list is in.
    synced: HashSet<Resource>,
    /// Whether the set of resources may have changed.
    pub stale: bool,
}

impl State {
    /// Queues tasks.
    pub fn add(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            match task {
                Task::Examine(uid) => self.queue.add(&Key::new(EXAMINE, &uid)),
                Task::Orphan(uid) => self.queue.add(&Key::new(ORPHAN, &uid)),
            }
        }
    }
}

/// The state, and a sign that it changed.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    /// Told after each change.
    pub changed: Notify,
}

impl Shared {
    /// The state.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Feed {
    resource: Arc<Resource>,
    shared: Arc<Shared>,
}

impl Feed {
    fn changing(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.shared.lock();
        act(&mut state);
        if self.resource.name == "customresourcedefinitions" || self.resource.name == "apiservices" {
            state.stale = true;
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    fn observe(&self, state: &mut State, meta: &ObjectMeta) {
        let tasks = state.graph.observe(&self.resource, meta);
        state.add(tasks);
    }
}

impl Sink<Metadata> for Feed {
    fn replace(&self, list: Vec<Metadata>, _: u64) {
        self.changing(|state| {
            let mut gone: HashSet<String> = state.graph.of_resource(&self.resource).into_iter().collect();
            for object in &list {
                if let Some(uid) = &object.metadata.uid {
                    gone.remove(uid);
                }
                self.observe(state, &object.metadata);
            }
            for uid in gone {
                let tasks = state.graph.gone(&uid);
                state.add(tasks);
            }
            state.synced.insert((*self.resource).clone());
        });
    }

    fn apply(&self, object: Metadata) {
        self.changing(|state| self.observe(state, &object.metadata));
    }

    fn delete(&self, object: Metadata) {
        self.changing(|state| {
            let tasks = state.graph.gone(object.metadata.uid.as_deref().unwrap_or(""));
            state.add(tasks);
        });
    }

    fn bookmark(&self, _: u64) {}
}

/// The running streams; they end when this is dropped.
#[derive(Default)]
pub struct Monitors(HashMap<Resource, AbortHandle>);

impl Monitors {
    /// Starts and ends streams so that there is one for each of these resources.
    pub fn adjust(&mut self, resources: &[Resource], client: &kube::Client, shared: &Arc<Shared>) {
        let gone: Vec<Resource> = self.0.keys().filter(|r| !resources.contains(r)).cloned().collect();
        for resource in gone {
            if let Some(task) = self.0.remove(&resource) {
                task.abort();
            }
            let mut state = shared.lock();
            state.synced.remove(&resource);
            // Its objects are no more, as far as anybody can tell.
            for uid in state.graph.of_resource(&resource) {
                let tasks = state.graph.gone(&uid);
                state.add(tasks);
            }
        }
        for resource in resources {
            if self.0.contains_key(resource) {
                continue;
            }
            let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
            let kind = ApiResource::from_gvk_with_plural(&kind, &resource.name);
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            let feed = Feed { resource: Arc::new(resource.clone()), shared: shared.clone() };
            let name = resource.name.clone();
            let task = tokio::spawn(async move { client::watch::metadata(&feed, api, &name).await });
            self.0.insert(resource.clone(), task.abort_handle());
        }
    }

    /// Whether every stream has its first list.
    pub fn synced(&self, shared: &Shared) -> bool {
        let state = shared.lock();
        self.0.keys().all(|resource| state.synced.contains(resource))
    }
}

impl Drop for Monitors {
    fn drop(&mut self) {
        self.0.values().for_each(AbortHandle::abort);
    }
}
