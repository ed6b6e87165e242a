//! How plug-ins read other objects: out of the watch cache, without waiting.

use admission::Lookup;
use async_trait::async_trait;
use meta::{Key, Object, Status};

use crate::kind;
use crate::registry::Registry;

#[async_trait]
impl Lookup for Registry {
    async fn get(&self, group: &str, resource: &str, key: &Key) -> Result<Option<Object>, Status> {
        let Some(kind) = self.any_version(group, resource) else { return Ok(None) };
        if let Some(found) = kind.cache.get(key) {
            return kind.present(&found).and_then(|o| kind::parse(&o.json)).map(Some);
        }
        // It may have been created just now: the caller must not be refused what it has seen acknowledged.
        let stored = self.read(&kind.store_key(&key.namespace, &key.name)).await?;
        stored.map(|entry| kind.object(&entry)).transpose()
    }

    async fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<Vec<Object>, Status> {
        let Some(kind) = self.any_version(group, resource) else { return Ok(Vec::new()) };
        kind.cache.loaded().await;
        let (objects, _) = kind.cache.snapshot();
        let wanted = objects.values().filter(|o| namespace.is_none_or(|n| *o.key.namespace == *n));
        wanted.map(|o| kind.present(o).and_then(|o| kind::parse(&o.json))).collect()
    }
}
