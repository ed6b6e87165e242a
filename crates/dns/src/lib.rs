//! Cluster DNS, answered from the watch cache: no pod, no copy of the records.
//!
//! Place in the straight line: an actor: `informer → answer`.
//!
//! Invariants:
//! - [`zone::answer`] is pure: a question and the services give records;
//! - names outside of the cluster's domain go to the machine's own name servers, unchanged;
//! - names inside never leave the machine;
//! - who asks about the cluster waits for nobody who asks about the rest of the world or holds connections open.
//!
//! Must not know: the store, how packets reach the server.

mod answer;
mod forward;
#[doc(hidden)]
pub mod fuzzed;
mod limits;
mod queue;
mod serve;
pub mod world;
pub mod zone;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use client::Hub;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio_util::sync::CancellationToken;

/// What the server must be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Domain of the cluster, without a dot at either end.
    pub domain: String,
    /// Address to listen at, UDP and TCP.
    pub address: Ipv4Addr,
    /// Port to listen at.
    pub port: u16,
    /// Name servers of the machine are read from here, anew when it changes.
    pub resolv_conf: PathBuf,
}

/// Serves until `stop`. An error means that the address could not be had, or that serving ended by itself.
pub async fn run(hub: Hub, config: Config, stop: CancellationToken) -> std::io::Result<()> {
    let world = world::World::follow(&hub.informer::<Service>(), &hub.informer::<EndpointSlice>());
    let server = serve::Server::bind(config, world).await?;
    stop.run_until_cancelled(server.run()).await.map_or(Ok(()), Err)
}
