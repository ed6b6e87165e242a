//! Pods of all shapes: one line each in the list.

use serde_json::{Value, json};

use crate::soak::pods::IMAGE;

/// What is expected of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It serves at these ports of its address.
    Serves(&'static [u16]),
    /// It serves at a port of the node's that is made for it.
    ServesOnNode,
    /// It ends, with success.
    Ends,
}

/// One shape: how it ends, and its spec for a pod with that number.
pub struct Shape {
    pub name: &'static str,
    pub end: End,
    pub spec: fn(usize) -> Value,
}

pub static ALL: &[Shape] = &[
    Shape { name: "plain", end: End::Serves(&[8080]), spec: |_| pod(json!([server("a", 8080)])) },
    Shape {
        name: "two",
        end: End::Serves(&[8080, 8081]),
        spec: |_| pod(json!([server("a", 8080), server("b", 8081)])),
    },
    Shape { name: "init", end: End::Serves(&[8080]), spec: |_| init(pod(json!([server("a", 8080)]))) },
    Shape { name: "sidecar", end: End::Serves(&[8080, 8082]), spec: |_| sidecar(pod(json!([server("a", 8080)]))) },
    Shape {
        name: "shared",
        end: End::Serves(&[8080, 8081]),
        spec: |_| with(pod(json!([server("a", 8080), server("b", 8081)])), "shareProcessNamespace", json!(true)),
    },
    Shape {
        name: "users",
        end: End::Serves(&[8080]),
        spec: |_| with(pod(json!([server("a", 8080)])), "hostUsers", json!(false)),
    },
    Shape { name: "volumes", end: End::Serves(&[8080]), spec: |_| volumes(pod(json!([server("a", 8080)]))) },
    Shape { name: "guaranteed", end: End::Serves(&[8080]), spec: |_| guaranteed(pod(json!([server("a", 8080)]))) },
    Shape { name: "hostport", end: End::Serves(&[8080]), spec: host_port },
    Shape { name: "hostnetwork", end: End::ServesOnNode, spec: host_network },
    Shape { name: "once", end: End::Ends, spec: |_| with(pod(json!([program("a")])), "restartPolicy", json!("Never")) },
    Shape {
        name: "finishes",
        end: End::Ends,
        spec: |_| with(init(pod(json!([program("a"), program("b")]))), "restartPolicy", json!("OnFailure")),
    },
];

/// Where a pod on the node's network listens.
pub fn port_on_node(number: usize) -> u16 {
    21_000 + u16::try_from(number % 4000).unwrap_or(0)
}

fn pod(containers: Value) -> Value {
    json!({"containers": containers, "terminationGracePeriodSeconds": 1})
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

fn server(name: &str, port: u16) -> Value {
    let probe = json!({"httpGet": {"path": "/", "port": port}, "periodSeconds": 1});
    json!({"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "readinessProbe": probe,
        "command": ["/ironclad", "demo-server", "--port", port.to_string()]})
}

fn program(name: &str) -> Value {
    json!({"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/ironclad", "version"]})
}

fn init(spec: Value) -> Value {
    with(spec, "initContainers", json!([program("i"), program("j")]))
}

fn sidecar(spec: Value) -> Value {
    let mut sidecar = server("s", 8082);
    sidecar["restartPolicy"] = json!("Always");
    with(spec, "initContainers", json!([program("i"), sidecar]))
}

fn volumes(mut spec: Value) -> Value {
    spec["volumes"] = json!([
        {"name": "empty", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "map", "configMap": {"name": "kube-root-ca.crt"}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "kube-root-ca.crt"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}]);
    spec["containers"][0]["volumeMounts"] = json!([
        {"name": "empty", "mountPath": "/empty"}, {"name": "memory", "mountPath": "/memory"},
        {"name": "map", "mountPath": "/ca.crt", "subPath": "ca.crt"}, {"name": "all", "mountPath": "/all"}]);
    spec
}

fn guaranteed(mut spec: Value) -> Value {
    let amounts = json!({"cpu": "20m", "memory": "64Mi"});
    spec["containers"][0]["resources"] = json!({"requests": amounts, "limits": amounts});
    spec
}

fn host_port(number: usize) -> Value {
    let mut container = server("a", 8080);
    container["ports"] = json!([{"containerPort": 8080, "hostPort": port_on_node(number) + 5000}]);
    pod(json!([container]))
}

fn host_network(number: usize) -> Value {
    with(pod(json!([server("a", port_on_node(number))])), "hostNetwork", json!(true))
}
