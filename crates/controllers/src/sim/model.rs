//! A model of the API: three kinds, one revision, a stream per kind that is delivered when the
//! simulation pleases, and pods that move by themselves.

#![allow(clippy::result_large_err, reason = "refusals are rare")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use client::{Informer, Kind};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use meta::Key;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::frame::api::{Answer, Api};
use crate::frame::plan::{Failure, Op, Step};
use crate::frame::world::{POD_INDEXES, Streams};

enum Event<K> {
    Put(K),
    Gone(K),
}

pub struct Store<K> {
    pub objects: BTreeMap<(String, String), K>,
    log: Vec<Event<K>>,
    delivered: usize,
    informer: Informer<K>,
}

fn id(key: &Key) -> (String, String) {
    (key.namespace.to_string(), key.name.to_string())
}

impl<K: Kind> Store<K> {
    fn new() -> Self {
        Store { objects: BTreeMap::new(), log: Vec::new(), delivered: 0, informer: Informer::detached() }
    }

    fn put(&mut self, mut object: K, revision: u64) -> Answer {
        object.meta_mut().resource_version = Some(revision.to_string());
        let key = client::informer::key_of(&object);
        self.objects.insert(id(&key), object.clone());
        self.log.push(Event::Put(object));
        Answer { name: key.name.to_string(), revision }
    }

    fn remove(&mut self, key: &Key, revision: u64) {
        if let Some(mut object) = self.objects.remove(&id(key)) {
            object.meta_mut().resource_version = Some(revision.to_string());
            self.log.push(Event::Gone(object));
        }
    }

    fn deliver(&mut self, count: usize) {
        let end = self.log.len().min(self.delivered.saturating_add(count));
        for event in &self.log[self.delivered..end] {
            match event {
                Event::Put(object) => self.informer.apply(object.clone()),
                Event::Gone(object) => self.informer.delete(object),
            }
        }
        self.delivered = end;
    }

    fn relist(&mut self, revision: u64) {
        self.informer = Informer::detached();
        self.informer.replace(self.objects.values().cloned().collect(), revision);
        self.delivered = self.log.len();
    }
}

pub struct Model {
    pub deployments: Store<Deployment>,
    pub sets: Store<ReplicaSet>,
    pub pods: Store<Pod>,
    pub now: Timestamp,
    /// No more faults.
    pub calm: bool,
    revision: u64,
    names: u64,
    rng: StdRng,
}

impl Model {
    pub fn new(seed: u64) -> Self {
        let mut model = Model {
            deployments: Store::new(),
            sets: Store::new(),
            pods: Store::new(),
            now: super::epoch(),
            calm: false,
            revision: 1,
            names: 0,
            rng: StdRng::seed_from_u64(seed ^ 0x5eed),
        };
        for name in ["a", "b"] {
            let step = Step::create(&super::deployment(name));
            model.perform(&step).expect("created");
        }
        model
    }

    pub fn streams(&self) -> Streams {
        let mut streams = Streams::empty(super::epoch());
        streams.add(Arc::new(self.deployments.informer.clone()));
        streams.add(Arc::new(self.sets.informer.clone()));
        POD_INDEXES.iter().for_each(|(name, values)| self.pods.informer.index(name, *values));
        streams.add(Arc::new(self.pods.informer.clone()));
        streams
    }

    pub fn advance(&mut self, span: SignedDuration) -> Timestamp {
        self.now += span;
        self.now
    }

    pub fn deliver(&mut self, kind: usize, count: usize) {
        match kind {
            0 => self.deployments.deliver(count),
            1 => self.sets.deliver(count),
            _ => self.pods.deliver(count),
        }
    }

    pub fn relist(&mut self) {
        self.deployments.relist(self.revision);
        self.sets.relist(self.revision);
        self.pods.relist(self.revision);
    }

    /// Whether all is delivered and no pod has a way to go.
    pub fn is_quiet(&self) -> bool {
        self.deployments.delivered == self.deployments.log.len()
            && self.sets.delivered == self.sets.log.len()
            && self.pods.delivered == self.pods.log.len()
            && self.pods.objects.values().all(|pod| super::is_ready(pod) || crate::pods::is_terminal(pod))
    }

    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    pub fn change_deployment(&mut self, change: impl Fn(&mut Deployment)) {
        let which = self.rng.random_range(0..2);
        let chosen: Vec<Deployment> =
            self.deployments.objects.values().enumerate().filter(|(at, _)| self.calm || *at == which).map(|(_, d)| d.clone()).collect();
        for mut deployment in chosen {
            let before = deployment.spec.clone();
            change(&mut deployment);
            if deployment.spec != before {
                deployment.metadata.generation = deployment.metadata.generation.map(|g| g + 1);
                let revision = self.next_revision();
                self.deployments.put(deployment, revision);
            }
        }
    }

    pub fn delete_some_pod(&mut self) {
        if let Some(pod) = self.some_pod() {
            let key = client::informer::key_of(&pod);
            self.end_pod(pod, &key);
        }
    }

    fn some_pod(&mut self) -> Option<Pod> {
        let count = self.pods.objects.len();
        let at = if count == 0 { return None } else { self.rng.random_range(0..count) };
        self.pods.objects.values().nth(at).cloned()
    }

    /// Scheduler and kubelet: pods are bound, run, become ready, fail, and end. When calm, all that can move
    /// do, and no more fail.
    pub fn pods_move(&mut self) {
        if !self.calm {
            if let Some(pod) = self.some_pod() {
                self.pod_moves(pod);
            }
            return;
        }
        for pod in self.pods.objects.values().cloned().collect::<Vec<_>>() {
            self.pod_moves(pod);
        }
    }

    fn pod_moves(&mut self, mut pod: Pod) {
        let key = client::informer::key_of(&pod);
        let revision = self.next_revision();
        let owned = pod.metadata.owner_references.iter().flatten().next().is_some_and(|owner| {
            self.sets.objects.values().any(|set| set.metadata.uid.as_ref() == Some(&owner.uid))
        });
        // The garbage collector's part: what has no owner left goes; so does what has failed, in the end.
        if pod.metadata.deletion_timestamp.is_some() || !owned || (self.calm && crate::pods::is_terminal(&pod)) {
            self.pods.remove(&key, revision);
            return;
        }
        let ready = crate::pods::is_ready(&pod);
        let fails = !self.calm && self.rng.random_range(0..12) == 0;
        let status = match (crate::pods::node(&pod).is_empty(), ready) {
            _ if crate::pods::is_terminal(&pod) => return,
            (true, _) => {
                pod.spec.get_or_insert_default().node_name = Some(format!("n{}", revision % 3));
                json!({"phase": "Pending"})
            }
            (false, _) if fails => json!({"phase": "Failed"}),
            (false, true) => return,
            (false, false) => {
                let since = meta::time::seconds(self.now);
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]})
            }
        };
        pod.status = serde_json::from_value(status).expect("a status");
        self.pods.put(pod, revision);
    }

    /// Graceful for pods that run.
    fn end_pod(&mut self, mut pod: Pod, key: &Key) {
        let revision = self.next_revision();
        if crate::pods::node(&pod).is_empty() || crate::pods::is_terminal(&pod) {
            self.pods.remove(key, revision);
        } else if pod.metadata.deletion_timestamp.is_none() {
            pod.metadata.deletion_timestamp = Some(Time(self.now));
            self.pods.put(pod, revision);
        }
    }

    fn perform(&mut self, step: &Step) -> Result<Option<Answer>, Failure> {
        match step.target.kind.as_str() {
            "Deployment" => {
                let mut store = std::mem::replace(&mut self.deployments, Store::new());
                let result = self.write(&mut store, step);
                self.deployments = store;
                result
            }
            "ReplicaSet" => {
                let mut store = std::mem::replace(&mut self.sets, Store::new());
                let result = self.write(&mut store, step);
                self.sets = store;
                result
            }
            _ => match &step.op {
                Op::Delete { uid, .. } => {
                    let pod = self.pods.objects.get(&id(&step.key)).filter(|pod| pod.metadata.uid.as_ref() == Some(uid));
                    let Some(pod) = pod.cloned() else { return Ok(None) };
                    self.end_pod(pod, &step.key);
                    Ok(Some(Answer { name: step.key.name.to_string(), revision: self.revision }))
                }
                _ => {
                    let mut store = std::mem::replace(&mut self.pods, Store::new());
                    let result = self.write(&mut store, step);
                    self.pods = store;
                    result
                }
            },
        }
    }

    fn write<K: Kind + serde::Serialize>(&mut self, store: &mut Store<K>, step: &Step) -> Result<Option<Answer>, Failure> {
        let refuse = |reason: &str| Failure {
            verb: step.permission().2,
            resource: step.target.plural.clone(),
            key: step.key.clone(),
            reason: reason.to_owned(),
            message: reason.to_owned(),
            terminating: false,
        };
        let typed = |value: &Value| serde_json::from_value::<K>(value.clone()).expect("typed");
        let current = store.objects.get(&id(&step.key)).cloned();
        let (new, status) = match (&step.op, &current) {
            (Op::Create(body), _) => return self.create(store, typed(body)).ok_or_else(|| refuse("AlreadyExists")),
            (_, None) => return Ok(None),
            (Op::Update(body), Some(_)) => (typed(body), false),
            (Op::UpdateStatus(body), Some(_)) => (typed(body), true),
            (Op::Delete { uid, .. }, Some(object)) => {
                if object.meta().uid.as_ref() == Some(uid) {
                    let revision = self.next_revision();
                    store.remove(&step.key, revision);
                }
                return Ok(Some(Answer { name: step.key.name.to_string(), revision: 0 }));
            }
            (other, Some(_)) => unreachable!("not used here: {other:?}"),
        };
        let current = current.unwrap_or_else(|| unreachable!("matched above"));
        if new.meta().resource_version != current.meta().resource_version || new.meta().uid != current.meta().uid {
            return Err(refuse("Conflict"));
        }
        let (mut old_json, new_json) = (json!(current), json!(new));
        if status {
            old_json["status"] = new_json["status"].clone();
            old_json["metadata"]["annotations"] = new_json["metadata"]["annotations"].clone();
        } else {
            let respecified = old_json["spec"] != new_json["spec"];
            let (old_status, old_generation) = (old_json["status"].clone(), current.meta().generation);
            old_json = new_json;
            old_json["status"] = old_status;
            old_json["metadata"]["generation"] = json!(old_generation.map(|g| g + i64::from(respecified)));
        }
        if old_json["status"].is_null() {
            old_json.as_object_mut().expect("an object").remove("status");
        }
        let revision = self.next_revision();
        Ok(Some(store.put(typed(&old_json), revision)))
    }

    fn create<K: Kind>(&mut self, store: &mut Store<K>, mut object: K) -> Option<Option<Answer>> {
        self.names += 1;
        let meta = object.meta_mut();
        if let (None, Some(base)) = (&meta.name, &meta.generate_name) {
            meta.name = Some(format!("{base}{}", self.names));
        }
        meta.uid = Some(format!("u{}", self.names));
        meta.generation = Some(1);
        meta.creation_timestamp = Some(Time(self.now));
        if store.objects.contains_key(&id(&client::informer::key_of(&object))) {
            return None;
        }
        let revision = self.next_revision();
        Some(Some(store.put(object, revision)))
    }
}

/// The model as the executor sees it: sometimes it refuses, and between two steps the world goes on.
pub struct SimApi<'a>(pub &'a Mutex<Model>);

impl Api for SimApi<'_> {
    async fn act(&self, step: &Step) -> Result<Option<Answer>, Failure> {
        let mut model = self.0.lock().expect("no step panicked");
        if !model.calm {
            match model.rng.random_range(0..30) {
                0..6 => model.pods_move(),
                6 => {
                    return Err(Failure {
                        verb: step.permission().2,
                        resource: step.target.plural.clone(),
                        key: step.key.clone(),
                        reason: "InternalError".to_owned(),
                        message: "the model refuses".to_owned(),
                        terminating: false,
                    });
                }
                _ => {}
            }
        }
        model.perform(step)
    }
}
