//! The registry as its callers see it: one method a verb.

use std::sync::Arc;

use admission::Plugin;
use kinds::Descriptor;
use meta::{Attributes, Encoded, Object, Status};
use store::Store;

use crate::api::{Call, DeleteOptions, Deleted, List, ListOptions, Patch, Scope, WatchOptions, WatchStream, Written};

/// What differs between clusters.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where cluster IPs come from.
    pub service_cidr: ipnet::IpNet,
    /// Where node ports come from.
    pub node_ports: std::ops::RangeInclusive<u16>,
}

impl Default for Config {
    fn default() -> Self {
        let service_cidr = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12).into();
        Config { service_cidr, node_ports: 30000..=32767 }
    }
}

/// All objects of all kinds. Shared by `Arc`. Every method is about the resource, namespace, name
/// and subresource that its attributes name; an empty subresource means the object itself.
pub struct Registry {
    _p: (),
}

#[allow(unused_variables, clippy::unused_async)]
impl Registry {
    /// Loads the watch cache and starts to follow the store.
    pub async fn open(
        store: Arc<dyn Store>,
        kinds: Vec<Descriptor>,
        plugins: Vec<Arc<dyn Plugin>>,
        config: Config,
    ) -> Result<Arc<Registry>, store::Error> {
        Ok(Arc::new(Registry { _p: () }))
    }

    /// The served kinds as of now, in the order of the list (added ones last).
    pub fn kinds(&self) -> Arc<[Descriptor]> {
        Arc::new([])
    }

    /// The kind that serves the resource, if any.
    pub fn kind(&self, group: &str, version: &str, resource: &str) -> Option<Arc<Descriptor>> {
        None
    }

    /// Serves one more kind, or replaces the one with the same group, version and resource.
    pub fn add_kind(&self, descriptor: Descriptor) {}

    /// Ends serving a kind. Its stored objects stay.
    pub fn remove_kind(&self, group: &str, version: &str, resource: &str) {}

    /// One object as it is now (or its `scale`). `resource_version` as in the query: a future one is refused.
    pub async fn get(&self, attributes: &Attributes, resource_version: &str) -> Result<Arc<Encoded>, Status> {
        Err(Status::internal("registry"))
    }

    /// One page of a list.
    pub async fn list(&self, attributes: &Attributes, scope: &Scope, options: &ListOptions) -> Result<List, Status> {
        Err(Status::internal("registry"))
    }

    /// Changes as they happen. An error before the first frame is returned here, a later one is the last frame.
    pub async fn watch(
        &self,
        attributes: &Attributes,
        scope: Scope,
        options: WatchOptions,
    ) -> Result<WatchStream, Status> {
        Err(Status::internal("registry"))
    }

    /// Creates an object, or posts to a subresource (`binding`, `eviction`).
    pub async fn create(&self, call: &Call, object: Object) -> Result<Written, Status> {
        Err(Status::internal("registry"))
    }

    /// Replaces an object (`status`, `scale`, `finalize`: that part of it).
    pub async fn update(&self, call: &Call, object: Object) -> Result<Written, Status> {
        Err(Status::internal("registry"))
    }

    /// Changes an object or a subresource by a patch.
    pub async fn patch(&self, call: &Call, patch: Patch) -> Result<Written, Status> {
        Err(Status::internal("registry"))
    }

    /// Deletes an object, or marks it for deletion.
    pub async fn delete(&self, call: &Call, options: DeleteOptions) -> Result<Deleted, Status> {
        Err(Status::internal("registry"))
    }

    /// Deletes what is selected; answers with the list of it.
    pub async fn delete_collection(
        &self,
        call: &Call,
        scope: &Scope,
        list: &ListOptions,
        options: DeleteOptions,
    ) -> Result<List, Status> {
        Err(Status::internal("registry"))
    }
}

/// Plug-ins read other objects from the watch cache.
#[async_trait::async_trait]
#[allow(unused_variables)]
impl admission::Lookup for Registry {
    async fn get(&self, group: &str, resource: &str, key: &meta::Key) -> Result<Option<Object>, Status> {
        Ok(None)
    }

    async fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<Vec<Object>, Status> {
        Ok(Vec::new())
    }
}
