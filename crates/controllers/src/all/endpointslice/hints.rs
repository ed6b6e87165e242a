//! For whom an endpoint is: what a Service's `trafficDistribution` asks for, told to the proxies (upstream:
//! `endpointslice/trafficdist`). Pure.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{EndpointHints, ForNode, ForZone};

/// The older way to ask for the nearest endpoints; where it is used, the field is not looked at.
const TOPOLOGY_MODE: [&str; 2] = ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// The hints of a ready endpoint in this zone on this node.
pub fn of(service: &Service, zone: Option<&str>, node: Option<&str>) -> Option<EndpointHints> {
    let wanted = service.spec.as_ref()?.traffic_distribution.as_deref()?;
    let same_node = match wanted {
        "PreferClose" | "PreferSameZone" => false,
        "PreferSameNode" => true,
        _ => return None,
    };
    let annotations = service.metadata.annotations.as_ref();
    let mode = TOPOLOGY_MODE.iter().find_map(|name| annotations?.get(*name));
    if mode.is_some_and(|mode| mode == "Auto" || mode == "auto") {
        return None;
    }
    let for_zones = zone.map(|name| vec![ForZone { name: name.to_owned() }]);
    let for_nodes = node.filter(|_| same_node).map(|name| vec![ForNode { name: name.to_owned() }]);
    (for_zones.is_some() || for_nodes.is_some()).then_some(EndpointHints { for_nodes, for_zones })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn traffic_that_is_to_stay_near_gets_hints_of_zone_and_node() {
        let hints = |distribution: &str, annotations: Value, zone: Option<&str>| {
            let tree = json!({"metadata": {"annotations": annotations}, "spec": {"trafficDistribution": distribution}});
            let service = serde_json::from_value(tree).expect("a service");
            serde_json::to_value(of(&service, zone, Some("n1"))).expect("a tree")
        };
        let zones = json!({"forZones": [{"name": "z1"}]});
        for near in ["PreferClose", "PreferSameZone"] {
            assert_eq!(hints(near, json!({}), Some("z1")), zones);
            assert_eq!(hints(near, json!({}), None), Value::Null, "the node is in no zone");
        }
        let both = json!({"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]});
        assert_eq!(hints("PreferSameNode", json!({}), Some("z1")), both);
        assert_eq!(hints("PreferSameNode", json!({}), None), json!({"forNodes": [{"name": "n1"}]}));
        assert_eq!(hints("", json!({}), Some("z1")), Value::Null);
        let older = json!({"service.kubernetes.io/topology-mode": "Auto"});
        assert_eq!(hints("PreferClose", older, Some("z1")), Value::Null);
    }
}
