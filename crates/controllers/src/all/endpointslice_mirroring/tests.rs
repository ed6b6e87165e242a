//! What is mirrored, and what is not.

use std::sync::Arc;

use client::Informer;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;
use crate::frame::world::Streams;
use crate::frame::{Op, Plan};

struct Cluster {
    services: Informer<Service>,
    endpoints: Informer<Endpoints>,
    slices: Informer<EndpointSlice>,
    made: usize,
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("of its kind")
}

impl Cluster {
    fn new(endpoints: Value) -> Self {
        let slices = Informer::detached();
        slices.index(BY_ENDPOINTS, by_endpoints);
        let cluster = Cluster { services: Informer::detached(), endpoints: Informer::detached(), slices, made: 0 };
        cluster.services.apply(typed(json!({"metadata": {"name": "s", "namespace": "n"}, "spec": {}})));
        cluster.set(endpoints);
        cluster
    }

    fn set(&self, mut endpoints: Value) {
        endpoints["metadata"]["name"] = "s".into();
        endpoints["metadata"]["namespace"] = "n".into();
        if endpoints["metadata"]["uid"].is_null() {
            endpoints["metadata"]["uid"] = "u".into();
        }
        self.endpoints.apply(typed(endpoints));
    }

    fn plan(&self) -> Plan {
        let mut streams = Streams::empty(Timestamp::UNIX_EPOCH);
        streams.add(Arc::new(self.services.clone()));
        streams.add(Arc::new(self.endpoints.clone()));
        streams.add(Arc::new(self.slices.clone()));
        Mirror.reconcile(&Key::new("n", "s"), &streams.world(), Timestamp::UNIX_EPOCH)
    }

    /// Carries the plan out and tells what it did; after that there is nothing left to do.
    fn settle(&mut self) -> Vec<&'static str> {
        let mut done: Vec<&str> = Vec::new();
        for step in self.plan().steps {
            match step.op {
                Op::Create(mut slice) => {
                    self.made += 1;
                    assert_eq!(slice["metadata"]["generateName"], "s-");
                    slice["metadata"]["name"] = format!("s-{}", self.made).into();
                    self.slices.apply(typed(slice));
                    done.push("create");
                }
                Op::Update(slice) => {
                    self.slices.apply(typed(slice));
                    done.push("update");
                }
                Op::Delete { .. } => {
                    let slice = self.slices.get(&step.key).expect("there");
                    self.slices.delete(&slice);
                    done.push("delete");
                }
                other => panic!("{other:?} is none of its writes"),
            }
        }
        assert!(self.plan().is_empty(), "{:?}", self.plan());
        done
    }

    fn slices(&self) -> Vec<Value> {
        let said = |slice: &EndpointSlice| {
            let slice = serde_json::to_value(slice).expect("a tree");
            let endpoints = slice["endpoints"].as_array().expect("a list").iter();
            let shown = endpoints.map(|e| format!("{} {}", e["addresses"][0].as_str().expect("text"), e["conditions"]["ready"]));
            let ports: Vec<&Value> = slice["ports"].as_array().expect("a list").iter().map(|p| &p["port"]).collect();
            json!([slice["addressType"], ports, shown.collect::<Vec<_>>()])
        };
        self.slices.snapshot().values().map(|slice| said(slice)).collect()
    }
}

fn subset(ready: &[&str], not_ready: &[&str], ports: &[i32]) -> Value {
    let addresses = |ips: &[&str]| ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    let ports: Vec<Value> = ports.iter().map(|port| json!({"port": port, "protocol": "TCP"})).collect();
    json!({"addresses": addresses(ready), "notReadyAddresses": addresses(not_ready), "ports": ports})
}

#[test]
fn what_people_wrote_is_mirrored_and_follows() {
    let metadata = json!({"labels": {"a": "b"}, "annotations": {
        "x": "y", "endpoints.kubernetes.io/last-change-trigger-time": "t", "kubectl.kubernetes.io/last-applied-configuration": "{}"}});
    let with = |subsets: Vec<Value>| json!({"metadata": metadata, "subsets": subsets});
    let mut cluster = Cluster::new(with(vec![subset(&["10.0.0.2", "010.0.0.1", "fd00::1"], &["10.0.0.3"], &[80])]));
    assert_eq!(cluster.settle(), ["create", "create"]);
    let both = json!([
        ["IPv4", [80], ["10.0.0.1 true", "10.0.0.2 true", "10.0.0.3 false"]],
        ["IPv6", [80], ["fd00::1 true"]],
    ]);
    assert_eq!(Value::from(cluster.slices()), both);
    let slice = cluster.slices.snapshot().values().next().expect("one").metadata.clone();
    let labels = json!({"a": "b", "kubernetes.io/service-name": "s", "endpointslice.kubernetes.io/managed-by": MANAGER});
    assert_eq!(json!(slice.labels), labels);
    assert_eq!(json!(slice.annotations), json!({"x": "y"}));
    let owner = json!([{"apiVersion": "v1", "kind": "Endpoints", "name": "s", "uid": "u", "controller": true, "blockOwnerDeletion": true}]);
    assert_eq!(json!(slice.owner_references), owner);
    // Another port: the slice is used again. No IPv6 any more: that one goes.
    cluster.set(with(vec![subset(&["10.0.0.1"], &[], &[81])]));
    assert_eq!(cluster.settle(), ["update", "delete"]);
    assert_eq!(Value::from(cluster.slices()), json!([["IPv4", [81], ["10.0.0.1 true"]]]));
    cluster.set(json!({"metadata": {}, "subsets": [subset(&["10.0.0.1"], &[], &[81])]}));
    assert_eq!(cluster.settle(), ["update"], "labels and annotations follow, too");
    cluster.set(json!({"metadata": {"uid": "v"}, "subsets": [subset(&["10.0.0.1"], &[], &[81])]}));
    assert_eq!(cluster.settle(), ["update"], "the owner is a new one");
    cluster.set(json!({"metadata": {}}));
    assert_eq!(cluster.settle(), ["delete"]);
}

#[test]
fn subsets_are_packed_anew() {
    let subsets = vec![
        subset(&["10.0.0.1"], &[], &[80]),
        subset(&["10.0.0.1"], &[], &[81]),
        subset(&["10.0.0.2"], &[], &[82]),
        subset(&[], &["10.0.0.2"], &[82]),
        subset(&["10.0.0.3"], &[], &[]),
    ];
    let mut cluster = Cluster::new(json!({"metadata": {}, "subsets": subsets}));
    assert_eq!(cluster.settle(), ["create", "create", "create"]);
    let mut slices = cluster.slices();
    slices.sort_by_key(Value::to_string);
    let wanted = json!([
        ["IPv4", [80, 81], ["10.0.0.1 true"]],
        ["IPv4", [82], ["10.0.0.2 false"]],
        ["IPv4", [], ["10.0.0.3 true"]],
    ]);
    assert_eq!(Value::from(slices), wanted);
}

#[test]
fn what_is_too_much_is_left_out_and_said() {
    let many: Vec<String> = (0..1002).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut cluster = Cluster::new(json!({"metadata": {}, "subsets": [subset(&many, &[], &[80])]}));
    let report = cluster.plan().reports;
    let text = "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped";
    assert_eq!((report[0].reason, &*report[0].text), ("TooManyAddressesToMirror", text));
    assert_eq!(cluster.settle(), ["create"]);
    assert_eq!(cluster.slices()[0][2].as_array().map(Vec::len), Some(1000));
}

#[test]
fn what_is_not_to_be_mirrored_has_no_slices() {
    let subsets = json!([subset(&["10.0.0.1"], &[], &[80])]);
    let plain = json!({"metadata": {}, "subsets": subsets});
    let odd = [
        json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, "subsets": subsets}),
        json!({"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}, "subsets": subsets}),
    ];
    for endpoints in odd {
        let mut cluster = Cluster::new(endpoints.clone());
        assert_eq!(cluster.settle(), [""; 0], "{endpoints}");
        cluster.set(plain.clone());
        assert_eq!(cluster.settle(), ["create"]);
        cluster.set(endpoints);
        assert_eq!(cluster.settle(), ["delete"]);
    }
    let mut cluster = Cluster::new(plain.clone());
    assert_eq!(cluster.settle(), ["create"]);
    let service = json!({"metadata": {"name": "s", "namespace": "n"}, "spec": {"selector": {"a": "b"}}});
    cluster.services.apply(typed(service));
    assert_eq!(cluster.settle(), ["delete"], "the Service has a selector now");
    let mut cluster = Cluster::new(plain.clone());
    cluster.services.replace(Vec::new(), 1);
    assert_eq!(cluster.settle(), [""; 0], "there is no Service");
    let mut going = plain;
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mut cluster = Cluster::new(going);
    assert_eq!(cluster.settle(), [""; 0], "nothing new for what goes");
}

#[test]
fn slices_of_others_are_left_alone() {
    let mut cluster = Cluster::new(json!({"metadata": {}}));
    cluster.slices.apply(typed(json!({"metadata": {"name": "x", "namespace": "n", "labels": {SERVICE: "s", MANAGED_BY: "me"}},
        "addressType": "IPv4", "endpoints": []})));
    assert_eq!(cluster.settle(), [""; 0]);
    assert_eq!(cluster.slices.snapshot().len(), 1);
}
