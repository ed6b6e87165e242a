//! The world as a controller sees it: views of the kinds that it watches, taken together.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use client::index::Values;
use client::{Hub, Informer, Kind, View};
use k8s_openapi::api::core::v1::Pod;
use meta::Key;

use super::inbox::{Inbox, Seen};
use super::plan::Failure;
use crate::owners;

/// Index over pods without a controller, by namespace.
pub const ORPHANS: &str = "orphans";

/// One kind that a controller watches.
pub struct Watch {
    /// API group.
    pub group: String,
    /// Lower-case plural.
    pub resource: String,
    /// The Rust type.
    pub id: TypeId,
    open: Box<dyn Fn(&Hub) -> Arc<dyn Stream> + Send + Sync>,
}

impl Watch {
    /// A kind, with its owner index alone.
    pub fn of<K: Kind>() -> Self {
        Watch::with::<K>(&[])
    }

    /// A kind with further indexes.
    pub fn with<K: Kind>(indexes: &'static [(&'static str, Values<K>)]) -> Self {
        let open = move |hub: &Hub| -> Arc<dyn Stream> {
            let informer = hub.informer::<K>();
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

    /// Pods, with the index [`ORPHANS`].
    pub fn pods() -> Self {
        Watch::with::<Pod>(&[(ORPHANS, orphaned)])
    }

    /// Opens the stream.
    pub fn open(&self, hub: &Hub) -> Arc<dyn Stream> {
        (self.open)(hub)
    }
}

/// The values of the index [`ORPHANS`].
pub fn orphaned(pod: &Pod) -> Vec<String> {
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
#[derive(Clone, Default)]
pub struct Streams(HashMap<TypeId, Arc<dyn Stream>>);

impl Streams {
    /// Opens all watches of a profile.
    pub fn open(watches: &[Watch], hub: &Hub) -> Self {
        Streams(watches.iter().map(|watch| (watch.id, watch.open(hub))).collect())
    }

    /// Adds a stream.
    pub fn add(&mut self, stream: Arc<dyn Stream>) {
        self.0.insert(stream.id(), stream);
    }

    /// The stream of a kind.
    pub fn get(&self, id: TypeId) -> Option<&Arc<dyn Stream>> {
        self.0.get(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Stream>> {
        self.0.values()
    }

    /// The world as of now.
    pub fn world(&self) -> World {
        World { views: self.0.iter().map(|(id, stream)| (*id, stream.view())).collect(), failure: None }
    }
}

/// Views of all watched kinds.
pub struct World {
    views: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    pub(crate) failure: Option<Failure>,
}

impl World {
    /// The objects of a kind, which must be among the watches of the profile.
    pub fn of<K: Kind>(&self) -> &View<K> {
        let view = self.views.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<View<K>>());
        view.unwrap_or_else(|| unreachable!("{} is among the profile's watches", K::kind(&())))
    }

    /// Why the last plan for this key could not be carried out, if so: what a condition reports.
    /// Conflicts are not mentioned.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}
