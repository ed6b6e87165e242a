//! Nodes and pods for tests.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::snapshot::{PodInfo, Snapshot};

/// A node with this much CPU.
pub fn node(name: &str, cpu: &str, spec: Value, labels: Value) -> Arc<Node> {
    let allocatable = json!({"cpu": cpu, "memory": "4Gi", "pods": "110"});
    let node = json!({"metadata": {"name": name, "labels": labels}, "spec": spec,
        "status": {"allocatable": allocatable}});
    Arc::new(serde_json::from_value(node).expect("a node"))
}

/// A pod without a name that asks for this much CPU, with further fields of its spec.
pub fn pod(cpu: &str, more: Value) -> Arc<PodInfo> {
    let mut spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    let fields = more.as_object().cloned().unwrap_or_default();
    spec.as_object_mut().expect("object").extend(fields);
    info(json!({"spec": spec}))
}

/// A pod with a name, a priority and the time at which it was started, in seconds.
pub fn ranked(name: &str, cpu: &str, priority: i32, started: i64) -> Arc<PodInfo> {
    let started = jiff::Timestamp::from_second(started).expect("in range").to_string();
    let containers = json!([{"name": "c", "resources": {"requests": {"cpu": cpu}}}]);
    info(json!({"metadata": {"namespace": "d", "name": name, "uid": name}, "status": {"startTime": started},
        "spec": {"priority": priority, "containers": containers}}))
}

/// A pod that is leaving because the scheduler told it to.
pub fn leaving(pod: &PodInfo) -> Arc<PodInfo> {
    let mut value = serde_json::to_value(&*pod.pod).expect("JSON");
    value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    value["status"]["conditions"] =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]);
    info(value)
}

/// These nodes, empty.
pub fn cluster(nodes: &[Arc<Node>]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    nodes.iter().for_each(|n| snapshot.set_node(n.clone()));
    snapshot
}

fn info(pod: Value) -> Arc<PodInfo> {
    Arc::new(PodInfo::new(Arc::new(serde_json::from_value(pod).expect("a pod"))))
}
