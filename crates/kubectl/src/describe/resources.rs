//! What a pod asks for and may use (upstream: `component-helpers/resource.PodRequests` and `PodLimits`).

use pod::Role;
use pod::resources::{raise, together, whole};
pub use pod::resources::{Amounts, Side, add};
use serde_json::Value;

use super::tree::list;

/// The sum over a pod's containers. With `actual`, what the node reports counts where it is more.
pub fn of_pod(pod: &Value, side: Side, actual: bool) -> Amounts {
    let spec = &pod["spec"];
    let of = |role: Role, container: &Value| of_container(pod, container, side, actual && role.stays());
    whole(spec, side, together(spec, of))
}

fn of_container(pod: &Value, container: &Value, side: Side, actual: bool) -> Amounts {
    let mut amounts = read(&container["resources"][side.field()]);
    let statuses = ["containerStatuses", "initContainerStatuses"].map(|f| list(&pod["status"][f])).concat();
    let status = statuses.iter().find(|s| s["name"] == container["name"] && s["resources"].is_object());
    if let (true, Some(status)) = (actual, status) {
        raise(&mut amounts, &read(&status["resources"][side.field()]));
        if side == Side::Requests {
            raise(&mut amounts, &read(&status["allocatedResources"]));
        }
    }
    amounts
}

/// Reads a map of amounts.
pub fn read(map: &Value) -> Amounts {
    pod::resources::read(Some(map))
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
