//! What a pod needs of its node's agent, the agent must say that it has (upstream: `NodeDeclaredFeatures`).

use super::{Filter, Rejection};
use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

pub(super) const FILTER: Filter = Filter { name: "NodeDeclaredFeatures", check, reads, helped_by: &[Hint::Node] };

/// The end of one container can start all of them again.
const RESTART_ALL: &str = "RestartAllContainersOnContainerExits";

fn check(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let status = node.node.as_ref().and_then(|n| n.status.as_ref());
    let declared = status.and_then(|s| s.declared_features.as_deref()).unwrap_or_default();
    if restarts(pod) && !declared.iter().any(|feature| feature == RESTART_ALL) {
        return Err(Rejection::hard("node(s) didn't match Pod's required features"));
    }
    Ok(())
}

fn reads(pod: &PodInfo, parts: &mut Parts) {
    parts.add(&restarts(pod));
}

fn restarts(pod: &PodInfo) -> bool {
    let Some(spec) = &pod.pod.spec else { return false };
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    containers.any(|c| c.restart_policy_rules.iter().flatten().any(|rule| rule.action == "RestartAllContainers"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::cycle::{Decision, schedule};
    use crate::samples::{cluster, node, pod};
    use k8s_openapi::api::core::v1::Node;
    use serde_json::json;

    #[test]
    fn a_pod_that_restarts_as_a_whole_waits_for_a_node_that_can() {
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}});
        let wanted = pod("1", json!({"containers": [{"name": "c", "restartPolicy": "Never", "restartPolicyRules": [rule]}]}));
        let plain = node("n1", "4", json!({}), json!({}));
        let Decision::Unschedulable { message, .. } = schedule(&wanted, &cluster(&[plain.clone()]), 0) else { panic!("fits") };
        assert!(message.starts_with("0/1 nodes are available: 1 node(s) didn't match Pod's required features."), "{message}");
        let mut able = Node::clone(&plain);
        let status = able.status.get_or_insert_default();
        status.declared_features = Some(vec![super::RESTART_ALL.to_owned()]);
        assert_eq!(schedule(&wanted, &cluster(&[Arc::new(able)]), 0), Decision::Node("n1".into()));
    }
}
