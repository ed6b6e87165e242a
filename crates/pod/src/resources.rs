//! What a pod requests and may use (upstream: `component-helpers/resource`).

use std::collections::BTreeMap;

use meta::Quantity;
use serde_json::Value;

use crate::spec::{Role, Spec};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Which side of a list of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the scheduler keeps free.
    Requests,
    /// What the node enforces.
    Limits,
}

impl Side {
    /// The name of its field.
    pub fn field(self) -> &'static str {
        match self {
            Side::Requests => "requests",
            Side::Limits => "limits",
        }
    }
}

/// Reads a list of resources from JSON; what is no quantity is left out.
pub fn read(list: Option<&Value>) -> Amounts {
    crate::spec::read(list)
}

/// Adds amount by amount.
pub fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        to.entry(name.clone()).and_modify(|a| *a = a.plus(*amount)).or_insert(*amount);
    }
}

/// Raises each amount to at least the other's.
pub fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        to.entry(name.clone()).and_modify(|a| *a = (*a).max(*amount)).or_insert(*amount);
    }
}

/// Whether a pod as a whole may name it (upstream: `IsSupportedPodLevelResource`).
pub fn is_of_whole(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// What the containers need together: the sum over those that stay, or what the init phase needs at its peak
/// (upstream: `AggregateContainerRequests` and `AggregateContainerLimits`).
pub fn of_containers<S: Spec + ?Sized>(spec: &S, side: Side) -> Amounts {
    together(spec, |_, container| S::of(container, side))
}

/// The same with another view of what each container needs.
pub fn together<S: Spec + ?Sized>(spec: &S, of: impl Fn(Role, &S::Container) -> Amounts) -> Amounts {
    let (mut sum, mut sidecars, mut peak) = (Amounts::new(), Amounts::new(), Amounts::new());
    for (role, container) in spec.all() {
        let own = of(role, container);
        match role {
            Role::App => add(&mut sum, &own),
            Role::Sidecar => {
                add(&mut sum, &own);
                add(&mut sidecars, &own);
                raise(&mut peak, &sidecars);
            }
            // It runs beside the sidecars that were started before it.
            Role::Init => {
                let mut beside = sidecars.clone();
                add(&mut beside, &own);
                raise(&mut peak, &beside);
            }
        }
    }
    raise(&mut sum, &peak);
    sum
}

/// What the pod needs: its containers, or what it names as a whole, and its overhead (upstream: `PodRequests`,
/// `PodLimits`).
pub fn total<S: Spec + ?Sized>(spec: &S, side: Side) -> Amounts {
    whole(spec, side, of_containers(spec, side))
}

/// The same, where the containers together need this.
pub fn whole<S: Spec + ?Sized>(spec: &S, side: Side, mut containers: Amounts) -> Amounts {
    let own = spec.whole(side).unwrap_or_default();
    containers.extend(own.into_iter().filter(|(name, _)| is_of_whole(name)));
    for (name, more) in spec.overhead() {
        match (side, containers.get_mut(&name)) {
            // What has no limit still has none.
            (Side::Limits, None) => {}
            (Side::Limits, Some(limit)) if limit.is_zero() => {}
            (_, Some(amount)) => *amount = amount.plus(more),
            (Side::Requests, None) => drop(containers.insert(name, more)),
        }
    }
    containers
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::{Value, json};

    use super::*;

    /// The amount of CPU, which must be the same for the typed spec.
    fn cpu(spec: &Value, side: Side) -> Option<String> {
        let typed: PodSpec = serde_json::from_value(spec.clone()).expect("a spec");
        assert_eq!(total(&typed, side), total(spec, side));
        total(spec, side).get("cpu").map(Quantity::to_string)
    }

    fn c(cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}})
    }

    fn side(cpu: &str) -> Value {
        let mut sidecar = c(cpu);
        sidecar["restartPolicy"] = "Always".into();
        sidecar
    }

    #[test]
    fn init_containers_count_with_the_sidecars_before_them() {
        let spec = |init: Value| json!({"containers": [c("100m"), c("300m")], "initContainers": init});
        for (init, want) in [
            (json!([]), "400m"),
            (json!([c("1")]), "1"),
            (json!([c("1"), side("200m"), c("1")]), "1200m"),
            // The sidecar comes after it: they never run together.
            (json!([c("1500m"), side("600m")]), "1500m"),
            (json!([side("600m"), c("1500m")]), "2100m"),
            (json!([side("600m"), side("700m")]), "1700m"),
        ] {
            assert_eq!(cpu(&spec(init.clone()), Side::Requests).as_deref(), Some(want), "{init}");
            assert_eq!(cpu(&spec(init), Side::Limits).as_deref(), Some(want));
        }
    }

    #[test]
    fn the_pod_as_a_whole_takes_the_place_of_the_sum_and_overhead_comes_on_top() {
        let mut spec = json!({"containers": [c("100m")], "overhead": {"cpu": "50m", "memory": "1Mi"}});
        assert_eq!(cpu(&spec, Side::Requests).as_deref(), Some("150m"));
        assert_eq!(total(&spec, Side::Requests)["memory"].to_string(), "1Mi");
        assert!(!total(&spec, Side::Limits).contains_key("memory"), "what has no limit has none");
        spec["resources"] = json!({"requests": {"cpu": "2", "example.com/x": "1"}});
        assert_eq!(cpu(&spec, Side::Requests).as_deref(), Some("2050m"));
        assert!(!total(&spec, Side::Requests).contains_key("example.com/x"));
        spec["resources"] = json!({});
        assert_eq!(cpu(&spec, Side::Requests).as_deref(), Some("150m"));
    }
}
