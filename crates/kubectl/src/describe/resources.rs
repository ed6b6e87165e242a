//! What a pod asks for and may use (upstream: `component-helpers/resource.PodRequests` and `PodLimits`).

use std::collections::BTreeMap;

use meta::Quantity;
use serde_json::Value;

use super::tree::{entries, list, text};

/// Amounts by resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// Which side of a container's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the scheduler keeps free.
    Requests,
    /// What the node enforces.
    Limits,
}

impl Side {
    fn field(self) -> &'static str {
        match self {
            Side::Requests => "requests",
            Side::Limits => "limits",
        }
    }
}

/// The sum over a pod's containers. With `actual`, what the node reports counts where it is more.
pub fn of_pod(pod: &Value, side: Side, actual: bool) -> Amounts {
    let mut sum = Amounts::new();
    for container in list(&pod["spec"]["containers"]) {
        add(&mut sum, &of_container(pod, container, side, actual));
    }
    let (mut sidecars, mut start) = (Amounts::new(), Amounts::new());
    for container in list(&pod["spec"]["initContainers"]) {
        let sidecar = container["restartPolicy"] == "Always";
        let own = of_container(pod, container, side, actual && sidecar);
        let mut now = own.clone();
        add(&mut now, &sidecars);
        if sidecar {
            add(&mut sum, &own);
            sidecars = now.clone();
        }
        raise(&mut start, now);
    }
    raise(&mut sum, start);
    for (name, amount) in read(&pod["spec"]["resources"][side.field()]) {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            sum.insert(name, amount);
        }
    }
    for (name, amount) in read(&pod["spec"]["overhead"]) {
        let known = sum.get(&name).copied();
        match (side, known) {
            (Side::Limits, None) => {}
            (Side::Limits, Some(limit)) if limit.is_zero() => {}
            (_, Some(known)) => drop(sum.insert(name, known.plus(amount))),
            (Side::Requests, None) => drop(sum.insert(name, amount)),
        }
    }
    sum
}

fn of_container(pod: &Value, container: &Value, side: Side, actual: bool) -> Amounts {
    let mut amounts = read(&container["resources"][side.field()]);
    let statuses = ["containerStatuses", "initContainerStatuses"].map(|f| list(&pod["status"][f])).concat();
    let status = statuses.iter().find(|s| s["name"] == container["name"] && s["resources"].is_object());
    if let (true, Some(status)) = (actual, status) {
        raise(&mut amounts, read(&status["resources"][side.field()]));
        if side == Side::Requests {
            raise(&mut amounts, read(&status["allocatedResources"]));
        }
    }
    amounts
}

/// Reads a map of amounts.
pub fn read(map: &Value) -> Amounts {
    let parsed = |(name, amount): (&str, &Value)| Some((name.to_owned(), Quantity::parse(text(amount)).ok()?));
    entries(map).into_iter().filter_map(parsed).collect()
}

/// Adds amounts to a sum.
pub fn add(sum: &mut Amounts, amounts: &Amounts) {
    for (name, amount) in amounts {
        let total = sum.get(name).map_or(*amount, |known| known.plus(*amount));
        sum.insert(name.clone(), total);
    }
}

fn raise(sum: &mut Amounts, amounts: Amounts) {
    for (name, amount) in amounts {
        match sum.get(&name) {
            Some(known) if known.minus(amount).sign() >= 0 => {}
            _ => drop(sum.insert(name, amount)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Side, of_pod};

    #[test]
    fn an_init_container_counts_where_it_asks_for_more() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let pod = json!({"spec": {
            "containers": [container("100m"), container("200m")],
            "initContainers": [container("1")],
        }});
        assert_eq!(of_pod(&pod, Side::Requests, false)["cpu"].to_string(), "1");
        let pod = json!({"spec": {"containers": [container("100m"), container("200m")]}});
        assert_eq!(of_pod(&pod, Side::Requests, false)["cpu"].to_string(), "300m");
        assert!(of_pod(&pod, Side::Limits, false).is_empty());
    }
}
