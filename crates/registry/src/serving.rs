//! Which kinds there are: the one entrance for built-in kinds and for those that definitions make.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use kinds::Descriptor;

use crate::cache::Cache;
use crate::codec::{Converter, Stored};
use crate::kind::Kinds;
use crate::registry::Registry;

impl Registry {
    /// Serves exactly these kinds from now on.
    pub(crate) async fn set_kinds(&self, list: Vec<Descriptor>) -> Result<(), store::Error> {
        let mut fresh: HashMap<Arc<str>, Arc<Cache>> = HashMap::new();
        let kinds = Kinds::new(list, &self.warm, |versions| {
            let descriptor = versions.first().unwrap_or_else(|| unreachable!("a prefix is of a kind"));
            // A definition that changed has another cache: what was made by the old rules goes with the old one.
            let known = self.feed.cache(&descriptor.storage).filter(|cache| cache.codec.follows(&descriptor.rules));
            let converter = || Converter::new(versions, &self.warm, &self.calls);
            let make = || Cache::new(descriptor, Stored::new(descriptor, self.warm.clone()), converter());
            let new = || fresh.entry(descriptor.storage.clone()).or_insert_with(make).clone();
            known.unwrap_or_else(new)
        });
        let mut replaced = Vec::new();
        for cache in fresh.into_values() {
            replaced.extend(self.feed.cache(&cache.prefix));
            self.feed.add(cache.clone());
            cache.load(&*self.store).await?;
        }
        *self.kinds.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(kinds);
        replaced.iter().for_each(|cache| cache.disconnect());
        Ok(())
    }

    /// Serves one more kind, or replaces the one with the same group, version and resource.
    pub async fn add_kind(&self, descriptor: Descriptor) -> Result<(), store::Error> {
        let _one = self.changing.lock().await;
        let mut list = self.served().all.to_vec();
        match list.iter_mut().find(|d| d.gvr() == descriptor.gvr()) {
            Some(known) => *known = descriptor,
            None => list.push(descriptor),
        }
        self.set_kinds(list).await
    }

    /// Serves other kinds under some storage prefixes: for each all versions, the stored one first, or none any more. Kinds
    /// that a prefix has had so far are replaced, and watches of what changed or is gone end.
    pub async fn serve(&self, changes: Vec<(Arc<str>, Vec<Descriptor>)>) -> Result<(), store::Error> {
        let _one = self.changing.lock().await;
        let mut gone = Vec::new();
        let mut list: Vec<Descriptor> = Vec::new();
        let mut changed = HashSet::new();
        for (prefix, descriptors) in &changes {
            changed.insert(prefix.clone());
            if descriptors.is_empty() {
                gone.extend(self.feed.cache(prefix));
            }
        }
        list.extend(self.served().all.iter().filter(|d| !changed.contains(&d.storage)).cloned());
        list.extend(changes.into_iter().flat_map(|(_, descriptors)| descriptors));
        self.set_kinds(list).await?;
        for cache in gone {
            self.feed.remove(&cache.prefix);
            cache.disconnect();
        }
        Ok(())
    }

    /// Ends serving a kind, and its watches. Its stored objects stay.
    pub async fn remove_kind(&self, group: &str, version: &str, resource: &str) -> Result<(), store::Error> {
        let _one = self.changing.lock().await;
        let is = |d: &Descriptor| *d.gvk.group == *group && *d.gvk.version == *version && *d.resource == *resource;
        let (gone, left): (Vec<_>, Vec<_>) = self.served().all.iter().cloned().partition(is);
        let unused: Vec<_> = gone.iter().filter(|g| left.iter().all(|d| d.storage != g.storage)).collect();
        let caches: Vec<_> = unused.iter().filter_map(|d| self.feed.cache(&d.storage)).collect();
        self.set_kinds(left).await?;
        for cache in caches {
            self.feed.remove(&cache.prefix);
            cache.disconnect();
        }
        Ok(())
    }
}
