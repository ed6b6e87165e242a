//! The cgroups above the pods' own: all pods together, and those of a class of service (upstream:
//! `qos_container_manager_linux.go`, `node_container_manager_linux.go`).
//!
//! Without values of their own, a burstable pod that requests a CPU would get as much of a busy node as one that
//! requests nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::pod::{Side, qos, resources};
use k8s_openapi::api::core::v1::Pod;
use meta::Quantity;
use runtime::Resources;

use super::facts::{self, Facts};
use crate::agent::Agent;
use crate::container::resources::shares;
use crate::spec;

/// Before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// Processes of the machine that pods leave to everybody else, whatever they do.
const OTHER_PROCESSES: i64 = 2048;

/// What each group may use, with these pods on the node; `pid_max` is how many processes the machine can have.
pub fn desired(pods: &[Arc<Pod>], facts: &Facts, pid_max: i64) -> BTreeMap<&'static str, Resources> {
    let burstable = |p: &&Arc<Pod>| !spec::is_terminal(p) && qos::class(spec::of(p)) == "Burstable";
    let request = |p: &Arc<Pod>| {
        resources::total(spec::of(p), Side::Requests).get("cpu").map_or(0, Quantity::milli_value)
    };
    let requested: i64 = pods.iter().filter(burstable).map(request).sum();
    let share = |milli: i64| Resources { cpu_shares: shares(milli), ..Resources::default() };
    let all = Resources {
        memory_limit: facts.memory,
        pids_limit: (pid_max - OTHER_PROCESSES).max(pid_max / 2),
        ..share(facts.cpus * 1000)
    };
    [("", all), ("burstable", share(requested)), ("besteffort", share(0))].into()
}

/// Keeps them as they should be, for as long as the agent runs.
pub async fn run(agent: Arc<Agent>) {
    let facts = facts::read(&agent.config.data_dir);
    let pid_max = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|text| text.trim().parse().ok());
    let mut told: BTreeMap<&str, Resources> = BTreeMap::new();
    let mut changes = agent.pods.changed.subscribe();
    loop {
        let mut failed = false;
        for (name, wanted) in desired(&agent.pods.present(), &facts, pid_max.unwrap_or(32_768)) {
            if told.get(name) == Some(&wanted) {
                continue;
            }
            match agent.runtime.update_group(name, &wanted).await {
                Ok(()) => drop(told.insert(name, wanted)),
                Err(error) => {
                    tracing::warn!(group = name, %error, "a group of pods is without its limits");
                    failed = true;
                }
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(AGAIN), if failed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_share_the_node_by_their_requests() {
        let pod = |resources| {
            Arc::new(spec::tests::pod(json!({"containers": [{"name": "c", "resources": resources}]})))
        };
        let all = json!({"cpu": "1", "memory": "1Gi"});
        let mut ended = (*pod(json!({"requests": {"cpu": "1"}}))).clone();
        ended.status.get_or_insert_default().phase = Some("Failed".to_owned());
        let pods = [
            pod(json!({"requests": {"cpu": "1"}})),
            pod(json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "2"}})),
            pod(json!({"requests": all, "limits": all})),
            pod(json!({})),
            Arc::new(ended),
        ];
        let facts = Facts { cpus: 4, memory: 8 << 30, ..Facts::default() };
        let groups = desired(&pods, &facts, 32_768);
        assert_eq!(groups[""], Resources { cpu_shares: 4096, memory_limit: 8 << 30, pids_limit: 30_720, ..Resources::default() });
        assert_eq!(groups["burstable"], Resources { cpu_shares: 1536, ..Resources::default() });
        assert_eq!(groups["besteffort"], Resources { cpu_shares: 2, ..Resources::default() });
        assert_eq!(desired(&[], &facts, 1000)[""].pids_limit, 500);
    }
}
