//! Pods, usage and figures of this node.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::pod::observed::is_running;

/// A `PodList` of this node's pods.
pub fn pods(agent: &Agent) -> Value {
    let items: Vec<Value> =
        agent.pods.list().iter().filter_map(|p| serde_json::to_value(&**p).ok()).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

/// A `PodList` of what runs, as the runtime knows it (upstream: `getRunningPods`).
pub async fn running_pods(agent: &Agent) -> Result<Value, String> {
    let pods = agent.runtime.pods().await.map_err(|e| e.to_string())?;
    let item = |pod: &runtime::Pod| {
        let containers = pod.containers.iter().filter(|c| is_running(c));
        let containers: Vec<Value> = containers.map(|c| json!({"name": c.name, "image": c.image, "resources": {}})).collect();
        let metadata = json!({"name": pod.config.name, "namespace": pod.config.namespace, "uid": pod.config.uid});
        json!({"metadata": metadata, "spec": {"containers": containers}, "status": {}})
    };
    let items: Vec<Value> = pods.iter().filter(|pod| pod.ready).map(item).collect();
    Ok(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}

/// Figures in Prometheus' text format.
pub async fn metrics(agent: &Agent) -> String {
    let running = agent.runtime.pods().await.unwrap_or_default();
    let pods = running.iter().filter(|p| p.ready).count();
    let containers = running.iter().flat_map(|p| &p.containers).filter(|c| is_running(c)).count();
    let mut text = String::new();
    for (name, help, value) in [
        ("kubelet_running_pods", "Number of pods that have a running pod sandbox", pods),
        ("kubelet_running_containers", "Number of containers currently running", containers),
        ("kubelet_working_pods", "Number of pods the kubelet is actually running", agent.pods.list().len()),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text
}
