//! A served kind with its cache, and the list of all of them.

use std::collections::HashMap;
use std::sync::Arc;

use kinds::{Descriptor, Verbs, Word};
use meta::field::Error;
use meta::{Encoded, Key, Object, Status};
use store::Entry;

use crate::cache::Cache;
use crate::codec::{Converter, Note, Prepared, Stored, Warm, shown};

/// One served kind.
pub(crate) struct Kind {
    pub descriptor: Arc<Descriptor>,
    /// The codec of this version, if the objects are stored in another one's form.
    codec: Option<Arc<Stored>>,
    pub cache: Arc<Cache>,
    /// Fields that selectors may name, beyond name and namespace.
    pub selectable: Box<[Word]>,
}

impl Kind {
    pub fn new(descriptor: Arc<Descriptor>, codec: Option<Arc<Stored>>, cache: Arc<Cache>) -> Self {
        let selectable = descriptor.rules.selectable(&Object::default()).into_iter().map(|(field, _)| field).collect();
        Kind { descriptor, codec, cache, selectable }
    }

    pub fn group(&self) -> &str {
        &self.descriptor.gvk.group
    }

    pub fn resource(&self) -> &str {
        &self.descriptor.resource
    }

    /// The key in the store. Cluster-scoped objects have no namespace part.
    pub fn store_key(&self, namespace: &str, name: &str) -> Arc<str> {
        self.cache.store_key(namespace, name)
    }

    pub fn not_found(&self, name: &str) -> Status {
        Status::not_found(self.group(), self.resource(), name)
    }

    /// 422 for an object of the kind.
    pub fn invalid(&self, name: &str, errors: &[Error]) -> Status {
        let group = self.descriptor.rules.shown_group().unwrap_or_else(|| self.group());
        let show = |error: &Error| self.descriptor.schema.encode_at(&error.path.to_string(), &error.value);
        Status::invalid_showing(group, &self.descriptor.gvk.kind, name, errors, &show)
    }

    /// Whether it is stored in another kind's form.
    pub fn converts(&self) -> bool {
        self.codec.is_some()
    }

    /// Who converts its objects, if somebody has to be asked.
    pub fn converter(&self) -> Option<&Arc<Converter>> {
        self.cache.converter.as_ref()
    }

    /// The object that an entry holds, in this version's form.
    pub async fn object(&self, entry: &Entry) -> Result<Object, Status> {
        if self.converter().is_some() {
            return self.encoded(entry).await?.object();
        }
        let object = self.hub(entry).object()?;
        if self.converts() { self.descriptor.rules.from_storage(object) } else { Ok(object) }
    }

    /// Whether an entry is being deleted; that is so in every version.
    pub fn is_ending(&self, entry: &Entry) -> bool {
        self.hub(entry).object().is_ok_and(|object| object.deletion_timestamp().is_some())
    }

    /// What is written for an object.
    pub async fn prepare(&self, object: &Object) -> Result<Prepared, Status> {
        let codec = &self.cache.codec;
        Ok(match self.converter() {
            Some(converter) => codec.prepare(&converter.to_stored(object).await?),
            None if self.converts() => codec.prepare(&codec.fitted(self.descriptor.rules.to_storage(object.clone())?)?),
            None => codec.prepare(object),
        })
    }

    /// An entry as readers of this version get it.
    pub async fn encoded(&self, entry: &Entry) -> Result<Arc<Encoded>, Status> {
        self.present(&self.cached(entry)).await
    }

    /// Entries as readers of this version get them.
    pub async fn encoded_all(&self, entries: &[Entry]) -> Result<Vec<Arc<Encoded>>, Status> {
        let hubs: Vec<_> = entries.iter().map(|entry| self.cached(entry)).collect();
        self.present_all(&hubs).await
    }

    fn cached(&self, entry: &Entry) -> Arc<Encoded> {
        let cached = self.cache.get(&self.cache.key(&entry.key)).filter(|cached| cached.revision == entry.modified);
        cached.unwrap_or_else(|| Arc::new(self.hub(entry)))
    }

    /// What was written just now as readers of this version get it.
    pub async fn written(&self, entry: &Entry, note: &Note) -> Result<Arc<Encoded>, Status> {
        if self.converter().is_some() {
            // What is made of it is made for all who read it.
            return self.encoded(entry).await;
        }
        self.present_now(&Arc::new(note.encoded(self.cache.key(&entry.key), entry, self.cache.codec.clone())))
    }

    /// What is stored as readers of this version get it: usually the same.
    pub async fn present(&self, hub: &Arc<Encoded>) -> Result<Arc<Encoded>, Status> {
        match self.converter() {
            None => self.present_now(hub),
            Some(converter) => {
                let shown = converter.shown(&self.descriptor.gvk, std::slice::from_ref(hub)).await?;
                shown.into_iter().next().ok_or_else(|| self.not_found(&hub.key.name))
            }
        }
    }

    /// The same of many objects.
    pub async fn present_all(&self, hubs: &[Arc<Encoded>]) -> Result<Vec<Arc<Encoded>>, Status> {
        match self.converter() {
            None => hubs.iter().map(|hub| self.present_now(hub)).collect(),
            Some(converter) => converter.shown(&self.descriptor.gvk, hubs).await,
        }
    }

    /// The same of a kind for which nobody has to be asked.
    pub fn present_now(&self, hub: &Arc<Encoded>) -> Result<Arc<Encoded>, Status> {
        let Some(codec) = &self.codec else { return Ok(hub.clone()) };
        hub.version(&self.descriptor.gvk, || {
            let object = self.descriptor.rules.from_storage(hub.object()?)?;
            Ok(codec.encode(hub, &object))
        })
    }

    /// An object that is not stored (a dry run), as readers get it.
    pub fn encode(&self, key: Key, revision: u64, object: &Object) -> Arc<Encoded> {
        let (json, _) = self.descriptor.schema.encode(object, false);
        shown(key, revision, json)
    }

    /// An entry in its stored form.
    fn hub(&self, entry: &Entry) -> Encoded {
        let key = self.cache.key(&entry.key);
        Encoded::new(key, entry.modified, entry.value.clone(), self.cache.codec.clone())
    }

    /// Whether objects of it are stored at all.
    pub fn is_stored(descriptor: &Descriptor) -> bool {
        descriptor.verbs != Verbs::CreateOnly
    }
}

/// All served kinds as of one moment.
#[derive(Default)]
pub(crate) struct Kinds {
    /// Those that clients see, in the order of the list.
    pub list: Arc<[Descriptor]>,
    /// The same with those in whose form objects are stored and which nobody sees.
    pub all: Arc<[Descriptor]>,
    /// Kinds that are stored, by resource.
    by_resource: HashMap<Arc<str>, Vec<Arc<Kind>>>,
}

impl Kinds {
    /// Builds the list; `cache` makes or finds the cache of a storage prefix, given all its versions.
    pub fn new(list: Vec<Descriptor>, warm: &Arc<Warm>, mut cache: impl FnMut(&[&Descriptor]) -> Arc<Cache>) -> Self {
        let mut by_resource: HashMap<Arc<str>, Vec<Arc<Kind>>> = HashMap::new();
        let mut caches: HashMap<Arc<str>, Arc<Cache>> = HashMap::new();
        let mut versions: HashMap<Arc<str>, Vec<&Descriptor>> = HashMap::new();
        for descriptor in list.iter().filter(|d| Kind::is_stored(d)) {
            versions.entry(descriptor.storage.clone()).or_default().push(descriptor);
        }
        for descriptor in list.iter().filter(|d| Kind::is_stored(d)) {
            // The first kind of a prefix is the one that is stored.
            let codec = caches.contains_key(&descriptor.storage).then(|| Stored::new(descriptor, warm.clone()));
            let make = || cache(&versions[&descriptor.storage]);
            let cache = caches.entry(descriptor.storage.clone()).or_insert_with(make).clone();
            let kind = Kind::new(Arc::new(descriptor.clone()), codec, cache);
            by_resource.entry(descriptor.resource.clone()).or_default().push(Arc::new(kind));
        }
        let visible = list.iter().filter(|d| d.served).cloned().collect();
        Kinds { list: visible, all: list.into(), by_resource }
    }

    /// The kind of a group, version and resource.
    pub fn find(&self, group: &str, version: &str, resource: &str) -> Option<&Arc<Kind>> {
        let mut candidates = self.by_resource.get(resource)?.iter();
        candidates.find(|k| k.descriptor.served && *k.descriptor.gvk.group == *group && *k.descriptor.gvk.version == *version)
    }

    /// The first version of a group's resource.
    pub fn find_any(&self, group: &str, resource: &str) -> Option<&Arc<Kind>> {
        self.by_resource.get(resource)?.iter().find(|k| *k.descriptor.gvk.group == *group)
    }
}
