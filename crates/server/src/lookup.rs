//! Authentication reads other objects through the registry.

use std::sync::Arc;

use async_trait::async_trait;
use meta::{Key, Object, Status};
use registry::Registry;

/// The registry's objects, for authenticators and token issuing.
#[derive(Clone)]
pub struct Objects(pub Arc<Registry>);

#[async_trait]
impl auth::Lookup for Objects {
    async fn get(&self, group: &str, resource: &str, key: &Key) -> Result<Option<Arc<Object>>, Status> {
        admission::Lookup::get(&*self.0, group, resource, key).await
    }

    async fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        admission::Lookup::list(&*self.0, group, resource, namespace).await
    }
}
