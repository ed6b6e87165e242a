//! A served kind with its cache, and the list of all of them.

use std::collections::HashMap;
use std::sync::Arc;

use kinds::{Descriptor, Verbs};
use meta::field::Error;
use meta::{Encoded, Key, Object, Status};
use store::{Entry, Template};

use crate::cache::Cache;

/// One served kind.
pub(crate) struct Kind {
    pub descriptor: Arc<Descriptor>,
    /// The kind in whose form the objects are stored, if it is another one.
    stored: Option<Arc<Descriptor>>,
    pub cache: Arc<Cache>,
    /// Fields that selectors may name, beyond name and namespace.
    pub selectable: Box<[&'static str]>,
}

impl Kind {
    pub fn new(descriptor: Arc<Descriptor>, stored: Option<Arc<Descriptor>>, cache: Arc<Cache>) -> Self {
        let selectable = descriptor.rules.selectable(&Object::default()).into_iter().map(|(field, _)| field).collect();
        Kind { descriptor, stored, cache, selectable }
    }

    pub fn group(&self) -> &str {
        &self.descriptor.gvk.group
    }

    pub fn resource(&self) -> &str {
        &self.descriptor.resource
    }

    /// The key in the store. Cluster-scoped objects have no namespace part.
    pub fn store_key(&self, namespace: &str, name: &str) -> Arc<str> {
        let prefix = &*self.descriptor.storage;
        if self.descriptor.namespaced {
            [prefix, namespace, "/", name].concat().into()
        } else {
            [prefix, name].concat().into()
        }
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
        self.stored.is_some()
    }

    /// The object that an entry holds, in this version's form.
    pub fn object(&self, entry: &Entry) -> Result<Object, Status> {
        let object = parse(&entry.value)?;
        if self.converts() { self.descriptor.rules.from_storage(object) } else { Ok(object) }
    }

    /// What is written for an object.
    pub fn template(&self, object: &Object) -> Result<Template, Status> {
        let (bytes, revision_at) = match &self.stored {
            None => self.descriptor.schema.encode(object, true),
            Some(stored) => stored.schema.encode(&self.descriptor.rules.to_storage(object.clone())?, true),
        };
        Ok(Template { bytes, revision_at })
    }

    /// An entry as readers of this version get it.
    pub fn encoded(&self, entry: Entry) -> Result<Arc<Encoded>, Status> {
        let key = self.cache.key(&entry.key);
        self.present(&Arc::new(Encoded::new(key, entry.modified, entry.value)))
    }

    /// Stored bytes as readers of this version get them: usually the same.
    pub fn present(&self, encoded: &Arc<Encoded>) -> Result<Arc<Encoded>, Status> {
        if !self.converts() {
            return Ok(encoded.clone());
        }
        let object = self.descriptor.rules.from_storage(parse(&encoded.json)?)?;
        Ok(self.encode(encoded.key.clone(), encoded.revision, &object))
    }

    /// An object that is not stored (a dry run), as readers get it.
    pub fn encode(&self, key: Key, revision: u64, object: &Object) -> Arc<Encoded> {
        let (json, _) = self.descriptor.schema.encode(object, false);
        Arc::new(Encoded::new(key, revision, json))
    }

    /// Whether objects of it are stored at all.
    pub fn is_stored(descriptor: &Descriptor) -> bool {
        descriptor.verbs != Verbs::CreateOnly
    }
}

/// Reads stored bytes. They were encoded by this program, so a failure means damage.
pub(crate) fn parse(json: &[u8]) -> Result<Object, Status> {
    let value = schema::stored(json).map_err(|e| Status::internal(format!("unreadable stored object: {e}")))?;
    Object::from_value(value).map_err(|_| Status::internal("unreadable stored object: no JSON object"))
}

/// All served kinds as of one moment.
#[derive(Default)]
pub(crate) struct Kinds {
    /// In the order of the list.
    pub list: Arc<[Descriptor]>,
    /// Kinds that are stored, by resource.
    by_resource: HashMap<Arc<str>, Vec<Arc<Kind>>>,
}

impl Kinds {
    /// Builds the list; `cache` makes or finds the cache of a descriptor's storage prefix.
    pub fn new(list: Vec<Descriptor>, mut cache: impl FnMut(&Descriptor) -> Arc<Cache>) -> Self {
        let mut by_resource: HashMap<Arc<str>, Vec<Arc<Kind>>> = HashMap::new();
        let mut first: HashMap<Arc<str>, Arc<Descriptor>> = HashMap::new();
        for descriptor in list.iter().filter(|d| Kind::is_stored(d)) {
            let descriptor = Arc::new(descriptor.clone());
            let stored = first.get(&descriptor.storage).cloned();
            first.entry(descriptor.storage.clone()).or_insert_with(|| descriptor.clone());
            let kind = Kind::new(descriptor.clone(), stored, cache(&descriptor));
            by_resource.entry(descriptor.resource.clone()).or_default().push(Arc::new(kind));
        }
        Kinds { list: list.into(), by_resource }
    }

    /// The kind of a group, version and resource.
    pub fn find(&self, group: &str, version: &str, resource: &str) -> Option<&Arc<Kind>> {
        let mut candidates = self.by_resource.get(resource)?.iter();
        candidates.find(|k| *k.descriptor.gvk.group == *group && *k.descriptor.gvk.version == *version)
    }

    /// The first version of a group's resource.
    pub fn find_any(&self, group: &str, resource: &str) -> Option<&Arc<Kind>> {
        self.by_resource.get(resource)?.iter().find(|k| *k.descriptor.gvk.group == *group)
    }
}
