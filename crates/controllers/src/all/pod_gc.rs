//! Pod garbage collection: pods that nobody else will ever remove (upstream: `pkg/controller/podgc`).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use meta::Key;
use serde_json::json;

use crate::frame::world::BY_NODE;
use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::pods;

/// Pods at their end that may stay (upstream: `--terminated-pod-gc-threshold`).
const THRESHOLD: usize = 12500;
/// Looks at an orphan again after this, while it is not certain that its node is gone.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// The controller. Its keys are pods; the empty key stands for the number of those at their end.
pub struct PodGc;

impl Controller for PodGc {
    fn profile(&self) -> Profile {
        Profile {
            name: "pod-garbage-collector",
            account: "pod-garbage-collector",
            watches: vec![Watch::of::<Node>(), Watch::pods()],
            permissions: &[
                Permission { group: "", resource: "pods", verbs: &["delete", "list", "watch"] },
                Permission { group: "", resource: "pods/status", verbs: &["patch"] },
                Permission { group: "", resource: "nodes", verbs: &["get", "list"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(pod) = seen.new_as::<Pod>() {
            let node = Key::new("", pods::node(pod));
            let lost = world.of::<Node>().get(&node).is_none();
            let homeless = node.name.is_empty();
            let suspicious = if homeless { pod.metadata.deletion_timestamp.is_some() } else { lost };
            let ended = pods::is_terminal(pod) && seen.old::<Pod>().is_none_or(|old| !pods::is_terminal(old));
            let keys = [suspicious.then(|| client::informer::key_of(pod)), ended.then(|| Key::new("", ""))];
            return keys.into_iter().flatten().collect();
        }
        match seen.old::<Node>().filter(|_| seen.new_as::<Node>().is_none()) {
            Some(node) => {
                let name = node.metadata.name.as_deref().unwrap_or("");
                world.of::<Pod>().by(BY_NODE, name).map(|pod| client::informer::key_of(&**pod)).collect()
            }
            None => Vec::new(),
        }
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        let all = world.of::<Pod>().iter().map(|pod| client::informer::key_of(&**pod));
        all.chain([Key::new("", "")]).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        if key.name.is_empty() {
            thin_out(world, &mut plan);
            return plan;
        }
        let Some(pod) = world.of::<Pod>().get(key) else { return plan };
        let node = Key::new("", pods::node(pod));
        if node.name.is_empty() {
            if pod.metadata.deletion_timestamp.is_some() {
                plan.step(Step::delete_now(&**pod));
            }
        } else if world.of::<Node>().get(&node).is_none() {
            // Streams lag independently: the node is gone only if its stream is no older than the pod.
            if world.revision::<Node>() < client::informer::revision_of(&**pod) {
                plan.revisit_at(now + AGAIN);
            } else {
                remove_orphan(pod, now, &mut plan);
            }
        }
        plan
    }
}

fn remove_orphan(pod: &Pod, now: Timestamp, plan: &mut Plan) {
    if !pods::is_terminal(pod) {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists", "lastTransitionTime": meta::time::seconds(now),
        });
        plan.step(Step::patch(pod, json!({"status": {"phase": "Failed", "conditions": [condition]}}), true));
    }
    plan.step(Step::delete_now(pod));
}

/// Deletes the oldest of the pods at their end that are too many.
fn thin_out(world: &World, plan: &mut Plan) {
    let all = world.of::<Pod>();
    let mut ended: Vec<&Pod> = all.iter().filter(|pod| pods::is_terminal(pod)).map(|pod| &**pod).collect();
    let surplus = ended.len().saturating_sub(THRESHOLD);
    if surplus > 0 {
        ended.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|at| at.0));
        plan.steps.extend(ended.into_iter().take(surplus).map(Step::delete_now));
    }
}
