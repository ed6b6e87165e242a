//! Taint eviction: pods leave nodes whose NoExecute taints they do not tolerate, or no longer
//! (upstream: `pkg/controller/tainteviction`).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use meta::Key;
use pod::nodes::tolerates;
use serde_json::json;

use crate::frame::world::BY_NODE;
use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};
use crate::pods;

/// The controller.
pub struct TaintEviction;

impl Controller for TaintEviction {
    fn profile(&self) -> Profile {
        Profile {
            name: "taint-eviction-controller",
            account: "node-controller",
            watches: vec![Watch::of::<Node>(), Watch::pods()],
            permissions: &[
                Permission { group: "", resource: "pods", verbs: &["delete", "get", "list", "watch"] },
                Permission { group: "", resource: "pods/status", verbs: &["patch"] },
                Permission { group: "", resource: "nodes", verbs: &["get", "list", "watch"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(pod) = seen.new_as::<Pod>() {
            let lost = |pod: &Pod| world.of::<Node>().get(&Key::new("", pods::node(pod))).is_some_and(|n| !taints(n).is_empty());
            return if lost(pod) { vec![client::informer::key_of(pod)] } else { Vec::new() };
        }
        let before = seen.old::<Node>().map(taints).unwrap_or_default();
        match seen.new_as::<Node>().filter(|node| taints(node) != before) {
            Some(node) => {
                let name = node.metadata.name.as_deref().unwrap_or("");
                world.of::<Pod>().by(BY_NODE, name).map(|pod| client::informer::key_of(&**pod)).collect()
            }
            None => Vec::new(),
        }
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        let lost = world.of::<Node>().iter().filter(|node| !taints(node).is_empty());
        let names = lost.filter_map(|node| node.metadata.name.as_deref());
        names.flat_map(|name| world.of::<Pod>().by(BY_NODE, name)).map(|pod| client::informer::key_of(&**pod)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(pod) = world.of::<Pod>().get(key).filter(|pod| pod.metadata.deletion_timestamp.is_none()) else {
            return plan;
        };
        let Some(node) = world.of::<Node>().get(&Key::new("", pods::node(pod))) else { return plan };
        match leaves_at(pod, &taints(node), world.since()) {
            Some(at) if at > now => plan.revisit_at(at),
            Some(_) => evict(pod, key, now, &mut plan),
            None => {}
        }
        plan
    }
}

fn taints(node: &Node) -> Vec<&Taint> {
    let all = node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default();
    all.iter().filter(|taint| taint.effect == "NoExecute").collect()
}

/// When a pod has to leave a node with these taints; `None` for never. `since` stands in for a taint
/// that does not say when it was added.
fn leaves_at(pod: &Pod, taints: &[&Taint], since: Timestamp) -> Option<Timestamp> {
    let tolerations = pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    let mut first: Option<i64> = None;
    for taint in taints {
        let mut tolerating = tolerations.iter().filter(|t| tolerates(t, taint)).peekable();
        if tolerating.peek().is_none() {
            return Some(Timestamp::UNIX_EPOCH);
        }
        let seconds = tolerating.filter_map(|t| t.toleration_seconds).min();
        first = first.into_iter().chain(seconds.map(|s| s.max(0))).min();
    }
    let added = taints.iter().map(|t| t.time_added.as_ref().map_or(since, |at| at.0)).max();
    first.zip(added).map(|(seconds, added)| meta::time::after(added, seconds))
}

fn evict(pod: &Pod, key: &Key, now: Timestamp, plan: &mut Plan) {
    let told = pods::condition(pod, "DisruptionTarget").is_some_and(|c| c.status == "True");
    if !told {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": meta::time::seconds(now),
        });
        plan.step(Step::patch(pod, json!({"status": {"conditions": [condition]}}), true));
    }
    let text = format!("Marking for deletion Pod {key}");
    plan.step(Step::delete(pod).done(Report::normal(pod, "TaintManagerEviction", text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerated_for_a_while() {
        let taint: Taint = serde_json::from_value(
            json!({"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"})).expect("a taint");
        let pod = |tolerations: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}})).expect("a pod")
        };
        let leaves = |p: &Pod| leaves_at(p, &[&taint], Timestamp::UNIX_EPOCH).map(|at| at.to_string());
        assert_eq!(leaves(&pod(json!([]))).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(leaves(&pod(json!([{"operator": "Exists"}]))), None);
        let bounded = pod(json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]));
        assert_eq!(leaves(&bounded).as_deref(), Some("2026-01-01T00:05:00Z"));
    }
}
