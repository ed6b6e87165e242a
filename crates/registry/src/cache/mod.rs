//! The watch cache: all objects under one storage prefix as of now, the changes that led there, and
//! who wants to hear of the next ones.
//!
//! The writer never waits for readers: it inserts into a persistent map, and offers each change to the
//! bounded channels of its audience; a channel that is full is closed, which its watcher notices.

mod audience;
mod change;
mod feed;
mod index;
mod ring;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imbl::OrdMap;
use kinds::Descriptor;
use meta::{Codec, Encoded, Key};
use tokio::sync::{mpsc, watch};

pub(crate) use audience::{Audience, Seat};
use audience::Audiences;
pub(crate) use change::Change;
pub(crate) use feed::Feed;
pub(crate) use index::Keys;
use index::Index;
use ring::Ring;

use crate::codec::{Converter, Note, Stored};
use crate::read::select::Selection;

/// Objects in key order. Cloning takes a snapshot.
pub(crate) type Objects = OrdMap<Key, Arc<Encoded>>;

/// The cache of one storage prefix.
pub(crate) struct Cache {
    pub prefix: Arc<str>,
    namespaced: bool,
    /// Reads and writes its objects.
    pub codec: Arc<Stored>,
    /// Who converts its objects, if somebody has to be asked.
    pub converter: Option<Arc<Converter>>,
    /// Whether pods' nodes (or the like) are an audience.
    by_node: bool,
    state: Mutex<State>,
    loaded: watch::Sender<bool>,
    /// One load at a time.
    loading: tokio::sync::Mutex<()>,
}

struct State {
    objects: Objects,
    /// Bytes of all objects.
    bytes: u64,
    /// The revision of the newest change taken in.
    last: u64,
    ring: Ring,
    audiences: Audiences,
    index: Index,
    /// Events that arrive while the objects are being loaded.
    pending: Option<Vec<store::Event>>,
    /// One string a namespace, shared by all keys.
    namespaces: HashSet<Arc<str>>,
}

/// What a new watcher starts with.
pub(crate) struct Start {
    /// Objects as of now, when it asked for them.
    pub objects: Option<Objects>,
    /// The keys among which are all of them that the selection can match; `None`: any.
    pub keys: Option<Keys>,
    /// Changes that it missed.
    pub backlog: Vec<Arc<Change>>,
    /// The revision up to which the two reach, from this cache's point of view.
    pub revision: u64,
    /// Changes to come.
    pub changes: mpsc::Receiver<Arc<Change>>,
    /// Leaves the audience when dropped.
    pub seat: Seat,
}

impl Cache {
    /// An empty cache that waits to be loaded. `descriptor` is the stored kind, `codec` its codec.
    pub fn new(descriptor: &Descriptor, codec: Arc<Stored>, converter: Option<Arc<Converter>>) -> Arc<Self> {
        let fields = descriptor.rules.selectable(&meta::Object::default());
        Arc::new(Cache {
            prefix: descriptor.storage.clone(),
            namespaced: descriptor.namespaced,
            codec,
            converter,
            by_node: fields.iter().any(|(field, _)| *field == NODE_FIELD),
            state: Mutex::new(State {
                objects: OrdMap::new(),
                bytes: 0,
                last: 0,
                ring: Ring::default(),
                audiences: Audiences::default(),
                index: Index::default(),
                pending: Some(Vec::new()),
                namespaces: HashSet::new(),
            }),
            loaded: watch::Sender::new(false),
            loading: tokio::sync::Mutex::new(()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Namespace and name out of a store key.
    pub fn key(&self, store_key: &str) -> Key {
        let (namespace, name) = self.split(store_key);
        Key::new(namespace, name)
    }

    /// The key in the store. Cluster-scoped objects have no namespace part.
    pub fn store_key(&self, namespace: &str, name: &str) -> Arc<str> {
        match self.namespaced {
            true => [&*self.prefix, namespace, "/", name].concat().into(),
            false => [&*self.prefix, name].concat().into(),
        }
    }

    fn split<'k>(&self, store_key: &'k str) -> (&'k str, &'k str) {
        let rest = store_key.strip_prefix(&*self.prefix).unwrap_or(store_key);
        rest.split_once('/').filter(|_| self.namespaced).unwrap_or(("", rest))
    }

    /// Whether watchers of one node are an audience of their own.
    pub fn knows_nodes(&self) -> bool {
        self.by_node
    }

    /// Takes in one event of the store.
    pub fn take(&self, event: store::Event) {
        let mut state = self.lock();
        match &mut state.pending {
            Some(pending) => pending.push(event),
            None => state.apply(self, event),
        }
    }

    /// (Re)loads all objects from the store while events go on arriving. Those who watch are
    /// disconnected, since what happened in between is not known.
    pub async fn load(&self, store: &dyn store::Store) -> Result<(), store::Error> {
        let _alone = self.loading.lock().await;
        self.lock().pending = Some(Vec::new());
        let page = store.range(&self.prefix, None, 0, None).await?;
        let mut state = self.lock();
        state.audiences = Audiences::default();
        state.ring = Ring::starting_at(page.revision);
        state.index.clear();
        state.last = page.revision;
        let mut objects = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let key = state.key(self, &entry.key);
            objects.push((key.clone(), self.encoded(key, entry, None, false)));
        }
        state.objects = objects.into_iter().collect();
        state.bytes = state.objects.values().map(|object| object.stored().len() as u64).sum();
        for event in state.pending.take().into_iter().flatten() {
            state.apply(self, event);
        }
        drop(state);
        self.loaded.send_replace(true);
        Ok(())
    }

    /// Ends all watches.
    pub fn disconnect(&self) {
        self.lock().audiences = Audiences::default();
    }

    /// Waits for the first load.
    pub async fn loaded(&self) {
        // The sender lives as long as self: an error is impossible.
        let _ = self.loaded.subscribe().wait_for(|loaded| *loaded).await;
    }

    /// All objects as of now, and the revision of the newest change among them.
    pub fn snapshot(&self) -> (Objects, u64) {
        let state = self.lock();
        (state.objects.clone(), state.last)
    }

    /// The same, with the keys among which are all objects that a selection can match; `None`: any.
    pub fn selected(&self, selection: &Selection) -> (Objects, u64, Option<Keys>) {
        let mut state = self.lock();
        let State { objects, index, last, .. } = &mut *state;
        let keys = self.candidates(index, objects, selection);
        (objects.clone(), *last, keys)
    }

    fn candidates(&self, index: &mut Index, objects: &Objects, selection: &Selection) -> Option<Keys> {
        // A conversion may change what it selects by.
        let is_known = self.converter.is_none();
        is_known.then(|| index.candidates(&self.codec, objects, selection.node(), selection.labels()))?
    }

    /// How many objects there are, and how many bytes they have together.
    pub fn size(&self) -> (u64, u64) {
        let state = self.lock();
        (state.objects.len() as u64, state.bytes)
    }

    /// One object as of now.
    pub fn get(&self, key: &Key) -> Option<Arc<Encoded>> {
        self.lock().objects.get(key).cloned()
    }

    /// Starts a watch after a revision (`None`: with all objects). `Err` holds the oldest revision that a
    /// watch can still start after.
    pub fn subscribe(
        self: &Arc<Self>,
        after: Option<u64>,
        selection: &Selection,
        room: usize,
    ) -> Result<Start, u64> {
        let audience = selection.audience(self.namespaced);
        let mut guard = self.lock();
        let state = &mut *guard;
        let backlog = match after {
            Some(after) => state.ring.after(after).ok_or(state.ring.floor())?,
            None => Vec::new(),
        };
        let objects = after.is_none().then(|| state.objects.clone());
        let wanted = objects.as_ref().filter(|_| selection.object(self.namespaced).is_none());
        let keys = wanted.and_then(|all| self.candidates(&mut state.index, all, selection));
        let (sender, changes) = mpsc::channel(room);
        let id = state.audiences.join(audience.clone(), sender);
        let seat = Seat::new(Arc::downgrade(self), audience, id);
        Ok(Start { objects, keys, backlog, revision: state.last, changes, seat })
    }

    /// Lets a watcher leave.
    fn leave(&self, audience: &Audience, id: u64) {
        self.lock().audiences.leave(audience, id);
    }

    /// What selectors ask about an object.
    fn node_of(&self, encoded: &Encoded) -> Box<str> {
        self.codec.node(encoded)
    }

    /// An entry of the store. What its writer has made of it already is not made again, and kept if somebody watches.
    fn encoded(&self, key: Key, entry: store::Entry, note: Option<&store::Note>, watched: bool) -> Arc<Encoded> {
        match note.and_then(|note| note.downcast_ref::<Note>()) {
            Some(note) if watched => {
                let encoded = Arc::new(note.encoded(key, &entry, self.codec.clone()));
                self.codec.made(&encoded);
                encoded
            }
            _ => Arc::new(Encoded::new(key, entry.modified, entry.value, self.codec.clone())),
        }
    }
}

/// The field by which node agents watch.
pub(crate) const NODE_FIELD: &str = "spec.nodeName";

impl State {
    /// The key, its namespace string shared with the other keys.
    fn key(&mut self, cache: &Cache, store_key: &str) -> Key {
        let (namespace, name) = cache.split(store_key);
        let known = self.namespaces.get(namespace).cloned();
        let namespace = known.unwrap_or_else(|| {
            let new: Arc<str> = namespace.into();
            self.namespaces.insert(new.clone());
            new
        });
        Key { namespace, name: name.into() }
    }

    fn apply(&mut self, cache: &Cache, event: store::Event) {
        if event.revision <= self.last {
            return;
        }
        self.last = event.revision;
        let key = self.key(cache, &event.key);
        let (old, new) = match event.entry {
            Some(entry) => {
                let new = cache.encoded(key.clone(), entry, event.note.as_ref(), self.audiences.any());
                (self.objects.insert(key.clone(), new.clone()), Some(new))
            }
            None => (self.objects.remove(&key), None),
        };
        if old.is_none() && new.is_none() {
            return;
        }
        let length = |object: &Option<Arc<Encoded>>| object.as_ref().map_or(0, |o| o.stored().len() as u64);
        self.bytes = self.bytes + length(&new) - length(&old);
        self.index.change(&cache.codec, old.as_deref(), new.as_deref());
        old.iter().for_each(|old| cache.codec.retire(old));
        let change = Arc::new(Change::new(event.revision, old, new));
        self.ring.push(change.clone());
        self.audiences.tell(&change, |encoded| cache.by_node.then(|| cache.node_of(encoded)));
    }
}
