//! Pods, usage and figures of this node.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::pod::observed::is_running;
use crate::spec;

/// A `PodList` of this node's pods.
pub fn pods(agent: &Agent) -> Value {
    let items: Vec<Value> =
        agent.pods.list().iter().filter_map(|p| serde_json::to_value(&**p).ok()).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

/// Usage by pod and container (upstream: `stats/v1alpha1.Summary`).
pub async fn summary(agent: &Agent) -> Value {
    let now = meta::time::seconds(jiff::Timestamp::now());
    let mut pods = Vec::new();
    let (mut node_cpu, mut node_memory) = (0, 0);
    for pod in agent.pods.list() {
        let Ok(Some(seen)) = agent.runtime.pod(spec::uid(&pod)).await else { continue };
        let mut containers = Vec::new();
        let (mut cpu, mut memory) = (0, 0);
        for container in seen.containers.iter().filter(|c| is_running(c)) {
            let Ok(usage) = agent.runtime.usage(&container.id).await else { continue };
            cpu += usage.cpu_nanos;
            memory += usage.memory_bytes;
            containers.push(json!({"name": container.name, "startTime": now, "cpu": cpu_of(&now, usage.cpu_nanos),
                "memory": memory_of(&now, usage.memory_bytes)}));
        }
        node_cpu += cpu;
        node_memory += memory;
        let reference =
            json!({"name": spec::name(&pod), "namespace": spec::namespace(&pod), "uid": spec::uid(&pod)});
        pods.push(json!({"podRef": reference, "startTime": now, "containers": containers,
            "cpu": cpu_of(&now, cpu), "memory": memory_of(&now, memory)}));
    }
    let node = json!({"nodeName": agent.config.node_name, "startTime": now,
        "cpu": cpu_of(&now, node_cpu), "memory": memory_of(&now, node_memory)});
    json!({"node": node, "pods": pods})
}

fn cpu_of(now: &str, nanos: u64) -> Value {
    json!({"time": now, "usageCoreNanoSeconds": nanos})
}

fn memory_of(now: &str, bytes: u64) -> Value {
    json!({"time": now, "workingSetBytes": bytes})
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
