//! ServiceAccount: every namespace has one called `default`
//! (upstream: `serviceaccounts_controller.go`).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::namespaces;

const NAME: &str = "default";

/// The controller. Its keys are namespaces.
pub struct ServiceAccounts;

impl Controller for ServiceAccounts {
    fn profile(&self) -> Profile {
        Profile {
            name: "service-account-controller",
            account: "service-account-controller",
            watches: vec![Watch::of::<Namespace>(), Watch::selected::<ServiceAccount>("metadata.name=default", &[])],
            permissions: &[
                Permission { group: "", resource: "serviceaccounts", verbs: &["create"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, _: &World) -> Vec<Key> {
        namespaces::of_change::<ServiceAccount>(seen, |name| name == NAME)
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        namespaces::all(world)
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        if namespaces::is_active(key, world) && world.of::<ServiceAccount>().get(&Key::new(&key.name, NAME)).is_none() {
            let metadata = ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(key.name.to_string()),
                ..ObjectMeta::default()
            };
            plan.step(Step::create(&ServiceAccount { metadata, ..ServiceAccount::default() }));
        }
        plan
    }
}
