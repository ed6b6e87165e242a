//! The actor: services and slices in, rules in the kernel out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::Informer;
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use meta::Key;
use tokio::sync::Notify;

use super::{base, compile, ports, udp};
use crate::api::HostPort;
use crate::conntrack;
use crate::nft::{self, Part, Table};

/// The label that names a slice's service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label of services that another proxy serves.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// The label of headless services, which have no rules.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What the proxy needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name.
    pub node: String,
    /// The cluster's pod range.
    pub cluster_range: Ipv4Net,
    /// The range of service addresses.
    pub service_range: Ipv4Net,
}

/// Keeps the kernel's service rules. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    config: Config,
    dirty: Mutex<Dirty>,
    changed: Notify,
    table: Mutex<Table>,
    udp: Mutex<udp::Known>,
}

#[derive(Default)]
struct Dirty {
    services: HashSet<Key>,
    /// Slices by service, kept by key so that a change costs what the service's slices cost.
    slices: HashMap<Key, BTreeSet<Key>>,
    pods: HashMap<String, Part>,
    /// Pods that have a part.
    with_ports: HashSet<String>,
}

impl Proxy {
    /// A proxy that has not touched the kernel yet.
    pub fn new(config: Config) -> Self {
        let table = Mutex::new(Table::new(base::base(&config)));
        Proxy(Arc::new(Shared { config, dirty: Mutex::default(), changed: Notify::new(), table, udp: Mutex::default() }))
    }

    /// Takes in the host ports of all pods of the node.
    pub fn host_ports(&self, pods: &HashMap<String, (Ipv4Addr, Vec<HostPort>)>) {
        let mut dirty = self.0.lock();
        let gone: Vec<String> = dirty.with_ports.iter().filter(|uid| !pods.contains_key(*uid)).cloned().collect();
        for uid in gone {
            dirty.with_ports.remove(&uid);
            dirty.pods.insert(uid, Part::default());
        }
        for (uid, (address, list)) in pods.iter().filter(|(_, (_, list))| !list.is_empty()) {
            if dirty.with_ports.insert(uid.clone()) {
                dirty.pods.insert(uid.clone(), ports::compile(uid, *address, list));
            }
        }
        drop(dirty);
        self.0.changed.notify_one();
    }

    /// Follows the API until `stop`. Until the first rules are in place, a service's address is refused.
    pub async fn run(
        self,
        services: Informer<Service>,
        slices: Informer<EndpointSlice>,
        stop: tokio_util::sync::CancellationToken,
    ) {
        self.follow(&services, &slices);
        tokio::join!(services.synced(), slices.synced());
        let work = async {
            loop {
                self.sync(&services, &slices).await;
                self.0.changed.notified().await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Notes from now on what changes in the informers; [`Proxy::sync`] brings it to the kernel.
    pub fn follow(&self, services: &Informer<Service>, slices: &Informer<EndpointSlice>) {
        let shared = self.0.clone();
        services.on_change(move |change| {
            shared.lock().services.insert(client::informer::key_of(change.latest().as_ref()));
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
                dirty.services.insert(service);
            }
            drop(dirty);
            shared.changed.notify_one();
        });
    }

    /// Brings the kernel up to date; says whether it is. After a failure everything is tried again with the next change.
    pub async fn sync(&self, services: &Informer<Service>, slices: &Informer<EndpointSlice>) -> bool {
        let (keys, pods, slice_keys) = {
            let mut dirty = self.0.lock();
            let keys = std::mem::take(&mut dirty.services);
            let of = |key: &Key| dirty.slices.get(key).cloned().unwrap_or_default();
            let slice_keys: HashMap<Key, BTreeSet<Key>> = keys.iter().map(|k| (k.clone(), of(k))).collect();
            (keys, std::mem::take(&mut dirty.pods), slice_keys)
        };
        let mut changes: Vec<(String, Part)> = pods.into_iter().map(|(uid, part)| (format!("pod {uid}"), part)).collect();
        let mut lost = HashMap::new();
        for key in keys {
            let of_service: Vec<_> = slice_keys[&key].iter().filter_map(|k| slices.get(k)).collect();
            let service = services.get(&key).filter(|s| ours(s));
            let ways = service.as_ref().map(|s| udp::ways(&self.0.config, s, &of_service)).unwrap_or_default();
            lost.extend(self.0.udp.lock().unwrap_or_else(PoisonError::into_inner).take(&key, ways));
            let part = service.map(|s| compile::compile(&self.0.config, &s, &of_service)).unwrap_or_default();
            changes.push((format!("service {key}"), part));
        }
        let shared = self.0.clone();
        let count = changes.len();
        // The kernel works while the call blocks.
        let done = tokio::task::spawn_blocking(move || {
            shared.table.lock().unwrap_or_else(PoisonError::into_inner).change(changes)?;
            shared.forget(&lost);
            Ok::<(), std::io::Error>(())
        });
        match done.await {
            Ok(Ok(())) => {
                tracing::debug!(count, "service rules changed");
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the kernel refused the service rules");
                false
            }
            Err(error) => {
                tracing::error!(%error, "the service rules could not be made");
                false
            }
        }
    }
}

impl Shared {
    /// Once new packets go the new way, the old way is forgotten.
    fn forget(&self, lost: &HashMap<udp::Way, BTreeSet<(Ipv4Addr, u16)>>) {
        if lost.is_empty() {
            return;
        }
        match conntrack::forget(|flow| udp::is_stale(flow, lost, self.config.cluster_range)) {
            Ok(count) => tracing::debug!(count, "UDP flows forgotten"),
            Err(error) => tracing::warn!(%error, "UDP flows to endpoints that are gone may last"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes all rules; says in words what was removed. Blocks for a moment.
pub fn teardown() -> crate::api::Result<Vec<String>> {
    match nft::remove() {
        Ok(true) => Ok(vec![format!("nftables table ip {}", nft::TABLE)]),
        Ok(false) => Ok(Vec::new()),
        Err(e) => Err(crate::link::failed("remove the nftables table", e)),
    }
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), slice.labels().get(SERVICE_NAME)?))
}

fn ours(service: &Service) -> bool {
    !service.labels().contains_key(OTHER_PROXY) && !service.labels().contains_key(HEADLESS)
}
