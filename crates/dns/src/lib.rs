//! Cluster DNS, answered from the watch cache: no pod, no copy of the records.
//!
//! Place in the straight line: an actor: `informer → answer`.
//!
//! Invariants:
//! - [`zone::answer`] is pure: a question and the services give records;
//! - what is done with a question is what the Corefile says: all that it says, or it is refused as a whole;
//! - names inside of the cluster never leave the machine unless the Corefile says so;
//! - who asks about the cluster waits for nobody who asks about the rest of the world or holds connections open.
//!
//! Must not know: the store, how packets reach the server.

mod batch;
mod corefile;
#[doc(hidden)]
pub mod fuzzed;
mod http;
#[cfg(test)]
mod kit;
mod limits;
mod live;
mod message;
mod metrics;
mod names;
mod packets;
mod plan;
mod queue;
mod resolver;
mod respond;
mod serve;
mod step;
mod steps;
pub mod world;
pub mod zone;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use client::{Hub, Informer, Recorder};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
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

/// What the server follows.
pub struct Sources {
    /// All services.
    pub services: Informer<Service>,
    /// All endpoint slices.
    pub slices: Informer<EndpointSlice>,
    /// All namespaces.
    pub namespaces: Informer<Namespace>,
    /// The ConfigMap with the Corefile, and no other.
    pub maps: Informer<ConfigMap>,
    /// The ConfigMap with what it imports.
    pub custom: Informer<ConfigMap>,
    /// Makes the informer of all pods, if a Corefile asks for it.
    pub pods: Box<dyn Fn() -> Informer<Pod> + Send + Sync>,
}

impl Sources {
    /// Those of a hub.
    pub fn of(hub: Hub) -> Self {
        Sources {
            services: hub.informer(),
            slices: hub.informer(),
            namespaces: hub.informer(),
            maps: hub.named(live::NAMESPACE, live::NAME),
            custom: hub.named(live::NAMESPACE, live::CUSTOM),
            pods: Box::new(move || hub.informer()),
        }
    }
}

/// Serves until `stop`. An error means that the address could not be had, or that serving ended by itself.
pub async fn run(sources: Sources, config: Config, events: Recorder, stop: CancellationToken) -> std::io::Result<()> {
    let Sources { services, slices, namespaces, maps, custom, pods } = sources;
    let world = world::World::follow(&services, &slices, &namespaces);
    // Pods are followed from the first Corefile on that asks for them.
    let once = std::sync::Once::new();
    let environment = steps::Environment {
        world,
        synced: Arc::new(move || services.is_synced() && slices.is_synced() && namespaces.is_synced()),
        pods: Arc::new(move |world| once.call_once(|| world.follow_pods(&pods()))),
        address: IpAddr::V4(config.address),
        port: config.port,
        resolv_conf: config.resolv_conf,
        upstream_port: 53,
        metrics: Arc::default(),
    };
    let live = live::Live::start(environment, config.domain, events).await?;
    stop.run_until_cancelled(live.follow(&maps, &custom)).await.map_or(Ok(()), Err)
}
