//! What scheduler, controllers, proxy and DNS make of an object: pure functions of small worlds.

use std::sync::Arc;

use client::Informer;
use controllers::frame::Controller;
use controllers::frame::world::{BY_NODE, ORPHANS, POD_INDEXES, Streams};
use dns::zone::{self, Kind};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use meta::Key;
use scheduler::cycle::{Decision, schedule};
use scheduler::snapshot::{PodInfo, Snapshot};
use serde_json::{Value, json};

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|e| panic!("is of its kind: {e}"))
}

/// A node of this name.
pub fn node(name: &str, spec: &Value, labels: &Value, cpu: &str) -> Node {
    let room = json!({"cpu": cpu, "memory": "8Gi", "pods": "110", "ephemeral-storage": "10Gi"});
    typed(json!({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": room, "capacity": room}}))
}

/// What the scheduler decides in each of several clusters; and what it says where the pod fits nowhere.
pub fn scheduled(pod: &Pod) -> (String, Vec<String>) {
    let plain = json!({});
    let tainted = |effect: &str| json!({"taints": [{"key": "k", "value": "v", "effect": effect}]});
    let (v, none) = (json!({"k": "v"}), json!({}));
    let two = |a: Node, b: Node| vec![a, b];
    let clusters = [
        vec![node("n1", &plain, &none, "8")],
        two(node("a", &plain, &none, "8"), node("b", &plain, &v, "8")),
        two(node("a", &plain, &none, "8"), node("b", &plain, &none, "7")),
        vec![node("a", &tainted("NoSchedule"), &none, "8")],
        vec![node("a", &tainted("NoExecute"), &none, "8")],
        two(node("a", &tainted("PreferNoSchedule"), &v, "8"), node("b", &plain, &none, "4")),
        vec![node("full", &plain, &none, "100m")],
    ];
    let info = PodInfo::new(Arc::new(pod.clone()));
    let (mut said, mut refused) = (Vec::new(), Vec::new());
    for (at, nodes) in clusters.into_iter().enumerate() {
        let mut snapshot = Snapshot::default();
        nodes.into_iter().for_each(|node| snapshot.set_node(Arc::new(node)));
        snapshot.set_pod("n1", &Key::new("default", "beside"), Arc::new(PodInfo::new(Arc::new(beside("1", 9090)))));
        snapshot.set_pod("full", &Key::new("default", "low"), Arc::new(PodInfo::new(Arc::new(beside("100m", 8080)))));
        let decision = schedule(&info, &snapshot, 0);
        if let (0, Decision::Unschedulable { message, .. }) = (at, &decision) {
            refused.push(message.clone());
        }
        said.push(format!("{decision:?}"));
    }
    (said.join("\n"), refused)
}

/// A pod of low priority with a port of its node.
fn beside(cpu: &str, port: u16) -> Pod {
    typed(json!({"metadata": {"namespace": "default", "name": "beside", "uid": "beside"}, "spec": {"priority": -10, "nodeName": "n1", "containers": [{
        "name": "c", "resources": {"requests": {"cpu": cpu}}, "ports": [{"containerPort": 80, "hostPort": port}]}]}}))
}

/// A pod that runs on the node, labelled as the Service below wants it.
fn running(mut pod: Pod, address: &str, ready: bool) -> Pod {
    pod.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    pod.metadata.namespace = Some("default".to_owned());
    if let Some(spec) = pod.spec.as_mut().filter(|s| s.node_name.is_none()) {
        spec.node_name = Some("n1".to_owned());
    }
    let ready = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    pod.status = Some(typed(json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready})));
    pod
}

/// What the controllers of endpoints and evictions do.
fn controlled(pods: Vec<Pod>, services: Vec<Service>, keys: &[Key]) -> String {
    let taint = json!({"taints": [{"key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]});
    let place = json!({"topology.kubernetes.io/zone": "z1", "k": "v"});
    let mut streams = Streams::empty(Timestamp::UNIX_EPOCH);
    let (of_pods, of_nodes, of_services) = (Informer::detached(), Informer::detached(), Informer::detached());
    POD_INDEXES.iter().for_each(|(name, values)| of_pods.index(name, *values));
    debug_assert!(POD_INDEXES.iter().any(|(name, _)| *name == BY_NODE) && POD_INDEXES.iter().any(|(name, _)| *name == ORPHANS));
    pods.into_iter().for_each(|pod| of_pods.apply(pod));
    of_nodes.apply(node("n1", &taint, &place, "8"));
    of_nodes.apply(node("n2", &json!({}), &json!({"topology.kubernetes.io/zone": "z2"}), "8"));
    services.into_iter().for_each(|service| of_services.apply(service));
    streams.add(Arc::new(of_pods));
    streams.add(Arc::new(of_nodes));
    streams.add(Arc::new(of_services));
    streams.add(Arc::new(Informer::<Endpoints>::detached()));
    let slices = Informer::<EndpointSlice>::detached();
    let all: [&dyn Controller; 3] = [
        &controllers::all::endpointslice::Slices,
        &controllers::all::endpoints::EndpointsObjects,
        &controllers::all::taint_eviction::TaintEviction,
    ];
    slices.index("service", |_| Vec::new());
    streams.add(Arc::new(slices));
    let now: Timestamp = "2026-01-01T00:00:01Z".parse().expect("a time");
    let world = streams.world();
    let plans = all.iter().flat_map(|c| keys.iter().map(|key| format!("{:?}", c.reconcile(key, &world, now))));
    plans.collect::<Vec<_>>().join("\n")
}

/// What controllers do about a pod that two Services select.
pub fn pod_controlled(pod: &Pod) -> String {
    let service = |name: &str, ip: &str| -> Service {
        typed(json!({"metadata": {"namespace": "default", "name": name, "uid": name}, "spec": {"clusterIP": ip, "selector": {"app": "web"},
            "ports": [{"name": "p", "port": 80, "targetPort": "http"}]}}))
    };
    let key = Key::new("default", pod.metadata.name.as_deref().unwrap_or_default());
    let keys = [Key::new("default", "web"), Key::new("default", "x"), key];
    controlled(vec![running(pod.clone(), "10.244.0.5", true)], vec![service("web", "10.96.0.7"), service("x", "None")], &keys)
}

/// What is done about a Service with these slices, by whoever looks at Services.
pub fn served(service: &Service, slices: &[EndpointSlice]) -> Vec<(&'static str, String)> {
    let backend = |name: &str, node: &str| -> Pod {
        typed(json!({"metadata": {"name": name, "uid": name}, "spec": {"nodeName": node, "containers": [
            {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]}}))
    };
    let mut balanced = service.clone();
    if service.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("LoadBalancer") {
        balanced.status = Some(typed(json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})));
    }
    let pods = vec![
        running(backend("p1", "n1"), "10.244.0.5", true),
        running(backend("p2", "n2"), "10.244.1.5", true),
        running(backend("p3", "n1"), "10.244.0.6", false),
    ];
    let key = Key::new("default", "web");
    let variables = kubelet::container::services::variables([Arc::new(service.clone())].iter(), "default", true);
    vec![
        ("controllers", controlled(pods, vec![service.clone()], &[key])),
        ("proxy", proxied(&balanced, slices)),
        ("dns", named(service, slices)),
        ("kubelet", format!("{variables:?}")),
    ]
}

fn proxied(service: &Service, slices: &[EndpointSlice]) -> String {
    let config = network::services::Config {
        node: "n1".to_owned(),
        zone: "z1".to_owned(),
        names: network::Names::first(),
        addresses: vec!["192.0.2.1".parse().expect("address")],
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
        own_ports: Vec::new(),
    };
    let slices: Vec<Arc<EndpointSlice>> = slices.iter().cloned().map(Arc::new).collect();
    format!("{:?}", network::services::plan(&config, service, &slices))
}

fn named(service: &Service, slices: &[EndpointSlice]) -> String {
    let (of_services, of_slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let mut headless = service.clone();
    headless.metadata.name = Some("headless".to_owned());
    if let Some(spec) = &mut headless.spec {
        spec.cluster_ip = Some("None".to_owned());
    }
    for (service, name) in [(service, "web"), (&headless, "headless")] {
        of_services.apply(service.clone());
        for slice in slices {
            let mut slice = slice.clone();
            slice.metadata.name = Some(format!("{name}-1"));
            slice.metadata.labels = Some([("kubernetes.io/service-name".to_owned(), name.to_owned())].into());
            of_slices.apply(slice);
        }
    }
    let namespaces = Informer::<Namespace>::detached();
    let metadata = ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() };
    namespaces.apply(Namespace { metadata, ..Namespace::default() });
    let world = dns::world::World::follow(&of_services, &of_slices, &namespaces);
    let options = zone::Options::of("cluster.local");
    let names = ["web", "headless", "_http._tcp.web", "_http._tcp.headless", "x.headless", "_x._tcp.headless", "10-244-0-9.headless"];
    let kinds = [Kind::A, Kind::Srv];
    let mut said = Vec::new();
    for name in names {
        let name = format!("{name}.default.svc.cluster.local");
        said.extend(kinds.map(|kind| format!("{:?}", zone::answer(&world.lock(), &options, &name, kind))));
    }
    said.join("\n")
}
