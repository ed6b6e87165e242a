//! Services in, plans and their parts out.

use std::net::IpAddr;

use super::*;
use crate::nft::Layout;
use crate::services::base::{DROPPED, DROPPED_PORTS, ENDPOINTS, NODE_PORTS, REFUSED, REFUSED_PORTS, SERVICES};
use crate::services::layout::{Class, Part, Services};
use crate::services::plan::Plan;
use serde_json::{Value, json};

fn config() -> Config {
    Config {
        node: "n1".to_owned(),
        names: crate::Names::first(),
        zone: "z1".to_owned(),
        addresses: vec![IpAddr::from([192, 0, 2, 1])],
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
        own_ports: Vec::new(),
    }
}

fn compiled(spec: Value, status: Value, endpoints: Value) -> Compiled {
    let service = json!({"metadata": {"namespace": "d", "name": "web"}, "spec": spec, "status": status});
    let slice = json!({"addressType": "IPv4", "endpoints": endpoints, "metadata": {},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    let slice: EndpointSlice = serde_json::from_value(slice).expect("a slice");
    compile(&config(), &serde_json::from_value(service).expect("a service"), &[Arc::new(slice)])
}

fn part(spec: Value, endpoints: Value) -> Part {
    Services(config()).part(&Plan::Service(compiled(spec, json!({}), endpoints).ports))
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

fn sets(part: &Part) -> Vec<&str> {
    let ways = [SERVICES, NODE_PORTS, REFUSED, REFUSED_PORTS, DROPPED, DROPPED_PORTS];
    part.elements.keys().map(|(set, _, _)| &**set).filter(|set| ways.contains(set)).collect()
}

fn endpoints(part: &Part) -> usize {
    part.elements.keys().filter(|(set, _, _)| set == ENDPOINTS).count()
}

#[test]
fn ready_endpoints_are_chosen_and_ending_ones_only_when_there_is_no_other() {
    let ready = endpoint("10.244.0.5", "n1", true, false);
    let ending = endpoint("10.244.0.6", "n1", false, true);
    let dead = endpoint("10.244.0.7", "n1", false, false);
    let both = part(spec(json!({})), json!([ready, ending, dead]));
    assert_eq!((sets(&both), endpoints(&both)), (vec![NODE_PORTS, SERVICES], 1));
    let only_ending = part(spec(json!({})), json!([ending, dead]));
    assert_eq!(endpoints(&only_ending), 1);
    let none = part(spec(json!({})), json!([dead]));
    assert_eq!((sets(&none), endpoints(&none), none.shared.len()), (vec![REFUSED_PORTS, REFUSED], 0, 0));
}

#[test]
fn local_policies_use_local_endpoints_and_drop_where_there_is_none() {
    use crate::nft::Entry::Port;
    let far = endpoint("10.244.1.5", "n2", true, false);
    let near_ending = endpoint("10.244.0.5", "n1", false, true);
    let external = part(spec(json!({"externalTrafficPolicy": "Local"})), json!([far]));
    assert_eq!(sets(&external), [DROPPED_PORTS, NODE_PORTS, SERVICES], "the node itself goes to all");
    let internal = part(spec(json!({"internalTrafficPolicy": "Local"})), json!([far]));
    assert_eq!(sets(&internal), [DROPPED, NODE_PORTS]);
    // Here nobody is ready, but one still serves: better than nobody.
    let both = part(spec(json!({"externalTrafficPolicy": "Local"})), json!([far, near_ending]));
    let classes = [Class::Cluster { local: false, count: 1 }, Class::ExternalLocal { entry: Port, all: 1, local: 1 }];
    assert_eq!(both.shared.into_iter().collect::<Vec<_>>(), classes);
}

#[test]
fn services_of_one_kind_share_their_chain() {
    let two = json!([endpoint("10.244.0.5", "n1", true, false), endpoint("10.244.0.6", "n1", true, false)]);
    let one = part(spec(json!({})), two.clone());
    let other = part(spec(json!({"clusterIP": "10.96.0.11"})), two);
    assert!(one.chains.is_empty() && one.sets.is_empty());
    assert_eq!(one.shared, other.shared);
}

#[test]
fn affinity_has_a_set_of_clients_for_each_endpoint() {
    let sticky = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}});
    let two = json!([endpoint("10.244.0.5", "n1", true, false), endpoint("10.244.0.6", "n1", true, false)]);
    let part = part(spec(sticky), two);
    assert_eq!(part.sets.values().map(|set| set.forgets_after).collect::<Vec<_>>(), [Some(60); 2]);
    assert_eq!(part.shared.len(), 0);
}

#[test]
fn services_without_an_address_have_no_rules() {
    let one = json!([endpoint("10.244.0.5", "n1", true, false)]);
    for spec in [spec(json!({"clusterIP": "None"})), spec(json!({"type": "ExternalName"}))] {
        assert_eq!(compiled(spec, json!({}), one.clone()), Compiled::default());
    }
}

#[test]
fn a_service_that_wants_too_much_gets_nothing_and_costs_nothing() {
    let ports: Vec<Value> = (1..=1_000).map(|port| json!({"name": format!("p{port}"), "port": port})).collect();
    let addresses: Vec<String> = (0..1_000).map(|n| format!("203.0.{}.{}", n / 250, 1 + n % 250)).collect();
    let many = json!([endpoint("10.244.0.5", "n1", true, false)]);
    let all = compiled(spec(json!({"ports": ports, "externalIPs": addresses})), json!({}), many);
    let excess = Excess { what: "addresses and ports", count: 1_002_000, most: MOST_WAYS };
    assert_eq!(all, Compiled { excess: Some(excess), ..Compiled::default() });
    let crowd: Vec<Value> = (0..11_000).map(|n| endpoint(&format!("10.244.{}.{}", n / 250, n % 250), "n1", true, false)).collect();
    let whole = compiled(spec(json!({})), json!({}), json!(crowd));
    assert_eq!((whole.excess, whole.ports[0].all.len()), (None, 11_000));
    let sticky = compiled(spec(json!({"sessionAffinity": "ClientIP"})), json!({}), json!(crowd)).excess;
    assert_eq!(sticky.map(|excess| excess.most), Some(MOST_KEPT));
}

#[test]
fn addresses_that_are_the_machines_own_or_nobodys_lead_nowhere() {
    let status = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}, {"ip": "0.0.0.0"}, {"ip": "224.0.0.1"}]}});
    assert!(compiled(spec(json!({"type": "LoadBalancer"})), status, json!([])).ports[0].outside.is_empty());
}

#[test]
fn source_ranges_guard_the_addresses_of_load_balancers() {
    let ranges = json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.9"],
        "loadBalancerSourceRanges": [" 198.51.100.0/25", "198.51.100.128/25 ", "2001:db8::/32"]});
    let status = json!({"loadBalancer": {"ingress": [
        {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "Proxy"}, {"hostname": "example.com"}]}});
    let port = compiled(spec(ranges), status.clone(), json!([])).ports.remove(0);
    assert_eq!(port.outside, ["192.0.2.9", "203.0.113.1"].map(|a| a.parse::<Ipv4Addr>().expect("address")));
    let guard = port.guarded.expect("guarded");
    assert_eq!(guard.addresses, [Ipv4Addr::new(203, 0, 113, 1)]);
    assert_eq!(guard.sources, [(0xc633_6400, 0xc633_64ff)]);
    // A node that is let in may come by the address itself.
    let with_node = json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]});
    let guard = compiled(spec(with_node), status.clone(), json!([])).ports.remove(0).guarded.expect("guarded");
    assert_eq!(guard.sources, [(0xc000_0200, 0xc000_02ff), (0xcb00_7101, 0xcb00_7101)]);
    // Ranges of the other family alone say nothing about this one.
    let other = json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["2001:db8::/32"]});
    assert_eq!(compiled(spec(other), status, json!([])).ports.remove(0).guarded, None);
}

#[test]
fn health_is_asked_of_local_load_balancers_only() {
    let here = [endpoint("10.244.0.5", "n1", true, false), endpoint("10.244.0.6", "n1", false, true)];
    let all = json!([here[0], here[0], here[1], endpoint("10.244.1.5", "n2", true, false)]);
    let health = |more: Value| {
        let mut wanted = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999});
        wanted.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
        compiled(spec(wanted), json!({}), all.clone()).health
    };
    assert_eq!(health(json!({})), Some(Health { port: 30999, endpoints: 1 }));
    assert_eq!(health(json!({"externalTrafficPolicy": "Cluster"})), None);
    assert_eq!(health(json!({"type": "NodePort"})), None);
}
