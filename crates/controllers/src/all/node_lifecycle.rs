//! Node lifecycle: a node that is not heard of becomes Unknown, and what ails a node becomes its taints
//! (upstream: `pkg/controller/nodelifecycle`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use meta::Key;
use serde_json::json;

use crate::frame::world::BY_NODE;
use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};
use crate::pods;

/// Where node leases are.
const LEASES: &str = "kube-node-lease";
/// A node that was silent for this long is Unknown (upstream: `--node-monitor-grace-period`).
const GRACE: SignedDuration = SignedDuration::from_secs(50);
/// The same for a node that never reported a status (upstream: `--node-startup-grace-period`).
const STARTUP_GRACE: SignedDuration = SignedDuration::from_secs(60);

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Condition, its bad value, and the taint that tells of it.
const TAINTS: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
/// The conditions that a silent node loses.
const REPORTED: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The controller.
pub struct NodeLifecycle;

impl Controller for NodeLifecycle {
    fn profile(&self) -> Profile {
        Profile {
            name: "node-controller",
            account: "node-controller",
            watches: vec![Watch::of::<Node>(), Watch::of::<Lease>(), Watch::pods()],
            permissions: &[
                Permission { group: "", resource: "nodes", verbs: &["delete", "get", "list", "patch", "update"] },
                Permission { group: "", resource: "nodes/status", verbs: &["patch", "update"] },
                Permission { group: "", resource: "pods", verbs: &["delete", "get", "list"] },
                Permission { group: "", resource: "pods/status", verbs: &["patch", "update"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, _: &World) -> Vec<Key> {
        let lease = seen.key::<Lease>().filter(|key| &*key.namespace == LEASES).map(|key| Key::new("", &key.name));
        // A pod matters when it comes to be on a node that is already lost.
        let bound = seen.new_as::<Pod>().filter(|pod| seen.old::<Pod>().is_none_or(|old| pods::node(old) != pods::node(pod)));
        let bound = bound.map(|pod| Key::new("", pods::node(pod))).filter(|key| !key.name.is_empty());
        seen.key::<Node>().or(lease).or(bound).into_iter().collect()
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<Node>().iter().map(|node| client::informer::key_of(&**node)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(node) = world.of::<Node>().get(key) else { return plan };
        let deadline = deadline(node, world, now);
        if now >= deadline {
            if let Some(new) = silenced(node, now) {
                let text = format!("Node {} status is now: NodeNotReady", key.name);
                plan.step(Step::update_status(&new).done(Report::normal(&**node, "NodeNotReady", text)));
                return plan;
            }
            pods_not_ready(node, world, now, &mut plan);
        } else {
            plan.revisit_at(deadline);
        }
        if let Some(taints) = taints(node, now) {
            let mut new = (**node).clone();
            new.spec.get_or_insert_default().taints = Some(taints).filter(|t| !t.is_empty());
            plan.step(Step::update(&new));
        }
        plan
    }
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == type_)
}

/// Until when a node may be silent. Its silence counts from when this process began to listen, or the machine's clock was
/// set, at the earliest: after a restart every node has its time to be heard of.
fn deadline(node: &Node, world: &World, now: Timestamp) -> Timestamp {
    let name = node.metadata.name.as_deref().unwrap_or("");
    let renewed = world.of::<Lease>().get(&Key::new(LEASES, name)).and_then(|lease| lease.spec.clone());
    let renewed = renewed.and_then(|spec| spec.renew_time).map(|at| at.0);
    let ready = condition(node, "Ready");
    let reported = ready.and_then(|c| c.last_heartbeat_time.as_ref()).map(|at| at.0);
    let created = node.metadata.creation_timestamp.as_ref().map(|at| at.0);
    let heard = heard([renewed, reported], created, now).unwrap_or(world.since());
    let grace: SignedDuration = if ready.is_some() { GRACE } else { STARTUP_GRACE };
    // A node says any time.
    meta::time::after(heard.max(world.since()), grace.as_secs())
}

/// When a node was heard of last. What it said before the clock was set back is in the future, and counts no more as soon as it
/// has said something since; where all that it says is in the future, its own clock is ahead.
fn heard(said: [Option<Timestamp>; 2], created: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let said = || said.into_iter().flatten();
    said().filter(|at| *at <= now).max().or_else(|| said().max()).or_else(|| created.map(|at| at.min(now)))
}

/// The node with unknown conditions, if they are not yet.
fn silenced(node: &Node, now: Timestamp) -> Option<Node> {
    let mut new = node.clone();
    let conditions = new.status.get_or_insert_default().conditions.get_or_insert_default();
    for type_ in REPORTED {
        match conditions.iter_mut().find(|c| c.type_ == *type_) {
            Some(c) if c.status == "Unknown" => {}
            Some(c) => {
                c.status = "Unknown".to_owned();
                c.reason = Some("NodeStatusUnknown".to_owned());
                c.message = Some("Kubelet stopped posting node status.".to_owned());
                c.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: (*type_).to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
    (new != *node).then_some(new)
}

/// Pods on a lost node serve nobody, as far as one can tell.
fn pods_not_ready(node: &Node, world: &World, now: Timestamp, plan: &mut Plan) {
    let name = node.metadata.name.as_deref().unwrap_or("");
    for pod in world.of::<Pod>().by(BY_NODE, name).filter(|pod| pods::is_ready(pod)) {
        let condition = json!({"type": "Ready", "status": "False", "lastTransitionTime": meta::time::seconds(now)});
        let step = Step::patch(&**pod, json!({"status": {"conditions": [condition]}}), true);
        plan.step(step.done(Report::warning(&**pod, "NodeNotReady", "Node is not ready")));
    }
}

/// The node's taints as they should be, if they are not. Those of other keys stay.
fn taints(node: &Node, now: Timestamp) -> Option<Vec<Taint>> {
    let mut wanted: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    for (type_, bad, key) in TAINTS {
        if condition(node, type_).is_some_and(|c| c.status == *bad) {
            wanted.insert((key, "NoSchedule"), ());
            if *type_ == "Ready" {
                wanted.insert((key, "NoExecute"), ());
            }
        }
    }
    let spec = node.spec.as_ref();
    if spec.and_then(|s| s.unschedulable).unwrap_or(false) {
        wanted.insert((UNSCHEDULABLE, "NoSchedule"), ());
    }
    let ours = |taint: &Taint| {
        let lost = matches!(taint.key.as_str(), NOT_READY | UNREACHABLE);
        let known = taint.key == UNSCHEDULABLE || TAINTS.iter().any(|(_, _, key)| taint.key == *key);
        known && (taint.effect == "NoSchedule" || (lost && taint.effect == "NoExecute"))
    };
    let before = spec.and_then(|s| s.taints.clone()).unwrap_or_default();
    // A node that has not reported yet keeps the taint that it registered with.
    let silent = condition(node, "Ready").is_none();
    let stays = |taint: &Taint| {
        !ours(taint)
            || wanted.contains_key(&(taint.key.as_str(), taint.effect.as_str()))
            || (silent && taint.key == NOT_READY)
    };
    let mut after: Vec<Taint> = before.iter().filter(|taint| stays(taint)).cloned().collect();
    for (key, effect) in wanted.keys() {
        if !after.iter().any(|t| t.key == *key && t.effect == *effect) {
            after.push(Taint {
                key: (*key).to_owned(),
                effect: (*effect).to_owned(),
                value: None,
                time_added: Some(Time(now)).filter(|_| *effect == "NoExecute"),
            });
        }
    }
    (after != before).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_the_clock_was_set_back_does_not_count() {
        let at = |text: &str| text.parse::<Timestamp>().expect("valid");
        let (now, past, future) = (at("2026-01-03T00:00:00Z"), at("2026-01-02T23:59:50Z"), at("2026-01-05T00:00:00Z"));
        assert_eq!(heard([Some(past), Some(future)], Some(future), now), Some(past));
        assert_eq!(heard([Some(future), None], Some(past), now), Some(future), "its own clock is ahead");
        assert_eq!(heard([None, None], Some(future), now), Some(now), "made before the clock was set back");
        assert_eq!(heard([None, None], None, now), None);
    }

    #[test]
    fn a_lost_node_is_tainted_and_a_found_one_is_not() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("valid");
        let mut node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n"},
            "spec": {"unschedulable": true, "taints": [{"key": "mine", "effect": "NoExecute"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .expect("a node");
        let keys = |taints: &[Taint]| taints.iter().map(|t| format!("{}:{}", t.key, t.effect)).collect::<Vec<_>>();
        let silent = silenced(&node, now).expect("changed");
        assert!(silenced(&silent, now).is_none());
        let lost = taints(&silent, now).expect("changed");
        let unreachable = |effect| format!("{UNREACHABLE}:{effect}");
        let expected =
            ["mine:NoExecute".to_owned(), unreachable("NoExecute"), unreachable("NoSchedule"), format!("{UNSCHEDULABLE}:NoSchedule")];
        assert_eq!(keys(&lost), expected);
        let spec = node.spec.as_mut().expect("there");
        (spec.taints, spec.unschedulable) = (Some(lost), None);
        assert_eq!(keys(&taints(&node, now).expect("changed")), ["mine:NoExecute"]);
    }
}
