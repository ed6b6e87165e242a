//! What pods ask for and nodes have.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use meta::Quantity;
use meta::quantity::Format;
use pod::{Side, Spec, resources};

/// Requests of a container that names none, for scoring only (upstream: `DefaultMilliCPURequest`,
/// `DefaultMemoryRequest`): 100m and 200 MiB.
static DEFAULT_REQUEST: LazyLock<[(&str, Quantity); 2]> = LazyLock::new(|| {
    [("cpu", Quantity::from_milli(100, Format::DecimalSi)), ("memory", Quantity::from_units(200 << 20, Format::BinarySi))]
});

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
}

impl From<pod::Amounts> for Amounts {
    fn from(amounts: pod::Amounts) -> Self {
        let unit = |name: &str, q: Quantity| if name == "cpu" { q.milli_value() } else { q.value() };
        Amounts(amounts.into_iter().map(|(name, q)| { let amount = unit(&name, q); (name, amount) }).collect())
    }
}

/// What a pod asks for.
pub fn requests(pod: &Pod) -> Amounts {
    pod.spec.as_ref().map(|spec| resources::total(spec, Side::Requests).into()).unwrap_or_default()
}

/// The same with defaults for containers that name nothing: what scores work with.
pub fn nonzero_requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::default() };
    let of = |_, container: &Container| {
        let mut named = PodSpec::of(container, Side::Requests);
        for (name, amount) in &*DEFAULT_REQUEST {
            if named.get(*name).is_none_or(Quantity::is_zero) {
                named.insert((*name).to_owned(), *amount);
            }
        }
        named
    };
    resources::whole(spec, Side::Requests, resources::together(spec, of)).into()
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
