//! The world as a controller sees it: views of the kinds that it watches, taken together.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use client::index::Values;
use client::{Hub, Informer, Kind, View};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use meta::Key;

use super::inbox::{Inbox, Seen};
use super::plan::Failure;
use crate::owners;

/// Index over pods without a controller, by namespace.
pub const ORPHANS: &str = "orphans";
/// Index over pods by the node that they are bound to.
pub const BY_NODE: &str = "node";

type Open = Box<dyn Fn(&Hub) -> Arc<dyn Stream> + Send + Sync>;

/// One kind that a controller watches.
pub struct Watch {
    /// API group.
    pub group: String,
    /// Lower-case plural.
    pub resource: String,
    /// The Rust type.
    pub id: TypeId,
    open: Open,
}

impl Watch {
    /// A kind, with its owner index alone.
    pub fn of<K: Kind>() -> Self {
        Watch::with::<K>(&[])
    }

    /// A kind with further indexes.
    pub fn with<K: Kind>(indexes: &'static [(&'static str, Values<K>)]) -> Self {
        Watch::selected("", indexes)
    }

    /// The objects of a kind that a field selector names: for those who need few of many, since every object
    /// that is watched is held in memory.
    pub fn selected<K: Kind>(fields: &'static str, indexes: &'static [(&'static str, Values<K>)]) -> Self {
        let open = move |hub: &Hub| -> Arc<dyn Stream> {
            let informer = hub.selected::<K>(fields);
            indexes.iter().for_each(|(name, values)| informer.index(name, *values));
            Arc::new(informer)
        };
        Watch {
            group: K::group(&()).into_owned(),
            resource: K::plural(&()).into_owned(),
            id: TypeId::of::<K>(),
            open: Box::new(open),
        }
    }

    /// Pods, with the indexes [`ORPHANS`] and [`BY_NODE`].
    pub fn pods() -> Self {
        Watch::with::<Pod>(POD_INDEXES)
    }

    /// Opens the stream.
    pub fn open(&self, hub: &Hub) -> Arc<dyn Stream> {
        (self.open)(hub)
    }
}

/// The indexes of [`Watch::pods`].
pub const POD_INDEXES: &[(&str, Values<Pod>)] = &[(ORPHANS, orphaned), (BY_NODE, bound)];

fn bound(pod: &Pod) -> Vec<String> {
    pod.spec.as_ref().and_then(|s| s.node_name.clone()).filter(|n| !n.is_empty()).into_iter().collect()
}

fn orphaned(pod: &Pod) -> Vec<String> {
    match owners::controller(&pod.metadata) {
        None => vec![pod.metadata.namespace.clone().unwrap_or_default()],
        Some(_) => Vec::new(),
    }
}

/// An informer, whatever its kind.
#[async_trait::async_trait]
pub trait Stream: Send + Sync {
    /// The kind.
    fn id(&self) -> TypeId;
    /// A [`View`].
    fn view(&self) -> Box<dyn Any + Send + Sync>;
    /// The newest revision taken in.
    fn revision(&self) -> u64;
    /// Whether an object is gone, or seen to be on its way out.
    fn gone(&self, key: &Key, uid: &str) -> bool;
    /// Delivers changes and progress into an inbox.
    fn feed(&self, inbox: Arc<Inbox>);
    /// Waits for the first list.
    async fn synced(&self);
}

#[async_trait::async_trait]
impl<K: Kind> Stream for Informer<K> {
    fn id(&self) -> TypeId {
        TypeId::of::<K>()
    }

    fn view(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(Informer::view(self))
    }

    fn revision(&self) -> u64 {
        *Informer::revision(self).borrow()
    }

    fn gone(&self, key: &Key, uid: &str) -> bool {
        self.get(key).is_none_or(|object| {
            object.meta().uid.as_deref() != Some(uid) || object.meta().deletion_timestamp.is_some()
        })
    }

    fn feed(&self, inbox: Arc<Inbox>) {
        let changes = inbox.clone();
        self.on_change(move |change| changes.push(Seen::new(change)));
        self.on_progress(move |_| inbox.progressed());
    }

    async fn synced(&self) {
        Informer::synced(self).await;
    }
}

/// The streams of one controller.
#[derive(Clone)]
pub struct Streams {
    streams: HashMap<TypeId, Arc<dyn Stream>>,
    since: Timestamp,
}

impl Streams {
    /// Opens all watches of a profile.
    pub fn open(watches: &[Watch], hub: &Hub) -> Self {
        let mut streams = Streams::empty(Timestamp::now());
        watches.iter().for_each(|watch| streams.add(watch.open(hub)));
        streams
    }

    /// None yet; `since` is what [`World::since`] tells.
    pub fn empty(since: Timestamp) -> Self {
        Streams { streams: HashMap::new(), since }
    }

    /// What [`World::since`] tells from now on.
    pub fn since(&mut self, since: Timestamp) {
        self.since = since;
    }

    /// Adds a stream.
    pub fn add(&mut self, stream: Arc<dyn Stream>) {
        self.streams.insert(stream.id(), stream);
    }

    /// The stream of a kind.
    pub fn get(&self, id: TypeId) -> Option<&Arc<dyn Stream>> {
        self.streams.get(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Stream>> {
        self.streams.values()
    }

    /// The world as of now.
    pub fn world(&self) -> World {
        // The revisions first: what is seen is then at least as new as they say.
        let revisions = self.streams.iter().map(|(id, stream)| (*id, stream.revision())).collect();
        let views = self.streams.iter().map(|(id, stream)| (*id, stream.view())).collect();
        World { views, revisions, since: self.since, failure: None }
    }
}

/// Views of all watched kinds.
pub struct World {
    views: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    revisions: HashMap<TypeId, u64>,
    since: Timestamp,
    pub(crate) failure: Option<Failure>,
}

impl World {
    /// The objects of a kind, which must be among the watches of the profile.
    pub fn of<K: Kind>(&self) -> &View<K> {
        let view = self.views.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<View<K>>());
        view.unwrap_or_else(|| unreachable!("{} is among the profile's watches", K::kind(&())))
    }

    /// The revision up to which the view of a kind is complete; views of different kinds differ in it.
    pub fn revision<K: Kind>(&self) -> u64 {
        self.revisions.get(&TypeId::of::<K>()).copied().unwrap_or(0)
    }

    /// Since when this process has been watching, or since when the machine's clock has been what it is.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Why the last plan for this key could not be carried out, if so: what a condition reports.
    /// Conflicts are not mentioned.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}
