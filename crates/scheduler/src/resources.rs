//! What pods ask for and nodes have.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use meta::Quantity;

/// Requests of a container that names none, for scoring only (upstream: `DefaultMilliCPURequest`,
/// `DefaultMemoryRequest`): 100m and 200 MiB.
const DEFAULT_REQUEST: [(&str, i64); 2] = [("cpu", 100), ("memory", 200 << 20)];

/// Amounts by resource name. CPU is in thousandths, everything else in whole units.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amounts(BTreeMap<String, i64>);

impl Amounts {
    /// Reads a resource list of the API; what is no quantity counts as nothing.
    pub fn read(list: Option<&BTreeMap<String, Text>>) -> Self {
        let amount = |name: &str, text: &Text| {
            let quantity = Quantity::parse(&text.0).unwrap_or(Quantity::ZERO);
            if name == "cpu" { quantity.milli_value() } else { quantity.value() }
        };
        Amounts(list.into_iter().flatten().map(|(name, text)| (name.clone(), amount(name, text))).collect())
    }

    /// The amount of one resource; 0 when it is not named.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All named amounts in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds the other amounts, `times` times (−1 takes them away).
    pub fn add(&mut self, other: &Amounts, times: i64) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() += amount * times;
        }
    }

    /// Raises each amount to at least the other's.
    pub fn raise(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }

    fn or_default_requests(mut self) -> Self {
        for (name, amount) in DEFAULT_REQUEST {
            if self.get(name) == 0 {
                self.0.insert(name.to_owned(), amount);
            }
        }
        self
    }
}

/// What a pod asks for (upstream: `component-helpers/resource.PodRequests`): the sum of its containers and
/// sidecars, or what its init containers need one after the other if that is more, plus its overhead.
pub fn requests(pod: &Pod) -> Amounts {
    sum(pod, |c| Amounts::read(c.resources.as_ref().and_then(|r| r.requests.as_ref())))
}

/// The same with defaults for containers that name nothing: what scores work with.
pub fn nonzero_requests(pod: &Pod) -> Amounts {
    sum(pod, |c| Amounts::read(c.resources.as_ref().and_then(|r| r.requests.as_ref())).or_default_requests())
}

fn sum(pod: &Pod, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::default() };
    let mut total = Amounts::default();
    spec.containers.iter().for_each(|c| total.add(&of(c), 1));
    let (mut sidecars, mut initial) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        let needs = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&needs, 1);
            sidecars.add(&needs, 1);
            initial.raise(&sidecars);
        } else {
            let mut together = sidecars.clone();
            together.add(&needs, 1);
            initial.raise(&together);
        }
    }
    total.raise(&initial);
    let pod_level = Amounts::read(spec.resources.as_ref().and_then(|r| r.requests.as_ref()));
    total.0.extend(pod_level.0);
    total.add(&Amounts::read(spec.overhead.as_ref()), 1);
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_and_sidecars_count_as_upstream_counts_them() {
        let c = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
        let mut side = c("s", "200m");
        side["restartPolicy"] = "Always".into();
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "containers": [c("a", "100m"), c("b", "300m")],
            "initContainers": [c("i", "1"), side, c("j", "1")],
            "overhead": {"cpu": "50m"},
        }}))
        .expect("a pod");
        // Containers and sidecar: 600m; j runs beside the sidecar: 1200m; overhead 50m.
        assert_eq!(requests(&pod).get("cpu"), 1250);
        assert_eq!(nonzero_requests(&pod).get("memory"), 3 * (200 << 20));
    }
}
