//! EndpointSlice: the pods behind each Service, in slices (upstream: `k8s.io/endpointslice`).

mod desired;
mod hints;
mod pack;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::services;

const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const ZONE: &str = "topology.kubernetes.io/zone";
/// Index over slices of this controller by namespace/service.
const BY_SERVICE: &str = "service";

/// The controller.
pub struct Slices;

impl Controller for Slices {
    fn profile(&self) -> Profile {
        const WRITE: &[&str] = &["create", "delete", "get", "list", "update", "watch"];
        Profile {
            name: "endpointslice-controller",
            account: "endpointslice-controller",
            watches: vec![
                Watch::of::<Service>(),
                Watch::pods(),
                Watch::of::<Node>(),
                Watch::with::<EndpointSlice>(&[(BY_SERVICE, by_service)]),
            ],
            permissions: &[
                Permission { group: "", resource: "services", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "pods", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "nodes", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "services/finalizers", verbs: &["update"] },
                Permission { group: "discovery.k8s.io", resource: "endpointslices", verbs: WRITE },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(key) = seen.key::<Service>() {
            return vec![key];
        }
        if seen.is::<Pod>() {
            return services::of_pod(seen, world);
        }
        if seen.is::<Node>() {
            let zone = |node: Option<&Node>| node.map(|n| zone(n).map(str::to_owned));
            let same = zone(seen.old::<Node>()).flatten() == zone(seen.new_as::<Node>()).flatten();
            return if same { Vec::new() } else { self.keys(world) };
        }
        let slice = seen.sides::<EndpointSlice>().find_map(service_of);
        slice.into_iter().collect()
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<Service>().iter().map(|service| client::informer::key_of(&**service)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(service) = world.of::<Service>().get(key).filter(|s| services::is_managed(s)) else { return plan };
        if service.metadata.deletion_timestamp.is_some() {
            return plan;
        }
        let value = key.to_string();
        let slices = world.of::<EndpointSlice>().by(BY_SERVICE, &value).filter(|slice| owned(slice, service));
        let existing: Vec<&EndpointSlice> = slices.map(|slice| &**slice).collect();
        let backends = services::backends(service, world);
        let labels = desired::labels(service);
        let trigger = services::trigger_time(service, &backends);
        let groups = desired::groups(service, &backends, world);
        for change in pack::pack(service, groups, &existing, &labels) {
            plan.step(match change {
                pack::Change::Create(slice) => Step::create(&desired::stamped(slice, &trigger)),
                pack::Change::Update(slice) => Step::update(&desired::stamped(slice, &trigger)),
                pack::Change::Delete(slice) => Step::delete(&slice),
            });
        }
        plan
    }
}

fn zone(node: &Node) -> Option<&str> {
    node.metadata.labels.as_ref()?.get(ZONE).map(String::as_str)
}

fn label<'a>(slice: &'a EndpointSlice, name: &str) -> Option<&'a str> {
    slice.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// The key of the Service that a slice of this controller belongs to.
fn service_of(slice: &EndpointSlice) -> Option<Key> {
    label(slice, MANAGED_BY).filter(|m| *m == MANAGER)?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), label(slice, SERVICE)?))
}

fn by_service(slice: &EndpointSlice) -> Vec<String> {
    service_of(slice).map(|key| key.to_string()).into_iter().collect()
}

/// A slice of an earlier Service of the same name is left to the garbage collector.
fn owned(slice: &EndpointSlice, service: &Service) -> bool {
    let owners = slice.metadata.owner_references.as_deref().unwrap_or_default();
    slice.metadata.deletion_timestamp.is_none() && owners.iter().any(|o| Some(&o.uid) == service.metadata.uid.as_ref())
}
