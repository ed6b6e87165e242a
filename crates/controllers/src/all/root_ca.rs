//! Root CA: every namespace has the cluster's CA certificate in the ConfigMap `kube-root-ca.crt`, by which
//! pods trust the API server (upstream: `pkg/controller/certificates/rootcacertpublisher`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::namespaces;

const NAME: &str = "kube-root-ca.crt";
/// Other ConfigMaps are none of its business, and may be many and large.
const SELECTOR: &str = "metadata.name=kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
    Kubernetes clusters.";

/// The certificate, in PEM; set once, before the controllers start.
pub static CERTIFICATE: OnceLock<String> = OnceLock::new();

/// The controller. Its keys are namespaces.
pub struct RootCa;

impl Controller for RootCa {
    fn profile(&self) -> Profile {
        Profile {
            name: "root-ca-cert-publisher",
            account: "root-ca-cert-publisher",
            watches: vec![Watch::of::<Namespace>(), Watch::selected::<ConfigMap>(SELECTOR, &[])],
            permissions: &[
                Permission { group: "", resource: "configmaps", verbs: &["create", "update"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, _: &World) -> Vec<Key> {
        namespaces::of_change::<ConfigMap>(seen, |name| name == NAME)
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        namespaces::all(world)
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(certificate) = CERTIFICATE.get().filter(|_| namespaces::is_active(key, world)) else { return plan };
        let data = BTreeMap::from([(KEY.to_owned(), certificate.clone())]);
        match world.of::<ConfigMap>().get(&Key::new(&key.name, NAME)) {
            Some(map) if map.data.as_ref() == Some(&data) && described(map) => {}
            Some(map) => {
                let mut new = (**map).clone();
                new.data = Some(data);
                new.metadata.annotations.get_or_insert_default().insert(DESCRIPTION.to_owned(), TEXT.to_owned());
                plan.step(Step::update(&new));
            }
            None => {
                let metadata = ObjectMeta {
                    name: Some(NAME.to_owned()),
                    namespace: Some(key.name.to_string()),
                    annotations: Some(BTreeMap::from([(DESCRIPTION.to_owned(), TEXT.to_owned())])),
                    ..ObjectMeta::default()
                };
                plan.step(Step::create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }));
            }
        }
        plan
    }
}

fn described(map: &ConfigMap) -> bool {
    map.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(DESCRIPTION))
}
