//! Which pods to delete first when there are too many (upstream: `ActivePodsWithRanks`).

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::pods;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods to delete: unassigned, pending, not ready, cheap ones, those on crowded nodes,
/// recently ready, often restarted, and young ones first. Ages count by powers of two, so that of pods of
/// about the same age any may go.
pub fn first_to_go<'a>(active: &[&'a Pod], related: &[&Pod], now: Timestamp, count: usize) -> Vec<&'a Pod> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related {
        *on_node.entry(pods::node(pod)).or_default() += 1;
    }
    let mut ranked: Vec<(Rank, &Pod)> = active.iter().map(|pod| (Rank::of(pod, &on_node, now), *pod)).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    ranked.into_iter().take(count).map(|(_, pod)| pod).collect()
}

/// Ordered so that the least goes first.
#[derive(PartialEq, Eq)]
struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    crowd: usize,
    ready_for: Option<i64>,
    restarts: (i32, i32),
    age: i64,
    uid: String,
}

impl Rank {
    fn of(pod: &Pod, on_node: &HashMap<&str, usize>, now: Timestamp) -> Self {
        let phase = match pods::phase(pod) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let annotations = pod.metadata.annotations.as_ref();
        let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
        Rank {
            assigned: !pods::node(pod).is_empty(),
            phase,
            ready: pods::is_ready(pod),
            cost: annotations.and_then(|a| a.get(DELETION_COST)).and_then(|c| c.parse().ok()).unwrap_or(0),
            crowd: on_node.get(pods::node(pod)).copied().unwrap_or(0),
            ready_for: pods::ready_since(pod).map(|since| magnitude(since, now)),
            restarts: restarts(pod),
            age: created.map_or(-1, |at| magnitude(at, now)),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        }
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_state = (self.assigned, self.phase, self.ready, self.cost);
        by_state
            .cmp(&(other.assigned, other.phase, other.ready, other.cost))
            .then(other.crowd.cmp(&self.crowd))
            .then(self.ready_for.cmp(&other.ready_for))
            .then(other.restarts.cmp(&self.restarts))
            .then(self.age.cmp(&other.age))
            .then(self.uid.cmp(&other.uid))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The binary logarithm of an age in nanoseconds; -1 for none.
fn magnitude(since: Timestamp, now: Timestamp) -> i64 {
    let nanoseconds = now.as_nanosecond() - since.as_nanosecond();
    if nanoseconds > 0 { i64::from(nanoseconds.ilog2()) } else { -1 }
}

/// Most restarts of one container, and of one restartable init container.
fn restarts(pod: &Pod) -> (i32, i32) {
    let Some(status) = &pod.status else { return (0, 0) };
    let most = |of: &Option<Vec<ContainerStatus>>, wanted: &dyn Fn(&str) -> bool| {
        of.iter().flatten().filter(|c| wanted(&c.name)).map(|c| c.restart_count).max().unwrap_or(0)
    };
    let init = pod.spec.as_ref().and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
    let sidecar = |name: &str| init.iter().any(|c| c.name == name && c.restart_policy.as_deref() == Some("Always"));
    (most(&status.container_statuses, &|_| true), most(&status.init_container_statuses, &sidecar))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_least_missed_go_first() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("valid");
        let pod = |name: &str, node: &str, phase: &str, ready_since: Option<&str>, cost: &str| -> Pod {
            let conditions: Vec<_> = ready_since
                .map(|at| json!({"type": "Ready", "status": "True", "lastTransitionTime": at}))
                .into_iter()
                .collect();
            serde_json::from_value(json!({
                "metadata": {"name": name, "uid": name, "annotations": {DELETION_COST: cost}},
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": phase, "conditions": conditions},
            }))
            .expect("a pod")
        };
        let old = Some("2026-01-01T00:00:00Z");
        let all = [
            pod("veteran", "n1", "Running", old, "0"),
            pod("dear", "n1", "Running", old, "10"),
            pod("fresh", "n1", "Running", Some("2026-01-01T23:59:59Z"), "0"),
            pod("crowded", "n2", "Running", old, "0"),
            pod("crowded2", "n2", "Running", old, "5"),
            pod("unready", "n1", "Running", None, "0"),
            pod("pending", "n1", "Pending", None, "0"),
            pod("homeless", "", "Pending", None, "0"),
        ];
        let active: Vec<&Pod> = all.iter().collect();
        let related = [&all[3], &all[4], &all[0]];
        let order: Vec<_> =
            first_to_go(&active, &related, now, 8).iter().filter_map(|p| p.metadata.name.as_deref()).collect();
        let expected = ["homeless", "pending", "unready", "crowded", "fresh", "veteran", "crowded2", "dear"];
        assert_eq!(order, expected);
    }
}
