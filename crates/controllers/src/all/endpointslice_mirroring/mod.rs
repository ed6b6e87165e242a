//! EndpointSlice mirroring: Endpoints that people wrote for a Service without a selector, as slices, since slices are
//! what proxies and DNS read (upstream: `pkg/controller/endpointslicemirroring`).

mod mirror;
mod subsets;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};

const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label of Endpoints that say themselves that they have slices.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints in which a leader is kept, as it was done before Leases.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Index over slices of this controller by namespace/name of the Endpoints.
const BY_ENDPOINTS: &str = "mirrored endpoints";

/// The controller. Its keys are Endpoints.
pub struct Mirror;

impl Controller for Mirror {
    fn profile(&self) -> Profile {
        const WRITE: &[&str] = &["create", "delete", "get", "list", "update", "watch"];
        Profile {
            name: "endpointslice-mirroring-controller",
            account: "endpointslicemirroring-controller",
            watches: vec![
                Watch::of::<Service>(),
                Watch::of::<Endpoints>(),
                Watch::with::<EndpointSlice>(&[(BY_ENDPOINTS, by_endpoints)]),
            ],
            permissions: &[
                Permission { group: "", resource: "endpoints", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "services", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "endpoints/finalizers", verbs: &["update"] },
                Permission { group: "discovery.k8s.io", resource: "endpointslices", verbs: WRITE },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, _: &World) -> Vec<Key> {
        if seen.is::<Service>() {
            let free = seen.sides::<Service>().any(|service| !has_selector(service));
            return seen.key::<Service>().filter(|_| free).into_iter().collect();
        }
        if seen.is::<Endpoints>() {
            let mirrored = seen.sides::<Endpoints>().any(is_mirrored);
            return seen.key::<Endpoints>().filter(|_| mirrored).into_iter().collect();
        }
        let mut keys: Vec<Key> = seen.sides::<EndpointSlice>().filter_map(endpoints_of).collect();
        keys.dedup();
        keys
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        let endpoints = world.of::<Endpoints>().iter().map(|endpoints| client::informer::key_of(&**endpoints));
        // Slices whose Endpoints are gone must go, too.
        let slices = world.of::<EndpointSlice>().iter().filter_map(|slice| endpoints_of(slice));
        endpoints.chain(slices).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let slices = world.of::<EndpointSlice>().by(BY_ENDPOINTS, &key.to_string());
        let existing: Vec<&EndpointSlice> = slices.map(|slice| &**slice).collect();
        let free = world.of::<Service>().get(key).is_some_and(|service| !has_selector(service));
        let endpoints = world.of::<Endpoints>().get(key).filter(|endpoints| free && is_mirrored(endpoints));
        let Some(endpoints) = endpoints else {
            plan.steps.extend(existing.into_iter().map(Step::delete));
            return plan;
        };
        let (groups, skipped) = subsets::groups(endpoints);
        for change in mirror::changes(endpoints, groups, &existing) {
            match change {
                // Nothing new for what is on its way out.
                mirror::Change::Create(_) if endpoints.metadata.deletion_timestamp.is_some() => {}
                mirror::Change::Create(slice) => plan.step(Step::create(&slice)),
                mirror::Change::Update(slice) => plan.step(Step::update(&slice)),
                mirror::Change::Delete(slice) => plan.step(Step::delete(&slice)),
            }
        }
        if skipped > 0 && !plan.steps.is_empty() {
            let text = format!(
                "A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped",
                subsets::CAPACITY
            );
            plan.reports.push(Report::warning(&**endpoints, "TooManyAddressesToMirror", text));
        }
        plan
    }
}

fn has_selector(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.selector.is_some())
}

fn is_mirrored(endpoints: &Endpoints) -> bool {
    let meta = &endpoints.metadata;
    let skips = meta.labels.as_ref().and_then(|labels| labels.get(SKIP)).is_some_and(|value| value == "true");
    !skips && !meta.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(LEADER))
}

/// The key of the Endpoints that a slice of this controller mirrors.
fn endpoints_of(slice: &EndpointSlice) -> Option<Key> {
    let label = |name: &str| slice.metadata.labels.as_ref()?.get(name).map(String::as_str);
    label(MANAGED_BY).filter(|manager| *manager == MANAGER)?;
    let name = label(SERVICE).filter(|name| !name.is_empty())?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or(""), name))
}

fn by_endpoints(slice: &EndpointSlice) -> Vec<String> {
    endpoints_of(slice).map(|key| key.to_string()).into_iter().collect()
}
