//! The actor: services and slices in, rules in the kernel out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Informer, Recorder};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use meta::Key;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::health::Checks;
use super::kernel::Kernel;
use super::plan::{Owner, Plan};
use super::state::Wanted;
use super::{compile, ports};
use crate::api::{OwnPort, PodPorts};
use crate::names::Names;
use crate::nft;

/// The label that names a slice's service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label of services that another proxy serves.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// The label that names a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The label of headless services and of slices that are no proxy's business: neither have rules.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What the proxy needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name.
    pub node: String,
    /// Its zone as far as it is known; empty for none. [`Proxy::run`] follows the node's label.
    pub zone: String,
    /// What the cluster's things are called on the machine.
    pub names: Names,
    /// This node's addresses.
    pub addresses: Vec<IpAddr>,
    /// The cluster's pod range.
    pub cluster_range: Ipv4Net,
    /// The range of service addresses.
    pub service_range: Ipv4Net,
    /// What the node serves itself.
    pub own_ports: Vec<OwnPort>,
}

/// Keeps the kernel's service rules. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    dirty: Mutex<Dirty>,
    changed: Notify,
    kernel: Mutex<Kernel>,
    checks: Checks,
}

/// What has changed, and the little that is needed to find it.
#[derive(Default)]
struct Dirty {
    owners: HashSet<Owner>,
    /// Slices by service, kept by key so that a change costs what the service's slices cost.
    slices: HashMap<Key, BTreeSet<Key>>,
    /// The pods of the node.
    pods: HashMap<String, PodPorts>,
    /// Where the node is.
    zone: String,
}

impl Proxy {
    /// A proxy that has not touched the kernel yet. What services do not get is told by the recorder.
    pub fn new(config: Config, recorder: Recorder) -> Self {
        let checks = Checks::new(&config.node, recorder.clone());
        let dirty = Mutex::new(Dirty { zone: config.zone.clone(), ..Dirty::default() });
        let kernel = Mutex::new(Kernel::new(config, recorder));
        Proxy(Arc::new(Shared { dirty, changed: Notify::new(), kernel, checks }))
    }

    /// Takes in all pods of the node with their host ports.
    pub fn pods(&self, pods: &HashMap<String, PodPorts>) {
        let mut dirty = self.0.lock();
        let all = pods.keys().chain(dirty.pods.keys());
        let changed = all.filter(|uid| pods.get(*uid) != dirty.pods.get(*uid));
        let changed: Vec<Owner> = changed.map(|uid| Owner::Pod(uid.as_str().into())).collect();
        dirty.owners.extend(changed);
        dirty.pods.clone_from(pods);
        drop(dirty);
        self.0.changed.notify_one();
    }

    /// Follows the API until `stop`. Until the first rules are in place, a service's address is refused. Of `nodes` the
    /// own one counts.
    pub async fn run(
        self,
        services: Informer<Service>,
        slices: Informer<EndpointSlice>,
        nodes: Informer<Node>,
        stop: CancellationToken,
    ) {
        self.follow(&services, &slices);
        self.follow_node(&services, &nodes);
        tokio::join!(services.synced(), slices.synced(), nodes.synced());
        let work = async {
            loop {
                self.sync(&services, &slices).await;
                let due = self.0.kernel().due();
                let wait = async {
                    match due {
                        Some(due) => tokio::time::sleep_until(due.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = self.0.changed.notified() => {}
                    () = wait => {}
                }
            }
        };
        stop.run_until_cancelled(work).await;
        self.0.checks.close();
    }

    /// Notes from now on what changes in the informers; [`Proxy::sync`] brings it to the kernel.
    pub fn follow(&self, services: &Informer<Service>, slices: &Informer<EndpointSlice>) {
        let shared = self.0.clone();
        services.on_change(move |change| {
            let key = client::informer::key_of(change.latest().as_ref());
            shared.lock().owners.insert(Owner::Service(key));
            shared.changed.notify_one();
        });
        let shared = self.0.clone();
        slices.on_change(move |change| {
            let mut dirty = shared.lock();
            for (slice, here) in [(&change.old, false), (&change.new, true)] {
                let Some(slice) = slice else { continue };
                let Some(service) = service_of(slice) else { continue };
                let slices = dirty.slices.entry(service.clone()).or_default();
                let key = client::informer::key_of(slice.as_ref());
                if here { slices.insert(key) } else { slices.remove(&key) };
                if slices.is_empty() {
                    dirty.slices.remove(&service);
                }
                dirty.owners.insert(Owner::Service(service));
            }
            drop(dirty);
            shared.changed.notify_one();
        });
    }

    /// Another zone means other endpoints for every service.
    fn follow_node(&self, services: &Informer<Service>, nodes: &Informer<Node>) {
        let (shared, services) = (self.0.clone(), services.clone());
        let name = self.0.kernel().config().node.clone();
        nodes.on_change(move |change| {
            if change.latest().name_any() != name {
                return;
            }
            let zone = change.new.as_ref().and_then(|node| node.labels().get(ZONE)).cloned().unwrap_or_default();
            let mut dirty = shared.lock();
            if dirty.zone != zone {
                dirty.zone = zone;
                dirty.owners.extend(services.snapshot().keys().cloned().map(Owner::Service));
                shared.changed.notify_one();
            }
        });
    }

    /// Brings the kernel up to date; says whether all of it is. What failed is tried again after a while.
    pub async fn sync(&self, services: &Informer<Service>, slices: &Informer<EndpointSlice>) -> bool {
        let (services, slices) = (services.clone(), slices.clone());
        let shared = self.0.clone();
        // The compiler computes and the kernel works while the call blocks.
        let done = tokio::task::spawn_blocking(move || {
            let mut kernel = shared.kernel();
            // Taken under the kernel's lock: two syncs never work off their changes in the wrong order.
            let (owners, zone) = {
                let mut dirty = shared.lock();
                (std::mem::take(&mut dirty.owners), dirty.zone.clone())
            };
            kernel.moved(zone);
            let config = kernel.config().clone();
            kernel.sync(owners, |owner| shared.wanted(&config, &services, &slices, owner), |key| services.get(key))
        });
        match done.await {
            Ok(synced) => {
                self.0.checks.change(synced.health, synced.healthy).await;
                synced.whole
            }
            Err(error) => {
                tracing::error!(%error, "the service rules could not be made");
                self.0.checks.change(Vec::new(), false).await;
                false
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an owner wants now.
    fn wanted(
        &self,
        config: &Config,
        services: &Informer<Service>,
        slices: &Informer<EndpointSlice>,
        owner: &Owner,
    ) -> Option<Wanted> {
        match owner {
            Owner::Pod(uid) => {
                let pod = self.lock().pods.get(&**uid).cloned()?;
                let plan = Plan::Pod(ports::compile(&pod, &config.own_ports));
                Some(Wanted { plan, since: pod.since, health: None, excess: None })
            }
            Owner::Service(key) => {
                let service = services.get(key).filter(|s| ours(s))?;
                let keys = self.lock().slices.get(key).cloned().unwrap_or_default();
                let slices: Vec<_> = keys.iter().filter_map(|key| slices.get(key)).collect();
                let compiled = compile::compile(config, &service, &slices);
                let created = service.metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_nanosecond());
                let (health, excess) = (compiled.health, compiled.excess);
                Some(Wanted { plan: Plan::Service(compiled.ports), since: created, health, excess })
            }
        }
    }
}

/// Removes all rules; says in words what was removed. Blocks for a moment.
pub fn teardown(names: &Names) -> crate::api::Result<Vec<String>> {
    match nft::remove(names.services()) {
        Ok(true) => Ok(vec![format!("nftables table ip {}", names.table)]),
        Ok(false) => Ok(Vec::new()),
        Err(e) => Err(crate::link::failed("remove the nftables table", e)),
    }
}

/// The service that a slice has endpoints for, if they are for a proxy.
fn service_of(slice: &EndpointSlice) -> Option<Key> {
    if slice.labels().contains_key(HEADLESS) {
        return None;
    }
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), slice.labels().get(SERVICE_NAME)?))
}

fn ours(service: &Service) -> bool {
    !service.labels().contains_key(OTHER_PROXY) && !service.labels().contains_key(HEADLESS)
}
