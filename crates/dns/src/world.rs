//! Services, endpoint slices, namespaces and pods, by what questions ask for.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use meta::Key;

/// The label that names a slice's service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A view that follows the informers. Cheap to clone.
#[derive(Clone, Default)]
pub struct World(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    version: AtomicU64,
}

/// Everything by name and by address.
#[derive(Default)]
pub struct State {
    services: HashMap<Key, Arc<Service>>,
    namespaces: HashMap<String, Arc<Namespace>>,
    slices: HashMap<Key, BTreeMap<Key, Arc<EndpointSlice>>>,
    /// Services by cluster address.
    addresses: HashMap<IpAddr, Key>,
    /// Services by the address of an endpoint, once for each endpoint that has it.
    endpoints: HashMap<IpAddr, Vec<Key>>,
    /// Pods by their addresses.
    pods: HashMap<IpAddr, Vec<Key>>,
    /// Seconds since 1970 at which something changed last.
    modified: u32,
}

/// One endpoint of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its own host name, if it has one.
    pub hostname: Option<String>,
    /// The object it stands for, a pod.
    pub target: Option<String>,
    /// Its ports; one without a number where the slice has none.
    pub ports: Vec<Port>,
}

/// A port of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its name, empty if it has none.
    pub name: String,
    /// Its protocol in lower case.
    pub protocol: String,
    /// Its number; `None` where no ports are declared.
    pub number: Option<u16>,
}

impl World {
    /// Follows the informers from now on.
    pub fn follow(
        services: &Informer<Service>,
        slices: &Informer<EndpointSlice>,
        namespaces: &Informer<Namespace>,
    ) -> Self {
        let world = World::default();
        world.follow_services(services);
        let state = world.clone();
        slices.on_change(move |change| state.change(|s| s.slice_changed(change)));
        let state = world.clone();
        namespaces.on_change(move |change| state.change(|s| s.namespace_changed(change)));
        world
    }

    pub(crate) fn follow_services(&self, services: &Informer<Service>) {
        let state = self.clone();
        services.on_change(move |change| state.change(|s| s.service_changed(change)));
    }

    /// Follows pods, too: only names of the form `pods verified` need them.
    pub fn follow_pods(&self, pods: &Informer<Pod>) {
        let state = self.clone();
        pods.on_change(move |change| state.change(|s| s.pod_changed(change)));
    }

    /// The state as it is now; held for one answer, never over an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that is another one after every change.
    pub(crate) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    fn change(&self, with: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        with(&mut state);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        state.modified = u32::try_from(now).unwrap_or(u32::MAX);
        // Under the lock: who has seen the new number sees the new state.
        self.0.version.fetch_add(1, Ordering::Release);
    }
}

impl State {
    /// One service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        self.services.get(&Key::new(namespace, name))
    }

    /// A namespace, whatever is in it.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// The service that has this cluster address.
    pub fn by_address(&self, address: IpAddr) -> Option<&Key> {
        self.addresses.get(&address)
    }

    /// The services that have this endpoint.
    pub fn by_endpoint(&self, address: IpAddr) -> &[Key] {
        self.endpoints.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether a pod of the namespace has this address.
    pub fn has_pod(&self, namespace: &str, address: IpAddr) -> bool {
        self.pods_at(address).iter().any(|key| *key.namespace == *namespace)
    }

    /// The pods that have this address, if pods are followed.
    pub fn pods_at(&self, address: IpAddr) -> &[Key] {
        self.pods.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Seconds since 1970 at which something changed last: the serial number of the zone.
    pub fn modified(&self) -> u32 {
        self.modified
    }

    /// Ready endpoints of a service, or all if it publishes those that are not ready, in order of address.
    pub fn endpoints(&self, key: &Key) -> Vec<Endpoint> {
        let spec = self.services.get(key).and_then(|s| s.spec.as_ref());
        let all = spec.and_then(|s| s.publish_not_ready_addresses).unwrap_or(false);
        let mut found: BTreeMap<(IpAddr, Option<String>, Option<String>), Vec<Port>> = BTreeMap::new();
        for slice in self.slices.get(key).into_iter().flat_map(BTreeMap::values) {
            let ports = ports(slice);
            for endpoint in slice.endpoints.iter().flatten() {
                let ready = endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
                let hostname = endpoint.hostname.clone().filter(|h| !h.is_empty());
                let target = endpoint.target_ref.as_ref().and_then(|t| t.name.clone());
                // A longer one is no label.
                let target = target.filter(|t| (1..=meta::limits::LABEL).contains(&t.len()));
                for address in endpoint.addresses.iter().filter(|_| ready || all).filter_map(|a| a.parse().ok()) {
                    found.entry((address, hostname.clone(), target.clone())).or_default().extend(ports.iter().cloned());
                }
            }
        }
        let endpoint = |((address, hostname, target), ports)| Endpoint { address, hostname, target, ports };
        found.into_iter().map(endpoint).collect()
    }

    fn service_changed(&mut self, change: &Change<Service>) {
        if let Some(old) = &change.old {
            let key = client::informer::key_of(old.as_ref());
            for address in cluster_ips(old) {
                // It may be another's by now.
                if self.addresses.get(&address) == Some(&key) {
                    self.addresses.remove(&address);
                }
            }
            self.services.remove(&key);
        }
        if let Some(new) = &change.new {
            let key = client::informer::key_of(new.as_ref());
            self.addresses.extend(cluster_ips(new).map(|address| (address, key.clone())));
            self.services.insert(key, new.clone());
        }
    }

    fn namespace_changed(&mut self, change: &Change<Namespace>) {
        let name = change.latest().metadata.name.clone().unwrap_or_default();
        match &change.new {
            Some(new) => self.namespaces.insert(name, new.clone()),
            None => self.namespaces.remove(&name),
        };
    }

    fn slice_changed(&mut self, change: &Change<EndpointSlice>) {
        if let Some((service, old)) = change.old.as_ref().and_then(|s| Some((service_of(s)?, s))) {
            let key = client::informer::key_of(old.as_ref());
            if let Some(slices) = self.slices.get_mut(&service) {
                slices.remove(&key);
                if slices.is_empty() {
                    self.slices.remove(&service);
                }
            }
            addresses(old).for_each(|address| leave(&mut self.endpoints, address, &service));
        }
        if let Some((service, new)) = change.new.as_ref().and_then(|s| Some((service_of(s)?, s))) {
            for address in addresses(new) {
                self.endpoints.entry(address).or_default().push(service.clone());
            }
            let key = client::informer::key_of(new.as_ref());
            self.slices.entry(service).or_default().insert(key, new.clone());
        }
    }

    fn pod_changed(&mut self, change: &Change<Pod>) {
        let key = client::informer::key_of(change.latest().as_ref());
        for address in change.old.iter().flat_map(|pod| pod_ips(pod)) {
            leave(&mut self.pods, address, &key);
        }
        for address in change.new.iter().flat_map(|pod| pod_ips(pod)) {
            self.pods.entry(address).or_default().push(key.clone());
        }
    }
}

fn leave(map: &mut HashMap<IpAddr, Vec<Key>>, address: IpAddr, key: &Key) {
    let left = map.get_mut(&address).map(|keys| {
        keys.iter().position(|k| k == key).map(|at| keys.remove(at));
        keys.len()
    });
    if left == Some(0) {
        map.remove(&address);
    }
}

/// The service's own addresses: none if it is headless or elsewhere.
pub fn cluster_ips(service: &Service) -> impl Iterator<Item = IpAddr> + '_ {
    let spec = service.spec.as_ref();
    let all = spec.and_then(|s| s.cluster_ips.as_deref()).filter(|ips| !ips.is_empty());
    let one = spec.filter(|_| all.is_none()).and_then(|s| s.cluster_ip.as_deref());
    all.into_iter().flatten().map(String::as_str).chain(one).filter_map(|ip| ip.parse().ok())
}

/// Whether its name stands for its endpoints (`clusterIP: None`).
pub fn headless(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let first = spec.and_then(|s| s.cluster_ips.as_ref()?.first()).or_else(|| spec?.cluster_ip.as_ref());
    first.is_some_and(|ip| ip == "None")
}

/// The addresses of a pod that is not ending and has not ended.
fn pod_ips(pod: &Pod) -> Vec<IpAddr> {
    let status = pod.status.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none());
    let over = |phase: &str| matches!(phase, "Succeeded" | "Failed" | "Unknown");
    let status = status.filter(|s| !s.phase.as_deref().is_some_and(over));
    status.and_then(|s| s.pod_ips.as_ref()).into_iter().flatten().filter_map(|ip| ip.ip.parse().ok()).collect()
}

fn addresses(slice: &EndpointSlice) -> impl Iterator<Item = IpAddr> + '_ {
    slice.endpoints.iter().flatten().flat_map(|e| &e.addresses).filter_map(|a| a.parse().ok())
}

fn ports(slice: &EndpointSlice) -> Vec<Port> {
    let all: Vec<Port> = slice.ports.iter().flatten().map(port).collect();
    if all.is_empty() { vec![Port::default()] } else { all }
}

fn port(port: &k8s_openapi::api::discovery::v1::EndpointPort) -> Port {
    Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase(),
        number: port.port.and_then(|number| u16::try_from(number).ok()),
    }
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), name))
}
