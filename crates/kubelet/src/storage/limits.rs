//! What a pod may take of the node's disk, and whether it took more (upstream: `localStorageEviction`). Pure.

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use meta::Quantity;
use runtime::Size;

use crate::spec;

const RESOURCE: &str = "ephemeral-storage";

/// Bytes, and how the API writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub bytes: u64,
    text: String,
}

/// All limits of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of volumes on the disk, by name.
    pub volumes: Vec<(String, Limit)>,
    /// Of the pod as a whole.
    pub pod: Option<Limit>,
    /// Of containers, by name: their layer and their logs.
    pub containers: Vec<(String, Limit)>,
}

/// What a pod takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By volume.
    pub volumes: Vec<(String, Size)>,
    /// By container: the layer of its newest start.
    pub layers: Vec<(String, Size)>,
    /// By container: its logs.
    pub logs: Vec<(String, Size)>,
    /// Files that belong to none of these.
    pub others: Size,
}

impl Limit {
    fn new(quantity: &Quantity) -> Option<Self> {
        let bytes = u64::try_from(quantity.value()).ok()?;
        Some(Limit { bytes, text: quantity.to_string() })
    }

    fn positive(quantity: &Quantity) -> Option<Self> {
        Self::new(quantity).filter(|limit| limit.bytes > 0)
    }
}

impl Usage {
    /// Everything together.
    pub fn total(&self) -> Size {
        let parts = self.volumes.iter().chain(&self.layers).chain(&self.logs).map(|(_, size)| *size);
        parts.fold(self.others, Size::plus)
    }
}

/// The size of that name; nothing if it has none.
pub fn named(list: &[(String, Size)], name: &str) -> Size {
    list.iter().find(|(n, _)| n == name).map(|(_, size)| *size).unwrap_or_default()
}

/// Whether a volume lies on the node's disk and counts with the pod (upstream: `IsLocalEphemeralVolume`).
pub fn on_disk(volume: &Volume) -> bool {
    let plain = volume.empty_dir.as_ref().is_some_and(|e| e.medium.as_deref().unwrap_or_default().is_empty());
    plain || volume.config_map.is_some()
}

impl Limits {
    /// None at all, and everything is measured.
    pub fn none() -> Self {
        Limits { pod: Some(Limit { bytes: u64::MAX, text: String::new() }), ..Limits::default() }
    }

    /// Those of a pod; `None` when it has none, or when it is one that is never evicted.
    pub fn of(pod: &Pod) -> Option<Self> {
        if spec::is_critical(pod) {
            return None;
        }
        let volumes = spec::of(pod).volumes.iter().flatten().filter(|v| on_disk(v));
        let size = |v: &Volume| Quantity::parse(&v.empty_dir.as_ref()?.size_limit.as_ref()?.0).ok();
        let own = |c: &Container| spec::amount(c, true, RESOURCE);
        let limits = Limits {
            volumes: volumes.filter_map(|v| Some((v.name.clone(), Limit::positive(&size(v)?)?))).collect(),
            pod: whole(pod),
            containers: spec::of(pod).containers.iter().filter_map(|c| Some((c.name.clone(), Limit::positive(&own(c)?)?))).collect(),
        };
        (limits != Limits::default()).then_some(limits)
    }

    /// Why the pod must go, in upstream's words and order.
    pub fn exceeded(&self, usage: &Usage) -> Option<String> {
        let volume = |name: &str| named(&usage.volumes, name).bytes;
        let container = |name: &str| named(&usage.layers, name).plus(named(&usage.logs, name)).bytes;
        if let Some((name, limit)) = self.volumes.iter().find(|(name, limit)| volume(name) > limit.bytes) {
            return Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit {:?}. ", limit.text));
        }
        if let Some(limit) = self.pod.as_ref().filter(|limit| usage.total().bytes > limit.bytes) {
            let text = &limit.text;
            return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {text}. "));
        }
        let (name, limit) = self.containers.iter().find(|(name, limit)| container(name) > limit.bytes)?;
        Some(format!("Container {name} exceeded its local ephemeral storage limit {:?}. ", limit.text))
    }
}

/// The limits of all containers that have one, together: as long as one has, all share what the others left open
/// (upstream: `PodLimits`).
fn whole(pod: &Pod) -> Option<Limit> {
    let init = spec::init_containers(pod);
    let amount = |c: &Container| spec::amount(c, true, RESOURCE);
    let add = |sum: Option<Quantity>, next: Option<Quantity>| match (sum, next) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    };
    let greater = |a: Option<Quantity>, b: Option<Quantity>| match (a, b) {
        (Some(a), Some(b)) => Some(if b.value() > a.value() { b } else { a }),
        (a, b) => a.or(b),
    };
    let containers = spec::of(pod).containers.iter().map(amount).fold(None, add);
    let (mut sidecars, mut once) = (None, None);
    for container in init {
        if spec::is_sidecar(container) {
            sidecars = add(sidecars, amount(container));
            once = greater(once, sidecars.clone());
        } else {
            once = greater(once, add(amount(container), sidecars.clone()));
        }
    }
    let overhead = spec::of(pod).overhead.as_ref().and_then(|o| Quantity::parse(&o.get(RESOURCE)?.0).ok());
    let most = greater(add(containers, sidecars), once);
    // An overhead alone is no limit.
    Limit::new(&add(Some(most?), overhead)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MI: u64 = 1 << 20;

    fn limits(spec: Value) -> Option<Limits> {
        Limits::of(&spec::tests::pod(spec))
    }

    fn container(name: &str, limit: Option<&str>) -> Value {
        let limits = limit.map(|limit| json!({"ephemeral-storage": limit}));
        json!({"name": name, "resources": {"limits": limits}})
    }

    fn usage(volumes: &[(&str, u64)], containers: &[(&str, u64)], others: u64) -> Usage {
        let size = |bytes: u64| Size { bytes, files: 1 };
        let own = |list: &[(&str, u64)]| list.iter().map(|(name, bytes)| ((*name).to_owned(), size(*bytes))).collect();
        Usage { volumes: own(volumes), logs: own(containers), others: size(others), ..Usage::default() }
    }

    #[test]
    fn a_pod_without_limits_is_not_looked_at() {
        let volumes = json!([{"name": "a", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "z", "emptyDir": {"sizeLimit": "0"}}]);
        assert_eq!(limits(json!({"containers": [{"name": "c"}], "volumes": volumes})), None);
        let limited = json!({"containers": [container("c", Some("1Mi"))]});
        assert!(limits(limited.clone()).is_some());
        let mut critical = limited.clone();
        critical["priority"] = 2_000_000_000.into();
        assert_eq!(limits(critical), None, "the system's pods stay");
    }

    #[test]
    fn every_limit_is_told_in_upstreams_words() {
        let all = limits(json!({"containers": [container("a", Some("1024Ki")), container("b", None)],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "2Mi"}}]}))
        .expect("limits");
        let told = |usage: Usage| all.exceeded(&usage).unwrap_or_default();
        assert_eq!(told(usage(&[("v", MI)], &[], 0)), "", "at a limit is not over it");
        assert_eq!(told(usage(&[("v", 2 * MI + 1)], &[], 0)), "Usage of EmptyDir volume \"v\" exceeds the limit \"2Mi\". ");
        let pod = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
        assert_eq!(told(usage(&[("v", MI)], &[], 1)), pod, "what one has is the limit of all");
        assert_eq!(told(usage(&[], &[("b", MI + 1)], 0)), pod);
        assert_eq!(told(usage(&[("v", 1)], &[("a", MI - 1)], 0)), "");
        let two = limits(json!({"containers": [container("a", Some("1Mi")), container("b", Some("3Mi"))]})).expect("limits");
        let told = two.exceeded(&usage(&[], &[("a", MI + 1), ("b", 0)], 0));
        assert_eq!(told.as_deref(), Some("Container a exceeded its local ephemeral storage limit \"1Mi\". "));
    }

    #[test]
    fn the_pods_limit_is_the_sum_or_the_greatest_start() {
        let of = |spec: Value| limits(spec).and_then(|l| l.pod).map(|l| l.bytes / MI);
        let sidecar = |limit: &str| {
            let mut sidecar = container("s", Some(limit));
            sidecar["restartPolicy"] = "Always".into();
            sidecar
        };
        let apps = json!([container("a", Some("1Mi")), container("b", Some("2Mi"))]);
        assert_eq!(of(json!({"containers": apps})), Some(3));
        assert_eq!(of(json!({"containers": apps, "initContainers": [container("i", Some("9Mi"))]})), Some(9));
        assert_eq!(of(json!({"containers": apps, "initContainers": [sidecar("4Mi"), container("i", Some("2Mi"))]})), Some(7));
        assert_eq!(of(json!({"containers": apps, "overhead": {"ephemeral-storage": "1Mi"}})), Some(4));
        assert_eq!(of(json!({"containers": [{"name": "c"}], "overhead": {"ephemeral-storage": "1Mi"}})), None);
    }
}
