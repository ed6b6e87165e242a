//! The registry as its callers see it: one method a verb.

use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use admission::{Call as Webhooks, Plugin};
use kinds::Descriptor;
use meta::{Attributes, Encoded, Key, Object, Reason, Status};
use store::{Entry, Store};
use tasks::Tasks;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api::{Call, DeleteOptions, Deleted, List, ListOptions, Scope, Sent, WatchOptions, WatchStream, Written};
use crate::cache::Feed;
use crate::codec::{Calls, Note, Warm};
use crate::error::{parse_revision, too_large};
use crate::kind::{Kind, Kinds};
use crate::long;
use crate::lookup::Recent;
use crate::read::list::Reader;
use crate::read::select::Selection;
use crate::read::watch::{self, Pace};
use crate::reservation::{self, Reservation};
use crate::retention::{self, Mortal};
use crate::subresource;
use crate::write::commit::default;
use crate::write::patch::Patching;
use crate::write::edit::Replace;
use crate::write::update::writer;

/// What differs between clusters.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where cluster IPs come from.
    pub service_cidr: ipnet::IpNet,
    /// Where node ports come from.
    pub node_ports: RangeInclusive<u16>,
    /// How long a reader waits for a revision that is not reached yet.
    pub patience: Duration,
    /// Time between bookmarks, plus up to a quarter of it so that they spread.
    pub bookmark_period: Duration,
    /// A watch that is to last no longer ends without a bookmark.
    pub short_watch: Duration,
    /// Changes that a watcher may be behind before it is disconnected.
    pub watch_room: usize,
}

impl Default for Config {
    fn default() -> Self {
        let service_cidr = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12).into();
        let (patience, bookmark_period) = (Duration::from_secs(3), Duration::from_secs(60));
        let short_watch = Duration::from_secs(2);
        Config { service_cidr, node_ports: 30000..=32767, patience, bookmark_period, short_watch, watch_room: 4096 }
    }
}

/// All objects of all kinds. Shared by `Arc`. Every method is about the resource, namespace, name
/// and subresource that its attributes name; an empty subresource means the object itself.
pub struct Registry {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) kinds: RwLock<Arc<Kinds>>,
    /// One change of the list of kinds at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    plugins: Vec<Arc<dyn Plugin>>,
    reservations: Vec<Arc<dyn Reservation>>,
    recent: Recent,
    pub(crate) warm: Arc<Warm>,
    pub(crate) calls: Calls,
    bookmark_period: Duration,
    short_watch: Duration,
    watch_room: usize,
    tasks: Tasks,
    _stop: DropGuard,
}

impl Registry {
    /// Loads the watch cache and starts to follow the store, until the registry is dropped.
    pub async fn open(
        store: Arc<dyn Store>,
        kinds: Vec<Descriptor>,
        plugins: Vec<Arc<dyn Plugin>>,
        config: Config,
    ) -> Result<Arc<Registry>, store::Error> {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let feed = Feed::start(store.clone(), config.patience, &tasks).await?;
        let registry = Registry {
            store,
            feed,
            kinds: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            plugins,
            reservations: reservation::all(&config),
            recent: Recent::default(),
            warm: Arc::default(),
            calls: Calls::default(),
            bookmark_period: config.bookmark_period,
            short_watch: config.short_watch,
            watch_room: config.watch_room,
            tasks,
            _stop: stop.drop_guard(),
        };
        registry.set_kinds(kinds).await?;
        registry.adopt_reservations();
        let (store, feed, mortal) = (registry.store.clone(), registry.feed.clone(), registry.mortal());
        let run = move |_| retention::run(store.clone(), feed.clone(), mortal.clone());
        registry.tasks.keep("the compaction of history", run);
        let warm = registry.warm.clone();
        let run = move |_| {
            let warm = warm.clone();
            async move { warm.run().await }
        };
        registry.tasks.keep("the letting go of forms", run);
        Ok(Arc::new(registry))
    }

    /// Says who calls webhooks. Whoever does so first is believed; before that nobody is called.
    pub fn set_calls(&self, calls: Arc<dyn Webhooks>) {
        drop(self.calls.set(calls));
    }

    /// What was written just now as readers of the kind get it.
    pub(crate) async fn written(&self, kind: &Kind, entry: &Entry, note: &Note) -> Result<Arc<Encoded>, Status> {
        if kind.converter().is_some() {
            // Then it is in the cache, and those who watch take over what is made of it. Without it, it is made again.
            self.feed.reach(entry.modified).await;
        }
        kind.written(entry, note).await
    }

    /// Whether the store takes writes. Quick, no I/O.
    pub fn check_store(&self) -> Result<(), String> {
        self.store.health()
    }

    /// Whether the watch cache keeps up, and what belongs to it runs. Quick, no I/O.
    pub fn check_cache(&self) -> Result<(), String> {
        self.feed.check().and_then(|()| self.tasks.check())
    }

    /// What goes by itself. Custom resources have no time to live.
    fn mortal(&self) -> Vec<Mortal> {
        let kinds = self.kinds();
        let lives = kinds.iter().filter_map(|d| Some((&d.storage, d.rules.time_to_live()?)));
        let mut mortal: Vec<Mortal> = Vec::new();
        for (prefix, time_to_live) in lives {
            if let Some(cache) = self.feed.cache(prefix).filter(|c| mortal.iter().all(|m| m.cache.prefix != c.prefix)) {
                mortal.push(Mortal { cache, time_to_live });
            }
        }
        mortal
    }

    fn adopt_reservations(&self) {
        let kinds = self.served();
        for descriptor in kinds.list.iter() {
            let holders = self.reservations.iter().filter(|r| r.concerns(descriptor));
            let Some(kind) = kinds.find(&descriptor.gvk.group, &descriptor.gvk.version, &descriptor.resource) else {
                continue;
            };
            for holder in holders {
                let (objects, _) = kind.cache.snapshot();
                objects.values().filter_map(|o| o.object().ok()).for_each(|o| holder.adopt(&o));
            }
        }
    }

    pub(crate) fn served(&self) -> Arc<Kinds> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn shared_store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub(crate) fn plugins(&self) -> &[Arc<dyn Plugin>] {
        &self.plugins
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(crate) fn reservations(&self) -> &[Arc<dyn Reservation>] {
        &self.reservations
    }

    pub(crate) fn any_version(&self, group: &str, resource: &str) -> Option<Arc<Kind>> {
        self.served().find_any(group, resource).cloned()
    }

    fn target(&self, attributes: &Attributes) -> Result<Arc<Kind>, Status> {
        let found = self.served().find(&attributes.group, &attributes.version, &attributes.resource).cloned();
        found.ok_or_else(Status::no_such_resource)
    }

    /// The revision of the newest acknowledged write.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// The served kinds as of now, in the order of the list (added ones last).
    pub fn kinds(&self) -> Arc<[Descriptor]> {
        self.served().list.clone()
    }

    /// The kind that serves the resource, if any.
    pub fn kind(&self, group: &str, version: &str, resource: &str) -> Option<Arc<Descriptor>> {
        let served = self.served();
        if let Some(kind) = served.find(group, version, resource) {
            return Some(kind.descriptor.clone());
        }
        let is = |d: &&Descriptor| *d.gvk.group == *group && *d.gvk.version == *version && *d.resource == *resource;
        served.list.iter().find(is).cloned().map(Arc::new)
    }

    /// How many objects a resource has, and how many bytes they have together. `None`: it is not stored.
    pub fn size(&self, attributes: &Attributes) -> Option<(u64, u64)> {
        let a = attributes;
        self.served().find(&a.group, &a.version, &a.resource).map(|kind| kind.cache.size())
    }

    /// One object as it is now (or its `scale`). `resource_version` as in the query: a future one is refused.
    pub async fn get(&self, attributes: &Attributes, resource_version: &str) -> Result<Arc<Encoded>, Status> {
        let kind = self.target(attributes)?;
        let part = subresource::find(&kind, &attributes.subresource)?;
        // Upstream's answer carries no reason.
        let least = parse_revision(resource_version).map_err(|why| Status::new(Reason::Unknown, why))?;
        if least > self.store.revision() && !self.feed.reach(least).await {
            return Err(too_large(least, self.store.revision()));
        }
        if let Some(found) = self.current(&kind, &attributes.namespace, &attributes.name) {
            return part.get(self, &kind, kind.present(&found).await?).await;
        }
        let key = kind.store_key(&attributes.namespace, &attributes.name);
        let entry = self.read(&key).await?.ok_or_else(|| kind.not_found(&attributes.name))?;
        part.get(self, &kind, kind.encoded(&entry).await?).await
    }

    /// An object out of the watch cache, if that has everything that was acknowledged up to now.
    pub(crate) fn current(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Encoded>> {
        let newest = self.store.revision();
        let namespace = if kind.descriptor.namespaced { namespace } else { "" };
        (self.feed.revision() >= newest).then(|| kind.cache.get(&Key::new(namespace, name)))?
    }

    /// One page of a list.
    pub async fn list(&self, attributes: &Attributes, scope: &Scope, options: &ListOptions) -> Result<List, Status> {
        self.list_objects(&*self.target(attributes)?, scope, options).await
    }

    pub(crate) async fn list_objects(&self, kind: &Kind, scope: &Scope, options: &ListOptions) -> Result<List, Status> {
        let selection = Selection::new(kind, scope)?;
        let reader = Reader { store: &*self.store, feed: &self.feed, kind, selection: &selection };
        reader.list(options).await
    }

    /// Changes as they happen. An error before the first frame is returned here, a later one is the last frame.
    pub async fn watch(
        &self,
        attributes: &Attributes,
        scope: Scope,
        options: WatchOptions,
    ) -> Result<WatchStream, Status> {
        let kind = self.target(attributes)?;
        let selection = Selection::new(&kind, &scope)?;
        let (newest, bookmark_period, room) = (self.store.revision(), self.bookmark_period, self.watch_room);
        let pace = Pace { newest, bookmark_period, short: self.short_watch, room };
        watch::start(&self.feed, pace, kind, selection, &options).await
    }

    /// Creates an object, or posts to a subresource (`binding`, `eviction`).
    pub async fn create(&self, call: &Call, object: Object) -> Result<Written, Status> {
        long::run(long::weight(&object), self.create_here(call, object)).await
    }

    async fn create_here(&self, call: &Call, object: Object) -> Result<Written, Status> {
        let a = &call.attributes;
        if &*a.resource == "bindings" && a.group.is_empty() {
            // The old form of `pods/binding`.
            let mut call = call.clone();
            call.attributes.resource = "pods".to_owned();
            call.attributes.subresource = "binding".to_owned();
            call.attributes.name = object.name().to_owned();
            return Box::pin(self.create_here(&call, object)).await;
        }
        let kind = self.target(a)?;
        if a.subresource.is_empty() {
            return self.create_object(call, &kind, object).await;
        }
        subresource::find(&kind, &a.subresource)?.create(self, call, &kind, object).await
    }

    /// Replaces an object (`status`, `scale`, `finalize`: that part of it).
    pub async fn update(&self, call: &Call, object: Object) -> Result<Written, Status> {
        long::run(long::weight(&object), self.update_here(call, object)).await
    }

    async fn update_here(&self, call: &Call, object: Object) -> Result<Written, Status> {
        let kind = self.target(&call.attributes)?;
        if call.attributes.subresource.is_empty() {
            let creates = kind.descriptor.rules.create_on_update();
            return self.change(call, &kind, "", &mut Replace { object, creates }).await;
        }
        subresource::find(&kind, &call.attributes.subresource)?.update(self, call, &kind, object).await
    }

    /// Changes an object or a subresource by a patch.
    pub async fn patch(&self, call: &Call, patch: impl Into<Sent>) -> Result<Written, Status> {
        let patch = patch.into();
        long::run(patch.text.len(), self.patch_here(call, patch)).await
    }

    async fn patch_here(&self, call: &Call, patch: Sent) -> Result<Written, Status> {
        let kind = self.target(&call.attributes)?;
        if call.attributes.subresource.is_empty() {
            let fill = |object: &mut Object| default(&kind, object);
            let mut edit = Patching::new(writer(call, &kind, ""), &patch, call.field_validation, &fill)?;
            return self.change(call, &kind, "", &mut edit).await;
        }
        subresource::find(&kind, &call.attributes.subresource)?.patch(self, call, &kind, patch).await
    }

    /// Deletes an object, or marks it for deletion.
    pub async fn delete(&self, call: &Call, options: DeleteOptions) -> Result<Deleted, Status> {
        let kind = self.target(&call.attributes)?;
        let name = &*call.attributes.name;
        if let Some(why) = kind.descriptor.rules.undeletable(name) {
            return Err(Status::forbidden(kind.group(), kind.resource(), name, why));
        }
        self.delete_object(call, &kind, options).await
    }

    /// Deletes what is selected; answers with the list of it.
    pub async fn delete_collection(
        &self,
        call: &Call,
        scope: &Scope,
        list: &ListOptions,
        options: DeleteOptions,
    ) -> Result<List, Status> {
        let kind = self.target(&call.attributes)?;
        self.delete_selected(call, &kind, scope, list, options).await
    }
}
