//! The Node as this agent wants it. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeDaemonEndpoints, NodeFeatures,
    NodeRuntimeHandler, NodeRuntimeHandlerFeatures, NodeSpec, NodeStatus,
    NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::conditions;
use super::facts::Facts;
use crate::config::Config;
use crate::pressure::thresholds::{self, Signal};

/// Images that a Node tells of, the largest first (upstream: `nodeStatusMaxImages`).
const MOST_IMAGES: usize = 50;

/// What the node tells of its runtime.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Images that it has.
    pub images: Vec<runtime::Image>,
    /// What it can do.
    pub features: runtime::Features,
    /// What the node runs short of: conditions that are true, by type.
    pub pressures: Vec<&'static str>,
}

/// The labels that this agent keeps on its node.
pub fn labels(config: &Config, arch: &str) -> BTreeMap<String, String> {
    let mut labels = config.labels.clone();
    for (key, value) in [
        // Upstream: `kl.hostname`, which `--hostname-override` says, and of which the node's name is made.
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// The object for registration.
pub fn node(config: &Config, facts: &Facts, status: NodeStatus) -> Node {
    let annotation = ("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned());
    let taints: Vec<Taint> = config.taints.iter().filter_map(|t| taint(t)).collect();
    Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config, &facts.arch)),
            annotations: Some([annotation].into()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(taints).filter(|t| !t.is_empty()),
            pod_cidr: Some(config.pod_cidr.clone()).filter(|c| !c.is_empty()),
            pod_cidrs: Some(vec![config.pod_cidr.clone()]).filter(|_| !config.pod_cidr.is_empty()),
            ..NodeSpec::default()
        }),
        status: Some(status),
    }
}

/// `key=value:effect` or `key:effect`.
fn taint(text: &str) -> Option<Taint> {
    let (left, effect) = text.rsplit_once(':')?;
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    Some(Taint {
        key: key.to_owned(),
        value: Some(value.to_owned()).filter(|v| !v.is_empty()),
        effect: effect.to_owned(),
        time_added: None,
    })
}

/// The status, with transition times and others' resources taken over from the old one.
pub fn status(
    config: &Config, facts: &Facts, seen: &Seen, old: Option<&NodeStatus>, not_ready: Option<&str>, now: Timestamp,
) -> NodeStatus {
    let (mut capacity, mut allocatable) = resources(config, facts);
    let others = announced(old);
    capacity.extend(others.clone());
    allocatable.extend(others);
    NodeStatus {
        addresses: Some(addresses(config)),
        capacity: Some(capacity),
        allocatable: Some(allocatable),
        conditions: Some(conditions::conditions(old, &seen.pressures, not_ready, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(config.port) }),
        }),
        images: Some(image_list(&seen.images)),
        node_info: Some(NodeSystemInfo {
            architecture: facts.arch.clone(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: format!("ironclad://{}", env!("CARGO_PKG_VERSION")),
            kernel_version: facts.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: config.version.clone(),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: facts.os_image.clone(),
            system_uuid: facts.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        features: Some(NodeFeatures { supplemental_groups_policy: Some(true) }),
        runtime_handlers: Some(config.all_handlers().into_iter().map(|name| handler(name, seen.features)).collect()),
        ..NodeStatus::default()
    }
}

/// What the runtime can do under that name (upstream: `nodestatus.RuntimeHandlers`).
fn handler(name: &str, features: runtime::Features) -> NodeRuntimeHandler {
    let features = NodeRuntimeHandlerFeatures {
        recursive_read_only_mounts: Some(features.recursive_read_only_mounts),
        user_namespaces: Some(features.user_namespaces),
    };
    NodeRuntimeHandler { name: Some(name.to_owned()), features: Some(features) }
}

fn addresses(config: &Config) -> Vec<NodeAddress> {
    let one = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    let ips = config.addresses.iter().map(IpAddr::to_string).map(|ip| one("InternalIP", ip));
    ips.chain([one("Hostname", config.node_name.clone())]).collect()
}

type Amounts = BTreeMap<String, Quantity>;

fn resources(config: &Config, facts: &Facts) -> (Amounts, Amounts) {
    let kib = |bytes: i64| format!("{}Ki", bytes / 1024);
    let mut capacity: BTreeMap<String, String> = BTreeMap::new();
    capacity.insert("cpu".to_owned(), facts.cpus.to_string());
    capacity.insert("memory".to_owned(), kib(facts.memory));
    capacity.insert("ephemeral-storage".to_owned(), kib(facts.storage));
    capacity.insert("pods".to_owned(), config.max_pods.to_string());
    for (size, bytes) in &facts.hugepages {
        let name = if *size >= 1 << 20 { format!("{}Gi", size >> 20) } else { format!("{}Mi", size >> 10) };
        let amount = meta::Quantity::from_units(*bytes, meta::quantity::Format::BinarySi);
        capacity.insert(format!("hugepages-{name}"), amount.to_string());
    }
    let mut allocatable = capacity.clone();
    let huge: i64 = facts.hugepages.values().sum();
    // What is kept free is nobody's (upstream: `hardEvictionReservation`).
    let kept = |signal, capacity| thresholds::kept(&config.pressure.thresholds, signal, capacity);
    allocatable.insert("memory".to_owned(), kib((facts.memory - huge - kept(Signal::Memory, facts.memory)).max(0)));
    let storage = facts.storage - kept(Signal::NodeDisk, facts.storage);
    allocatable.insert("ephemeral-storage".to_owned(), storage.max(0).to_string());
    let wrap = |map: BTreeMap<String, String>| map.into_iter().map(|(k, v)| (k, Quantity(v))).collect();
    (wrap(capacity), wrap(allocatable))
}

/// Resources that others announced for the node under a domain of their own. All that there is of them can be
/// given to pods; what is no longer in the capacity is gone (upstream: `nodestatus.MachineInfo`).
fn announced(old: Option<&NodeStatus>) -> Amounts {
    let capacity = old.and_then(|status| status.capacity.as_ref()).into_iter().flatten();
    let others = capacity.filter(|(name, _)| name.contains('/') && !name.contains("kubernetes.io/"));
    others.map(|(name, amount)| (name.clone(), amount.clone())).collect()
}

fn image_list(images: &[runtime::Image]) -> Vec<ContainerImage> {
    let mut images: Vec<&runtime::Image> = images.iter().collect();
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let one = |image: &&runtime::Image| ContainerImage {
        names: Some(image.digests.iter().chain(&image.tags).take(5).cloned().collect()),
        size_bytes: i64::try_from(image.size).ok(),
    };
    images.iter().take(MOST_IMAGES).map(one).collect()
}

/// What differs between two statuses but for heartbeat times: the fields to send, as a strategic
/// merge patch. With `all`, heartbeats count too.
pub fn difference(old: &NodeStatus, new: &NodeStatus, all: bool) -> Option<serde_json::Value> {
    use serde_json::{Map, Value, json};
    let still = |status: &NodeStatus| {
        let mut status = status.clone();
        status.conditions.iter_mut().flatten().for_each(|c| c.last_heartbeat_time = None);
        serde_json::to_value(status).unwrap_or_default()
    };
    let (before, after) = (still(old), still(new));
    let mut changes = Map::new();
    for key in ["addresses", "capacity", "allocatable", "daemonEndpoints", "images", "nodeInfo", "features", "runtimeHandlers"] {
        if before[key] == after[key] || (before[key].is_null() && after[key] == json!([])) {
            continue;
        }
        let mut value = after[key].clone();
        match &mut value {
            Value::Array(list) if key == "addresses" => list.push(json!({"$patch": "replace"})),
            Value::Object(map) if matches!(key, "capacity" | "allocatable") => {
                for gone in before[key].as_object().into_iter().flat_map(Map::keys) {
                    map.entry(gone.clone()).or_insert(Value::Null);
                }
            }
            _ => {}
        }
        changes.insert(key.to_owned(), value);
    }
    let own: Vec<&Value> = after["conditions"].as_array().into_iter().flatten().collect();
    let differs = own.iter().any(|c| !before["conditions"].as_array().is_some_and(|old| old.contains(c)));
    if differs || all {
        changes.insert("conditions".to_owned(), serde_json::to_value(&new.conditions).unwrap_or_default());
    }
    (!changes.is_empty()).then(|| json!({"status": changes}))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn an_unchanged_status_needs_no_write_but_a_heartbeat_can_be_forced() {
        let config = crate::tests::config(std::path::Path::new("/nonexistent"));
        let facts = Facts { cpus: 2, memory: 4 << 30, storage: 10 << 30, ..Facts::default() };
        let at = |s| Timestamp::from_second(s).expect("in range");
        let old = status(&config, &facts, &Seen::default(), None, None, at(0));
        let new = status(&config, &facts, &Seen::default(), Some(&old), None, at(10));
        assert_eq!(difference(&old, &new, false), None);
        let named = Config { hostname: "machine".to_owned(), ..config.clone() };
        assert_eq!(labels(&named, "amd64")["kubernetes.io/hostname"], "n1");
        let told = addresses(&named).into_iter().map(|a| (a.type_, a.address)).collect::<Vec<_>>();
        assert_eq!(told, [("InternalIP".to_owned(), "192.0.2.1".to_owned()), ("Hostname".to_owned(), "n1".to_owned())]);
        assert!(difference(&old, &new, true).is_some());
        let ready = new.conditions.as_ref().and_then(|c| c.last()).expect("Ready is the last");
        assert_eq!((ready.type_.as_str(), ready.last_transition_time.clone()), ("Ready", Some(Time(at(0)))));
        let down = status(&config, &facts, &Seen::default(), Some(&new), Some("runtime down"), at(20));
        assert_eq!(difference(&new, &down, false).expect("a change")["status"].as_object().map(|m| m.len()), Some(1));
        assert_eq!(new.allocatable.as_ref().map(|a| a["memory"].0.as_str()), Some("4194304Ki"), "nothing is kept free here");
        let short = status(&config, &facts, &Seen { pressures: vec!["DiskPressure"], ..Seen::default() }, Some(&new), None, at(30));
        let told = |status: &NodeStatus| status.conditions.iter().flatten().map(|c| c.status.clone()).collect::<Vec<_>>();
        assert_eq!((told(&new), told(&short)), (vec!["False".into(), "False".into(), "False".into(), "True".into()], vec!["False".into(), "True".into(), "False".into(), "True".into()]));
        assert_eq!(conditions::changes(Some(&new), Some(&short)), ["NodeHasDiskPressure"]);
        assert_eq!(conditions::changes(None, Some(&new)).len(), 4);
        assert_eq!(conditions::changes(Some(&down), Some(&down)), Vec::<&str>::new());
        assert_eq!(conditions::changes(Some(&new), Some(&down)), ["NodeNotReady"]);
        let keeps = Config { pressure: Default::default(), ..config };
        let new = status(&keeps, &facts, &Seen::default(), None, None, at(0));
        let allocatable = |name: &str| new.allocatable.as_ref().map(|a| a[name].0.clone()).unwrap_or_default();
        assert_eq!((allocatable("memory"), allocatable("ephemeral-storage")), ("4091904Ki".into(), "10200547320".into()));
    }

    #[test]
    fn resources_that_others_announce_stay_until_they_take_them_back() {
        let config = crate::tests::config(std::path::Path::new("/nonexistent"));
        let facts = Facts { cpus: 2, memory: 4 << 30, storage: 10 << 30, ..Facts::default() };
        let status = |old: &NodeStatus| status(&config, &facts, &Seen::default(), Some(old), None, Timestamp::UNIX_EPOCH);
        let mut old = status(&NodeStatus::default());
        let foo = |text: &str| ("scheduling.k8s.io/foo".to_owned(), Quantity(text.to_owned()));
        old.capacity.get_or_insert_default().extend([foo("5"), ("hugepages-2Mi".to_owned(), Quantity("0".to_owned()))]);
        let new = status(&old);
        let amount = |list: &Option<Amounts>| list.as_ref().and_then(|l| l.get("scheduling.k8s.io/foo")).cloned();
        assert_eq!((amount(&new.capacity), amount(&new.allocatable)), (Some(foo("5").1), Some(foo("5").1)));
        let patch = difference(&old, &new, false).expect("a change");
        assert_eq!(patch["status"]["capacity"]["hugepages-2Mi"], serde_json::Value::Null);
        assert_eq!(patch["status"]["allocatable"]["scheduling.k8s.io/foo"], "5");
        // Taken back from the capacity alone: it goes from both.
        let mut back = new.clone();
        back.capacity.get_or_insert_default().remove("scheduling.k8s.io/foo");
        let patch = difference(&back, &status(&back), false).expect("a change");
        assert!(patch["status"]["allocatable"].get("scheduling.k8s.io/foo").is_some_and(serde_json::Value::is_null));
    }
}
