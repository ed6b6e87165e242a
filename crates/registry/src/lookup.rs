//! How plug-ins read other objects: out of the watch cache where that has everything that was acknowledged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use admission::Lookup;
use async_trait::async_trait;
use meta::{Encoded, Key, Object, Status};

use crate::kind::Kind;
use crate::long;
use crate::registry::Registry;

/// Objects that are kept read.
const KEPT: usize = 64;

/// What plug-ins have looked at lately, by revision, which is one write's alone: every pod created asks for the same
/// namespace, account and priority classes.
#[derive(Default)]
pub(crate) struct Recent(Mutex<HashMap<u64, Arc<Object>>>);

impl Recent {
    fn read(&self, kind: &Kind, encoded: &Arc<Encoded>) -> Result<Arc<Object>, Status> {
        if kind.converts() || kind.converter().is_some() {
            // One revision, several forms.
            return Ok(Arc::new(encoded.object()?));
        }
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&encoded.revision) {
            return Ok(known.clone());
        }
        let object = Arc::new(encoded.object()?);
        let mut all = lock();
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(encoded.revision, object.clone());
        Ok(object)
    }
}

#[async_trait]
impl Lookup for Registry {
    async fn get(&self, group: &str, resource: &str, key: &Key) -> Result<Option<Arc<Object>>, Status> {
        let Some(kind) = self.any_version(group, resource) else { return Ok(None) };
        if let Some(found) = self.current(&kind, &key.namespace, &key.name) {
            return self.recent().read(&kind, &kind.present(&found).await?).map(Some);
        }
        // Its last change may be one of just now: the caller must not be judged by what was before that.
        let Some(entry) = self.read(&kind.store_key(&key.namespace, &key.name)).await? else { return Ok(None) };
        self.recent().read(&kind, &kind.encoded(&entry).await?).map(Some)
    }

    async fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        let Some(kind) = self.any_version(group, resource) else { return Ok(Vec::new()) };
        kind.cache.loaded().await;
        // A feed that has ended says so elsewhere; what it has is the best that there is.
        self.feed.reach(self.store.revision()).await;
        let (objects, _) = kind.cache.snapshot();
        let wanted = objects.values().filter(|o| namespace.is_none_or(|n| *o.key.namespace == *n)).cloned();
        let wanted = kind.present_all(&wanted.collect::<Vec<_>>()).await?;
        let read = |one: &Arc<Encoded>| self.recent().read(&kind, one);
        // There may be thousands of them: others do not wait until they are read.
        let bytes = wanted.iter().map(|one| one.stored().len()).sum();
        long::steps(bytes, || wanted.iter().map(read).collect())
    }
}
