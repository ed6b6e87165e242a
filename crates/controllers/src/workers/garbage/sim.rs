//! Seeded simulation of garbage collection: a random forest of owners, streams that lag each on its own, and
//! deletions of all sorts. Nothing with a live owner is ever deleted; in the end nothing is left that has
//! lost all its owners, and nothing waits for ever. An owner in another namespace is no owner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::collect::{Cluster, Collector};
use super::graph::{FOREGROUND, Node, ORPHAN};
use super::monitor::{self, Shared};
use crate::frame::queue::Outcome;
use crate::frame::world::Streams;
use crate::workers::rest::{Partial, Resource};

const SEEDS: u64 = 200;
const STEPS: usize = 150;

enum Event {
    Put(Box<ObjectMeta>),
    Gone(String),
}

#[derive(Default)]
struct Stream {
    log: Vec<Event>,
    delivered: usize,
}

/// Two resources with a stream each.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, (usize, ObjectMeta)>,
    streams: [Stream; 2],
    counter: u64,
    /// Events about references to owners that are elsewhere.
    warnings: u64,
}

#[derive(Clone, Default)]
struct Model(Arc<Mutex<State>>);

fn resource(at: usize) -> Resource {
    let verbs = vec!["delete".to_owned(), "list".to_owned(), "watch".to_owned()];
    let (name, kind) = (format!("kind{at}s"), format!("Kind{at}"));
    Resource { group: "g".into(), version: "v1".into(), name, kind, namespaced: true, verbs }
}

fn refused(code: u16) -> kube::Error {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    kube::Error::Api(Box::new(kube::core::Status { code, reason: reason.into(), ..Default::default() }))
}

impl State {
    fn put(&mut self, at: usize, mut meta: ObjectMeta) {
        self.counter += 1;
        meta.resource_version = Some(self.counter.to_string());
        let name = meta.name.clone().unwrap_or_default();
        // As the API does: an object that is going, and that nothing holds any more, is gone.
        if meta.deletion_timestamp.is_some() && meta.finalizers.as_ref().is_none_or(Vec::is_empty) {
            self.objects.remove(&name);
            self.streams[at].log.push(Event::Gone(meta.uid.unwrap_or_default()));
        } else {
            self.streams[at].log.push(Event::Put(Box::new(meta.clone())));
            self.objects.insert(name, (at, meta));
        }
    }

    /// Whether an owner lives where its dependent does.
    fn alive(&self, uid: &str, namespace: &Option<String>) -> bool {
        let is = |m: &ObjectMeta| m.uid.as_deref() == Some(uid) && m.namespace == *namespace;
        self.objects.values().any(|(_, m)| is(m) && m.deletion_timestamp.is_none())
    }

    fn create(&mut self, rng: &mut StdRng) {
        let at = rng.random_range(0..2);
        let mut owners = Vec::new();
        // Names come again with another uid. Every other one is in another namespace.
        let number = rng.random_range(0..12);
        let namespace = Some(["n", "m"][number % 2].to_owned());
        let elsewhere = rng.random_bool(0.2);
        let known: Vec<_> = self.objects.values().filter(|(_, m)| m.deletion_timestamp.is_none()).cloned().collect();
        for _ in 0..rng.random_range(0..3) {
            let Some((at, owner)) = known.get(rng.random_range(0..known.len().max(1))) else { break };
            if owner.namespace != namespace && !elsewhere {
                continue;
            }
            owners.push(OwnerReference {
                api_version: "g/v1".into(),
                kind: resource(*at).kind,
                name: owner.name.clone().unwrap_or_default(),
                uid: owner.uid.clone().unwrap_or_default(),
                controller: None,
                block_owner_deletion: Some(rng.random_bool(0.7)),
            });
        }
        owners.dedup_by(|a, b| a.uid == b.uid);
        self.counter += 1;
        let meta = ObjectMeta {
            name: Some(format!("o{number}")),
            namespace,
            uid: Some(format!("u{}", self.counter)),
            owner_references: Some(owners).filter(|o| !o.is_empty()),
            ..ObjectMeta::default()
        };
        if !self.objects.contains_key(meta.name.as_deref().unwrap_or("")) {
            self.put(at, meta);
        }
    }

    fn delete(&mut self, name: &str, policy: &str) {
        let Some((at, mut meta)) = self.objects.get(name).cloned() else { return };
        if meta.deletion_timestamp.is_none() {
            let finalizers = meta.finalizers.get_or_insert_default();
            finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
            match policy {
                "Foreground" => finalizers.push(FOREGROUND.into()),
                "Orphan" => finalizers.push(ORPHAN.into()),
                _ => {}
            }
            meta.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            self.put(at, meta);
        }
    }
}

impl Cluster for Model {
    fn warn(&self, node: &Node, reason: &str, message: String) {
        assert_eq!(reason, "OwnerRefInvalidNamespace");
        assert!(message.ends_with(&format!("does not exist in namespace {:?}", node.namespace)), "{message}");
        self.0.lock().expect("whole").warnings += 1;
    }

    async fn metadata(&self, resource: &Resource, namespace: &str, name: &str) -> kube::Result<Partial> {
        let state = self.0.lock().expect("whole");
        let is = |(at, m): &&(usize, ObjectMeta)| self::resource(*at) == *resource && m.namespace.as_deref() == Some(namespace);
        let found = state.objects.get(name).filter(is);
        found.map(|(_, metadata)| Partial { metadata: metadata.clone() }).ok_or_else(|| refused(404))
    }

    async fn merge(&self, _: &Resource, _: &str, name: &str, patch: &Value) -> kube::Result<()> {
        let mut state = self.0.lock().expect("whole");
        let Some((at, mut meta)) = state.objects.get(name).cloned() else { return Err(refused(404)) };
        let given = &patch["metadata"];
        if given["uid"] != json!(meta.uid) || given["resourceVersion"] != json!(meta.resource_version) {
            return Err(refused(409));
        }
        if let Some(owners) = given.get("ownerReferences") {
            meta.owner_references = serde_json::from_value(owners.clone()).expect("references");
        }
        if let Some(finalizers) = given.get("finalizers") {
            meta.finalizers = serde_json::from_value(finalizers.clone()).expect("names");
        }
        state.put(at, meta);
        Ok(())
    }

    async fn delete(&self, _: &Resource, _: &str, name: &str, options: &Value) -> kube::Result<()> {
        let mut state = self.0.lock().expect("whole");
        let Some((_, meta)) = state.objects.get(name).cloned() else { return Err(refused(404)) };
        let wanted = &options["preconditions"];
        let version = wanted.get("resourceVersion").is_none_or(|v| *v == json!(meta.resource_version));
        if wanted["uid"] != json!(meta.uid) || !version {
            return Err(refused(409));
        }
        let owners = meta.owner_references.clone().unwrap_or_default();
        assert!(!owners.is_empty(), "{name} never had an owner");
        assert!(!owners.iter().any(|o| state.alive(&o.uid, &meta.namespace)), "{name} has a live owner");
        state.delete(name, options["propagationPolicy"].as_str().unwrap_or(""));
        Ok(())
    }
}

struct Simulation {
    model: Model,
    shared: Arc<Shared>,
    collector: Collector<Model>,
    rng: StdRng,
    now: Timestamp,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let (model, shared) = (Model::default(), Arc::new(Shared::default()));
        let collector = Collector::new(model.clone(), shared.clone(), vec![resource(0), resource(1)]);
        Simulation { model, shared, collector, rng: StdRng::seed_from_u64(seed), now: Timestamp::UNIX_EPOCH }
    }

    fn deliver(&mut self, at: usize, count: usize) {
        let mut model = self.model.0.lock().expect("whole");
        let stream = &mut model.streams[at];
        let end = stream.log.len().min(stream.delivered.saturating_add(count));
        let mut state = self.shared.lock();
        for event in &stream.log[stream.delivered..end] {
            let tasks = match event {
                Event::Put(meta) => state.graph.observe(&Arc::new(resource(at)), meta),
                Event::Gone(uid) => state.graph.gone(uid),
            };
            state.add(tasks);
        }
        stream.delivered = end;
    }

    /// Works on one object; says whether there was one.
    fn work(&mut self) -> bool {
        let Some((key, _)) = self.shared.lock().queue.next(self.now) else { return false };
        let done = match &*key.namespace {
            monitor::ORPHAN => block_on(self.collector.orphan(&key.name)),
            _ => block_on(self.collector.examine(&key.name)),
        };
        let failure = done.err().map(|error| super::failure(&key, &error));
        let outcome = Outcome { failure, ..Outcome::default() };
        self.shared.lock().queue.done(&key, outcome, &Streams::empty(self.now), self.now);
        true
    }

    fn step(&mut self) {
        self.now += jiff::SignedDuration::from_millis(10);
        match self.rng.random_range(0..10) {
            0..3 => {
                let (at, count) = (self.rng.random_range(0..2), self.rng.random_range(1..4));
                self.deliver(at, count);
            }
            3..6 => {
                self.work();
            }
            6..9 => self.model.0.lock().expect("whole").create(&mut self.rng),
            _ => {
                let policy = ["Background", "Foreground", "Orphan"][self.rng.random_range(0..3)];
                let name = format!("o{}", self.rng.random_range(0..12));
                self.model.0.lock().expect("whole").delete(&name, policy);
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..2000 {
            self.now += jiff::SignedDuration::from_secs(1);
            (0..2).for_each(|at| self.deliver(at, usize::MAX));
            let worked = self.work();
            let state = self.model.0.lock().expect("whole");
            let delivered = state.streams.iter().all(|s| s.delivered == s.log.len());
            if !worked && delivered && self.shared.lock().queue.due().is_none() {
                break;
            }
        }
        let state = self.model.0.lock().expect("whole");
        for (name, (_, meta)) in &state.objects {
            assert!(meta.deletion_timestamp.is_none(), "{name} waits for ever: {meta:?}");
            let owners = meta.owner_references.clone().unwrap_or_default();
            let held = owners.iter().all(|o| state.alive(&o.uid, &meta.namespace));
            assert!(held, "{name} has an owner that is gone: {meta:?}");
        }
    }
}

#[test]
fn simulation() {
    let run = |seed| {
        let mut simulation = Simulation::new(seed);
        (0..STEPS).for_each(|_| simulation.step());
        simulation.settle();
        simulation.model.0.lock().expect("whole").warnings
    };
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        run(seed);
        return;
    }
    let mut warnings = 0;
    for seed in 0..SEEDS {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(more) => warnings += more,
            Err(panic) => {
                eprintln!("SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(warnings > 0, "nobody was told of an owner in another namespace");
}
