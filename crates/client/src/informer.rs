//! Informers: a copy of one kind's objects, kept current by one watch.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imbl::OrdMap;
use kube::{Resource, ResourceExt};
use meta::Key;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use crate::hub::Hub;
use crate::index::{self, Entries, Index, Values};

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
type Progress = Box<dyn Fn(u64) + Send + Sync>;

struct Shared<K> {
    state: Mutex<State<K>>,
    synced: watch::Sender<bool>,
    revision: watch::Sender<u64>,
}

struct State<K> {
    objects: OrdMap<Key, Arc<K>>,
    indexes: Vec<Index<K>>,
    handlers: Vec<Handler<K>>,
    progress: Vec<Progress>,
    trim: Vec<fn(&mut K)>,
}

/// A shared, always current copy of all objects of one kind (and one field selection).
///
/// `metadata.managedFields` is dropped from every object: no actor reads it, and an update that
/// lacks it leaves it as it is.
pub struct Informer<K>(Arc<Shared<K>>);

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Informer(self.0.clone())
    }
}

/// What an informer held at one moment, with its indexes. Cheap to take, never changes.
#[derive(Clone)]
pub struct View<K> {
    objects: OrdMap<Key, Arc<K>>,
    indexes: Vec<(&'static str, Entries)>,
}

impl<K: Kind> View<K> {
    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<K>> {
        self.objects.get(key)
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values()
    }

    /// The objects of one namespace, by name.
    pub fn namespace<'a>(&'a self, namespace: &str) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        let from = Key::new(namespace, "");
        let wanted = from.namespace.clone();
        self.objects.range(from..).take_while(move |(key, _)| key.namespace == wanted).map(|(_, object)| object)
    }

    /// The objects that name this uid among their owners.
    pub fn owned<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        self.by(index::OWNER, uid)
    }

    /// The objects under a value of an index (see [`Informer::index`]); none if there is no such index.
    pub fn by<'a>(&'a self, name: &str, value: &str) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        let entries = self.indexes.iter().find(|(n, _)| *n == name).map(|(_, entries)| index::keys(entries, value));
        entries.into_iter().flatten().filter_map(|key| self.objects.get(key))
    }
}

impl<K: Kind> Informer<K> {
    pub(crate) fn new() -> Self {
        let state = State {
            objects: OrdMap::new(),
            indexes: vec![Index::new(index::OWNER, owners::<K>)],
            handlers: Vec::new(),
            progress: Vec::new(),
            trim: Vec::new(),
        };
        let (synced, revision) = (watch::Sender::new(false), watch::Sender::new(0));
        Informer(Arc::new(Shared { state: Mutex::new(state), synced, revision }))
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

    /// The same with the indexes.
    pub fn view(&self) -> View<K> {
        let state = self.lock();
        let indexes = state.indexes.iter().map(|index| (index.name, index.entries.clone())).collect();
        View { objects: state.objects.clone(), indexes }
    }

    /// Adds an index for [`View::by`]; a second one of the same name changes nothing.
    pub fn index(&self, name: &'static str, values: Values<K>) {
        let mut state = self.lock();
        if state.indexes.iter().any(|index| index.name == name) {
            return;
        }
        let mut index = Index::new(name, values);
        state.objects.iter().for_each(|(key, object)| index.moved(key, None, Some(object)));
        state.indexes.push(index);
    }

    /// Adds a function that drops what no reader in this process needs from objects taken in later.
    pub fn trim(&self, drop: fn(&mut K)) {
        self.lock().trim.push(drop);
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

    /// Calls the handler after each step forward of [`Informer::revision`], bookmarks included, when the
    /// changes up to it were handled. The same limits as for [`Informer::on_change`] hold.
    pub fn on_progress(&self, handler: impl Fn(u64) + Send + Sync + 'static) {
        self.lock().progress.push(Box::new(handler));
    }

    /// Waits until the first complete list has been taken in.
    pub async fn synced(&self) {
        // The sender lives as long as self: an error is impossible.
        let _ = self.0.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Whether the first complete list has been taken in.
    pub fn is_synced(&self) -> bool {
        *self.0.synced.borrow()
    }

    /// The newest resourceVersion taken in, and its changes: what a staleness gate waits upon.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Takes in an object as it is now.
    pub fn apply(&self, mut object: K) {
        let mut state = self.lock();
        state.trim(&mut object);
        let (key, revision) = (key_of(&object), revision_of(&object));
        let new = Arc::new(object);
        let old = state.objects.insert(key.clone(), new.clone());
        state.announce(&key, Change { old, new: Some(new) });
        self.reached(&state, revision);
    }

    /// Takes in the end of an object, given as it was last.
    pub fn delete(&self, object: &K) {
        let mut state = self.lock();
        let key = key_of(object);
        if let Some(old) = state.objects.remove(&key) {
            state.announce(&key, Change { old: Some(old), new: None });
        }
        self.reached(&state, revision_of(object));
    }

    /// Takes in a complete list as of a revision: what is not in it is gone.
    pub fn replace(&self, list: Vec<K>, revision: u64) {
        let mut state = self.lock();
        let mut gone = state.objects.clone();
        let revision = list.iter().map(revision_of).fold(revision, u64::max);
        for mut object in list {
            let key = key_of(&object);
            let old = gone.remove(&key);
            if old.as_ref().is_some_and(|o| o.resource_version() == object.resource_version() && o.uid() == object.uid()) {
                continue;
            }
            state.trim(&mut object);
            let new = Arc::new(object);
            state.objects.insert(key.clone(), new.clone());
            state.announce(&key, Change { old, new: Some(new) });
        }
        for (key, old) in gone {
            state.objects.remove(&key);
            state.announce(&key, Change { old: Some(old), new: None });
        }
        self.reached(&state, revision);
        drop(state);
        self.0.synced.send_replace(true);
    }

    /// Takes in a bookmark: everything up to this revision has been seen.
    pub fn bookmark(&self, revision: u64) {
        self.reached(&self.lock(), revision);
    }

    fn reached(&self, state: &State<K>, revision: u64) {
        let newer = self.0.revision.send_if_modified(|r| {
            let newer = revision > *r;
            *r = revision.max(*r);
            newer
        });
        if newer {
            state.progress.iter().for_each(|handler| guarded(|| handler(revision)));
        }
    }
}

impl<K: Kind> crate::watch::Sink<K> for Informer<K> {
    fn replace(&self, list: Vec<K>, revision: u64) {
        Informer::replace(self, list, revision);
    }

    fn apply(&self, object: K) {
        Informer::apply(self, object);
    }

    fn delete(&self, object: K) {
        Informer::delete(self, &object);
    }

    fn bookmark(&self, revision: u64) {
        Informer::bookmark(self, revision);
    }
}

impl<K: Kind> State<K> {
    fn trim(&self, object: &mut K) {
        object.meta_mut().managed_fields = None;
        self.trim.iter().for_each(|drop| drop(object));
    }

    fn announce(&mut self, key: &Key, change: Change<K>) {
        for index in &mut self.indexes {
            index.moved(key, change.old.as_deref(), change.new.as_deref());
        }
        self.handlers.iter().for_each(|handler| guarded(|| handler(&change)));
    }
}

/// One handler's panic over one object keeps nothing from the other handlers, nor the next objects from it.
fn guarded(handler: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(handler)) {
        tracing::error!(error = tasks::text(&*panic), "a handler of changes panicked");
    }
}

fn owners<K: Kind>(object: &K) -> Vec<String> {
    object.owner_references().iter().map(|owner| owner.uid.clone()).collect()
}

/// Namespace and name of an object.
pub fn key_of<K: Kind>(object: &K) -> Key {
    Key::new(object.meta().namespace.as_deref().unwrap_or(""), object.meta().name.as_deref().unwrap_or(""))
}

/// The resourceVersion of an object as a number; 0 if it has none.
pub fn revision_of<K: Kind>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}
