//! Reading other objects.

use std::sync::Arc;

use async_trait::async_trait;
use meta::{Key, Object, Status};

/// Reads other objects, from the watch cache.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// One object of a resource in the core or a named group, as of now.
    async fn get(&self, group: &str, resource: &str, key: &Key) -> Result<Option<Arc<Object>>, Status>;
    /// All objects of a resource, optionally of one namespace.
    async fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<Vec<Arc<Object>>, Status>;
}
