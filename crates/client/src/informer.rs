//! Informers: a copy of one kind's objects, kept current by one watch.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use imbl::OrdMap;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use meta::Key;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

/// What an informer can hold: any typed kind.
pub trait Kind: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Kind for K {}

/// One change of one object; exactly one side is absent for a creation or deletion.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// Before.
    pub old: Option<Arc<K>>,
    /// After.
    pub new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// The object as it is, or as it was last.
    pub fn latest(&self) -> &Arc<K> {
        self.new.as_ref().or(self.old.as_ref()).unwrap_or_else(|| unreachable!("a change has a side"))
    }
}

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

struct Shared<K> {
    state: Mutex<State<K>>,
    synced: watch::Sender<bool>,
    revision: watch::Sender<u64>,
}

struct State<K> {
    objects: OrdMap<Key, Arc<K>>,
    handlers: Vec<Handler<K>>,
}

/// A shared, always current copy of all objects of one kind (and one field selection).
pub struct Informer<K>(Arc<Shared<K>>);

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Informer(self.0.clone())
    }
}

impl<K: Kind> Informer<K> {
    fn new() -> Self {
        let state = Mutex::new(State { objects: OrdMap::new(), handlers: Vec::new() });
        Informer(Arc::new(Shared { state, synced: watch::Sender::new(false), revision: watch::Sender::new(0) }))
    }

    /// An informer without a watch, for tests and simulation: feed it with [`Informer::apply`] and
    /// [`Informer::delete`]. It counts as synced.
    pub fn detached() -> Self {
        let informer = Informer::new();
        informer.0.synced.send_replace(true);
        informer
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.lock().objects.get(key).cloned()
    }

    /// All objects as of now; cheap, and not affected by later changes.
    pub fn snapshot(&self) -> OrdMap<Key, Arc<K>> {
        self.lock().objects.clone()
    }

    /// Calls the handler for every object there is (as a creation), then for every change, in order.
    /// Handlers run inside the informer's task: they must be quick and must not call the informer's
    /// own methods.
    pub fn on_change(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut state = self.lock();
        for object in state.objects.values() {
            handler(&Change { old: None, new: Some(object.clone()) });
        }
        state.handlers.push(Box::new(handler));
    }

    /// Waits until the first complete list has been taken in.
    pub async fn synced(&self) {
        // The sender lives as long as self: an error is impossible.
        let _ = self.0.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// The newest resourceVersion taken in, and its changes: what a staleness gate waits upon.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Takes in an object as it is now.
    pub fn apply(&self, object: K) {
        let key = key_of(&object);
        let revision = revision_of(&object);
        let new = Arc::new(object);
        let mut state = self.lock();
        let old = state.objects.insert(key, new.clone());
        notify(&state, Change { old, new: Some(new) });
        drop(state);
        self.reached(revision);
    }

    /// Takes in the end of an object, given as it was last.
    pub fn delete(&self, object: &K) {
        let mut state = self.lock();
        if let Some(old) = state.objects.remove(&key_of(object)) {
            notify(&state, Change { old: Some(old), new: None });
        }
        drop(state);
        self.reached(revision_of(object));
    }

    /// Takes in a complete list: what is not in it is gone.
    fn replace(&self, list: Vec<K>) {
        let revision = list.iter().map(revision_of).max().unwrap_or(0);
        let mut state = self.lock();
        let mut objects = OrdMap::new();
        let mut changes = Vec::new();
        for object in list {
            let key = key_of(&object);
            let old = state.objects.remove(&key);
            let unchanged = old.as_ref().is_some_and(|o| o.resource_version() == object.resource_version());
            let new = match old {
                Some(ref old) if unchanged => old.clone(),
                _ => Arc::new(object),
            };
            objects.insert(key, new.clone());
            if !unchanged {
                changes.push(Change { old, new: Some(new) });
            }
        }
        let gone = std::mem::replace(&mut state.objects, objects);
        changes.extend(gone.into_iter().map(|(_, old)| Change { old: Some(old), new: None }));
        changes.into_iter().for_each(|change| notify(&state, change));
        drop(state);
        self.reached(revision);
        self.0.synced.send_replace(true);
    }

    fn reached(&self, revision: u64) {
        self.0.revision.send_if_modified(|r| {
            let newer = revision > *r;
            *r = revision.max(*r);
            newer
        });
    }

    async fn run(self, api: Api<K>, config: watcher::Config) {
        let mut stream = watcher::watcher(api, config).boxed();
        let mut list = Vec::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => list.clear(),
                Ok(Event::InitApply(object)) => list.push(object),
                Ok(Event::InitDone) => self.replace(std::mem::take(&mut list)),
                Ok(Event::Apply(object)) => self.apply(object),
                Ok(Event::Delete(object)) => self.delete(&object),
                Err(error) => tracing::debug!(kind = %K::kind(&()), %error, "watch interrupted, resuming"),
            }
        }
    }
}

fn notify<K>(state: &State<K>, change: Change<K>) {
    state.handlers.iter().for_each(|handler| handler(&change));
}

fn key_of<K: Kind>(object: &K) -> Key {
    Key::new(object.meta().namespace.as_deref().unwrap_or(""), object.meta().name.as_deref().unwrap_or(""))
}

fn revision_of<K: Kind>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// All informers of one process, made on demand and shared.
#[derive(Clone)]
pub struct Hub {
    client: kube::Client,
    informers: Arc<Mutex<HashMap<(TypeId, String), Box<dyn Any + Send>>>>,
    tasks: tokio_util::task::TaskTracker,
    stop: tokio_util::sync::CancellationToken,
}

impl Hub {
    /// A hub whose watches use this client, and its identity, and end with `stop`.
    pub fn new(client: kube::Client, stop: tokio_util::sync::CancellationToken) -> Self {
        Hub { client, informers: Arc::default(), tasks: tokio_util::task::TaskTracker::new(), stop }
    }

    /// The client.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The informer of a kind over all namespaces; started at its first use.
    pub fn informer<K: Kind>(&self) -> Informer<K> {
        self.selected("")
    }

    /// The same for a field selection, for example `spec.nodeName=n1`; empty for all.
    pub fn selected<K: Kind>(&self, fields: &str) -> Informer<K> {
        let mut informers = self.informers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = informers.get(&(TypeId::of::<K>(), fields.to_owned()));
        if let Some(informer) = known.and_then(|any| any.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let informer = Informer::new();
        let mut config = watcher::Config::default().streaming_lists();
        if !fields.is_empty() {
            config = config.fields(fields);
        }
        let run = informer.clone().run(Api::all(self.client.clone()), config);
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(run).await });
        informers.insert((TypeId::of::<K>(), fields.to_owned()), Box::new(informer.clone()));
        informer
    }
}
