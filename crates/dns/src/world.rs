//! Services and endpoint slices, by what questions ask for.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Change, Informer};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use meta::Key;

/// The label that names a slice's service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A view that follows the informers. Cheap to clone.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

/// Everything by name and by address.
#[derive(Default)]
pub struct State {
    services: HashMap<Key, Arc<Service>>,
    /// How many services each namespace has.
    namespaces: HashMap<Arc<str>, usize>,
    slices: HashMap<Key, BTreeMap<Key, Arc<EndpointSlice>>>,
    /// Services by cluster address.
    addresses: HashMap<Ipv4Addr, Key>,
    /// Services by the address of an endpoint.
    endpoints: HashMap<Ipv4Addr, Vec<Key>>,
}

/// One endpoint of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// First label of its name: its host name, or its address with dashes.
    pub host: String,
    /// (name, protocol in lower case, number).
    pub ports: Vec<(String, String, u16)>,
}

impl World {
    /// Follows two informers from now on.
    pub fn follow(services: &Informer<Service>, slices: &Informer<EndpointSlice>) -> Self {
        let world = World::default();
        let state = world.clone();
        services.on_change(move |change| state.lock().service_changed(change));
        let state = world.clone();
        slices.on_change(move |change| state.lock().slice_changed(change));
        world
    }

    /// The state as it is now; held for one answer, never over an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        self.services.get(&Key::new(namespace, name))
    }

    /// Whether any service lives in the namespace.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// The service that has this cluster address.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<&Key> {
        self.addresses.get(&address)
    }

    /// The services that have this endpoint.
    pub fn by_endpoint(&self, address: Ipv4Addr) -> &[Key] {
        self.endpoints.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Ready endpoints of a service, or all if it publishes those that are not ready, in order of address.
    pub fn endpoints(&self, key: &Key) -> Vec<Endpoint> {
        let spec = self.services.get(key).and_then(|s| s.spec.as_ref());
        let all = spec.and_then(|s| s.publish_not_ready_addresses).unwrap_or(false);
        let mut found: BTreeMap<Ipv4Addr, Endpoint> = BTreeMap::new();
        for slice in self.slices.get(key).into_iter().flat_map(BTreeMap::values) {
            let ports: Vec<_> = slice.ports.iter().flatten().filter_map(port).collect();
            for endpoint in slice.endpoints.iter().flatten() {
                let ready = endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
                for address in endpoint.addresses.iter().filter(|_| ready || all).filter_map(|a| a.parse().ok()) {
                    let host = endpoint.hostname.clone().filter(|h| !h.is_empty()).unwrap_or_else(|| dashed(address));
                    let new = || Endpoint { address, host, ports: Vec::new() };
                    found.entry(address).or_insert_with(new).ports.extend(ports.iter().cloned());
                }
            }
        }
        found.into_values().collect()
    }

    fn service_changed(&mut self, change: &Change<Service>) {
        if let Some(old) = &change.old {
            let key = client::informer::key_of(old.as_ref());
            if self.services.remove(&key).is_some() {
                self.leave(&key.namespace);
            }
            cluster_ip(old).map(|ip| self.addresses.remove(&ip));
        }
        if let Some(new) = &change.new {
            let key = client::informer::key_of(new.as_ref());
            cluster_ip(new).map(|ip| self.addresses.insert(ip, key.clone()));
            let namespace = key.namespace.clone();
            if self.services.insert(key, new.clone()).is_none() {
                *self.namespaces.entry(namespace).or_default() += 1;
            }
        }
    }

    /// A namespace has one service less.
    fn leave(&mut self, namespace: &str) {
        let left = self.namespaces.get_mut(namespace).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            self.namespaces.remove(namespace);
        }
    }

    fn slice_changed(&mut self, change: &Change<EndpointSlice>) {
        if let Some((service, old)) = change.old.as_ref().and_then(|s| Some((service_of(s)?, s))) {
            let key = client::informer::key_of(old.as_ref());
            self.slices.get_mut(&service).map(|slices| slices.remove(&key));
            for address in addresses(old) {
                let left = self.endpoints.get_mut(&address).map(|keys| {
                    keys.iter().position(|k| *k == service).map(|at| keys.remove(at));
                    keys.len()
                });
                if left == Some(0) {
                    self.endpoints.remove(&address);
                }
            }
        }
        if let Some((service, new)) = change.new.as_ref().and_then(|s| Some((service_of(s)?, s))) {
            for address in addresses(new) {
                self.endpoints.entry(address).or_default().push(service.clone());
            }
            let key = client::informer::key_of(new.as_ref());
            self.slices.entry(service).or_default().insert(key, new.clone());
        }
    }
}

/// The service's own address, if it has one.
pub fn cluster_ip(service: &Service) -> Option<Ipv4Addr> {
    service.spec.as_ref()?.cluster_ip.as_deref()?.parse().ok()
}

/// `10-244-0-5`: how an endpoint or pod without a host name is called.
pub fn dashed(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}

fn addresses(slice: &EndpointSlice) -> impl Iterator<Item = Ipv4Addr> + '_ {
    slice.endpoints.iter().flatten().flat_map(|e| &e.addresses).filter_map(|a| a.parse().ok())
}

fn port(port: &k8s_openapi::api::discovery::v1::EndpointPort) -> Option<(String, String, u16)> {
    let number = u16::try_from(port.port?).ok()?;
    let protocol = port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase();
    Some((port.name.clone().unwrap_or_default(), protocol, number))
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), name))
}
