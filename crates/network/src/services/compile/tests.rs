//! Services in, parts out.

use super::*;
use serde_json::{Value, json};

fn config() -> Config {
    Config {
        node: "n1".to_owned(),
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
    }
}

fn part(spec: Value, endpoints: Value) -> Part {
    let service = json!({"metadata": {"namespace": "d", "name": "web"}, "spec": spec});
    let slice = json!({"addressType": "IPv4", "endpoints": endpoints, "metadata": {},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    let slice: EndpointSlice = serde_json::from_value(slice).expect("a slice");
    compile(&config(), &serde_json::from_value(service).expect("a service"), &[Arc::new(slice)])
}

fn spec(more: Value) -> Value {
    let mut spec = json!({"clusterIP": "10.96.0.10", "type": "NodePort",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]});
    spec.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    spec
}

fn endpoint(ip: &str, node: &str, ready: bool, ending: bool) -> Value {
    json!({"addresses": [ip], "nodeName": node,
        "conditions": {"ready": ready, "serving": ready || ending, "terminating": ending}})
}

fn maps(part: &Part) -> Vec<&str> {
    part.elements.keys().map(|(map, _)| *map).collect()
}

fn endpoints(part: &Part) -> usize {
    part.chains.keys().filter(|c| c.starts_with("endpoint-")).count()
}

#[test]
fn ready_endpoints_are_chosen_and_ending_ones_only_when_there_is_no_other() {
    let ready = endpoint("10.244.0.5", "n1", true, false);
    let ending = endpoint("10.244.0.6", "n1", false, true);
    let dead = endpoint("10.244.0.7", "n1", false, false);
    let both = part(spec(json!({})), json!([ready, ending, dead]));
    assert_eq!((maps(&both), endpoints(&both)), (vec![BY_ADDRESS, BY_NODE_PORT], 1));
    let only_ending = part(spec(json!({})), json!([ending, dead]));
    assert_eq!(endpoints(&only_ending), 1);
    let none = part(spec(json!({})), json!([dead]));
    assert_eq!((maps(&none), none.chains.len()), (vec![NO_ENDPOINTS_NODE_PORT, NO_ENDPOINTS], 0));
}

#[test]
fn local_policies_use_local_endpoints_only() {
    let far = endpoint("10.244.1.5", "n2", true, false);
    let external = part(spec(json!({"externalTrafficPolicy": "Local"})), json!([far]));
    assert_eq!(maps(&external), [NO_ENDPOINTS_NODE_PORT, BY_ADDRESS]);
    let internal = part(spec(json!({"internalTrafficPolicy": "Local"})), json!([far]));
    assert_eq!(maps(&internal), [NO_ENDPOINTS, BY_NODE_PORT]);
}

#[test]
fn affinity_has_a_set_for_each_endpoint() {
    let sticky = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}});
    let two = json!([endpoint("10.244.0.5", "n1", true, false), endpoint("10.244.0.6", "n1", true, false)]);
    assert_eq!(part(spec(sticky), two).sets.values().collect::<Vec<_>>(), [&60, &60]);
}

#[test]
fn services_without_an_address_have_no_rules() {
    let one = json!([endpoint("10.244.0.5", "n1", true, false)]);
    assert_eq!(part(spec(json!({"clusterIP": "None"})), one.clone()), Part::default());
    assert_eq!(part(spec(json!({"type": "ExternalName"})), one), Part::default());
}
