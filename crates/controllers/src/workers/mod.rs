//! Workers: what cannot be a pure decision about known kinds, because it works on all resources there
//! are, or must ask the API before each act. A short list.

pub mod apiserver_endpoints;
pub mod garbage;
pub mod namespace;
pub mod rest;
pub mod service_addresses;
pub mod system_namespaces;

use client::Hub;
use futures::future::BoxFuture;

use crate::frame::Permission;

/// What a worker is given.
#[derive(Clone)]
pub struct Context {
    /// Acts under the worker's own identity.
    pub client: kube::Client,
    /// The shared informers.
    pub hub: Hub,
    /// The addresses of the API server, for the workers that are its own.
    pub server: Option<apiserver_endpoints::Server>,
}

/// One worker.
pub struct Worker {
    /// Upstream's name of its ServiceAccount.
    pub name: &'static str,
    /// The identity to act under, if it is not that of a controller.
    pub user: Option<&'static str>,
    /// What it may do.
    pub permissions: &'static [Permission],
    /// Runs it until dropped.
    pub run: fn(Context) -> BoxFuture<'static, ()>,
}

/// Who the API server is to itself.
const API_SERVER: &str = "system:apiserver";

impl Worker {
    /// Whether it is the API server's own business: it runs where that runs, beside whatever controllers.
    pub fn is_the_servers(&self) -> bool {
        self.user == Some(API_SERVER)
    }
}

/// The list.
pub static WORKERS: &[&Worker] =
    &[&namespace::WORKER, &garbage::WORKER, &apiserver_endpoints::WORKER, &service_addresses::WORKER, &system_namespaces::WORKER];
